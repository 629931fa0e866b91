"""The commands with which pages of docs/ train, score and use a user's own classes."""

import shutil

import pytest

import documents

MARK = "commands in tests/toy"
OPEN_UNMIX = (  # makes it tiny, for music at 8 kHz
    "model.hidden_size=16",
    "model.bandwidth_hz=4000",
    "model.stft.fft_size=1024",
    "model.stft.hop_size=256",
)
PAGES = [page for page in documents.PAGES if f"<!-- {MARK} -->" in page.read_text()]


@pytest.mark.slow
@pytest.mark.usefixtures("short_filters")
def test_the_commands_of_the_pages_run(small, cli, capfd, song, tmp_path, monkeypatch):
    shutil.copytree(documents.ROOT / "tests" / "toy" / "my_conf", tmp_path / "my_conf")
    monkeypatch.chdir(tmp_path)  # where `song` is
    commands = [
        command
        for page in PAGES
        for block in documents.blocks(page)
        if block.mark == MARK
        for command in documents.commands(block.text)
    ]
    assert len(commands) >= 6
    for command in commands:
        given = " ".join(command.arguments)
        defaults = {"train": [*small, *([] if " model=" in given else OPEN_UNMIX)], "evaluate": ["metrics=csdr"]}
        arguments = [] if "metrics=" in given else defaults.get(command.name, [])
        assert cli(command.name, *command.arguments, *arguments) == 0, capfd.readouterr().err
