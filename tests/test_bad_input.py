"""What a user gets wrong: one line that says so, exit code 2, and nothing written."""

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch


@pytest.fixture
def refused(cli, capfd, tmp_path):
    """Run a command that must fail and return its message."""

    def run(*arguments):
        assert cli(*arguments) == 2
        output = capfd.readouterr().err
        assert "Traceback" not in output
        assert len(output.strip().splitlines()) == 1, output
        assert not (tmp_path / "out").exists()
        return output

    return run


@pytest.fixture
def tree(musdb_tree, tmp_path):
    """A copy of the small data set, to be broken."""
    return shutil.copytree(musdb_tree, tmp_path / "tree")


@pytest.fixture
def train(refused, train_arguments, tmp_path):
    """Training that must be refused, on the tree given as keyword."""

    def run(*arguments, root=None):
        options = [*train_arguments, f"paths.out={tmp_path / 'out'}", "target=drums"]
        return refused("train", *options, *([f"data.root={root}"] if root else []), *arguments)

    return run


def test_missing_data_root_names_the_key_the_variable_and_the_demo(refused, tmp_path):
    message = refused("train", f"paths.out={tmp_path / 'out'}")
    assert "data.root" in message
    assert "MUSDB_PATH" in message
    assert "data=demo" in message


def test_an_empty_variable_is_named(refused, monkeypatch):
    monkeypatch.setenv("MUSDB_PATH", "")
    message = refused("train")
    assert message.startswith("train: data.root: the environment variable MUSDB_PATH is empty; set it, or data.root=")
    assert refused("train", "data.root=''") == message
    monkeypatch.delenv("MUSDB_PATH")
    assert "data.root: got '', a text is needed" in refused("train", "data.root=''")


@pytest.mark.parametrize("command", [["train"], ["check"], ["evaluate", "ckpt=oracle:mwf", "data=musdb18hq"]])
def test_missing_data_root_is_refused_before_torch_is_imported(refused, monkeypatch, command):
    monkeypatch.setattr("unmix.config.check_targets", lambda cfg: pytest.fail("imports the classes"))
    assert "data.root: not given; set data.root=" in refused(*command)


def test_root_that_is_not_there_is_named(train, tmp_path):
    assert f"{tmp_path}/nowhere is not a folder" in train(root=f"{tmp_path}/nowhere")


def test_root_of_something_else_says_what_was_looked_for_and_found(train, tmp_path):
    (tmp_path / "music" / "albums").mkdir(parents=True)
    message = train(root=tmp_path / "music")
    assert "looked for {train,test}/<track>/{mixture,vocals,drums,bass,other}.wav, found albums" in message


def test_track_without_a_stem_is_named(train, tree):
    next((tree / "train").iterdir()).joinpath("bass.wav").unlink()
    assert "lacks bass.wav" in train(root=tree)


def test_wrong_sample_rate_is_named_with_its_file(train, tree):
    path = next((tree / "train").iterdir()) / "drums.wav"
    soundfile.write(path, soundfile.read(path)[0], 48000)
    assert f"{path} has 48000 Hz, data.sample_rate is 44100" in train(root=tree)


def test_mono_track_among_stereo_ones_is_named(train, tree):
    folder = tree / "train" / "Some Band - Track"
    for path in folder.glob("*.wav"):
        soundfile.write(path, soundfile.read(path)[0][:, 0], 44100)
    assert "Some Band - Track has 1 channel" in train(root=tree)


