"""The parts of bench/speedrun.py: shares of the budget, its end within a training, the schedule, the table."""

import importlib.util
import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from torch.utils.data import DataLoader

from unmix import composition
from unmix.data.tracks import SOURCES

BENCH = Path(__file__).parents[1] / "bench"
RECIPES = sorted(path.stem for path in (BENCH / "speedrun" / "experiment").glob("*.yaml"))


@pytest.fixture
def package(monkeypatch):
    """The package that trainings import."""
    monkeypatch.syspath_prepend(str(BENCH))
    yield importlib.import_module("speedrun")
    sys.modules.pop("speedrun")


@pytest.fixture
def command(package, monkeypatch):
    """The script, as a module."""
    spec = importlib.util.spec_from_file_location("speedrun_command", BENCH / "speedrun.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "speedrun_command", module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def clock(package, monkeypatch):
    """Seconds that a limit shows; the limit of this process is 100 s."""
    shown = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(package.Limit, "used", lambda _: shown.seconds)
    monkeypatch.setenv(package.VARIABLE, json.dumps({"clock": "wall", "seconds": 100.0, "started": 0.0}))
    return shown


class Steps(LightningModule):
    """Module whose steps and validations take seconds of a clock."""

    def __init__(self, clock, step_seconds, validation_seconds):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.clock, self.step_seconds, self.validation_seconds = clock, step_seconds, validation_seconds

    def training_step(self, batch, batch_idx):
        self.clock.seconds += self.step_seconds
        return self.weight * 0

    def validation_step(self, batch, batch_idx):
        self.clock.seconds += self.validation_seconds

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(module, package, steps_per_epoch):
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=1000,
        logger=False,
        callbacks=[package.Budget()],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(module, DataLoader(range(steps_per_epoch)), DataLoader(range(1)))
    return trainer


def test_a_training_stops_within_an_epoch_so_that_its_last_validation_ends_at_the_limit(package, clock):
    trainer = fit(Steps(clock, step_seconds=2, validation_seconds=10), package, steps_per_epoch=8)
    # three epochs of 26 s, then steps until 90 s, as after 88 s one more fits, then the last validation
    assert package.ENDING_SECONDS == 1
    assert trainer.global_step == 3 * 8 + 6
    assert clock.seconds == 100


def test_a_training_without_a_validation_before_the_limit_still_has_one(package, clock):
    fit(Steps(clock, step_seconds=60, validation_seconds=5), package, steps_per_epoch=8)
    assert clock.seconds == 2 * 60 + 5


def test_the_learning_rate_rises_and_is_at_its_end_at_the_limit(package, clock):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(()))], lr=2.0)
    schedule, rates = package.to_the_limit(optimizer, warmup=0.2, final=0.5), {}
    for clock.seconds in (10, 20, 60, 100, 130):
        optimizer.step()
        schedule.step()
        rates[clock.seconds] = optimizer.param_groups[0]["lr"]
    assert rates == pytest.approx({10: 1.0, 20: 2.0, 60: 1.5, 100: 1.0, 130: 1.0})


def test_a_limit_reaches_the_process_through_its_environment(package, monkeypatch):
    for name, value in package.Limit("wall", 5.0, time.monotonic() - 1000).environment().items():
        monkeypatch.setenv(name, value)
    limit = package.Limit.of_this_process()
    assert limit.seconds == 5.0
    assert limit.used() >= 1000
    assert package.Limit("processor", 5.0, -1000).used() < 1000  # of other clocks it knows nothing


def test_rounds_share_the_wall_clock_and_processes_the_processors(command):
    left = [["a", "b"], ["c", "d"]]
    assert command.Budget("wall", 600).share(0, left) == 300
    assert command.Budget("wall", 600).share(310, left[1:]) == 290
    assert command.Budget("processor", 600).share(0, left) == 300
    assert command.Budget("processor", 600).share(620, left[1:]) == 290
    assert command.Budget("processor", 600).share(0, [["all"]]) == 1200
    assert command.Budget("processor", 600).share(0, [["all"]], processes=2) == 600


def test_networks_of_one_target_train_two_at_a_time_and_others_once(command):
    rounds = command.rounds_of(composition.compose("train", ["experiment=demo"]))
    assert rounds == [["target=vocals", "target=drums"], ["target=bass", "target=other"]]
    assert command.rounds_of(composition.compose("train", ["experiment=xumx_demo"])) == [["target=all"]]


def test_every_recipe_names_what_is_there(package):
    for recipe in RECIPES:
        overrides = [f"experiment={recipe}", "data.root=nowhere"]
        (cfg,) = composition.parse("train", overrides, config_dir=str(BENCH / "speedrun")).compose_jobs()
        composition.check_targets(cfg)
        assert cfg.name == recipe
        assert cfg.data.name == "demo"


def test_a_table_is_begun_once_and_has_a_row_for_each_recipe_and_budget(command, tmp_path):
    table, sdr = tmp_path / "new" / "table.md", dict(zip(SOURCES, (1.0, 2.0, 3.0, 4.5), strict=True))
    for recipe in ("umx-1", "umx-2"):
        command.append(table, command.row(recipe, "demo, wall 600 s", 599.6, 1234567, sdr))
    lines = table.read_text().splitlines()
    assert len(lines) == 4
    assert lines[2].endswith("| umx-1 | demo, wall 600 s | 600 | 1,234,567 | 1.00 | 2.00 | 3.00 | 4.50 | **2.62** |")
    assert {line.count("|") for line in lines} == {11}
    assert command.is_in(table, "umx-2", "demo, wall 600 s")
    assert not command.is_in(table, "umx-2", "demo, wall 60 s")
    assert not command.is_in(table, "umx", "demo, wall 600 s")
    assert not command.is_in(tmp_path / "none.md", "umx-2", "demo, wall 600 s")


def test_a_failed_training_says_why(command, tmp_path):
    script = tmp_path / "fails.py"
    script.write_text("raise SystemExit('data.root: not there')")
    with pytest.raises(RuntimeError, match=r"a\.log: ended with 1\ndata\.root: not there"):
        command.run_round({tmp_path / "a.log": [str(script)]}, command.Limit("wall", 1.0, 0.0))


def test_on_the_real_excerpt_a_recipe_has_one_process_as_there_is_one_track_to_validate_on(
    command, monkeypatch, tmp_path
):
    monkeypatch.setenv("UNMIX_DATA", str(tmp_path))
    cfg, overrides = command.compose("shallow_bridged", "stempeg")
    assert cfg.trainer.cpu_processes == 1
    assert [path.name for path in sorted((Path(cfg.data.root) / "train").iterdir())] == ["Train", "Validation"]
    assert list(cfg.data.validation_tracks) == ["Validation"]
    assert f"data.root={cfg.data.root}" in overrides
