"""--help: what a command does, its groups and its keys, each with the comment that stands beside it in conf/."""

import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from unmix.composition import CONF, compose
from unmix.schema import SCHEMAS
from unmix.usage import COLUMN, help_text, options, settings


@pytest.fixture
def shown(cli, capfd, monkeypatch):
    """The lines that a command prints for --help, on a terminal of this width."""

    def run(command, *arguments, columns=80):
        monkeypatch.setenv("COLUMNS", str(columns))
        assert cli(command, *arguments, "--help") == 0
        printed = capfd.readouterr()
        assert not printed.err
        return printed.out.splitlines()

    return run


def explanation_of(key, lines):
    """What stands beside a key, or below it."""
    (first,) = (i for i, line in enumerate(lines) if line.startswith((f"  {key}=", f"  {key}  ")) or line == f"  {key}")
    words = [lines[first][COLUMN:]] if lines[first][COLUMN - 2 : COLUMN] == "  " else []
    for line in lines[first + 1 :]:
        if not line.startswith(" " * COLUMN):
            break
        words.append(line)
    return " ".join(" ".join(words).split())


@pytest.mark.parametrize("command", SCHEMAS)
def test_help_says_what_the_command_does_and_explains_every_key_within_80_columns(shown, command):
    lines = shown(command)
    assert lines[0].endswith(".")
    assert any(line.startswith(f"  python src/{command}.py ") for line in lines)
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in "".join(lines)
    cfg = compose(command, [])
    keys = [key for key, _ in settings(OmegaConf.to_container(cfg)) if not (CONF / key).is_dir()]
    assert keys
    assert [key for key in keys if not explanation_of(key, lines)] == []


def test_help_of_an_evaluation_has_no_key_of_trainings(shown):
    offering = [name for name in ("train", "evaluate") if "evaluation.after_training" in " ".join(shown(name))]
    assert offering == ["train"]


def test_the_line_for_editors_at_the_head_of_a_file_is_no_explanation(shown):
    assert "yaml-language-server" not in "".join([*shown("train", "experiment=demo"), *shown("evaluate")])


def test_help_lists_the_groups_of_the_command_only(shown):
    def groups(*arguments):
        return [line.split()[0] for line in shown(*arguments) if line.startswith("  ") and line.split()[0] in expected]

    expected = {"data=musdb18hq", "data=demo", "data=null", "model=umx", "logger=none", "hydra/launcher=process"}
    assert groups("train") == ["data=musdb18hq", "model=umx", "logger=none", "hydra/launcher=process"]
    assert groups("train", "experiment=demo") == ["data=demo", "logger=none", "hydra/launcher=process"]
    assert groups("evaluate") == ["data=null", "logger=none"]
    assert groups("separate") == []


def test_help_names_the_files_and_values_to_choose_from(shown):
    lines = shown("train")
    assert explanation_of("scheduler", lines) == "cosine, plateau, step"
    assert explanation_of("experiment", lines).endswith("umx, umxhq, umxl, umxse, xumx, xumx_demo")
    assert explanation_of("hydra/launcher", lines) == "basic, process, ray, slurm"
    assert explanation_of("on_busy", lines).endswith("wait | skip | fail")
    assert explanation_of("data.storage", lines).startswith("where segments come from: disk | gpu | auto")


def test_help_shows_the_keys_of_the_files_that_are_given(shown):
    lines = shown("train", "scheduler=cosine", "optimizer=adamw", "callbacks=ema")
    assert explanation_of("scheduler.final", lines).startswith("learning rate after the last epoch")
    assert explanation_of("optimizer.weight_decay", lines) == "decoupled"
    assert explanation_of("callbacks.ema.decay", lines)
    assert explanation_of("callbacks.early_stopping.patience", lines), "of the file that ema is based on"
    assert "  trainer.max_epochs=5" in "\n".join(shown("train", "experiment=demo"))


def test_help_includes_files_of_the_user(tmp_path, shown):
    (tmp_path / "model").mkdir()
    text = "_target_: my.Model # not a key\nwidth: 8 # of 'my' model\nname: 'a # b' # a quoted # is no comment\n"
    (tmp_path / "model" / "mine.yaml").write_text(text)
    lines = shown("train", "--config-dir", str(tmp_path), "model=mine")
    assert explanation_of("model.width", lines) == "of 'my' model"
    assert explanation_of("model.name", lines) == "a quoted # is no comment"
    assert "my.Model" not in "\n".join(lines)
    assert {"mine", "umx", "umx_small"} <= set(explanation_of("model", lines).split(", "))


