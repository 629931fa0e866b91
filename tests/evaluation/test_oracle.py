"""Oracles equal those of SiSEC 2018, implemented here a second time on whole tracks."""

import numpy as np
import pytest
import scipy.signal
import torch

from unmix.evaluation import oracle
from unmix.evaluation.bss_eval import bss_eval
from unmix.evaluation.oracle_names import ORACLES


def draw(num_samples=40_000, num_sources=3):
    """Amplitude-modulated coloured noises, each panned differently, (sources, channels, samples)."""
    generator = np.random.default_rng(0)
    time = np.arange(num_samples) / num_samples
    sources = []
    for i in range(num_sources):
        noise = generator.standard_normal((2, num_samples)) * [[0.3], [0.1 + 0.3 * i]]
        noise += generator.standard_normal(num_samples) * 0.5
        band = scipy.signal.butter(2, [0.01 + 0.1 * i, 0.2 + 0.2 * i], "bandpass", output="sos")
        sources.append(scipy.signal.sosfilt(band, noise) * (1 + np.sin(2 * np.pi * (i + 1) * time)))
    return np.stack(sources)


def separate(kind, sources):
    stems = torch.from_numpy(sources).float()
    mixture = stems.sum(dim=0)
    read_mixture, read_sources = (lambda start, stop, audio=audio: audio[..., start:stop] for audio in (mixture, stems))
    return torch.cat(list(oracle.separate(kind, read_mixture, read_sources, stems.shape[-1])), dim=-1)


def transform(audio):
    return scipy.signal.stft(audio, nperseg=2048)[-1]


def expected(kind, sources):
    x, s = transform(sources.sum(axis=0)), transform(sources)
    if kind == "mwf":
        refined, covariances = [], []
        for y in s:
            r = np.einsum("cfn,dfn->fncd", y, y.conj())
            power = (np.abs(y) ** 2).mean(axis=0)
            covariance = (r / power[..., None, None]).mean(axis=1)
            covariance = covariance * 2 / np.trace(covariance, axis1=1, axis2=2)[:, None, None]
            covariances.append(covariance)
            refined.append(np.einsum("fcd,fndc->fn", np.linalg.inv(covariance), r).real / 2)
        total = sum(v[..., None, None] * r[:, None] for v, r in zip(refined, covariances, strict=True))
        whitened = np.einsum("fncd,dfn->fnc", np.linalg.inv(total), x)
        pairs = zip(refined, covariances, strict=True)
        estimates = [np.einsum("fn,fcd,fnd->cfn", v, r, whitened) for v, r in pairs]
    else:
        power = int(kind[-1])
        strength = np.abs(s) ** power
        mask = strength / strength.sum(axis=0)
        if kind.startswith("ibm"):
            mask = strength / np.abs(x) ** power >= 0.5
        estimates = mask * x
    return scipy.signal.istft(np.stack(estimates), nperseg=2048)[1][..., : sources.shape[-1]]


@pytest.mark.parametrize("kind", ORACLES)
def test_oracles_in_blocks_equal_oracles_on_the_whole_track(kind):
    """Apart from the ends, which one pads by reflection and the other with zeros."""
    sources = draw(200_000)
    ours, theirs = separate(kind, sources).numpy(), expected(kind, sources)
    inner = slice(2048, -4096)
    error = (ours - theirs)[..., inner]
    assert np.sqrt((error**2).mean()) < 5e-3 * np.sqrt((theirs[..., inner] ** 2).mean())
    if kind != "mwf":  # its covariances include the ends
        assert np.sort(np.abs(error).ravel())[: int(0.99 * error.size)].max() < 1e-5


def test_estimates_of_ratio_masks_and_of_the_wiener_filter_sum_to_the_mixture():
    sources = draw()
    for kind in ("irm1", "irm2", "mwf"):
        assert np.abs(separate(kind, sources).numpy().sum(axis=0) - sources.sum(axis=0)).max() < 1e-4


def test_oracles_score_higher_than_the_mixture():
    sources = torch.from_numpy(draw())
    scores = {}
    for kind in ORACLES:
        estimates = separate(kind, sources.numpy()).double()
        scores[kind] = bss_eval(sources, estimates, window=10_000, hop=10_000, filter_length=32).sdr.mean()
    mixture = (sources.sum(dim=0) / 3).expand(3, -1, -1)
    baseline = bss_eval(sources, mixture, window=10_000, hop=10_000, filter_length=32).sdr.mean()
    assert min(scores.values()) > baseline + 1


@pytest.mark.parametrize("num_samples", [1, 2047, 2048, 5000])
@pytest.mark.parametrize("kind", ORACLES)
def test_estimates_are_as_long_as_the_track_and_silence_gives_silence(kind, num_samples):
    assert separate(kind, draw(num_samples=50_000)[..., :num_samples]).shape == (3, 2, num_samples)
    silence = separate(kind, np.zeros((2, 2, num_samples)))
    assert not silence.any()