def test_truncated_wav_is_named(train, tree):
    path = next((tree / "train").iterdir()) / "vocals.wav"
    path.write_bytes(path.read_bytes()[:60_000])
    assert f"{path} is truncated" in train(root=tree)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("target=vocal", "target: got 'vocal', allowed vocals, drums, bass, other, all; did you mean 'vocals'?"),
        ("modle.hidden_size=8", "did you mean 'model'?"),
        ("model.hiden_size=8", "did you mean 'hidden_size'?"),
        ("+model.hiden_size=8", "did you mean 'hidden_size'?"),
        ("data=musdb", "musdb18hq"),
        ("model.hidden_size=15", "an even number is needed"),
        ("trainer.gpus=nine", "trainer.gpus"),
        (
            "trainer.precision=16",
            "trainer.precision: got 16, which a CPU cannot do; allowed 32-true, bf16-mixed, 64-true",
        ),
        ("trainer.precision=16-mixed", "trainer.precision: got 16-mixed, which a CPU cannot do"),
        ("trainer.precision=bf16-mix", "did you mean 'bf16-mixed'?"),
        (
            "trainer.precision=16-true",
            "trainer.precision: got '16-true', allowed 32-true, bf16-mixed, 16-mixed, 64-true, 32",
        ),
        ("+trainer.max_epoch=3", "did you mean 'max_epochs'?"),
        ("data.segment_seconds=30", "data.segment_seconds: got 30 s"),
        ("data.batch_size=abc", "batch_size"),
        ("+modle.hidden_size=8", "did you mean 'model'?"),
        ("~modle", "did you mean 'model'?"),
        ("~model.hiden_size", "did you mean 'hidden_size'?"),
        ("hydra.job.nam=x", "did you mean 'name'?"),
        ("hydra/launcher=proces", "did you mean 'process'?"),
        ("experiment=dmo", "did you mean 'demo'?"),
        ("sweep=targtes", "did you mean 'targets'?"),
        ("debug=overfitt", "did you mean 'overfit'?"),
        ("on_busy=wiat", "did you mean 'wait'?"),
        ("trainer.max_epochs=-3", "trainer.max_epochs: got -3, allowed 1 or more, or -1 for no limit"),
        ("trainer.max_epochs=0", "trainer.max_epochs: got 0, allowed 1 or more, or -1 for no limit"),
        ("trainer.max_steps=0", "trainer.max_steps: got 0, allowed 1 or more, or -1 for no limit"),
        ("trainer.max_steps=3.5", "trainer.max_steps: got 3.5, a whole number is needed, or -1 for no limit"),
        ("trainer.limit_val_batches=0", "trainer.limit_val_batches: got 0, allowed a number of batches from 1 on"),
        ("optimizer.lr=fast", "optimizer.lr: got 'fast', a number is needed"),
        ("optimizer.lr=-1", "optimizer.lr: got -1, allowed above 0"),
        ("optimizer.betas=[0.9,2]", "betas"),
        ("+optimizer.betas=[0.9,2]", "optimizer: Invalid beta parameter at index 1: 2 (lr=0.001, "),
        ("data.segment_seconds=-1", "data.segment_seconds: got -1, allowed above 0"),
        ("data.segment_seconds=0.05", "data.segment_seconds: got 2205 samples, fewer than a window of 4096"),
        ("data.batch_size=0", "data.batch_size: got 0, allowed 1 or more"),
        ("data.gain=3", "data.gain: got 3, two numbers are needed, as [0.25,1.25]"),
        ("data.gain=[2,1]", "data.gain: got [2, 1], the first number must not exceed the second"),
        ("data.num_workers=-2", "data.num_workers: got -2, allowed 0 or more"),
        ("data.sources=[vocals,vocals]", "data.sources: got vocals, vocals, which names vocals twice"),
        ("seed=abc", "seed: got 'abc', a whole number is needed"),
        ("seed=-1", "seed: got -1, allowed 0 up to 4294967295"),
        ("dry_run=maybe", "dry_run: got 'maybe', allowed true, false"),
        ("model.hidden_size=-4", "model.hidden_size: got -4, allowed 1 or more"),
        ("model.hidden_size=0", "model.hidden_size: got 0, allowed 1 or more"),
        ("model.stft.hop_size=0", "model.stft.hop_size: got 0, allowed 1 or more"),
        ("callbacks.museval.num_tracks=0", "callbacks.museval.num_tracks: got 0, allowed 1 or more"),
        (
            "callbacks.early_stopping.monitor=val/los",
            "early_stopping.monitor: got 'val/los', allowed val/loss",
        ),
        ("callbacks.mine={a:1}", "callbacks.mine"),
        ("+callbacks.mine={a:1}", "callbacks.mine: got {'a': 1}, keys with the _target_ of a callback are needed"),
        ("separator.niter=-1", "separator.niter: got -1, allowed 0 or more"),
        ("metrics=[]", "metrics: got none, name at least one, as metrics=[museval,usdr]"),
        ("name=a/b", "name: got 'a/b', a name without / is needed"),
    ],
)
@pytest.mark.parametrize("dry_run", ["dry_run=false", pytest.param("dry_run=true", marks=pytest.mark.slow)])
def test_wrong_values_and_typos_are_explained(train, override, expected, dry_run):
    assert expected in train(dry_run, override)


