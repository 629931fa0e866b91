"""Effects do to the chosen sources what they are named after, and leave all others bit-identical."""

import numpy as np
import pytest
import torch
from torchaudio.functional import resample

from unmix.data.augmentations.effects import BandLimit, Mixup, Speed, Tilt
from unmix.data.augmentations.registry import REGISTRY
from unmix.data.augmentations.selections import Gain, Polarity, Swap
from unmix.data.datasets import DrawBatch
from unmix.data.mixing import StemBatch, render, scaled
from unmix.data.sampling import Recipe, draw
from unmix.data.tracks import SOURCES

LENGTHS = np.array([3000, 2200])
SEGMENT = 2000
NAMES = {kind: name for name, kind in REGISTRY.items()}


class NoiseStore:
    """Store of noise, whose samples are a function of source, track and position."""

    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        self.samples = torch.randint(-9000, 9000, (2, 4, 2, 3000), generator=generator, dtype=torch.int16)

    def gather(self, tracks, starts, num_samples):
        rows = [
            [self.samples[track, source, :, start : start + num_samples] for source, (track, start) in enumerate(row)]
            for row in torch.stack([tracks, starts], dim=-1).tolist()
        ]
        if not rows:
            return torch.zeros(0, 4, 2, num_samples, dtype=torch.int16)
        return torch.stack([torch.stack(row) for row in rows])


STORE = NoiseStore()


def batch_with(augmentations, num_samples=8):
    recipe = Recipe(SEGMENT, augmentations=augmentations)
    draws = draw(1, 0, 0, num_samples, track_lengths=[LENGTHS] * 4, recipe=recipe)
    return DrawBatch.of(draws).gather(STORE)


def stems_of(waveforms):
    return torch.stack([waveforms[source] for source in SOURCES], dim=1)


def rendered(augmentations, num_samples=8):
    """Sources after augmentation, and without these effects, (batch, sources, channels, samples)."""
    batch = batch_with(augmentations, num_samples)
    waveforms = render(batch, SOURCES, augmentations)
    sources = stems_of(waveforms)
    torch.testing.assert_close(waveforms["mixture"], sources.sum(dim=1))
    return sources, stems_of(render(batch._replace(effects={})))


@pytest.mark.parametrize("effect", [Speed(0.04, 0.5), Mixup(probability=0.5), Tilt(6, 0.5), BandLimit(probability=0.5)])
def test_an_effect_changes_some_sources_and_leaves_the_others_bit_identical(effect):
    changed, plain = rendered({"gain": Gain(), NAMES[type(effect)]: effect})
    is_same = (changed == plain).flatten(2).all(dim=2)
    assert 0.2 < is_same.float().mean() < 0.8
    assert changed.shape == plain.shape
    assert changed.dtype == torch.float32


@pytest.mark.parametrize(
    "augmentations",
    [{"speed": Speed(probability=0)}, {"mixup": Mixup(probability=0)}, {"tilt": Tilt(probability=0)}],
)
def test_an_effect_of_probability_0_changes_nothing(augmentations):
    changed, plain = rendered(augmentations)
    assert torch.equal(changed, plain)


def test_mixup_adds_a_scaled_segment_of_the_same_source():
    augmentations = {"gain": Gain(), "swap": Swap(), "polarity": Polarity(), "mixup": Mixup((0.5, 0.75), 0.4)}
    batch = batch_with(augmentations)
    segments, rows = batch.effects["mixup"]
    changed, plain = rendered(augmentations)
    expected, second = plain.clone(), scaled(segments)
    for position in range(len(rows)):
        for source in range(4):
            expected[rows[position, source], source] += second[position, source]
    assert torch.equal(changed, expected)
    factors = segments.gains / batch.gains.gather(0, rows)
    is_added = factors != 0
    assert ((factors[is_added] >= 0.5) & (factors[is_added] <= 0.75)).all()
    assert 0 < is_added.sum() == ((changed != plain).flatten(2).any(dim=2)).sum() < 32
    assert torch.equal(segments.swaps, batch.swaps.gather(0, rows))


def test_mixup_reads_no_more_rows_than_a_source_needs():
    segments, rows = batch_with({"mixup": Mixup(probability=0.2)}, 64).effects["mixup"]
    added = (segments.gains != 0).sum(dim=0)
    assert len(rows) == added.max() < 32
    assert added.sum() / 256 == pytest.approx(0.2, abs=0.06)


@pytest.mark.parametrize("max_change", [0.02, 0.1])
def test_speed_plays_the_segment_that_was_drawn_at_one_of_its_speeds(max_change):
    speed = Speed(max_change, 0.5)
    batch = batch_with({"speed": speed}, 16)
    segments, rows, speeds = batch.effects["speed"]
    assert segments.stems.shape[-1] == speed.num_read(SEGMENT) == SEGMENT * (1 + max_change)
    changed, _ = rendered({"speed": speed}, 16)
    for position, (row, steps) in enumerate(zip(rows, speeds.tolist(), strict=True)):
        expected = resample(scaled(segments)[position], steps, 50)[..., :SEGMENT]
        torch.testing.assert_close(changed[row, ..., :-50], expected[..., :-50])  # but for the filter at the end