def test_a_long_value_is_cut_and_a_wide_terminal_is_used(shown):
    assert any(
        line.startswith("  data.validation_tracks=") and line.endswith("...") for line in shown("train", "data=demo")
    )
    assert max(map(len, shown("train", columns=160))) > 100


def test_help_with_a_mistake_is_answered_like_any_command(cli, capfd):
    assert cli("train", "model.hiden_size=3", "--help") == 2
    assert "did you mean 'hidden_size'?" in capfd.readouterr().err


def test_options_of_groups_and_of_other_words():
    assert options("logger") == ["none", "tensorboard", "wandb"]
    assert "basic" in options("hydra/sweeper")
    assert options("data.root") == options("hydra/nothing") == options("nothing") == []


def test_help_and_refusals_do_not_import_torch(tmp_path):
    """In one interpreter of its own, as starting it takes most of the time."""
    tracks = tmp_path / "tracks"
    for name in ("Good", "Held"):
        (tracks / "train" / name).mkdir(parents=True)
        for stem in ("mixture", "vocals", "drums", "bass", "other"):
            (tracks / "train" / name / f"{stem}.wav").touch()
    commands = [
        ["train", "--help"],
        ["evaluate", "--help"],
        ["train", "trainer.accelerator=cpu"],
        ["train", "logger=[csv,wandb]"],
        ["evaluate", "niter=2"],
        ["evaluate", "ckpt=x", "subset=tests"],
        ["evaluate", "ckpt=nope"],
        ["evaluate", "ckpt=oracle:nope", "data=demo"],
        ["evaluate", "ckpt=umxhq", "evaluation.compare=nope"],
        ["evaluate", "ckpt=umxhq", "data=musdb18hq", "data.root=/nowhere"],
        ["separate", "ckpt=nope", "input=x"],
        ["separate", "ckpt=umxhq", "input=nope.wav"],
        ["separate", "ckpt=umxhq", f"input={__file__}"],
        ["separate", "ckpt=umxhq", f"input={Path(__file__).parent}"],
        ["export", "ckpt=nope"],
        ["check", "data.root=/nowhere"],
        ["train", "data.root=/nowhere"],
        ["train", f"data.root={Path(__file__).parent}"],
        ["train", "experiment=demo", "init_from=nope"],
        ["train", "experiment=demo", "model.hidden_size=0"],
        ["train", "experiment=demo", "model.stft.hop_size=-4"],
        ["train", "experiment=demo", "model.hidden_size=15"],
        ["train", "experiment=xumx_demo", "model.hidden_size=0"],
        ["train", "experiment=xumx_demo", "target=vocals"],
        ["train", "experiment=demo", "target=all"],
        ["train", "experiment=demo", "scheduler=cosine", "scheduler.warmup_epochs=-1"],
        ["train", "experiment=demo", "callbacks.museval.every_n_epochs=-1"],
        ["train", "experiment=demo", "callbacks.checkpoints=null"],
        ["train", f"data.root={tracks}", "data.validation_tracks=[Held]", "data.track_weights={Bad:2}"],
        ["check", "data.root=/nowhere", "report=/proc/x"],
    ]
    code = (
        "import sys; from unmix.config import main\n"
        f"for sys.argv in {commands}:\n"
        "    if main(sys.argv[0]) != 2 * (sys.argv[1] != '--help'):\n"
        "        sys.exit(f'{sys.argv} is not refused')\n"
        "    if sys.argv[1] == '--help' and 'scipy' in sys.modules:\n"
        "        sys.exit('help waits for scipy, half a second')\n"
        "sys.exit('torch' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, text=True)
    assert ended.returncode == 0, ended.stderr
    assert len(ended.stderr.splitlines()) == len(commands) - 2, "one line each, except for help"


def test_help_that_is_not_read_to_its_end_is_no_error():
    command = f"{sys.executable} {CONF.parent / 'src' / 'train.py'} --help | true"
    ended = subprocess.run(command, shell=True, capture_output=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_help_text_of_a_command_without_groups_has_no_such_section():
    assert "Groups" not in help_text("export", [])
    assert "Groups" in help_text("evaluate", [])
