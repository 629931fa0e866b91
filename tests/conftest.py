"""Fixtures that several rooms share: a clean environment, and small MUSDB18-HQ trees.

What takes seconds to import is imported by the fixtures: pytest reads this file in every process, the first included,
which only hands out tests.
"""

import os
import shutil
import signal

# One thread, here and in every process that a test starts: tensors this small gain nothing from a second one, and where
# other processes want the cores, threads that wait for each other take many times as long.
os.environ["OMP_NUM_THREADS"] = "1"

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

SOURCES = ("vocals", "drums", "bass", "other")
SAMPLE_RATE = 44100
# What a developer's shell, or a run in this process, may leave behind and the code reads.
FOREIGN_SETTINGS = (
    "MUSDB_PATH",
    "HYDRA_FULL_ERROR",
    "UNMIX_TRACEBACK",
    "UNMIX_LAUNCHER",
    "UNMIX_EXPERIMENT",
    "UNMIX_SWEEP",
)


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Mark tests that need `trained` as slow: four trainings take ten seconds."""
    for item in items:
        if "trained" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session", autouse=True)
def prepared_data_folder(tmp_path_factory):
    """Caches and prepared data of this session, in UNMIX_DATA: never the developer's own."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("unmix_data")
        patch.setenv("UNMIX_DATA", str(folder))
        for name in FOREIGN_SETTINGS:
            patch.delenv(name, raising=False)
        yield folder


@pytest.fixture(autouse=True)
def same_signal_handlers():
    """A command that a signal ends leaves handlers for the rest of its process, which is not over here."""
    handlers = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)}
    yield
    for signum, handler in handlers.items():
        signal.signal(signum, handler)


@pytest.fixture(autouse=True)
def no_foreign_settings(prepared_data_folder):
    for name in FOREIGN_SETTINGS:
        os.environ.pop(name, None)


def write_tree(
    root: Path,
    names_train: Sequence[str],
    names_test: Sequence[str] = (),
    num_samples: int = 2 * SAMPLE_RATE,
    seed: int = 0,
) -> Path:
    """Write 16-bit stereo tracks of noise over a tone per source; `mixture` is their exact sum.

    The first track has `num_samples` samples, each further one 441 more. A source is the same whatever tracks precede
    its own, and never silent.
    """
    folders = [root / "train" / name for name in names_train] + [root / "test" / name for name in names_test]
    for index, folder in enumerate(folders):
        folder.mkdir(parents=True)
        stems = _stems(num_samples + 441 * index, np.random.default_rng([seed, index]))
        for stem, samples in (*stems.items(), ("mixture", sum(stems.values()))):
            soundfile.write(folder / f"{stem}.wav", samples, SAMPLE_RATE, subtype="PCM_16")
    return root


def _stems(num_samples: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """int16 by source, (samples, channels) as soundfile has it; four of them stay below full scale."""
    stems = {}
    for position, source in enumerate(SOURCES):
        tone = 3000 * np.sin(2 * np.pi * 220 * 2**position / SAMPLE_RATE * np.arange(num_samples))
        noise = generator.integers(-4000, 4001, size=(num_samples, 2))
        stems[source] = (tone[:, None] * [1.0, 0.5] + noise).astype(np.int16)
    return stems


@pytest.fixture(name="write_tree", scope="session")
def write_tree_fixture():
    """The function `write_tree(root, names_train, names_test=(), num_samples=88200, seed=0)`; returns `root`."""
    return write_tree


@pytest.fixture(scope="session")
def musdb_tree(tmp_path_factory):
    """Two tracks to train on, one to validate on, one to test on, two seconds each. Read only."""
    root = tmp_path_factory.mktemp("musdb") / "musdb18hq"
    names = ("Some Band - Track", "Actions - One Minute Smile", "Other Band - Song")
    return write_tree(root, names, ("Some Test - Track",))


def run_cli(command: str, *arguments: str) -> int:
    """The exit code of `python src/<command>.py <arguments>`, run in this process."""
    from unmix import config

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", [f"{command}.py", *arguments])
        patch.delenv("UNMIX_TRACEBACK", raising=False)
        code = config.main(command)
    os.environ.pop("UNMIX_TRACEBACK", None)
    os.environ.pop("HYDRA_FULL_ERROR", None)
    os.environ.pop("UNMIX_SWEEP", None)
    return code


@pytest.fixture(scope="session")
def cli():
    return run_cli


@pytest.fixture
def short_filters(monkeypatch):
    """Scores of this process are computed with shorter filters, see `shorten_filters`."""
    from short_filters import shorten_filters
    from unmix.evaluation import engines

    monkeypatch.setattr(engines, "bss_eval_blocks", engines.bss_eval_blocks)  # undone at the end
    shorten_filters()


@pytest.fixture
def start():
    """Starts commands in processes of their own, see `CommandProcess`; none outlives its test."""
    from command_process import CommandProcess

    started = []

    def run(command: str, *arguments: str, **options: object) -> CommandProcess:
        started.append(CommandProcess(command, *arguments, **options))
        return started[-1]

    yield run
    for process in started:
        process.kill()


@pytest.fixture(scope="session")
def train_arguments(musdb_tree):
    """Two epochs of a tiny network on the small tree; target and paths.out are left to the test."""
    return [
        f"data.root={musdb_tree}",
        "data.validation_tracks=[Actions - One Minute Smile]",
        "data.segment_seconds=0.5",
        "data.samples_per_track=2",
        "data.batch_size=2",
        "data.num_workers=0",
        "model.hidden_size=16",
        "trainer.gpus=0",
        "trainer.max_epochs=2",
        "evaluation.after_training=false",
        "hydra/launcher=basic",  # a process a job costs seconds: tests/runs has those
    ]


@pytest.fixture(scope="session")
def trained_once(train_arguments, tmp_path_factory):
    """Experiment folder of four tiny networks."""
    out = tmp_path_factory.mktemp("trained")
    assert run_cli("train", "-m", *train_arguments, f"paths.out={out}", "target=vocals,drums,bass,other") == 0
    (experiment,) = (out / "runs").iterdir()
    return experiment


@pytest.fixture(scope="module")
def trained(trained_once, tmp_path_factory):
    """Experiment folder of four tiny networks, a copy for each file of tests: evaluations are written to it."""
    return shutil.copytree(trained_once, tmp_path_factory.mktemp("copy") / "runs" / trained_once.name)
