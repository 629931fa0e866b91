"""BSS Eval equals museval, and is finite where museval fails."""

import museval.metrics
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import unmix
from unmix.evaluation import bss_eval as module
from unmix.evaluation import projections
from unmix.evaluation.bss_eval import bss_eval, bss_eval_blocks

METRICS = ("sdr", "isr", "sir", "sar")


def draw(num_sources=3, num_channels=2, num_samples=9000, seed=0):
    """References, and estimates with leakage, filtering and noise, (sources, channels, samples)."""
    generator = torch.Generator().manual_seed(seed)
    references = torch.randn(num_sources, num_channels, num_samples, generator=generator)
    noise = torch.randn(references.shape, generator=generator)
    filtered = references + 0.2 * references.roll(3, dims=-1)
    return references, filtered + 0.3 * references.roll(1, dims=0) + 0.1 * noise


def score_by_museval(references, estimates, **options):
    """Call museval, whose axes are (sources, samples, channels)."""
    axes = (stems.transpose(1, 2).numpy() for stems in (references, estimates))
    return museval.metrics.bss_eval(*axes, compute_permutation=False, **options)[:4]


def assert_equal(ours, theirs, decibels=1e-5):
    for metric, expected in zip(METRICS, theirs, strict=True):
        np.testing.assert_allclose(getattr(ours, metric), expected, rtol=0, atol=decibels, equal_nan=True)


@pytest.mark.parametrize("num_channels", [1, 2, 3])
@pytest.mark.parametrize(("window", "hop"), [(2000, 2000), (2000, 1500), (1000, 2500), (9000, 1), (20_000, 2000)])
@pytest.mark.parametrize("filter_length", [1, 2, 64])
def test_scores_equal_those_of_museval(num_channels, window, hop, filter_length, monkeypatch):
    monkeypatch.setattr(module, "NUM_WINDOWS", 2)
    monkeypatch.setattr(projections, "NUM_BLOCKS", 1)
    monkeypatch.setattr(module, "NUM_BINS", 300)
    stems = draw(num_channels=num_channels)
    ours = bss_eval(*stems, window=window, hop=hop, filter_length=filter_length)
    assert_equal(ours, score_by_museval(*stems, window=window, hop=hop, filters_len=filter_length))
    assert ours.sdr.dtype == torch.float64


@settings(deadline=None, max_examples=25)
@given(
    num_samples=st.integers(300, 30_000),  # more samples than taps
    window=st.integers(10, 9000),
    hop=st.integers(300, 9000),
    num_sources=st.integers(1, 4),
    seed=st.integers(0, 1000),
)
def test_scores_equal_those_of_museval_for_any_length_of_track_window_and_hop(
    num_samples, window, hop, num_sources, seed
):
    stems = draw(num_sources, 2, num_samples, seed)
    ours = bss_eval(*stems, window=window, hop=hop, filter_length=16)
    assert_equal(ours, score_by_museval(*stems, window=window, hop=hop, filters_len=16))


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1e-4, 1.0, 30.0])
def test_scores_with_512_taps_equal_those_of_museval_at_any_level(scale):
    references, estimates = (scale * stems for stems in draw(4, 2, 20_000))
    ours = unmix.bss_eval(references, estimates, window=8000, hop=8000)
    assert_equal(ours, score_by_museval(references, estimates, window=8000, hop=8000))


def test_the_same_windows_as_in_museval_are_nan():
    references, estimates = draw(num_samples=12_000)
    references[0, :, 2000:4000] = 0
    references[1, 0, 6000:8000], references[1, 1, 6000:8000] = 0.5, -0.5  # channels that cancel
    estimates[2, :, 8000:9999] = 0  # all but the last sample
    estimates[1, :, 10_000:] = 0
    ours = bss_eval(references, estimates, window=2000, hop=2000, filter_length=32)
    assert_equal(ours, score_by_museval(references, estimates, window=2000, hop=2000, filters_len=32))
    assert ours.sdr.isnan().all(dim=0).tolist() == [False, True, False, True, False, True]


@pytest.mark.parametrize("kind", [0, 1])
def test_a_stem_that_is_silent_throughout_makes_every_window_nan(kind):
    stems = draw()
    stems[kind][1] = 0
    scores = bss_eval(*stems, window=3000, hop=3000, filter_length=32)
    assert all(getattr(scores, metric).isnan().all() for metric in METRICS)


def test_equal_channels_score_like_one_channel():
    """museval fails here: the Gram matrix is singular."""
    references, estimates = draw(num_channels=1)
    stereo = (stems.expand(-1, 2, -1) for stems in (references, estimates))
    mono = bss_eval(references, estimates, window=3000, hop=3000, filter_length=64)
    assert_equal(bss_eval(*stereo, window=3000, hop=3000, filter_length=64), [getattr(mono, m) for m in METRICS], 1e-4)


def test_equal_sources_have_equal_sdr_and_no_interference():
    """museval fails here: the Gram matrix is singular."""
    references, estimates = draw(num_sources=2)
    references[1], estimates[1] = references[0], estimates[0]
    scores = bss_eval(references, estimates, window=3000, hop=3000, filter_length=64)
    assert torch.allclose(scores.sdr[0], scores.sdr[1])
    assert (scores.sir > 60).all()


