"""An interrupted and resumed run ends bit-identical to an uninterrupted one."""

import json
import os
import signal
from contextlib import nullcontext

import pytest
import torch

from unmix.composition import compose
from unmix.experiments import status
from unmix.experiments.status import Status
from unmix.plans import Plan
from unmix.runs.preflight import _check_length
from unmix.training.module import SeparationModule

pytestmark = pytest.mark.slow

ARGUMENTS = [
    "data.samples_per_track=5",
    "model.dropout=0.4",
    "scheduler.patience=0",
    "target=drums",
]  # 5 steps an epoch


@pytest.fixture(scope="module")
def arguments(train_arguments):
    return [*train_arguments, *ARGUMENTS, "trainer.max_epochs=3"]


def folder_of(out):
    (experiment,) = (out / "runs").iterdir()
    return experiment / "drums-s42"


def result_of(run):
    """Collect what must be equal: metrics.csv, and the checkpoint without configuration, git state and timings.

    Lightning's `loops` are left out: they count how often its hooks were called, which nothing depends on.
    """
    content = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    content.pop("loops")
    record = content["unmix"]
    del record["config"], record["git"]
    record["metrics"] = {name: value for name, value in record["metrics"].items() if not name.startswith("time/")}
    return {**content, "metrics.csv": (run / "metrics.csv").read_bytes()}


def assert_same(actual, expected, path=""):
    """Assert that nested containers are equal; a failure names the path to the first difference."""
    assert type(actual) is type(expected), path
    if isinstance(actual, dict):
        assert list(actual) == list(expected), path
        for name in actual:
            assert_same(actual[name], expected[name], f"{path}.{name}")
    elif isinstance(actual, list | tuple):
        assert len(actual) == len(expected), path
        for i, (left, right) in enumerate(zip(actual, expected, strict=True)):
            assert_same(left, right, f"{path}[{i}]")
    elif isinstance(actual, torch.Tensor):
        assert torch.equal(actual, expected), path
    else:
        assert actual == expected, path


@pytest.fixture(scope="module")
def uninterrupted(arguments, cli, tmp_path_factory):
    out = tmp_path_factory.mktemp("uninterrupted")
    assert cli("train", *arguments, f"paths.out={out}") == 0
    return result_of(folder_of(out))


@pytest.fixture
def send_at(monkeypatch):
    """Return a function that has training send this process a signal at a step."""

    def install(step, signum):
        original = SeparationModule.training_step

        def training_step(module, batch, batch_idx):
            if module.trainer.global_step == step:
                os.kill(os.getpid(), signum)
            return original(module, batch, batch_idx)

        monkeypatch.setattr(SeparationModule, "training_step", training_step)

    return install


@pytest.mark.parametrize(
    ("step", "signum", "code", "position"),
    [
        (0, signal.SIGTERM, 75, [0, 1]),
        (2, signal.SIGINT, 130, [0, 3]),
        (4, signal.SIGUSR1, 75, [1, 0]),  # the last batch: the epoch is finished first
        (7, signal.SIGUSR2, 75, [1, 3]),
        (14, signal.SIGTERM, 75, [3, 0]),
    ],
)
def test_a_signal_saves_a_checkpoint_and_the_same_command_ends_as_if_uninterrupted(
    arguments, cli, capfd, tmp_path, uninterrupted, send_at, step, signum, code, position
):
    send_at(step, signum)
    with pytest.raises(SystemExit) as ended:
        cli("train", *arguments, f"paths.out={tmp_path}")
    assert ended.value.code == code
    run = folder_of(tmp_path)
    assert f"; the same command continues {run} from its last checkpoint" in capfd.readouterr().err
    assert status.read(run).state == "interrupted"
    saved = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["unmix"]["position"] == position
    send_at(-1, signum)
    assert cli("train", *arguments, f"paths.out={tmp_path}") == 0
    assert status.read(run).state == "done"
    assert_same(result_of(run), uninterrupted)