@pytest.mark.parametrize(("max_change", "expected"), [(0.02, {49, 51}), (0.06, {47, 48, 49, 51, 52, 53})])
def test_speeds_are_steps_of_two_percent_without_the_original_one(max_change, expected):
    recipe = Recipe(SEGMENT, augmentations={"speed": Speed(max_change, 1.0)})
    draws = draw(1, 0, 0, 200, track_lengths=[LENGTHS] * 4, recipe=recipe)
    assert set(draws.effects["speed"][2].tolist()) == expected


def test_a_faster_tone_has_a_higher_pitch():
    times = torch.arange(2200) / 44100
    tone = (8000 * torch.sin(2 * torch.pi * 2205 * times)).to(torch.int16).expand(1, 1, 1, 2200)
    segments = scaled(StemBatch(tone, torch.ones(1, 1), torch.zeros(1, 1, dtype=torch.bool)))
    for steps in (46, 55):
        played = Speed().apply(torch.zeros(1, 1, 1, 2000), segments, torch.tensor([0]), torch.tensor([steps]))
        expected = 8000 / 32768 * torch.sin(2 * torch.pi * 2205 * steps / 50 * torch.arange(2000) / 44100)
        torch.testing.assert_close(played[0, 0, 0, 20:-20], expected[20:-20], atol=1e-3, rtol=0)


def test_speed_reads_within_the_tracks_and_keeps_the_start_where_it_can():
    augmentations = {"speed": Speed(0.1, 1.0)}
    recipe = Recipe(SEGMENT, augmentations=augmentations)
    draws = draw(1, 0, 0, 50, track_lengths=[LENGTHS] * 4, recipe=recipe)
    segments, rows, _ = draws.effects["speed"]
    assert rows.tolist() == list(range(50))
    np.testing.assert_array_equal(segments.tracks, draws.tracks)
    np.testing.assert_array_equal(segments.starts, np.minimum(draws.starts, LENGTHS[draws.tracks] - 2200))


def test_a_track_that_is_too_short_for_the_fastest_speed_is_refused():
    recipe = Recipe(SEGMENT, augmentations={"speed": Speed(0.12)})
    with pytest.raises(ValueError, match="a segment has 2240 samples, the shortest track 2200"):
        draw(1, 0, 0, 1, track_lengths=[LENGTHS] * 4, recipe=recipe)


def level_db(sources, low, high):
    """Energy between two frequencies relative to the sample rate, in dB."""
    spectrum = torch.fft.rfft(sources).abs().square()
    num_bins = spectrum.shape[-1]
    return 10 * torch.log10(spectrum[..., int(2 * low * num_bins) : int(2 * high * num_bins)].sum(dim=-1))


@pytest.mark.parametrize("gain_db", [-6.0, 6.0])
def test_tilt_changes_the_balance_of_low_and_high_frequencies(gain_db):
    plain = torch.randn(1, 1, 1, 44100, generator=torch.Generator().manual_seed(0))
    tilted = Tilt().apply(plain.clone(), torch.tensor([0]), torch.tensor([gain_db]))
    below, above = (level_db(tilted, *band) - level_db(plain, *band) for band in ((0, 0.004), (0.2, 0.5)))
    assert (above - below).item() == pytest.approx(gain_db, abs=0.7)


def test_tilts_are_uniform_up_to_their_limit():
    _, tilts = Tilt(3, 1.0).draw(np.random.default_rng(0).random((100, 4, 4)))
    assert -3 <= tilts.min() < -2.9
    assert 2.9 < tilts.max() <= 3
    assert abs(tilts.mean()) < 0.3


def test_band_limit_removes_what_is_above_its_cutoff():
    plain = torch.randn(2, 2, 2, 8000, generator=torch.Generator().manual_seed(0))
    limited = BandLimit().apply(plain.clone(), torch.tensor([0, 3]), torch.tensor([0.1, 0.2]))
    assert torch.equal(limited[0, 1], plain[0, 1])
    assert torch.equal(limited[1, 0], plain[1, 0])
    for sample, source, cutoff in ((0, 0, 0.1), (1, 1, 0.2)):
        loss = level_db(plain, cutoff + 0.04, 0.5) - level_db(limited, cutoff + 0.04, 0.5)
        kept = level_db(limited, 0, cutoff - 0.04) - level_db(plain, 0, cutoff - 0.04)
        assert (loss[sample, source] > 30).all()
        assert (kept[sample, source].abs() < 0.2).all()


def test_cutoffs_are_uniform_in_octaves_between_their_limits():
    effect = BandLimit((2000, 8000), 1.0, sample_rate=16000)
    _, cutoffs = effect.draw(np.random.default_rng(0).random((200, 4, 4)))
    assert (cutoffs >= 0.125).all()
    assert (cutoffs <= 0.5).all()
    assert (cutoffs < 0.25).mean() == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("effect", [Tilt(probability=1), BandLimit(probability=1), Mixup(probability=1), Speed()])
def test_silence_stays_silent_and_integers_stay_as_they_are(effect, monkeypatch):
    monkeypatch.setattr(STORE, "samples", torch.zeros_like(STORE.samples))
    augmentations = {NAMES[type(effect)]: effect}
    batch = batch_with(augmentations)
    assert not render(batch, SOURCES, augmentations)["mixture"].any()
    assert not batch.stems.any()
