"""Every store gives the same samples; the one that is taken fits, and leaves nothing behind."""

import gc
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unmix.data import memory, pcm, shared, store
from unmix.data.datamodule import SeparationDataModule
from unmix.data.tracks import SOURCES

CPU = torch.device("cpu")
DEVICES = [CPU, *([torch.device("cuda")] if torch.cuda.is_available() else [])]


@pytest.fixture(scope="module")
def tracks(musdb_tree):
    return SeparationDataModule(musdb_tree, name="tiny").splits.train


@pytest.fixture(scope="module")
def files(tracks):
    return [[track.files[source] for source in SOURCES] for track in tracks]


@pytest.fixture(scope="module")
def stores(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ram")
    return [store.DiskStore(files), store.RamStore(files, folder), *(store.DeviceStore(files, one) for one in DEVICES)]


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_every_store_gives_the_samples_of_the_files(tracks, stores, data):
    batch, segment = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 1000))
    chosen = torch.tensor(
        data.draw(st.lists(st.lists(st.integers(0, 1), min_size=4, max_size=4), min_size=batch, max_size=batch))
    )
    last = 88200 - segment
    starts = torch.tensor([[data.draw(st.sampled_from([0, last, last // 3])) for _ in SOURCES] for _ in range(batch)])
    expected = np.stack(
        [
            [
                pcm.read_int16(tracks[t].path(source), start=s, num_samples=segment)
                for t, s, source in zip(row, begins, SOURCES, strict=True)
            ]
            for row, begins in zip(chosen.tolist(), starts.tolist(), strict=True)
        ]
    )
    for one in stores:
        device = one.frames.device if isinstance(one, store.DeviceStore) else CPU
        found = one.gather(chosen.to(device), starts.to(device), segment)
        assert found.dtype == torch.int16
        np.testing.assert_array_equal(found.cpu(), expected)


def test_a_shared_array_is_one_however_many_map_it(files, tmp_path):
    first, second = store.RamStore(files, tmp_path), store.RamStore(files, tmp_path)
    copy = pickle.loads(pickle.dumps(first))
    second.array.values[:2] = [7, 8]
    assert first.array.values[:2].tolist() == copy.array.values[:2].tolist() == [7, 8]


def test_another_process_finds_the_array_and_it_is_gone_with_the_last(tmp_path):
    script = (
        "import sys; from pathlib import Path; from unmix.data import shared\n"
        "def fill(out):\n    print('filled', flush=True); out[:] = 5\n"
        "array = shared.share('key', 2000, fill, Path(sys.argv[1]))\n"
        "print(array.values.sum(), flush=True); sys.stdin.read()"
    )

    def start():
        command = [sys.executable, "-c", script, str(tmp_path)]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    first = start()
    assert [first.stdout.readline() for _ in range(2)] == ["filled\n", "5000\n"]
    second = start()
    assert second.stdout.readline() == "5000\n"  # it did not fill it again
    first.kill()
    first.communicate()
    assert shared.is_there("key", tmp_path)  # the second one has it still
    second.kill()
    second.communicate()
    assert not shared.is_there("key", tmp_path)
    third = start()
    assert third.stdout.readline() == "filled\n"
    third.communicate("")


def test_a_ram_store_costs_its_own_size_whatever_the_number_of_readers(write_tree, tmp_path):
    """Growth of the memory of a process and its workers, shared pages counted once (PSS)."""
    root = write_tree(tmp_path / "tree", ("A - B", "Actions - One Minute Smile"), num_samples=20 * 44100)
    script = Path(__file__).with_name("measure_memory.py")
    used = {}
    for storage, workers in (("disk", 2), ("ram", 0), ("ram", 2)):
        command = [sys.executable, str(script), str(root), storage, str(workers)]
        used[storage, workers] = int(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    size = 4 * 2 * 2 * 20 * 44100
    assert used["ram", 2] - used["disk", 2] < 1.1 * size + 8e6  # 8 MB: what a process differs from run to run
    assert used["ram", 0] < used["ram", 2]


@pytest.mark.parametrize(
    ("storage", "free", "kind"),
    [("disk", 10**12, "disk"), ("auto", 10**12, "ram"), ("auto", 10**6, "disk"), ("ram", 10**12, "ram")],
)
def test_auto_takes_what_fits(files, tmp_path, monkeypatch, storage, free, kind):
    monkeypatch.setattr(memory, "available", lambda device: free)
    assert store.choose(storage, files, CPU, tmp_path)[0] == kind


@pytest.mark.parametrize(
    ("storage", "gpu", "host", "kind"),
    [("auto", 10**12, 0, "gpu"), ("auto", 10**6, 10**12, "ram"), ("auto", 0, 0, "disk"), ("gpu", 10**12, 0, "gpu")],
)
def test_auto_prefers_the_gpu_that_trains(files, tmp_path, monkeypatch, storage, gpu, host, kind):
    monkeypatch.setattr(memory, "available", lambda device: gpu if device.type == "cuda" else host)
    assert store.choose(storage, files, torch.device("cuda", 0), tmp_path)[0] == kind


def test_auto_takes_half_of_what_is_free_and_a_request_nine_tenths(files, tmp_path, monkeypatch):
    needed = sum(2 * 2 * file.header.num_samples for row in files for file in row)
    for storage, times, kind in (("auto", 2.01, "ram"), ("auto", 1.99, "disk"), ("ram", 1.2, "ram")):
        monkeypatch.setattr(memory, "available", lambda device, times=times: int(times * needed))
        assert store.choose(storage, files, CPU, tmp_path)[0] == kind


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        (
            "ram",
            r"data.storage: ram needs 0.0 GB, but here is 0.0 GB of memory free; data.storage=auto takes what fits",
        ),
        ("gpu", r"data.storage: gpu needs 0.0 GB, but here is no GPU; data.storage=auto takes what fits"),
        ("rma", r"data.storage: got 'rma', allowed auto, disk, ram, gpu; did you mean 'ram'\?"),
    ],
)
def test_what_is_not_to_be_had_is_refused(files, tmp_path, monkeypatch, storage, message):
    monkeypatch.setattr(memory, "available", lambda device: 10)
    with pytest.raises(ValueError, match=message):
        store.choose(storage, files, CPU, tmp_path)


def test_a_container_has_what_its_limit_leaves(tmp_path):
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 5\ninactive_file 200\n")
    assert memory._left_in_container(tmp_path) == 500
    (tmp_path / "memory.max").write_text("max\n")
    assert memory._left_in_container(tmp_path) == 2**63
    assert memory.available(CPU) <= psutil.virtual_memory().total


def test_an_array_nobody_holds_any_more_is_given_back(tmp_path):
    before = len(list(Path("/proc/self/fd").iterdir()))
    for key in ("a", "b"):
        array = shared.share(key, 2000, lambda out: out.fill(1), tmp_path)
        del array
        gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_number_that_came_back_for_another_array_is_not_taken_for_the_first(tmp_path):
    first = shared.share("a", 2000, lambda out: out.fill(1), tmp_path)
    number = first.descriptor
    del first
    gc.collect()
    other = shared.share("b", 2000, lambda out: out.fill(2), tmp_path)
    assert other.descriptor == number
    assert not shared.is_there("a", tmp_path)
    assert shared.share("a", 2000, lambda out: out.fill(3), tmp_path).values[0] == 3


def test_an_array_that_could_not_be_filled_is_taken_by_nobody(tmp_path):
    with pytest.raises(ZeroDivisionError):
        shared.share("a", 2000, lambda out: 1 / 0, tmp_path)
    assert not shared.is_there("a", tmp_path)


def test_24_bit_files_are_copied_once_and_read_as_integers(tmp_path, write_tree):
    root = write_tree(tmp_path / "tree", ("A - B", "Actions - One Minute Smile"), num_samples=1000)
    path = root / "train" / "A - B" / "bass.wav"
    samples, rate = soundfile.read(path, dtype="int16")
    soundfile.write(path, samples / 32768, rate, subtype="PCM_24")
    module = SeparationDataModule(root, name="t", segment_seconds=0.01, cache=tmp_path / "cache")
    module.prepare_data()
    (copy,) = (tmp_path / "cache" / "pcm").glob("*.wav")
    np.testing.assert_array_equal(pcm.read_int16(copy), samples.T)
    written = copy.stat().st_mtime_ns
    next(iter(module.train_dataloader()))
    assert copy.stat().st_mtime_ns == written
