"""What takes long is done once in a command: headers of audio are read, checkpoints are opened, jobs are composed."""

from collections import Counter
from functools import partial

import hydra
import pytest
import soundfile
import torch

from unmix import bases
from unmix.composition import parse

pytestmark = pytest.mark.slow

ALONE = ["data=musdb18hq", "evaluation.gpus=0"]


@pytest.fixture
def counted(monkeypatch):
    """Count how often a function is called with each first argument."""

    def count(owner, name):
        calls = Counter()
        original = getattr(owner, name)

        def counting(calls, first, *args, **kwargs):
            calls[str(first)] += 1
            return original(first, *args, **kwargs)

        monkeypatch.setattr(owner, name, partial(counting, calls))
        return calls

    return count


@pytest.mark.parametrize(("arguments", "times"), [(["target=drums"], 1), (["-m", "target=drums,bass", "seed=1,2"], 3)])
def test_hydra_composes_a_job_once_and_those_of_a_sweep_twice_in_all(counted, monkeypatch, arguments, times):
    """A sweep composes one more, for Hydra's own node, which names the sweeper and the launcher."""
    monkeypatch.setattr(bases, "_shared", {})
    composed = counted(hydra, "compose")
    command = parse("train", [each for each in arguments if each != "-m"], multirun="-m" in arguments)
    assert all("hydra" not in cfg for cfg in command.compose_jobs())
    assert composed == {"train": times}


@pytest.mark.parametrize("targets", ["vocals", "vocals,drums"])
def test_a_training_reads_the_header_of_each_file_once(counted, write_tree, train_arguments, cli, tmp_path, targets):
    root = write_tree(tmp_path / "data", ["Some Band - Track", "Actions - One Minute Smile"], ["Some Test - Track"])
    options = [*train_arguments, f"data.root={root}", f"paths.data={tmp_path / 'cache'}", f"paths.out={tmp_path}"]
    headers = counted(soundfile, "info")
    assert cli("train", "-m", *options, "trainer.max_epochs=1", f"target={targets}") == 0
    assert headers == {str(path): 1 for path in root.glob("*/*/*.wav")}


@pytest.mark.parametrize("as_list", [False, True])
def test_an_evaluation_opens_each_checkpoint_once(counted, trained, musdb_tree, cli, tmp_path, as_list):
    files = [str(path) for path in sorted(trained.glob("*/checkpoints/best.ckpt"))]
    ckpt = f"[{trained},oracle:irm1]" if as_list else f"[{','.join(files)}]"
    opened = counted(torch, "load")
    assert cli("evaluate", *ALONE, f"data.root={musdb_tree}", f"ckpt={ckpt}", f"paths.out={tmp_path}") == 0
    assert {path: times for path, times in opened.items() if path in files} == dict.fromkeys(files, 1)


def test_a_separation_opens_each_checkpoint_once(counted, trained, musdb_tree, cli, tmp_path):
    opened = counted(torch, "load")
    song = musdb_tree / "test" / "Some Test - Track" / "mixture.wav"
    assert cli("separate", f"ckpt={trained}", f"input={song}", f"out={tmp_path}", "gpus=0") == 0
    assert opened == {str(path): 1 for path in trained.glob("*/checkpoints/best.ckpt")}
