"""What goes wrong while an evaluation runs, and what it leaves behind."""

import json
import math
import os
import shutil
import signal
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from short_filters import shorten_filters
from unmix.evaluation import callback
from unmix.experiments import folder

pytestmark = pytest.mark.slow

TRAINED_ON = ("Some Band - Track", "Actions - One Minute Smile", "Other Band - Song")


@pytest.fixture
def begin(start, trained, tmp_path):
    """Start an evaluation in a process of its own."""

    def run(root, *arguments, log, before=shorten_filters):
        options = ["data=musdb18hq", f"data.root={root}", f"paths.out={tmp_path / 'out'}", "evaluation.gpus=0"]
        ckpt = f"ckpt={trained}/*/checkpoints/best.ckpt"
        return start("evaluate", ckpt, *options, *arguments, log=log, before=before)

    return run


@pytest.fixture
def tree(write_tree, tmp_path):
    """A data set with as many test tracks as asked for."""

    def write(num_tracks=2, **options):
        return write_tree(tmp_path / "data", TRAINED_ON, [f"Test {i}" for i in range(num_tracks)], **options)

    return write


@pytest.fixture
def evaluate(cli, trained, tmp_path, capfd):
    """(exit code, what was said, folder of the evaluation)."""

    def run(root, *arguments, ckpt=f"{trained}/*/checkpoints/best.ckpt"):
        out = tmp_path / "out"
        code = cli("evaluate", f"ckpt={ckpt}", "data=musdb18hq", f"data.root={root}", f"paths.out={out}", *arguments)
        said = capfd.readouterr()
        found = sorted((out / "evaluations").glob("*-*-*"))
        return code, said.out + said.err, found[0] if found else None

    return run


def stores(where):
    """File name -> museval's JSON."""
    return {path.name: path.read_text() for path in sorted((where / "tracks").glob("*.json"))}


def assert_alike(some, others):
    """The same numbers, as far as the number of threads leaves them."""
    assert list(some) == list(others)
    for one, other in zip(some.values(), others.values(), strict=True):
        assert flat(json.loads(one)) == pytest.approx(flat(json.loads(other)), abs=2e-5)