@pytest.mark.skipif(torch.cuda.device_count() >= 4, reason="has four GPUs")
def test_more_gpus_than_there_are_says_how_many_there_are(train):
    count = torch.cuda.device_count()
    assert f"has {count or 'no'} CUDA device" in train("trainer.gpus=4")


@pytest.mark.parametrize("dry_run", ["true", "false"])
def test_more_cpu_processes_than_validation_tracks_name_the_key_that_was_set(train, dry_run):
    message = train("trainer=ddp_cpu", f"dry_run={dry_run}")
    reason = "got 2 ranks, but only 1 track to validate on: take fewer ranks"
    assert message == f"train: trainer.cpu_processes: {reason}\n"


def test_a_typo_in_one_job_of_a_sweep_stops_it_before_the_first(refused, train_arguments, tmp_path):
    options = [*train_arguments, f"paths.out={tmp_path / 'out'}"]
    assert "did you mean 'drums'?" in refused("train", "-m", *options, "target=vocals,drum")


def test_a_wrong_value_in_a_sweep_is_refused_with_the_number_of_its_job(refused, train_arguments, tmp_path):
    options = [*train_arguments, f"paths.out={tmp_path / 'out'}", "target=drums"]
    message = refused("train", "-m", *options, "model.hidden_size=8,-4", "data.batch_size=1,2")
    assert "job 2 of 4 (data.batch_size=1 model.hidden_size=-4): model.hidden_size: got -4, allowed 1" in message
    message = refused("train", "-m", *options, "hydra/launcher=basic", "seed=1,-2")
    assert "job 2 of 2 (seed=-2): seed: got -2" in message


def test_a_wrong_value_in_all_jobs_is_blamed_on_none(refused, train_arguments, tmp_path):
    options = [*train_arguments, f"paths.out={tmp_path / 'out'}", "-m", "target=vocals,drums"]
    assert refused("train", *options, "slots=0").startswith("train: slots: got 0, allowed 'auto' or a number of jobs")
    assert refused("train", *options, "model.hidden_size=15").startswith("train: model.hidden_size: got 15, an even")
    message = refused("train", *options, "model.hidden_size=0,-4")
    assert message.startswith("train: job 1 of 4 (model.hidden_size=0 target=vocals): model.hidden_size: got 0,")


def test_checkpoint_folder_that_lacks_a_target_names_it_and_the_command(refused, trained, tmp_path):
    shutil.copytree(trained, tmp_path / "experiment")
    shutil.rmtree(tmp_path / "experiment" / "bass-s42")
    message = refused("evaluate", f"ckpt={tmp_path / 'experiment'}", f"paths.out={tmp_path / 'out'}")
    known = r"\(val/sdr -?[0-9.]+ dB\)"
    assert re.search(f"holds vocals {known}, drums {known}, other {known} and lacks bass", message)
    assert "-m target=bass" in message


@pytest.mark.parametrize("content", [b"not a checkpoint", b"", b"PK\x03\x04 half a zip"])
def test_file_that_is_no_checkpoint_is_named(refused, tmp_path, content):
    path = tmp_path / "some.ckpt"
    path.write_bytes(content)
    assert f"{path} is not a checkpoint" in refused("evaluate", f"ckpt={path}", f"paths.out={tmp_path / 'out'}")


