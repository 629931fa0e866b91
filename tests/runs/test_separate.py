"""python src/separate.py: any file in, stems of its rate, length and channels out."""

import os
import shlex
import signal
import subprocess

import numpy as np
import pytest
import soundfile
import torch

import unmix
from peak_memory import peaks_of_separations
from unmix.runs.separate import pace
from unmix.runs.stems import StemWriter

TARGETS = ("vocals", "drums", "bass", "other")


@pytest.fixture
def separate(trained, cli, capfd):
    """Exit code, and the message if there was one."""

    def run(song, *arguments):
        inputs = [f"input={song}"] if song is not None else []
        code = cli("separate", f"ckpt={trained}", *inputs, "gpus=0", *arguments)
        return code, capfd.readouterr().err.strip().splitlines()[-1:] if code else []

    return run


@pytest.fixture
def refused(separate):
    def run(song, *arguments):
        code, lines = separate(song, *arguments)
        assert code == 2
        return lines[0]

    return run


def write_song(path, seconds=1.0, rate=44100, channels=2, subtype=None, scale=0.1, seed=0):
    samples = scale * np.random.default_rng(seed).standard_normal((round(seconds * rate), channels))
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


def read(path):
    return soundfile.read(path, always_2d=True)[0]


@pytest.mark.parametrize("rate", [8000, 44100, 48000, 192000])
@pytest.mark.parametrize("channels", [1, 2, 3, 6])
def test_stems_have_the_songs_rate_length_and_channels_and_add_up(separate, tmp_path, rate, channels):
    song = write_song(tmp_path / "song.wav", 0.3, rate, channels)
    assert separate(song, "residual=true", "bits=24")[0] == 0
    stems = {name: tmp_path / f"song.{name}.wav" for name in (*TARGETS, "residual")}
    for path in stems.values():
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.frames) == (rate, channels, soundfile.info(song).frames)
    total = sum(read(path) for path in stems.values())
    assert np.abs(total - read(song)).max() < 2e-6  # half a step of 24 bits in each


def test_a_song_is_separated_as_in_python(separate, trained, tmp_path):
    song = write_song(tmp_path / "song.wav")
    assert separate(song, "bits=float")[0] == 0
    separator = unmix.load_separator(trained, device="cpu")
    expected = separator(torch.from_numpy(read(song).T).float()[None])[0]
    for target, stem in zip(separator.targets, expected, strict=True):
        np.testing.assert_allclose(read(tmp_path / f"song.{target}.wav").T, stem, atol=1e-5)


def test_long_songs_are_cut_on_request(separate, tmp_path):
    song = write_song(tmp_path / "song.wav", seconds=65)
    assert separate(song, "separator.exact_seconds=60", "bits=24")[0] == 0
    total = sum(read(tmp_path / f"song.{target}.wav") for target in TARGETS)
    assert np.abs(total - read(song)).max() < 1e-3


