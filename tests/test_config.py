"""Every file of conf/ composes and fits what it configures; file names survive Hydra's grammar."""

from pathlib import Path

import hydra
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from unmix import usage
from unmix.composition import CONF, check_targets, compose, parse
from unmix.quoting import quote_literal

# Folders of files that are no choices of a command: Hydra's own groups, and what `wandb sweep` reads.
FOREIGN = ("hydra", "wandb")
GROUP_FILES = sorted(path.relative_to(CONF) for path in CONF.glob("*/*.yaml") if path.parent.name not in FOREIGN)


@pytest.mark.parametrize("name", ["train", "evaluate", "listen", "separate", "check", "export", "leaderboard"])
def test_top_level_configurations_fit_their_targets(name):
    overrides = {
        "train": [],
        "evaluate": ["ckpt=x"],
        "listen": ["ckpt=x"],
        "separate": ["ckpt=x", "input=y"],
        "leaderboard": [],
        "check": [],
        "export": ["ckpt=x"],
    }[name]
    cfg = compose(name, overrides)
    check_targets(cfg)
    assert not OmegaConf.missing_keys(cfg)
    OmegaConf.to_container(cfg, resolve=True)


@pytest.mark.parametrize("path", GROUP_FILES, ids=str)
def test_every_file_of_every_group_composes_and_fits_its_targets(path):
    cfg = compose("train", [f"{path.parent}={path.stem}"])
    assert OmegaConf.missing_keys(cfg) <= {"data.validation_tracks"}  # of one's own data, nobody else can say
    cfg.data.validation_tracks = ["a track"]
    check_targets(cfg)
    OmegaConf.to_container(cfg, resolve=True)


@pytest.mark.parametrize("path", sorted(CONF.rglob("*.yaml")), ids=str)
def test_configuration_files_are_short(path):
    assert len([line for line in path.read_text().splitlines() if not line.startswith(usage.EDITOR)]) <= 40


def test_no_folder_of_conf_has_the_name_of_a_plain_key():
    groups = {path.name for path in CONF.iterdir() if path.is_dir()}
    plain = {key for key, value in compose("train", []).items() if not OmegaConf.is_dict(value) and value is not None}
    assert not groups & plain


@pytest.mark.parametrize("override", ["wandb=sweep", "+wandb=sweep"])
def test_the_sweep_for_wandb_is_no_choice_of_a_command(cli, capfd, tmp_path, override):
    assert cli("train", override, f"paths.out={tmp_path / 'out'}") == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("train: ")
    assert "wandb" in line
    assert not (tmp_path / "out").exists()


def test_umxhq_is_the_published_recipe():
    cfg = compose("train", ["experiment=umxhq"])
    assert (cfg.model.hidden_size, cfg.model.bidirectional, cfg.model.num_layers) == (512, True, 3)
    assert (cfg.data.batch_size, cfg.data.segment_seconds, cfg.data.samples_per_track) == (16, 6.0, 64)
    assert (cfg.optimizer.lr, cfg.optimizer.weight_decay) == (1e-3, 1e-5)
    assert (cfg.scheduler.factor, cfg.scheduler.patience, cfg.scheduler.cooldown) == (0.3, 80, 10)
    assert (cfg.callbacks.early_stopping.patience, cfg.trainer.max_epochs) == (140, 1000)


def test_a_group_file_with_a_wrong_key_is_refused_with_the_nearest_right_one():
    cfg = compose("train", ["+model.hiden_size=3", "+optimizer.learning_rate=1"])
    with pytest.raises(ValueError, match=r"did you mean 'hidden_size'.* \| optimizer.learning_rate"):
        check_targets(cfg)


NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="$"), min_size=1, max_size=30)


@given(NAMES.filter(lambda name: name[0] not in "['\"~") | st.text("a\\'", min_size=1).map("a".__add__))
def test_file_names_reach_the_program_unchanged(name):
    override = quote_literal(f"input={name}")
    (parsed,) = OverridesParser.create().parse_overrides([override])
    value = parsed.value()
    assert str(value) == name or (name == "null" and value is None)


@given(NAMES)
def test_quoting_twice_changes_nothing(name):
    once = quote_literal(f"data.root={name}")
    assert quote_literal(once) == once


@pytest.mark.parametrize("argument", ["input=[a.wav,b.wav]", "ckpt='x y'", 'ckpt="x"', "ckpt=", "-m", "data=demo"])
def test_what_is_hydra_s_own_syntax_is_left_alone(argument):
    assert quote_literal(argument) == argument


def test_home_is_expanded(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    assert quote_literal("data.root=~/musdb") == "data.root='/home/somebody/musdb'"


def test_nothing_in_the_project_points_outside_it():
    root = Path(__file__).parents[1]
    for path in [*root.glob("src/**/*.py"), *root.glob("conf/**/*.yaml"), root / "Makefile", root / "README.md"]:
        assert "/shared" not in path.read_text(), path


@pytest.mark.slow
@pytest.mark.parametrize("name", ["targets", "architecture", "seeds"])
def test_a_named_sweep_is_the_grid_that_its_file_says(name):
    command = parse("train", ["experiment=demo", f"sweep={name}"])
    assert command.is_sweep
    jobs = list(command.compose_jobs())
    assert len(jobs) == {"targets": 4, "architecture": 24, "seeds": 16}[name]
    seen = {(cfg.target, cfg.seed, cfg.model.hidden_size, cfg.model.bidirectional) for cfg in jobs}
    assert len(seen) == len(jobs)
    assert len({cfg.run_dir for cfg in jobs}) == len(jobs)


def test_a_plain_command_is_one_job_and_m_makes_a_grid():
    assert not parse("train", ["target=drums"]).is_sweep
    command = parse("train", ["target=drums,bass", "seed=1,2"], multirun=True)
    assert [(cfg.target, cfg.seed) for cfg in command.compose_jobs()] == [
        ("drums", 1),
        ("drums", 2),
        ("bass", 1),
        ("bass", 2),
    ]


def test_umxse_is_the_published_network():
    cfg = compose("train", ["experiment=umxse", "data.validation_tracks=[a]"])
    model = hydra.utils.instantiate(cfg.model)
    assert sum(weight.numel() for weight in model.parameters() if weight.requires_grad) == 1_583_622
    assert list(cfg.data.sources) == ["speech", "noise"]