def test_checkpoint_of_another_project_is_named(refused, tmp_path):
    torch.save({"state_dict": {}}, tmp_path / "theirs.ckpt")
    assert "was not written by unmix" in refused("evaluate", f"ckpt={tmp_path / 'theirs.ckpt'}")


def test_checkpoint_that_runs_code_does_not_run_it(refused, tmp_path):
    class Attack:
        def __reduce__(self):
            return (print, ("code of a checkpoint ran",))

    torch.save({"unmix": Attack()}, tmp_path / "evil.ckpt")
    message = refused("evaluate", f"ckpt={tmp_path / 'evil.ckpt'}")
    assert "is not a checkpoint" in message
    assert "objects beside its weights, which are not loaded as they can run code" in message


def test_checkpoint_of_a_newer_version_says_so(refused, trained, tmp_path):
    content = torch.load(trained / "drums-s42" / "checkpoints" / "best.ckpt", weights_only=True)
    content["unmix"]["schema"] = 99
    torch.save(content, tmp_path / "newer.ckpt")
    assert "has schema 99" in refused("evaluate", f"ckpt={tmp_path / 'newer.ckpt'}")


def test_missing_checkpoint_says_what_may_be_given(refused, tmp_path):
    assert "does not exist; give an experiment folder" in refused("evaluate", f"ckpt={tmp_path / 'nothing'}")
    assert "a,b does not exist; several are a list, ckpt=[a,b]; give an" in refused("evaluate", "ckpt=a,b")


@pytest.mark.parametrize("ckpt", ["outputs/runs/demo-00000000", "demo-1a2b3c4d"])
def test_a_missing_experiment_is_answered_with_those_that_are_there(refused, tmp_path, monkeypatch, ckpt):
    monkeypatch.chdir(tmp_path)
    for name in ("demo-1a2b3c4d/vocals-s42", "demo-1a2b3c4d/drums-s42", "umx-d8f2860d/bass-s1"):
        (tmp_path / "outputs" / "runs" / name / "checkpoints").mkdir(parents=True)
        (tmp_path / "outputs" / "runs" / name / "checkpoints" / "best.ckpt").touch()
    (tmp_path / "outputs" / "runs" / "demo-empty").mkdir()
    assert refused("evaluate", f"ckpt={ckpt}").strip().endswith("; outputs/runs holds demo-1a2b3c4d, umx-d8f2860d")


@pytest.mark.parametrize(("ckpt", "meant"), [("umx_hq", "umxhq"), ("runs/demo/vocals", "runs/demo/vocals-s42")])
def test_a_checkpoint_that_is_named_slightly_differently_is_meant(refused, tmp_path, monkeypatch, ckpt, meant):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "demo" / "vocals-s42").mkdir(parents=True)
    assert refused("separate", f"ckpt={ckpt}", "input=song.wav").strip().endswith(f"; did you mean {meant!r}?")


def test_a_pattern_that_matches_nothing_is_named(refused, tmp_path):
    for command in (["evaluate"], ["separate", "input=song.wav"]):
        message = refused(*command, f'ckpt="{tmp_path}/nothing*"')
        assert f"ckpt: {tmp_path}/nothing* does not exist; give an experiment folder" in message


def test_devices_and_data_that_are_not_there_are_named(refused, trained):
    assert "evaluation.gpus: got 77, but this machine has" in refused(
        "evaluate", f"ckpt={trained}", "evaluation.gpus=77"
    )
    message = refused("evaluate", f"ckpt={trained}", "evaluation.cpu_processes=0")
    assert "evaluation.cpu_processes: got 0, allowed 1 or more" in message
    message = refused("evaluate", f"ckpt={trained}", "data.root=/somewhere")
    assert "data.root: data is empty here; choose what it is first, as data=..." in message