@pytest.mark.parametrize(
    ("ending", "options"), [("wav", ["bits=16"]), ("wav", ["bits=float"]), ("flac", ["bits=24", "format=flac"])]
)
def test_formats(separate, tmp_path, ending, options):
    song = write_song(tmp_path / "song.wav")
    assert separate(song, f"out={tmp_path / 'It is (here)'}", *options)[0] == 0
    info = soundfile.info(tmp_path / "It is (here)" / f"song.bass.{ending}")
    assert info.subtype == {"16": "PCM_16", "24": "PCM_24", "float": "FLOAT"}[options[0].removeprefix("bits=")]
    assert not [path for path in (tmp_path / "It is (here)").iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("ending", ["flac", "ogg", "mp3"])
def test_compressed_songs_are_read(separate, tmp_path, ending):
    song = tmp_path / f"song.{ending}"
    soundfile.write(song, 0.1 * np.random.default_rng(0).standard_normal((44100, 2)), 44100)
    assert separate(song)[0] == 0
    assert soundfile.info(tmp_path / "song.vocals.wav").frames == soundfile.info(song).frames


@pytest.mark.parametrize("ending", ["m4a", "mkv"])
def test_songs_that_ffmpeg_decodes_are_separated_exactly(separate, tmp_path, ending):
    wav = write_song(tmp_path / "song.wav", subtype="FLOAT")
    song = tmp_path / f"song.{ending}"
    subprocess.run(["ffmpeg", "-v", "error", "-i", wav, song], check=True)
    assert separate(song, "start=0.25", "duration=0.5", "residual=true", "bits=float")[0] == 0
    total = sum(read(tmp_path / f"song.{name}.wav") for name in (*TARGETS, "residual"))
    assert total.shape == (22050, 2)
    decoded = subprocess.run(["ffmpeg", "-v", "error", "-i", song, "-f", "f32le", "-"], check=True, capture_output=True)
    expected = np.frombuffer(decoded.stdout, np.float32).reshape(-1, 2)[11025:33075]
    assert np.abs(total - expected).max() < 2e-6
    assert not list(tmp_path.glob(".*"))


def test_songs_that_cannot_be_read_do_not_stop_the_others(trained, cli, tmp_path, capfd):
    write_song(tmp_path / "a.wav", 0.1)
    soundfile.write(tmp_path / "b.wav", np.full((44100, 2), np.nan), 44100, subtype="FLOAT")
    (tmp_path / "c.m4a").write_text("la la la")
    write_song(tmp_path / "d.wav", 0.1)
    assert cli("separate", f"ckpt={trained}", f"input={tmp_path}", "gpus=0") == 1
    head, *lines = capfd.readouterr().err.strip().splitlines()
    assert head == "separate: 2 of 4 files were not separated:"
    assert len(lines) == 2
    assert lines[0].startswith(f"  {tmp_path / 'c.m4a'}: not a readable audio file: ")
    assert lines[1] == f"  {tmp_path / 'b.wav'}: 88200 samples are NaN or infinite; write the file anew"
    stems = {path.name for path in tmp_path.glob("*.*.wav")}
    assert stems == {f"{song}.{target}.wav" for song in "ad" for target in TARGETS}
    assert not list(tmp_path.glob(".*"))


def test_a_job_with_a_file_that_fails_does_not_stop_the_other_jobs(trained, cli, tmp_path, capfd):
    write_song(tmp_path / "a.wav", 0.1)
    soundfile.write(tmp_path / "b.wav", np.full((4410, 2), np.nan), 44100, subtype="FLOAT")
    options = [f"ckpt={trained}", f"input={tmp_path}", "gpus=0", f"out={tmp_path}/out"]
    assert cli("separate", "-m", *options, "format=wav,flac") == 1
    reason = (
        f"1 of 2 files were not separated: {tmp_path / 'b.wav'}: 8820 samples are NaN or infinite; write the file anew"
    )
    printed = capfd.readouterr()
    jobs = [f"{name}: {reason}" for name in ("format=wav", "format=flac")]
    assert printed.err.splitlines()[-1] == f"separate: 2 of 2 jobs failed; {' | '.join(jobs)}"
    assert "\n\n" not in printed.out, "a file that is no terminal has no bar, and no empty line in its place"
    assert len(list((tmp_path / "out").glob("a.*.wav"))) == len(list((tmp_path / "out").glob("a.*.flac"))) == 4


def test_a_folder_for_stems_that_cannot_be_is_refused_in_one_line(refused, tmp_path):
    song, file = write_song(tmp_path / "song.wav", 0.1), tmp_path / "afile"
    file.touch()
    assert refused(song, f"out={file}").endswith(f"out: {file} is no folder; name a folder that can be written")
    message = refused(song, f"out={file}/stems")
    assert f"out: {file}/stems cannot be made, as {file} is no folder; name" in message


def test_stems_in_the_folder_of_the_songs_are_not_separated_again(separate, tmp_path):
    write_song(tmp_path / "song.wav", 0.1)
    write_song(tmp_path / "vocals.wav", 0.1)
    assert separate(tmp_path)[0] == 0
    expected = {f"{song}.{target}.wav" for song in ("song", "vocals") for target in TARGETS}
    assert {path.name for path in tmp_path.glob("*.*.wav")} == expected
    assert separate(tmp_path, f"out={tmp_path / 'again'}")[0] == 0
    assert {path.name for path in (tmp_path / "again").iterdir()} == expected
    code, lines = separate(tmp_path)
    assert code == 2
    assert "song.vocals.wav exists; overwrite=true replaces it" in lines[0]


def test_speed_is_a_multiple_of_real_time():
    assert pace(51.0, 10.0) == "5.1x faster than real time"
    assert pace(10.0, 13.0) == "1.3x slower than real time"
    assert pace(10.0, 10.0) == "1.0x faster than real time"


def test_folders_patterns_and_lists_name_several_songs(separate, tmp_path):
    folder = tmp_path / "an album"
    folder.mkdir()
    for name in ("a.wav", "b.flac"):
        write_song(folder / name, 0.1)
    (folder / "cover.txt").touch()
    assert separate(folder)[0] == 0
    assert len(list(folder.glob("*.*.wav"))) == 8
    assert separate(folder / "?.wav", f"out={tmp_path / 'one'}")[0] == 0
    assert len(list((tmp_path / "one").iterdir())) == 4
    both = f"input=['{folder / 'a.wav'}','{folder / 'b.flac'}']"
    assert separate(None, both, f"out={tmp_path / 'two'}")[0] == 0
    assert len(list((tmp_path / "two").iterdir())) == 8


def test_a_part_of_a_song_can_be_taken(separate, tmp_path):
    song = write_song(tmp_path / "song.wav", 2.0)
    assert separate(song, "start=0.5", "duration=1", "residual=true", "bits=24")[0] == 0
    total = sum(read(tmp_path / f"song.{name}.wav") for name in (*TARGETS, "residual"))
    assert np.abs(total - read(song)[22050:66150]).max() < 2e-6


def test_targets_can_be_chosen_and_summed(separate, tmp_path):
    song = write_song(tmp_path / "song.wav", 0.5)
    sums = ["aggregate.accompaniment=[drums,bass,other]", "aggregate.vocals=[vocals]"]
    assert separate(song, "bits=float", f"out={tmp_path / 'sums'}", *sums)[0] == 0
    assert sorted(path.name for path in (tmp_path / "sums").iterdir()) == ["song.accompaniment.wav", "song.vocals.wav"]
    assert separate(song, "bits=float", f"out={tmp_path / 'all'}")[0] == 0
    expected = sum(read(tmp_path / "all" / f"song.{target}.wav") for target in ("drums", "bass", "other"))
    np.testing.assert_allclose(read(tmp_path / "sums" / "song.accompaniment.wav"), expected, atol=1e-6)
    assert separate(song, f"out={tmp_path / 'one'}", "targets=vocals", "residual=true")[0] == 0
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == ["song.residual.wav", "song.vocals.wav"]


def test_one_target_alone_is_separated_without_the_wiener_filter(separate, trained, tmp_path):
    song = write_song(tmp_path / "song.wav", 0.5)
    assert separate(song, "bits=float", "targets=[vocals]")[0] == 0
    expected = unmix.load_separator(trained, targets=["vocals"], niter=0)(torch.from_numpy(read(song).T).float())
    np.testing.assert_allclose(read(tmp_path / "song.vocals.wav").T, expected[0], atol=1e-5)


@pytest.mark.parametrize("num_samples", [1, 100, 4095, 4096])
def test_very_short_songs_are_separated(separate, tmp_path, num_samples):
    song = write_song(tmp_path / "song.wav", num_samples / 44100)
    assert separate(song, "residual=true", "bits=24")[0] == 0
    assert soundfile.info(tmp_path / "song.bass.wav").frames == num_samples


@pytest.mark.parametrize("scale", [0.0, 5.0])
def test_silence_and_clipping_are_separated(separate, tmp_path, scale):
    song = write_song(tmp_path / "song.wav", 0.5, subtype="FLOAT", scale=scale)
    assert separate(song, "bits=float", "residual=true")[0] == 0
    total = sum(read(tmp_path / f"song.{name}.wav") for name in (*TARGETS, "residual"))
    assert np.abs(total - read(song)).max() <= 1e-5 * scale


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["targets=[vocal]"], "targets: got 'vocal', allowed vocals, drums, bass, other; did you mean 'vocals'?"),
        (["targets=vocal"], "targets: got 'vocal', allowed vocals, drums, bass, other; did you mean 'vocals'?"),
        (["targets=[vocals]", "separator.niter=1"], "separator.niter: got 1 with the single target 'vocals'"),
        (["aggregate=[vocals]"], "aggregate: got [vocals], a mapping is needed, written aggregate.<key>=<value>"),
        (["separator.wiener=norbet"], "wiener: got 'norbet', allowed torch, norbert; did you mean 'norbert'?"),
        (["separator.window=0"], "window: got 0, allowed 'whole' or a number of frames"),
        (["separator.exact_seconds=59"], "exact_seconds: got 59, allowed 60 or more"),
        (["aggregate.rest=[drum]"], "aggregate.rest: got 'drum', allowed vocals, drums, bass, other; did you mean"),
        (["targets=[vocals,drums]", "aggregate.rest=[bass]"], "aggregate.rest: got 'bass', which is not among targets"),
        (["format=mp3"], "format: got 'mp3', allowed wav, flac"),
        (["format=flac", "bits=float"], "bits: got 'float', allowed 16, 24"),
        (["start=5"], "start: got 5 s"),
        (["start=-1"], "start: got -1, allowed 0 or more"),
        (["duration=0"], "duration: got 0, allowed above 0"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_written(refused, tmp_path, arguments, message):
    song = write_song(tmp_path / "song.wav", 0.5)
    assert message in refused(song, *arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["song.wav"]


def test_one_target_by_its_name_is_a_list_of_one(trained):
    separator = unmix.load_separator(trained, targets="vocals")
    assert (separator.targets, separator.niter) == (("vocals",), 0)
    with pytest.raises(ValueError, match="targets: got 'vocal', allowed vocals, "):
        unmix.load_separator(trained, targets="vocal")


@pytest.mark.parametrize("ckpt", [None, [], "", 3])
def test_a_checkpoint_that_names_nothing_is_refused(ckpt):
    with pytest.raises(ValueError, match=r"ckpt: got .*, a path, the name of a release or a list of these is needed"):
        unmix.load_separator(ckpt)


def test_what_cannot_be_separated_is_refused(refused, tmp_path):
    assert refused(tmp_path / "nothing.wav").strip().endswith("is not a file, a folder, or a pattern that matches any")
    (tmp_path / "my song.wav").touch()
    assert f"did you mean '{tmp_path}/my song.wav'?" in refused(tmp_path / "mysong.wav")
    (tmp_path / "empty").mkdir()
    assert "no audio file in the folder" in refused(tmp_path / "empty")
    (tmp_path / "song.m4a").touch()
    assert "song.m4a is not a readable audio file: " in refused(tmp_path / "song.m4a")
    soundfile.write(tmp_path / "none.wav", np.zeros((0, 2)), 44100)
    assert "none.wav holds no sample" in refused(tmp_path / "none.wav")
    odd = write_song(tmp_path / "odd.wav", 0.5, rate=44099)
    assert "44099 Hz cannot be resampled to 44100 Hz" in refused(odd)
    broken = tmp_path / "nan.wav"
    soundfile.write(broken, np.full((44100, 2), np.nan), 44100, subtype="FLOAT")
    assert "nan.wav: " in refused(broken)
    assert not list(tmp_path.glob("*vocals*"))
    assert not list(tmp_path.glob(".*"))


def test_samples_that_are_no_numbers_are_refused_and_leave_nothing(refused, tmp_path):
    soundfile.write(tmp_path / "song.wav", np.full((44100, 2), np.nan), 44100, subtype="FLOAT")
    assert "song.wav: 88200 samples are NaN or infinite" in refused(tmp_path / "song.wav")
    assert [path.name for path in tmp_path.iterdir()] == ["song.wav"]


def test_two_songs_of_one_name_are_refused(refused, tmp_path):
    for name in ("song.wav", "song.flac"):
        write_song(tmp_path / name, 0.1)
    assert "song.wav would both be written to" in refused(tmp_path / "song.*")


def test_a_disk_that_is_full_leaves_nothing(refused, tmp_path, monkeypatch):
    song = write_song(tmp_path / "song.wav", 0.5)

    def fail(self, samples):
        raise soundfile.LibsndfileError(2)

    with monkeypatch.context() as patch:
        patch.setattr(soundfile.SoundFile, "write", fail)
        assert "out: " in refused(song)
    (tmp_path / "file").touch()
    assert "out: " in refused(song, f"out={tmp_path / 'file' / 'folder'}")
    assert not [path for path in tmp_path.iterdir() if path.name not in ("song.wav", "file")]


def test_memory_does_not_grow_with_the_song(trained, tmp_path):
    """In segments of 60 s at most; the estimates of the 65 s more would be 92 MB."""
    noise = np.random.default_rng(0).integers(-9000, 9000, (65 * 44100, 2), dtype=np.int16)
    songs = [tmp_path / "short.wav", tmp_path / "long.wav"]
    for repeats, song in enumerate(songs, start=1):
        soundfile.write(song, np.tile(noise, (repeats, 1)), 44100)
    short, long = peaks_of_separations(songs, f"ckpt={trained}", "separator.exact_seconds=60")
    assert soundfile.info(tmp_path / "long.bass.wav").frames == 130 * 44100
    assert long - short < 45, f"{short:.0f} MB for 65 s, {long:.0f} MB for 130 s"
    assert long < 1500


@pytest.mark.parametrize("num_done", [0, 1])
def test_ctrl_c_says_which_songs_are_separated_and_how_to_go_on(
    separate, cli, capfd, trained, monkeypatch, tmp_path, num_done
):
    songs = [write_song(tmp_path / name, 0.3) for name in ("a.wav", 'b "live", (it\'s).wav', "c.wav")]
    write, begun = StemWriter.write, set()

    def stop(stems, blocks):
        write(stems, blocks)
        begun.add(stems)
        if len(begun) == num_done + 1:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(StemWriter, "write", stop)
        separate(tmp_path)
    assert ended.value.code == 130
    (line,) = (line for line in capfd.readouterr().err.splitlines() if "stopped by" in line)
    assert len(list(tmp_path.glob("*.vocals.wav"))) == num_done
    if not num_done:
        assert line == "stopped by Ctrl-C; no stem is written; the same command begins again"
        assert separate(tmp_path)[0] == 0
        return
    beginning = "stopped by Ctrl-C; 1 of 3 songs are separated; for the others: the same command with "
    assert line.startswith(beginning)
    (given,) = shlex.split(line.removeprefix(beginning))
    assert cli("separate", f"ckpt={trained}", given, "gpus=0") == 0
    assert sorted(tmp_path.glob("*.vocals.wav")) == sorted(song.with_suffix(".vocals.wav") for song in songs)
