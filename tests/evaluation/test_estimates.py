"""Readers of stems give the same samples as the files, whichever part is read."""

import itertools

import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from unmix.data import pcm
from unmix.data.tracks import AudioFile, Track
from unmix.evaluation.estimates import RESIDUAL, Estimates, Shared, Sources
from unmix.evaluation.scoring import EvaluationFolder

NUM_SAMPLES = 500


@pytest.fixture(scope="module")
def stems():
    generator = torch.Generator().manual_seed(0)
    vocals, drums, bass = torch.randint(-8000, 8000, (3, 2, NUM_SAMPLES), generator=generator) / 32768
    return {"vocals": vocals, "drums": drums, "bass": bass, "mixture": vocals + drums + bass}


@pytest.fixture(scope="module")
def track(stems, tmp_path_factory):
    folder = tmp_path_factory.mktemp("track")
    files = {}
    for name, samples in stems.items():
        path = folder / f"{name}.wav"
        soundfile.write(path, samples.T.numpy(), 44100, subtype="PCM_16")
        files[name] = AudioFile(path, pcm.read_header(path), path.stat().st_size)
    return Track("A - B", files)


@given(start=st.integers(0, NUM_SAMPLES - 1), length=st.integers(1, NUM_SAMPLES))
def test_sources_are_the_samples_of_the_files_in_the_order_of_the_names(track, stems, start, length):
    stop = min(start + length, NUM_SAMPLES)
    read = Sources(track, ["bass", "vocals"])(start, stop)
    assert torch.equal(read, torch.stack([stems["bass"], stems["vocals"]])[..., start:stop])


def test_the_residual_is_the_sum_of_the_sources_that_are_not_named(track, stems):
    read = Sources(track, ["drums", RESIDUAL])(100, 200)
    assert torch.equal(read[0], stems["drums"][:, 100:200])
    assert torch.allclose(read[1], (stems["vocals"] + stems["bass"])[:, 100:200])


def test_the_baseline_shares_the_mixture_equally(track, stems):
    shared = Shared(track, 4)(10, 60)
    assert shared.shape == (4, 2, 50)
    assert torch.allclose(shared.sum(dim=0), stems["mixture"][:, 10:60])


@given(cuts=st.lists(st.integers(1, NUM_SAMPLES - 1), max_size=5), start=st.integers(0, NUM_SAMPLES - 1))
def test_estimates_are_read_as_they_were_written_whatever_the_blocks(tmp_path_factory, cuts, start):
    written = torch.rand(3, 2, NUM_SAMPLES)
    estimates = Estimates(tmp_path_factory.mktemp("estimates") / "new" / ".a.f32", 3, 2)
    bounds = sorted({0, *cuts, NUM_SAMPLES})
    blocks = [written[..., first:last] for first, last in itertools.pairwise(bounds)]
    assert estimates.write(iter(blocks)) == NUM_SAMPLES
    assert torch.equal(estimates(start, NUM_SAMPLES), written[..., start:])


def test_the_pace_is_the_mean_over_tracks_and_unknown_when_one_has_none(tmp_path):
    output = EvaluationFolder(tmp_path)
    output.pace("a").parent.mkdir()
    output.pace("a").write_text("0.25\n")
    output.pace("b").write_text("0.75\n")
    assert output.mean_pace(["a", "b"]) == 0.5
    assert output.mean_pace(["a", "b", "scored by an older version"]) is None
    assert output.mean_pace([]) is None
