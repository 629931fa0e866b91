"""Completion on Tab, as the script of `-sc install=bash` asks for it: COMP_LINE in, words out."""

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def completed(cli, capfd, monkeypatch):
    def query(line, command="train"):
        monkeypatch.setenv("COMP_LINE", line)
        assert cli(command, "-sc", "query=bash") == 0
        printed = capfd.readouterr()
        assert not printed.err
        return printed.out.split()

    return query


TRAIN = "python src/train.py "
MODELS = ("bs_roformer", "mel_band_roformer", "scnet", "scnet_large", "umx_small", "x_umx")  # beside umx


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("target=", ["vocals", "drums", "bass", "other", "all"]),
        ("target=dr", ["drums"]),
        ("-m target=vocals,", ["vocals,drums", "vocals,bass", "vocals,other", "vocals,all"]),
        ("target=[vocals,d", ["[vocals,drums"]),
        ("experiment=umxse data.validation_tracks=[a] target=", ["speech", "noise", "all"]),
        ("experiment=umx", ["umx", "umxhq", "umxl", "umxse"]),
        ("experiment=x", ["xumx", "xumx_demo"]),
        ("-m model=umx,", [f"umx,{name}" for name in MODELS]),
        ("hydra/launcher=p", ["process"]),
        ("retry=", ["true", "false"]),
        ("data.random_mix=f", ["false"]),
        ("on_busy=", ["wait", "skip", "fail"]),
        ("evaluation.engine=m", ["museval"]),
        ("data=musdb18_", ["musdb18_preview"]),
    ],
)
def test_values_are_completed(completed, line, expected):
    key = line.split(" ")[-1].partition("=")[0]
    assert completed(TRAIN + line) == [f"{key}={value}" for value in expected]
    assert completed(f".venv/bin/{TRAIN}{line}") == [f"{key}={value}" for value in expected]


def test_groups_and_keys_are_completed(completed):
    assert completed(f"{TRAIN}experiment=demo e") == ["evaluation.", "evaluation=", "experiment="]
    assert completed(f"{TRAIN}experiment=demo trainer.max_e") == ["trainer.max_epochs="]
    assert completed(f"{TRAIN}trainer.max_epochs=") == ["trainer.max_epochs=1000"]


def test_a_word_behind_a_mistake_is_not_completed(completed):
    assert completed(f"{TRAIN}experiment=nothing target=") == []


def test_another_command_has_its_own_values(completed):
    line = "python src/separate.py input=x "
    assert completed(f"{line}residual=", "separate") == ["residual=true", "residual=false"]
    assert completed(f"{line}target=", "separate") == []


def test_the_script_for_bash_is_printed(cli, capfd):
    assert cli("train", "-sc", "install=bash") == 0
    assert "complete -o nospace" in capfd.readouterr().out
