"""Every store gives the samples of the files, and the chosen one fits on the device."""

import pickle

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unmix.data import pcm, store
from unmix.data.datamodule import SeparationDataModule
from unmix.data.tracks import SOURCES

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
DEVICES = [CPU, *([torch.device("cuda")] if torch.cuda.is_available() else [])]


@pytest.fixture(scope="module")
def tracks(musdb_tree):
    return SeparationDataModule(musdb_tree, name="tiny").splits.train


@pytest.fixture(scope="module")
def files(tracks):
    return [[track.files[source] for track in tracks] for source in SOURCES]


@pytest.fixture(scope="module")
def stores(files):
    return [store.DiskStore(files), *(store.DeviceStore(files, device) for device in DEVICES)]


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
    for tested in stores:
        device = tested.frames.device if isinstance(tested, store.DeviceStore) else CPU
        found = tested.gather(chosen.to(device), starts.to(device), segment)
        assert found.dtype == torch.int16
        np.testing.assert_array_equal(found.cpu(), expected)


def test_a_disk_store_holds_no_samples_and_reads_no_more_than_the_segments(files, monkeypatch):
    """What bounds the memory of a loader and its workers, whatever the size of the data set."""
    read, read_into = [], pcm.read_into
    monkeypatch.setattr(pcm, "read_into", lambda *args: (read.append(args[2].nbytes), read_into(*args))[1])
    on_disk = store.DiskStore(files)
    on_disk.gather(torch.zeros(3, 4, dtype=torch.int64), torch.zeros(3, 4, dtype=torch.int64), 100)
    assert read == [100 * 2 * 2] * 12
    assert len(pickle.dumps(on_disk)) < 1000 * sum(map(len, files))  # paths and headers


def free(monkeypatch, num_bytes):
    monkeypatch.setattr(store, "_free_bytes", lambda device: int(num_bytes))


@pytest.mark.parametrize(("storage", "free_bytes", "kind"), [("auto", 10**12, "gpu"), ("auto", 10**6, "disk")])
def test_auto_takes_the_gpu_where_the_data_fit(files, monkeypatch, storage, free_bytes, kind):
    free(monkeypatch, free_bytes)
    assert store.choose(storage, files, GPU)[0] == kind


@pytest.mark.parametrize(("storage", "device"), [("disk", CPU), ("disk", GPU), ("auto", CPU)])
def test_data_stay_on_disk_where_that_is_configured_or_there_is_no_gpu(files, monkeypatch, storage, device):
    free(monkeypatch, 10**12)
    assert store.choose(storage, files, device)[0] == "disk"


@pytest.mark.parametrize(
    ("storage", "times", "kind"),
    [("auto", 2.01, "gpu"), ("auto", 1.99, "disk"), ("gpu", 1.2, "gpu"), ("gpu", 1.1, None)],
)
def test_auto_takes_at_most_half_of_the_free_memory_and_gpu_nine_tenths(files, monkeypatch, storage, times, kind):
    free(monkeypatch, times * sum(2 * 2 * file.header.num_samples for row in files for file in row))
    if kind is None:
        with pytest.raises(ValueError, match="GB of cuda:0 free"):
            store.choose(storage, files, GPU)
    else:
        assert store.choose(storage, files, GPU)[0] == kind


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        ("gpu", r"data.storage: gpu needs 0.0 GB, but here is no GPU; data.storage=auto takes what fits"),
        ("dsik", r"data.storage: got 'dsik', allowed auto, disk, gpu; did you mean 'disk'\?"),
        ("ram", r"data.storage: got 'ram', which was removed, .*: use data.storage=disk, which changes no sample$"),
    ],
)
def test_a_storage_that_is_unknown_removed_or_too_small_is_refused(files, storage, message):
    with pytest.raises(ValueError, match=message):
        store.choose(storage, files, CPU)


@pytest.mark.parametrize("storage", ["ram", "dsik"])
def test_the_data_module_refuses_an_unknown_storage_before_it_looks_at_files(storage):
    with pytest.raises(ValueError, match=f"data.storage: got '{storage}'"):
        SeparationDataModule("/nowhere", name="t", storage=storage)


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