def test_forgotten_ckpt_and_input_are_asked_for(refused):
    assert "ckpt: needed" in refused("evaluate")
    assert "ckpt, input: needed" in refused("separate")


def test_songs_that_are_none_are_refused(refused, trained, tmp_path):
    (tmp_path / "song.txt").write_text("la la la")
    assert "is not a readable audio file" in refused("separate", f"ckpt={trained}", f"input={tmp_path / 'song.txt'}")
    assert "is not a file" in refused("separate", f"ckpt={trained}", f"input={tmp_path / 'nothing.wav'}")


def test_stems_are_not_overwritten_unless_asked(refused, cli, trained, tmp_path):
    soundfile.write(tmp_path / "song.wav", np.zeros((44100, 2)) + 0.1, 44100)
    (tmp_path / "song.drums.wav").write_bytes(b"mine")
    command = ("separate", f"ckpt={trained}", f"input={tmp_path / 'song.wav'}")
    assert "song.drums.wav exists; overwrite=true" in refused(*command)
    assert (tmp_path / "song.drums.wav").read_bytes() == b"mine"
    assert cli(*command, "overwrite=true") == 0
    assert soundfile.info(tmp_path / "song.drums.wav").frames == 44100


def test_full_errors_are_shown_on_request(cli, monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(ValueError, match="ckpt: needed"):
        cli("evaluate")


def test_a_value_given_twice_is_two_jobs_in_one_folder(refused, train_arguments, tmp_path):
    options = [*train_arguments, f"paths.out={tmp_path / 'out'}"]
    assert "a value is given twice" in refused("train", "-m", *options, "target=vocals,vocals")
    assert "a value is given twice" in refused("train", "-m", *options, "target=vocals", "data.num_workers=0,1")


def test_a_sweep_over_an_unknown_key_is_refused_before_the_first_job(refused, train_arguments, tmp_path):
    options = [*train_arguments, f"paths.out={tmp_path / 'out'}"]
    assert "did you mean 'hidden_size'?" in refused("train", "-m", *options, "model.hiden_size=8,16")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_named(cli, capfd, train_arguments, tmp_path):
    tmp_path.chmod(0o500)
    assert cli("train", *train_arguments, f"paths.out={tmp_path / 'out'}", "target=drums") == 2
    message = capfd.readouterr().err
    assert f"cannot be made, as {tmp_path} cannot be written; name a folder" in message


def test_results_that_cannot_go_where_they_should_are_named(cli, capfd, train_arguments, tmp_path):
    (tmp_path / "file").touch()
    for dry_run in ("false", "true"):
        assert (
            cli("train", *train_arguments, f"paths.out={tmp_path / 'file'}", "target=drums", f"dry_run={dry_run}") == 2
        )
        message = capfd.readouterr().err
        assert f"paths.out: {tmp_path / 'file'}" in message
        assert f"cannot be made, as {tmp_path / 'file'} is no folder; name a folder" in message


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder in which not even root can make another")
def test_a_folder_that_not_even_root_can_make_is_refused_by_dry_run_as_by_the_run(train):
    messages = {train("paths.out=/proc/nope", f"dry_run={dry_run}") for dry_run in ("true", "false")}
    (message,) = messages
    assert message.startswith("train: paths.out: /proc/nope/runs/")
    assert message.endswith(" cannot be made, as /proc cannot be written; name a folder that can be written\n")


def test_leaderboard_of_nothing_and_by_an_unknown_column_are_refused(refused, trained, tmp_path):
    assert "no run and no evaluation in" in refused("leaderboard", f"paths.out={tmp_path}")
    assert "did you mean 'val_loss'?" in refused("leaderboard", f"paths.out={trained.parents[1]}", "sort=val_los")
    nothing = "sort: got 'sdr.vocals', but nothing has been evaluated: run src/evaluate.py, or sort=val_loss"
    assert nothing in refused("leaderboard", f"paths.out={trained.parents[1]}", "sort=sdr.vocals")
