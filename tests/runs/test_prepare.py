"""python src/prepare.py: a tree like MUSDB18-HQ's, whole or not at all, and what was done to every file."""

import errno
import hashlib
import json
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

import trees
from command_process import wait_until
from file_server import FileServer, published_at, zipped
from unmix import settings
from unmix.data import download, manifest, transfer, wav

pytestmark = pytest.mark.slow

SONGS = {"train": ["Song A", "Song B"], "test": ["Song C"]}
RULES = [*trees.SETTINGS["tracks"]]


@pytest.fixture
def prepare(cli, tmp_path):
    """Run the command on the tree `in`; writes to `out`."""

    def run(*arguments):
        return cli("prepare", f"input={tmp_path / 'in'}", f"out={tmp_path / 'out'}", *arguments)

    return run


def records(tmp_path):
    lines = (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()
    return {(record["split"], record["track"]): record for record in map(json.loads, lines)}


def content(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.wav")}


def test_files_of_any_name_and_rate_become_a_tree_with_equal_rates_and_channels(prepare, tmp_path):
    trees.write_tracks(tmp_path / "in", trees.songs(SONGS, seconds=0.2, rate=48000, channels=1), 48000)
    assert prepare(*RULES, "channels=2", "licence=CC BY 4.0 (me)", "attribution=A (band)") == 0
    for split, names in SONGS.items():
        for name in names:
            folder, record = tmp_path / "out" / split / name, records(tmp_path)[split, name]
            assert (record["licence"], record["attribution"]) == ("CC BY 4.0 (me)", "A (band)")
            assert sorted(path.name for path in folder.iterdir()) == sorted(file["file"] for file in record["files"])
            for file in record["files"]:
                path = folder / file["file"]
                info = soundfile.info(path)
                assert (info.samplerate, info.channels, info.frames, info.subtype) == (44100, 2, 8820, "PCM_16")
                assert file["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
                if file["file"] != "mixture.wav":
                    assert file["done"][:2] == ["resampled from 48000 to 44100 Hz", "1 to 2 channels"]
            mixture = soundfile.read(folder / "mixture.wav")[0]
            assert (mixture == sum(soundfile.read(folder / f"{source}.wav")[0] for source in trees.SOURCES)).all()
            vocals = next(file for file in record["files"] if file["file"] == "vocals.wav")
            assert vocals["done"][2] == "sum of 2 files"
            assert [origin["path"].rpartition("/")[2] for origin in vocals["origin"]] == [
                "01 Lead Vox.wav",
                "02 Backing VOX.flac",
            ]


@pytest.mark.parametrize(
    ("subtype", "ending"),
    [
        ("PCM_16", ".wav"),
        ("PCM_24", ".wav"),
        ("FLOAT", ".wav"),
        ("PCM_24", ".flac"),
        ("PCM_16", ".aiff"),
        ("FLOAT", ".aiff"),
    ],
)
def test_files_that_need_no_change_keep_every_bit(prepare, tmp_path, subtype, ending):
    samples = np.random.default_rng(0).integers(-99, 99, (441, 2)) / 2**15
    for stem in ("mixture", *trees.SOURCES):
        trees.write(tmp_path / "in" / "train" / "A" / f"{stem}{ending}", samples, subtype=subtype)
    assert prepare() == 0
    for stem in ("mixture", *trees.SOURCES):
        (path,) = (tmp_path / "out" / "train" / "A").glob(f"{stem}.*")
        assert soundfile.info(path).subtype == subtype
        np.testing.assert_array_equal(soundfile.read(path)[0], samples)
        if ending != ".aiff":
            assert path.read_bytes() == (tmp_path / "in" / "train" / "A" / f"{stem}{ending}").read_bytes()


@pytest.mark.parametrize("name", sorted(set(trees.WRITERS) - {"sources", "stems"}))
def test_every_layout_can_be_prepared_and_then_read_as_musdb(prepare, cli, tmp_path, name):
    trees.WRITERS[name](tmp_path / "in", trees.songs({"train": ["A", "B"], "valid": ["C"], "test": ["D"]}, seconds=0.1))
    settings = trees.SETTINGS.get(name, [])
    assert prepare(*settings) == 0
    assert {split for split, _ in records(tmp_path)} >= {"train", "valid"}
    sources = [option for option in settings if "sources" in option]
    options = [f"data.root={tmp_path / 'out'}", "data.layout=musdb", "data.segment_seconds=0.05", *sources]
    assert cli("check", "data=own", *options) == 0


def test_stem_files_are_decoded_and_the_manifest_names_them(prepare, cli, tmp_path):
    import stempeg

    trees.write_stems(tmp_path / "in", {"train": ["A"], "test": ["B"]})
    assert prepare("licence=CC BY 3.0") == 0
    expected, rate = stempeg.read_stems(stempeg.example_stem_path(), ffmpeg_format="s16le", dtype=np.float64)
    assert set(records(tmp_path)) == {("train", "A"), ("test", "B")}
    for number, stem in enumerate(("mixture", "drums", "bass", "other", "vocals")):
        samples, found = soundfile.read(tmp_path / "out" / "train" / "A" / f"{stem}.wav")
        assert found == rate
        np.testing.assert_array_equal(samples, expected[number])
    for (split, name), record in records(tmp_path).items():
        for file in record["files"]:
            assert file["done"] == ["decoded by FFmpeg"]
            assert [origin["path"] for origin in file["origin"]] == [str(tmp_path / "in" / split / f"{name}.stem.mp4")]
    options = [f"data.root={tmp_path / 'out'}", "data.validation_tracks=[B]", "listen=false"]
    shutil.move(tmp_path / "out" / "test" / "B", tmp_path / "out" / "train" / "B")
    assert cli("check", "data=own", *options) == 0


def encode(path, *codec):
    """Encode a file by FFmpeg as M4A, and remove it; returns the new one."""
    subprocess.run(["ffmpeg", "-v", "error", "-i", path, *codec, path.with_suffix(".m4a")], check=True)
    path.unlink()
    return path.with_suffix(".m4a")


def test_files_of_aac_are_decoded_once_by_ffmpeg(prepare, cli, capfd, tmp_path, monkeypatch):
    songs = trees.songs({"train": ["A", "B"]}, seconds=0.5)
    trees.write_musdb(tmp_path / "in", songs)
    path = encode(tmp_path / "in" / "train" / "A" / "vocals.wav", "-c:a", "aac", "-b:a", "256k")
    assert cli("check", "data=own", f"data.root={tmp_path / 'in'}", "data.validation_share=0.5") == 1
    assert "format not recognised: src/prepare.py decodes it by FFmpeg" in capfd.readouterr().out
    assert prepare() == 0
    file = next(file for file in records(tmp_path)["train", "A"]["files"] if file["file"] == "vocals.wav")
    assert (file["done"], file["format"]) == (["decoded by FFmpeg"], "PCM_16")
    assert file["origin"][0]["path"] == str(path)
    samples = soundfile.read(tmp_path / "out" / "train" / "A" / "vocals.wav")[0][:22050]
    assert np.corrcoef(samples[:, 0], songs["train"]["A"]["vocals"][:, 0])[0, 1] > 0.9
    monkeypatch.setattr(subprocess, "run", None)  # nothing is decoded again
    assert prepare() == 0
    assert "0 tracks to write, 2 there already" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("subtype", "codec"), [("PCM_16", ["-sample_fmt", "s16p"]), ("PCM_24", ["-sample_fmt", "s32p"])]
)
def test_lossless_files_keep_every_bit_through_ffmpeg(prepare, tmp_path, subtype, codec):
    samples = np.random.default_rng(0).integers(-999, 999, (4410, 2)) / (2**15 if subtype == "PCM_16" else 2**23)
    for stem in ("mixture", *trees.SOURCES):
        path = trees.write(tmp_path / "in" / "train" / "A" / f"{stem}.wav", samples, subtype=subtype)
    encode(path.with_stem("vocals"), "-c:a", "alac", *codec)
    assert prepare() == 0
    path = tmp_path / "out" / "train" / "A" / "vocals.wav"
    assert soundfile.info(path).subtype == subtype
    np.testing.assert_array_equal(soundfile.read(path)[0], samples)


def test_damaged_aac_and_a_missing_ffmpeg_are_refused_in_one_line(refused, tmp_path, monkeypatch):
    trees.write_musdb(tmp_path / "in", trees.songs({"train": ["A"]}, seconds=0.5))
    path = encode(tmp_path / "in" / "train" / "A" / "bass.wav", "-c:a", "aac")
    content = path.read_bytes()
    path.write_bytes(b"no audio")
    assert f"{path} is not a readable audio file" in refused()
    path.write_bytes(content)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "FFmpeg is needed to read it, which is not installed: run `make ffmpeg`" in refused()


def test_a_published_data_set_is_fetched_ahead(cli, capfd, tmp_path, musdb_tree, monkeypatch):
    monkeypatch.setattr(transfer, "PAUSES", (0,))
    command, root = (
        ["prepare", "download=musdb18hq", f"paths.data={tmp_path / 'cache'}"],
        tmp_path / "cache" / "musdb18hq",
    )
    with FileServer(zipped(musdb_tree)) as server:
        monkeypatch.setitem(download.ARCHIVES, "musdb18hq", published_at(server))
        for _ in range(2):
            assert cli(*command) == 0
            assert f"next: python src/train.py data=musdb18hq data.root={root}" in capfd.readouterr().out
        assert server.asked == [None]
        assert cli(*command, f"out={tmp_path / 'out'}", "channels=1") == 0
        assert ("train", "Some Band - Track") in records(tmp_path)
        monkeypatch.setitem(download.ARCHIVES, "musdb18hq", published_at(server, num_unpacked_bytes=10**18))
        assert cli(*command, f"input={tmp_path / 'elsewhere'}") == 2
        assert "prepare: input: fetching musdb18hq needs 1000000000.0 GB" in capfd.readouterr().err
        assert server.asked == [None]


def test_what_is_not_given_is_asked_for(cli, capfd):
    assert cli("prepare") == 2
    message = "prepare: input, out: needed; write input=... out=..., --help says what it may be\n"
    assert capfd.readouterr().err == message
    assert cli("prepare", "download=musdb19") == 2
    assert "download: got 'musdb19', allowed musdb18hq, musdb18, musdb18_preview; did you" in capfd.readouterr().err
    assert set(settings.PUBLISHED) == set(download.ARCHIVES)


def test_loose_files_stay_loose(prepare, cli, capfd, tmp_path):
    trees.write_sources(tmp_path / "in", trees.songs({"train": ["A", "B"], "valid": ["C"]}, seconds=0.1))
    assert prepare() == 0
    assert "data.absent=skip" in capfd.readouterr().out
    assert (tmp_path / "out" / "train" / "bass B bass" / "bass.wav").is_file()
    assert (
        cli("check", "data=own", f"data.root={tmp_path / 'out'}", "data.absent=skip", "data.segment_seconds=0.05") == 0
    )


def test_the_same_command_again_writes_nothing(prepare, capfd, tmp_path):
    trees.write_musdb(tmp_path / "in", trees.songs(SONGS, seconds=0.05))
    assert prepare() == 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*/*/*")}
    capfd.readouterr()
    assert prepare() == 0
    assert "0 tracks to write, 3 there already" in capfd.readouterr().out
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*/*/*")}


def test_a_changed_file_and_other_settings_are_written_anew(prepare, capfd, tmp_path):
    trees.write_musdb(tmp_path / "in", trees.songs(SONGS, seconds=0.05))
    assert prepare() == 0
    path = tmp_path / "in" / "train" / "Song A" / "bass.wav"
    trees.write(path, soundfile.read(path)[0][:2000])
    assert prepare() == 0
    assert "1 track to write, 2 there already" in capfd.readouterr().out
    (bass,) = [file for file in records(tmp_path)["train", "Song A"]["files"] if file["file"] == "bass.wav"]
    assert bass["done"] == ["padded from 2000 to 2205 samples"]
    assert prepare("channels=1") == 0
    assert "3 tracks to write, 0 there already" in capfd.readouterr().out


def test_a_full_disk_is_said_and_the_same_command_finishes(prepare, capfd, tmp_path, monkeypatch):
    trees.write_musdb(tmp_path / "in", trees.songs(SONGS, seconds=0.05))
    whole, room = wav.WavWriter._put, [30_000]

    def put(writer, data):
        room[0] -= len(data)
        if room[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        whole(writer, data)

    monkeypatch.setattr(wav.WavWriter, "_put", put)
    assert prepare("channels=1") == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line == (
        f"prepare: out: no room in {tmp_path / 'out'}; make room and give the same command: finished tracks stay"
    )
    room[0] = 10**9
    assert prepare("channels=1") == 0
    assert len(records(tmp_path)) == 3
    assert not list((tmp_path / "out").rglob("*.partial"))


def test_too_little_room_is_said_before_anything_is_written(prepare, capfd, tmp_path, monkeypatch):
    trees.write_musdb(tmp_path / "in", trees.songs(SONGS, seconds=0.05))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1))
    assert prepare() == 2
    assert "out: about 0.0 GB are needed" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_killed_command_leaves_nothing_half_written_and_the_same_command_finishes(start, cli, tmp_path):
    names = [f"Song {number}" for number in range(40)]
    trees.write_musdb(tmp_path / "in", trees.songs({"train": names}, seconds=3))
    command = ["prepare", f"input={tmp_path / 'in'}", f"out={tmp_path / 'out'}", "channels=1"]
    process, lines = start(*command, log=tmp_path / "log"), tmp_path / "out" / "manifest.jsonl"
    wait_until(lambda: (lines.exists() and lines.read_bytes().count(b"\n") > 2) or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    with lines.open("ab") as file:
        file.write(b'{"split": "train", "tra')  # as if it was killed in the middle of a line
    written = manifest.Manifest(tmp_path / "out").records
    assert 0 < len(written) < 40
    for path in (tmp_path / "out" / "train").glob("[!.]*"):
        assert len(list(path.iterdir())) == 5
        assert ("train", path.name) in written
    assert cli(*command) == 0
    assert len(records(tmp_path)) == 40
    assert not list((tmp_path / "out").rglob(".*.partial"))
    interrupted = content(tmp_path / "out")
    assert cli(*command[:2], f"out={tmp_path / 'again'}", "channels=1") == 0
    assert interrupted == content(tmp_path / "again")


@pytest.mark.parametrize("name", ["'q\"uote' & (é)", "~home", "音楽", "new\nline", "x" * 240, "-rf", "$(ls) * ?"])
def test_hostile_names_are_written_and_read(prepare, cli, tmp_path, name):
    trees.write_musdb(tmp_path / "in", trees.songs({"train": [name], "valid": ["V"]}, seconds=0.05))
    assert prepare() == 0
    (folder,) = (tmp_path / "out" / "train").iterdir()
    assert folder.name == name if len(name) < 200 else folder.name.startswith("x" * 60 + "-")
    options = [f"data.root={tmp_path / 'out'}", "data.segment_seconds=0.01"]
    assert cli("check", "data=own", *options) == 0


@pytest.fixture
def refused(prepare, capfd, tmp_path):
    """Run the command, which must refuse in one line and write nothing; returns the line."""

    def run(*arguments):
        assert prepare(*arguments) == 2
        (line,) = capfd.readouterr().err.splitlines()
        assert not list((tmp_path / "out").rglob("*.wav"))
        return line

    return run


def test_what_is_wrong_with_the_input_names_the_key_input(refused, tmp_path):
    assert "input: " in refused()
    trees.write_tracks(tmp_path / "in", trees.songs(SONGS, seconds=0.05))
    assert "input: " in (message := refused())
    assert "the nearest layout is tracks" in message
    (tmp_path / "in" / "train" / "Song A" / "Kit.wav").write_text("text")
    assert "Kit.wav is not a readable audio file" in refused(*RULES)
    message = refused(*RULES, "data.rename.drums=[Kit,Snare]")
    assert "data.rename.drums: 'Snare' matches none of the files" in message


def test_a_tree_of_others_is_not_written_to(refused, tmp_path):
    trees.write_musdb(tmp_path / "in", trees.songs(SONGS, seconds=0.05))
    (tmp_path / "out" / "train" / "Theirs").mkdir(parents=True)
    assert "out/train/Theirs was not written by this command; name another folder" in refused()
    shutil.rmtree(tmp_path / "out")
    (tmp_path / "out").touch()
    assert "out: " in (message := refused())
    assert "is no folder" in message


def test_output_within_the_input_is_refused(cli, capfd, tmp_path):
    trees.write_musdb(tmp_path / "in", trees.songs(SONGS, seconds=0.05))
    assert cli("prepare", f"input={tmp_path / 'in'}", f"out={tmp_path / 'in' / 'new'}") == 2
    assert "which would be read with it: name another folder" in capfd.readouterr().err


def test_channels_that_cannot_be_converted_are_refused(refused, tmp_path):
    trees.write_musdb(tmp_path / "in", trees.songs(SONGS, seconds=0.05, channels=3))
    assert "channels: got 2, but " in refused("channels=2")


def test_two_commands_do_not_write_at_once(prepare, capfd, tmp_path):
    from filelock import FileLock

    trees.write_musdb(tmp_path / "in", trees.songs(SONGS, seconds=0.05))
    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out" / ".prepare.lock"):
        assert prepare() == 75
    assert f"out: another command writes to {tmp_path / 'out'}" in capfd.readouterr().err


def test_a_file_that_is_no_table_is_not_called_an_empty_folder(cli, capfd, tmp_path):
    (tmp_path / "songs.txt").write_text("la la la")
    assert cli("prepare", f"input={tmp_path / 'songs.txt'}", f"out={tmp_path / 'out'}") == 2
    assert capfd.readouterr().err == (
        f"prepare: input: {tmp_path / 'songs.txt'} is a file; "
        "a folder is needed, or a table of files ending in .csv or .parquet\n"
    )


def test_a_folder_with_other_content_is_not_written_to(refused, prepare, tmp_path):
    trees.write_musdb(tmp_path / "in", trees.songs(SONGS, seconds=0.05))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").touch()
    assert "out/mine.txt was not written by this command; name another folder" in refused()
    (tmp_path / "out" / "mine.txt").unlink()
    assert prepare() == 0
    (tmp_path / "out" / "mine.txt").touch()
    assert prepare() == 0, "the folder is the command's own now"


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder in which not even root can make another")
def test_a_folder_that_cannot_be_made_is_named(cli, capfd, tmp_path):
    trees.write_musdb(tmp_path / "in", trees.songs(SONGS, seconds=0.05))
    assert cli("prepare", f"input={tmp_path / 'in'}", "out=/proc/nope") == 2
    assert "out: /proc/nope cannot be made, as /proc cannot be written" in capfd.readouterr().err