@pytest.mark.parametrize(
    ("length", "position", "duration"),
    [(1, [0, 1], "1 step"), (8, [1, 3], "8 steps"), (10, [2, 0], "2 epochs"), (None, [1, 3], "8 steps")],
)
def test_a_run_cut_by_max_steps_or_max_time_resumes_as_if_uninterrupted(
    arguments, cli, capfd, tmp_path, uninterrupted, monkeypatch, length, position, duration
):
    original = SeparationModule.training_step

    def stop_as_max_time_does(module, batch, batch_idx):
        module.trainer.should_stop = module.trainer.global_step == 7
        return original(module, batch, batch_idx)

    with monkeypatch.context() as patch:
        if length is None:
            patch.setattr(SeparationModule, "training_step", stop_as_max_time_does)
        assert cli("train", *arguments, f"paths.out={tmp_path}", f"trainer.max_steps={length or 14}") == 0
    run = folder_of(tmp_path)
    assert status.read(run).state == "done"
    assert status.read(run).epoch == position[0]
    assert f"done after {duration}, best val/loss" in capfd.readouterr().out
    assert status.read(run).best == torch.load(run / "checkpoints" / "best.ckpt")["unmix"]["best_score"]
    assert torch.load(run / "checkpoints" / "last.ckpt")["unmix"]["position"] == position
    assert cli("train", *arguments, f"paths.out={tmp_path}") == 0
    assert_same(result_of(run), uninterrupted)


AUGMENTATIONS = "[gain,swap,polarity,shift,activity,same_track,speed,{mixup:{probability:0.5}},tilt,band_limit]"


def test_a_killed_and_resumed_run_with_all_augmentations_ends_as_if_uninterrupted(arguments, cli, tmp_path, send_at):
    options = [*arguments, f"data.augmentations={AUGMENTATIONS}", "data.track_weights=activity", "trainer.max_epochs=2"]
    assert cli("train", *options, f"paths.out={tmp_path / 'straight'}") == 0
    send_at(2, signal.SIGTERM)
    with pytest.raises(SystemExit):
        cli("train", *options, f"paths.out={tmp_path / 'resumed'}")
    send_at(-1, signal.SIGTERM)
    assert cli("train", *options, f"paths.out={tmp_path / 'resumed'}") == 0
    straight, resumed = (result_of(folder_of(tmp_path / name)) for name in ("straight", "resumed"))
    assert_same(resumed, straight)


def test_a_resumed_run_reports_a_changed_number_of_threads(arguments, cli, tmp_path, capfd):
    assert cli("train", *arguments, f"paths.out={tmp_path}", "trainer.max_epochs=1") == 0
    path = folder_of(tmp_path) / "env.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "threads": 99}))
    assert cli("train", *arguments, f"paths.out={tmp_path}", "trainer.max_epochs=2") == 0
    assert "threads: was 99, is " in capfd.readouterr().out


def test_a_run_refuses_data_other_than_it_was_begun_with(arguments, cli, tmp_path, capfd, write_tree):
    names = ("Some Band - Track", "Actions - One Minute Smile", "Other Band - Song")
    other = write_tree(tmp_path / "tree", names, ("Some Test - Track",), num_samples=90_000)
    assert cli("train", *arguments, f"paths.out={tmp_path}", "trainer.max_epochs=1") == 0
    assert cli("train", *arguments, f"paths.out={tmp_path}", f"data.root={other}") == 2
    assert "are not those this run was begun with" in capfd.readouterr().err
    assert cli("train", *arguments, f"paths.out={tmp_path}", f"data.root={other}", "data.allow_changed=true") == 0
    (run,) = tmp_path.glob("runs/*/drums-s42")
    assert "begun with" in (run / "train.log").read_text()
    assert status.read(run).state == "done"


def test_loader_processes_do_not_change_weights(arguments, cli, tmp_path, uninterrupted):
    options = [*arguments, f"paths.out={tmp_path}", "data.storage=disk", "data.num_workers=2"]
    assert cli("train", *options) == 0
    (run,) = tmp_path.glob("runs/*/drums-s42")
    assert_same(result_of(run), uninterrupted)


def test_fresh_moves_the_old_run_aside_and_starts_again(arguments, cli, tmp_path, uninterrupted):
    assert cli("train", *arguments, f"paths.out={tmp_path}", "trainer.max_epochs=1") == 0
    assert cli("train", *arguments, f"paths.out={tmp_path}", "fresh=true") == 0
    (experiment,) = (tmp_path / "runs").iterdir()
    assert sorted(path.name for path in experiment.iterdir()) == ["drums-s42", "old"]
    assert (experiment / "old" / "drums-s42-1" / "checkpoints" / "last.ckpt").is_file()
    assert_same(result_of(experiment / "drums-s42"), uninterrupted)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("max_epochs=24", ""),
        ("max_epochs=2", "trainer.max_epochs: got 2"),
        ("max_steps=49", "trainer.max_steps: got 49"),
    ],
)
def test_a_run_is_not_continued_to_less_than_it_has(tmp_path, override, message):
    cfg = compose("train", [f"trainer.{override}"])
    interrupted = Plan(cfg, "e", tmp_path, Status("e", "interrupted", epoch=24, step=50))
    with pytest.raises(ValueError, match=f"{message}, but .* already: take at least") if message else nullcontext():
        _check_length(interrupted)
