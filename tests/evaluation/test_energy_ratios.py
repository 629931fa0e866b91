"""Metrics against closed forms and against the packages that define them."""

import fast_bss_eval
import museval.metrics
import numpy as np
import pytest
import torch
from msst.utils.metrics import sdr as msst_sdr
from msst.utils.metrics import si_sdr as msst_si_sdr
from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio

from unmix.evaluation import energy_ratios, stems
from unmix.evaluation.energy_ratios import ChunkSdr, SiSar, SiSdr, TrackSdr, WindowShare
from unmix.evaluation.stems import Stems

RATE = 4000


def draw(seconds=3.3, channels=2, seed=0, sources=3):
    """References and estimates with leakage and noise, (sources, channels, samples), float64."""
    generator = torch.Generator().manual_seed(seed)
    references = torch.randn(sources, channels, int(seconds * RATE), generator=generator, dtype=torch.float64)
    noise = torch.randn(references.shape, generator=generator, dtype=torch.float64)
    return references, 0.8 * references + 0.1 * references.roll(1, dims=0) + 0.2 * noise


def compute(metric, references, estimates):
    """Values of a metric with one definition."""
    true, estimated = (lambda start, stop, each=each: each[..., start:stop] for each in (references, estimates))
    (value,) = metric(Stems(true, estimated, references.shape[-1], RATE)).values()
    return value


def museval_sdr(references, estimates):
    axes = [each.transpose(1, 2).numpy() for each in (references, estimates)]
    return museval.metrics.bss_eval(*axes, window=RATE, hop=RATE, filters_len=8)[0]