def test_ratios_of_a_known_estimate():
    """The estimate is a scaled source, a scaled orthogonal source and orthogonal noise; filters have one tap."""
    time = torch.arange(8000, dtype=torch.float64) * 2 * torch.pi / 1000
    tones = torch.stack([torch.sin(k * time) for k in (3, 7, 11)])[:, None]
    references, noise = tones[:2], tones[2]
    estimates = torch.stack([0.5 * references[0] + 0.25 * references[1] + 0.1 * noise, references[1]])
    scores = bss_eval(references, estimates, window=4000, hop=4000, filter_length=1)

    def decibels(signal, distortion):
        return torch.full((2,), 20, dtype=torch.float64) * np.log10(signal / distortion)

    torch.testing.assert_close(scores.sdr[0], decibels(1, (0.5**2 + 0.25**2 + 0.1**2) ** 0.5))
    torch.testing.assert_close(scores.isr[0], decibels(1, 0.5))
    torch.testing.assert_close(scores.sir[0], decibels(0.5, 0.25))
    torch.testing.assert_close(scores.sar[0], decibels((0.5**2 + 0.25**2) ** 0.5, 0.1))
    assert scores.sdr[1].isinf().all()


def test_methods_that_are_scored_together_get_the_scores_that_each_gets_alone():
    references, first = draw(num_samples=9000)
    second = first.roll(1, dims=0) + 0.1 * references
    second[1, :, 3000:6000] = 0  # in this window the second method has no score, the first has
    readers = [lambda start, stop, stems=stems: stems[..., start:stop] for stems in (references, first, second)]
    together = bss_eval_blocks(readers[0], readers[1:], 9000, window=3000, hop=3000, filter_length=16)
    for scores, estimates in zip(together, (first, second), strict=True):
        alone = bss_eval(references, estimates, window=3000, hop=3000, filter_length=16)
        for name in ("sdr", "isr", "sir", "sar"):
            torch.testing.assert_close(getattr(scores, name), getattr(alone, name), rtol=0, atol=1e-9, equal_nan=True)
    assert together[1].sdr[:, 1].isnan().all()
    assert together[0].sdr.isfinite().all()


def test_stems_are_read_in_bounded_pieces_within_the_track():
    references, estimates = draw(num_samples=50_000)
    longest = 0

    def read(stems):
        def piece(start, stop):
            nonlocal longest
            assert 0 <= start < stop <= 50_000
            longest = max(longest, stop - start)
            return stems[..., start:stop]

        return piece

    (scores,) = bss_eval_blocks(read(references), [read(estimates)], 50_000, window=400, hop=400, filter_length=8)
    expected = bss_eval(references, estimates, window=400, hop=400, filter_length=8)
    assert torch.equal(scores.sar, expected.sar)
    assert longest <= projections.NUM_BLOCKS * projections.FFT_SIZE


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"estimates": torch.zeros(3, 2, 99)}, r"estimates: got shape \(3, 2, 99\) and references \(3, 2, 9000\)"),
        ({"references": torch.zeros(0), "estimates": torch.zeros(0)}, r"both must be \(sources, channels, samples\)"),
        ({"references": torch.zeros(3, 2, 0), "estimates": torch.zeros(3, 2, 0)}, "samples: got 0, allowed 1 or more"),
        ({"window": 0}, "window: got 0, allowed 1 or more"),
        ({"hop": -1}, "hop: got -1, allowed 1 or more"),
        ({"filter_length": 0}, "filter_length: got 0, allowed 1 or more"),
        ({"estimates": torch.full((3, 2, 9000), torch.nan)}, "estimates: got NaN or infinite samples"),
        ({"references": torch.full((3, 2, 9000), torch.inf)}, "references: got NaN or infinite samples"),
        ({"estimates": [[[0.0]]]}, "estimates: got list, a tensor or a NumPy array is needed"),
        (
            {"estimates": torch.zeros(3, 2, 9000, dtype=torch.complex64)},
            "got values of torch.complex64, real",
        ),
        ({"references": np.zeros((3, 2, 9000), bool)}, "references: got values of bool, real numbers are needed"),
        (
            {"references": np.zeros((3, 9000, 2)), "estimates": np.zeros((3, 9000, 2))},
            r"references: got 9000 channels, .* that of museval is \(sources, samples, channels\): swap the last two",
        ),
    ],
)
def test_bss_eval_refuses_bad_input(change, message):
    references, estimates = draw()
    arguments = {"references": references, "estimates": estimates, "window": 3000, "hop": 3000, **change}
    with pytest.raises(ValueError, match=message):
        bss_eval(**arguments)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, ">f8"])
def test_arrays_of_numpy_score_like_tensors(dtype):
    references, estimates = draw()
    options = {"window": 3000, "hop": 3000, "filter_length": 8}
    expected = bss_eval(references, estimates, **options)
    scores = bss_eval(references.numpy().astype(dtype), estimates.numpy().astype(dtype), **options)
    assert isinstance(scores.sdr, torch.Tensor)
    torch.testing.assert_close(scores.sdr, expected.sdr, rtol=1e-4, atol=1e-4)


def test_integer_samples_score_like_their_floats():
    integers = [(1000 * stems).to(torch.int16) for stems in draw()]
    options = {"window": 3000, "hop": 3000, "filter_length": 8}
    assert torch.equal(bss_eval(*integers, **options).sar, bss_eval(*(s.double() for s in integers), **options).sar)