def flat(value):
    """All numbers in it."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for one in value for number in flat(one)]
    return [value] if isinstance(value, float) else []


def leftovers(where):
    return [path.name for path in where.iterdir() if path.name.startswith(".") and path.name != ".guard"]


def rewrite(path, change):
    samples, rate = soundfile.read(path, dtype="int16")
    samples, rate = change(samples, rate)
    soundfile.write(path, samples, rate, subtype="PCM_16")


@pytest.mark.usefixtures("short_filters")
def test_a_track_of_half_a_second_has_one_window(evaluate, tree):
    code, _, where = evaluate(tree(num_samples=22050))
    assert code == 0
    (store, *_) = stores(where).values()
    assert [len(target["frames"]) for target in json.loads(store)["targets"]] == [1] * 4
    assert np.isfinite(pd.read_csv(where / "scores.csv").SDR).all()


def test_a_subset_without_a_track_is_refused(evaluate, tree):
    code, said, where = evaluate(tree(num_tracks=0))
    assert (code, where) == (2, None)
    assert "subset: got 'test', which has no track in" in said


@pytest.mark.usefixtures("short_filters")
def test_a_silent_stem_leaves_its_track_without_a_score_and_is_said(evaluate, tree):
    root = tree()
    rewrite(root / "test" / "Test 0" / "vocals.wav", lambda samples, rate: (samples * 0, rate))
    code, said, where = evaluate(root)
    assert code == 0
    assert "Test 0 has no SDR, SIR, ISR, SAR: the reference vocals silent throughout" in " ".join(said.split())
    table = pd.read_csv(where / "scores.csv").set_index(["method", "track"]).SDR
    assert table["checkpoints", "Test 0"].isna().all()
    assert table["checkpoints", "Test 1"].notna().all()
    summary = json.loads((where / "summary.json").read_text())
    assert summary["windows_that_count"] == {"Test 0": [0, 2], "Test 1": [2, 2]}
    assert math.isfinite(summary["medians"]["checkpoints"]["vocals"]["SDR"])
    assert "vocals, only: Test 1" in (where / "report.html").read_text()
    assert summary["parameters"] > 1000
    paces = [float((where / "pace" / f"Test {number}.txt").read_text()) for number in (0, 1)]
    assert summary["seconds_per_second"] == pytest.approx(sum(paces) / 2, abs=1e-5)
    assert min(paces) > 0


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("separator.niter=-1", "separator.niter: got -1, allowed 0 or more"),
        ("separator.niter=1.5", "separator.niter: got 1.5, a whole number is needed"),
        ("separator.softmask=maybe", "separator.softmask: got 'maybe', allowed true, false"),
        ("separator.wiener=norbet", "did you mean 'norbert'?"),
        ("separator.window=0", "separator.window: got 0, allowed 'whole' or a number of frames"),
        ("separator.exact_seconds=9", "separator.exact_seconds: got 9, allowed 60 or more"),
        ("separator.overlap=nan", "separator.overlap: got nan, a number is needed"),
        ("separator.chunk_batch=true", "separator.chunk_batch: got True, a whole number is needed"),
        ("+separator.nitter=1", "separator.nitter: got 'nitter', allowed niter, softmask"),
        ("evaluation.residual=maybe", "evaluation.residual: got 'maybe', allowed true, false"),
    ],
)
def test_a_setting_that_would_give_wrong_scores_is_refused_before_anything_is_written(evaluate, tree, option, message):
    code, said, where = evaluate(tree(), option)
    assert (code, where) == (2, None)
    assert message in said


def test_a_strange_rate_is_named(evaluate, tree):
    root = tree()
    rewrite(root / "test" / "Test 1" / "vocals.wav", lambda samples, _: (samples, 48000))
    code, said, where = evaluate(root)
    assert (code, where) == (2, None)
    assert "Test 1/vocals.wav has 48000 Hz" in said


def test_an_absent_stem_is_named(evaluate, tree):
    root = tree()
    (root / "test" / "Test 1" / "bass.wav").unlink()
    code, said, where = evaluate(root)
    assert (code, where) == (2, None)
    assert "Test 1" in said
    assert "bass" in said


@pytest.mark.parametrize("ckpt", ["{}/*/checkpoints/best.ckpt", "[oracle:irm1,{}]"], ids=["alone", "after another"])
def test_data_of_another_rate_than_the_networks_were_trained_on_are_refused(evaluate, tree, trained, ckpt):
    root = tree()
    for path in root.glob("*/*/*.wav"):
        rewrite(path, lambda samples, _: (samples, 48000))
    code, said, where = evaluate(root, "data.sample_rate=48000", ckpt=ckpt.format(trained))
    assert (code, where) == (2, None)
    assert "data: Test 0 has 48000 Hz and 2 channels, the models were trained on 44100 Hz and 2" in said


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda block: block * math.nan, "Test 0: estimates: got NaN or infinite samples"),
        (lambda block: block[..., :-7], "Test 0: got estimates of 89516 samples, the track has 89523"),
        (lambda block: torch.cat([block, block], dim=-1), "got estimates of 179046 samples, the track has 89523"),
    ],
)
@pytest.mark.parametrize("workers", [0, 1])
def test_estimates_that_cannot_be_scored_are_refused_by_track(evaluate, tree, monkeypatch, spoil, message, workers):
    def separate(separator, mixture, num_samples, **_):
        yield spoil(mixture(0, num_samples).expand(4, -1, -1) / 4)

    monkeypatch.setattr("unmix.models.open_unmix.streaming.separate", separate)
    code, said, where = evaluate(tree(), f"evaluation.workers={workers}")
    assert code == 2
    assert message in said
    assert not stores(where)
    assert not leftovers(where)


@pytest.mark.usefixtures("short_filters")
def test_a_full_disk_leaves_finished_tracks_valid_and_a_rerun_finishes(evaluate, tree, monkeypatch):
    root, write = tree(num_tracks=3), folder.write_atomically

    def fill(path, text):
        if path.parent.name == "tracks" and path.name == "Test 1.json":
            raise OSError(28, "No space left on device", str(path))
        write(path, text)

    with monkeypatch.context() as patch:
        patch.setattr(folder, "write_atomically", fill)
        code, said, where = evaluate(root)
    assert code == 2
    assert "No space left on device" in said
    assert list(stores(where)) == ["Test 0.json"]
    assert not leftovers(where)
    assert not (where / "summary.json").exists()
    kept = stores(where)
    assert evaluate(root)[0] == 0
    assert stores(where) | kept == stores(where)
    assert len(stores(where)) == 3


@pytest.mark.usefixtures("short_filters")
def test_ctrl_c_says_what_is_kept_and_the_same_command_continues(evaluate, tree, capfd, monkeypatch, tmp_path):
    root, log = tree(num_tracks=3), callback.Museval._log

    def stop_after_two(museval, scoring):
        log(museval, scoring)
        if museval.num_done == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(callback.Museval, "_log", stop_after_two)
        evaluate(root)
    assert ended.value.code == 130
    (where,) = (tmp_path / "out" / "evaluations").iterdir()
    (line,) = (line for line in capfd.readouterr().err.splitlines() if "stopped by" in line)
    assert line == f"stopped by Ctrl-C; {where} has the scores of 2 of 3 tracks; the same command continues"
    code, said, _ = evaluate(root)
    assert code == 0
    assert "evaluating 1 of 3 tracks" in said


def test_a_file_that_cannot_be_written_leaves_no_part(tmp_path, monkeypatch):
    def fill(self, text, **_):
        self.touch()
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_text", fill)
    with pytest.raises(OSError, match="No space"):
        folder.write_atomically(tmp_path / "a.json", "{}")
    assert not list(tmp_path.iterdir())


def test_processes_that_score_give_the_same_files(evaluate, tree, tmp_path):
    root = tree()
    _, _, where = evaluate(root, "evaluation.workers=2")
    several = stores(where)
    shutil.rmtree(tmp_path / "out")
    assert stores(evaluate(root)[2]) == several
    assert len(several) == 2


def kill_at_the_third_track(*, is_written):
    """Let this process kill itself right before or after it writes the scores of the third track."""
    shorten_filters()
    write = folder.write_atomically

    def write_and_die(path, text):
        is_third = path.parent.name == "tracks" and path.stem == "Test 2"
        if is_third and not is_written:
            os.kill(os.getpid(), signal.SIGKILL)
        write(path, text)
        if is_third:
            os.kill(os.getpid(), signal.SIGKILL)

    folder.write_atomically = write_and_die


@pytest.mark.usefixtures("short_filters")
def test_a_killed_evaluation_loses_at_most_the_track_under_way_and_leaves_no_file(evaluate, begin, tree, tmp_path):
    root, log = tree(num_tracks=4), tmp_path / "log"
    whole = stores(evaluate(root)[2])
    shutil.rmtree(tmp_path / "out")
    for is_written in (False, True):
        kill = partial(kill_at_the_third_track, is_written=is_written)
        assert begin(root, log=log, before=kill).wait() == -signal.SIGKILL, log.read_text()
        found = list(tmp_path.glob("out/evaluations/*/tracks/*.json"))
        assert len(found) == 2 + is_written
    stamps = {path: path.stat().st_mtime_ns for path in found}
    code, said, where = evaluate(root)
    assert code == 0
    assert "evaluating 1 of 4 tracks" in said
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    assert_alike(stores(where), whole)
    assert not leftovers(where)


def test_of_two_evaluations_of_one_folder_one_works_and_the_other_waits(begin, tree, tmp_path):
    root = tree(num_tracks=3)
    logs = [tmp_path / "first", tmp_path / "second"]
    processes = [begin(root, log=log) for log in logs]
    assert [process.wait() for process in processes] == [0, 0], "".join(log.read_text() for log in logs)
    said = [log.read_text() for log in logs]
    assert sum("evaluating 3 of 3 tracks" in text for text in said) == 1
    assert sum("waiting for it" in text for text in said) <= 1
    assert all("SDR" in text for text in said), "both show the table"
    (where,) = (tmp_path / "out" / "evaluations").iterdir()
    assert len(stores(where)) == 3


def test_ranks_share_the_tracks_and_score_each_once(evaluate, begin, tree, tmp_path):
    root, log = tree(num_tracks=3), tmp_path / "log"
    whole = stores(evaluate(root)[2])
    shutil.rmtree(tmp_path / "out")
    assert begin(root, "evaluation.cpu_processes=2", log=log, before=None).wait() == 0, log.read_text()
    (where,) = (tmp_path / "out" / "evaluations").iterdir()
    assert_alike(stores(where), whole)
    text = log.read_text()
    assert all(text.count(f"Test {i}: SDR") == 1 for i in range(3)), text
    assert text.count("report: ") == 1
