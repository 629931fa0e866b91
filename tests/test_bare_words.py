"""Words without a key are answered with what to type instead."""

from pathlib import Path

import pytest

COMMANDS = [
    (["separate", "runs/demo", "song.wav"], "runs/demo song.wav: bare words; write ckpt=runs/demo input=song.wav"),
    (["separate", "umxhq"], "umxhq: a bare word; write ckpt=umxhq input=..."),
    (["separate", "song.wav"], "song.wav: a bare word; write ckpt=... input=song.wav"),
    (["separate", "ckpt=umxhq", "music"], "music: a bare word; write input=music"),
    (["separate", "umxhq", "input=song.wav"], "umxhq: a bare word; write ckpt=umxhq"),
    (
        ["separate", "umxhq", "a.mp3", "my song (1).wav"],
        """write ckpt=umxhq 'input=[a.mp3,"my song (1).wav"]'""",
    ),
    (["separate", "umxhq", "my song.wav"], "write ckpt=umxhq 'input=my song.wav'"),
    (["evaluate", "outputs/runs/demo-1a2b3c4d"], "write ckpt=outputs/runs/demo-1a2b3c4d"),
    (["evaluate", "one", "two"], "one two: bare words; write 'ckpt=[one,two]'"),
    (["evaluate", "ckpt=one", "two"], "two: a bare word; settings are written key=value"),
    (["export", "outputs/runs/demo"], "write ckpt=outputs/runs/demo"),
    (["train", "demo"], "demo: a bare word; write experiment=demo"),
    (["train", "demo", "seeds"], "demo seeds: bare words; write experiment=demo sweep=seeds"),
    (["train", "experiment=umx", "demo"], "demo: a bare word; write data=demo"),
    (["train", "-m", "target=bass,", "drums"], "drums: a bare word; write target=bass,drums, without spaces"),
    (["train", "quickly"], "quickly: a bare word; settings are written key=value, --help lists the keys"),
    (["train", "-m", "demo"], "demo: a bare word; write experiment=demo"),
    (["check", "musdb18hq"], "musdb18hq: a bare word; write data=musdb18hq"),
    (["leaderboard", "sdr"], "sdr: a bare word; settings are written key=value"),
]


@pytest.mark.parametrize(("command", "message"), COMMANDS, ids=[" ".join(command) for command, _ in COMMANDS])
def test_bare_words_are_answered_with_what_to_type(cli, capfd, command, message):
    assert cli(*command) == 2
    (line,) = capfd.readouterr().err.strip().splitlines()
    assert line.startswith(f"{command[0]}: ")
    assert message in line


def test_a_song_whose_name_was_cut_at_its_spaces_is_quoted(cli, capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("my own song.wav").touch()
    assert cli("separate", "ckpt=umxhq", "input=my", "own", "song.wav", "out=stems") == 2
    assert "own: a bare word; a name with spaces is quoted: 'input=my own song.wav'" in capfd.readouterr().err


def test_experiments_of_the_user_count_too(cli, capfd, tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").touch()
    assert cli("train", "--config-dir", str(tmp_path), "mine") == 2
    assert "mine: a bare word; write experiment=mine" in capfd.readouterr().err


def test_a_key_to_delete_is_no_bare_word(cli, capfd):
    assert cli("train", "~modle") == 2
    assert "bare word" not in capfd.readouterr().err