@pytest.mark.parametrize(("seconds", "channels"), [(3.3, 2), (1.0, 2), (0.4, 2), (2.0, 1), (2.5, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_chunk_sdr_is_museval_s_sdr(seconds, channels, dtype):
    references, estimates = (each.to(dtype) for each in draw(seconds, channels))
    found = compute(ChunkSdr(), references, estimates)
    np.testing.assert_allclose(found.numpy(), museval_sdr(references.double(), estimates.double()), rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", [0, 1])
def test_a_window_with_a_silent_stem_is_nan_for_all_sources_as_in_museval(kind):
    both = draw(4.0)
    both[kind][1, :, RATE : 2 * RATE] = 0
    both[kind][2, 1, 3 * RATE :] = -both[kind][2, 0, 3 * RATE :]  # its channels cancel
    both[kind][0, :, : RATE - 1] = 0  # all but one sample
    found = compute(ChunkSdr(), *both)
    np.testing.assert_allclose(found.numpy(), museval_sdr(*both), rtol=0, atol=1e-6)
    assert found.isnan().tolist() == [[False, True, False, True]] * 3
    assert compute(WindowShare(), *both).tolist() == [50.0] * 3


def test_known_noise_has_a_known_sdr():
    references, _ = draw(2.0, sources=1)
    noise = torch.randn(references.shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    for start in (0, RATE):
        part = (..., slice(start, start + RATE))
        noise[part] *= 10 ** (-13 / 20) * (references[part].square().sum() / noise[part].square().sum()).sqrt()
    assert compute(ChunkSdr(), references, references + noise).tolist() == [pytest.approx([13.0, 13.0], abs=1e-9)]
    assert compute(TrackSdr(), references, references + noise).tolist() == pytest.approx([13.0], abs=1e-6)


@pytest.mark.parametrize("gain", [0.5, 0.999, 2.0, -1.0])
def test_a_known_scale_has_a_known_sdr_and_none_that_is_scale_invariant(gain):
    references, _ = draw()
    expected = -20 * np.log10(abs(1 - gain))
    assert compute(TrackSdr(), references, gain * references).tolist() == pytest.approx([expected] * 3, abs=1e-4)
    assert compute(ChunkSdr(), references, gain * references).median() == pytest.approx(expected, abs=1e-6)
    assert (compute(SiSdr(), references, gain * references) > 140).all()
    assert (compute(SiSar(), references, gain * references) > 140).all()


def test_a_perfect_estimate_has_infinite_chunk_sdr_and_a_finite_one_of_the_track():
    references, _ = draw()
    assert compute(ChunkSdr(), references, references).isinf().all()
    assert compute(TrackSdr(), references, references).isfinite().all()


@pytest.mark.parametrize("channels", [1, 2])
def test_the_sdr_of_whole_tracks_is_msst_s(channels):
    references, estimates = draw(channels=channels)
    expected = msst_sdr(references.numpy(), estimates.numpy())
    np.testing.assert_allclose(compute(TrackSdr(), references, estimates).numpy(), expected, rtol=0, atol=1e-6)


def test_si_sdr_is_that_of_three_packages():
    references, estimates = draw()
    found = compute(SiSdr(), references, estimates)
    flat = [each.flatten(start_dim=1) for each in (references, estimates)]
    torchmetrics = scale_invariant_signal_distortion_ratio(flat[1], flat[0])
    torch.testing.assert_close(found, torchmetrics, rtol=0, atol=1e-6)
    msst = [msst_si_sdr(*(each[i].numpy() for each in (references, estimates))) for i in range(3)]
    np.testing.assert_allclose(found.numpy(), msst, rtol=0, atol=1e-6)
    theirs, *_ = fast_bss_eval.si_bss_eval_sources(*flat, compute_permutation=False)
    torch.testing.assert_close(found, theirs, rtol=0, atol=1e-6)


def test_si_sar_completes_si_sdr_and_si_sir():
    references, estimates = draw()
    flat = [each.flatten(start_dim=1) for each in (references, estimates)]
    sdr, sir, _ = fast_bss_eval.si_bss_eval_sources(*flat, compute_permutation=False)
    expected = -10 * torch.log10(10 ** (-sdr / 10) - 10 ** (-sir / 10))
    torch.testing.assert_close(compute(SiSar(), references, estimates), expected, rtol=0, atol=1e-6)


def test_si_sar_is_the_ratio_to_noise_outside_the_span_of_the_sources():
    generator = torch.Generator().manual_seed(3)
    basis, _ = torch.linalg.qr(torch.randn(2 * RATE, 4, generator=generator, dtype=torch.float64))
    first, second, third, noise = basis.T.reshape(4, 2, RATE)
    references = torch.stack([first, second, third])
    estimates = torch.stack([2 * first + 0.5 * second + 0.02 * noise, second + 0.1 * noise, third + first])
    assert compute(SiSar(), references, estimates)[:2].tolist() == pytest.approx([40.0, 20.0], abs=1e-6)
    assert compute(SiSdr(), references, estimates)[2] == pytest.approx(0.0, abs=1e-6)
    assert compute(SiSar(), references, estimates)[2] > 140


def test_equal_sources_leave_the_span_as_it_is():
    references, estimates = draw(sources=2)
    both = torch.cat([references, references[:1]]), torch.cat([estimates, estimates[:1]])
    torch.testing.assert_close(compute(SiSar(), *both)[:2], compute(SiSar(), references, estimates), rtol=0, atol=1e-6)


@pytest.mark.parametrize("metric", [SiSdr(), SiSar()])
@pytest.mark.parametrize("kind", [0, 1])
def test_scale_invariant_ratios_of_silence_are_nan_for_that_source_only(metric, kind):
    both = draw()
    both[kind][1] = 0
    assert compute(metric, *both).isnan().tolist() == [False, True, False]


@pytest.mark.parametrize("metric", [ChunkSdr(), TrackSdr(), SiSdr(), SiSar(), WindowShare()])
def test_long_tracks_have_the_same_values_read_in_blocks(metric, monkeypatch):
    both = draw(5.0)
    expected = compute(metric, *both)
    monkeypatch.setattr(stems, "BLOCK", 999)
    torch.testing.assert_close(compute(metric, *both), expected, rtol=0, atol=1e-9)


def test_windows_can_be_longer():
    both = draw(4.5)
    whole = [each[..., : 4 * RATE].unflatten(-1, (2, -1)) for each in both]
    energies = [energy.square().sum(dim=(1, 3)) for energy in (whole[0], whole[0] - whole[1])]
    torch.testing.assert_close(
        compute(ChunkSdr(window_seconds=2), *both), energy_ratios.decibels(*energies), rtol=0, atol=1e-9
    )


@pytest.mark.parametrize("level_db", [-140, -60, 0, 40])
def test_single_precision_stems_have_museval_s_sdr_at_any_distance(level_db):
    references, _ = draw(2.0)
    noise = torch.randn(references.shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    both = references.float(), (references + 10 ** (level_db / 20) * noise).float()
    expected = museval_sdr(*(each.double() for each in both))
    np.testing.assert_allclose(compute(ChunkSdr(), *both).numpy(), expected, rtol=0, atol=1e-6)


def test_methods_that_are_scored_together_have_their_own_scores():
    references, estimates = draw(3.0)
    estimates_of = [estimates, estimates.roll(1, dims=0), torch.zeros_like(estimates)]
    together = ChunkSdr().together([Stems.of(references, each, RATE) for each in estimates_of])
    for scores, each in zip(together, estimates_of, strict=True):
        torch.testing.assert_close(
            scores["cSDR"], compute(ChunkSdr(), references, each), rtol=0, atol=0, equal_nan=True
        )
