"""Defects that a look at one file finds, whether the mixture shares them or not; clean music has none."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.signal

from unmix.data.doctor import levels

RATE = 44100


def zeroed(start, stop, channels=slice(None)):
    def change(samples):
        changed = samples.copy()
        changed[round(start * RATE) : round(stop * RATE), channels] = 0
        return changed

    return change


def clicked(*positions):
    def change(samples):
        changed = samples.copy()
        changed[[round(position * RATE) for position in positions]] += 9000
        return changed

    return change


def faded(samples):
    """A sound that ends with a fade of 10 ms, as edited stems do."""
    changed = samples.copy()
    changed[2 * RATE : 2 * RATE + 441] *= np.linspace(1, 0, 441)[:, None]
    changed[2 * RATE + 441 :] = 0
    return changed


def low_passed(samples, cutoff=9000):
    return scipy.signal.sosfiltfilt(scipy.signal.butter(12, cutoff, fs=RATE, output="sos"), samples, axis=0)


def clipped(samples):
    return samples.clip(-0.4 * np.abs(samples).max(), 0.4 * np.abs(samples).max())


def mono(samples):
    return np.repeat(samples.mean(axis=1, keepdims=True), 2, axis=1)


def test_clean_music_has_no_defect(findings):
    assert findings("vocals", lambda samples: samples) == []


@pytest.mark.parametrize(
    ("stem", "change", "defect", "severity", "position"),
    [
        ("vocals", np.zeros_like, "silent", "note", None),
        ("drums", lambda samples: samples / 200, "nearly_silent", "warning", None),
        ("bass", lambda samples: samples + 300, "dc_offset", "warning", None),
        ("vocals", clipped, "clipped", "warning", None),
        ("other", lambda samples: np.rint(samples / 64) * 64, "few_bits", "warning", None),
        ("other", mono, "dual_mono", "note", None),
        ("drums", lambda samples: samples * [0, 1], "dead_channel", "warning", None),
        ("vocals", lambda samples: samples[:, :1] * [1, -1], "opposite_channels", "warning", None),
        ("other", zeroed(2, 2.01), "dropout", "warning", 2),
        ("other", zeroed(2, 2.03, 1), "dropout", "warning", 2),
        ("other", zeroed(2.5, 4), "truncated", "warning", 2.5),
        ("vocals", clicked(1.5), "click", "warning", 1.5),
        ("drums", low_passed, "low_pass", "note", None),
    ],
)
def test_a_defect_is_found_in_a_file_whose_mixture_shares_it(findings, stem, change, defect, severity, position):
    (finding,) = [found for found in findings(stem, change, summed=True) if f"{stem}.wav" in found.file]
    assert (finding.defect, finding.severity) == (defect, severity)
    assert finding.position == (None if position is None else pytest.approx(position, abs=1e-3))


def test_a_sound_that_fades_into_silence_is_no_defect(findings):
    assert findings("vocals", faded, summed=True) == []


def test_many_abrupt_ends_are_a_style(findings):
    def gated(samples):
        gate = (np.arange(len(samples)) % 8820 < 4410)[:, None]
        return samples * gate

    found = findings("other", gated, summed=True)
    assert {(finding.defect, finding.severity) for finding in found} <= {("dropout", "note"), ("truncated", "note")}
    assert found


def test_clicks_are_counted(findings):
    (finding,) = findings("other", clicked(1, 2, 3), summed=True)
    assert finding.values["count"] == 3
    assert finding.detail == "3 clicks of up to -11 dBFS"


def test_a_cut_off_is_measured(findings):
    (finding,) = [found for found in findings("drums", low_passed, summed=True) if found.defect == "low_pass"]
    assert finding.values["cutoff_hz"] == pytest.approx(9000, rel=0.05)


@pytest.mark.parametrize("gain_db", [-20, -35])
@pytest.mark.parametrize("summed", [True, False])
def test_bleed_is_measured(findings, music, gain_db, summed):
    bled = 10 ** (gain_db / 20) * music[0]["vocals"]
    found = findings("bass", lambda samples: samples + bled, summed=summed)
    (finding,) = [finding for finding in found if finding.defect == "bleed"]
    assert finding.file.endswith("bass.wav")
    assert finding.values["of"] == "vocals"
    assert finding.values["gain_db"] == pytest.approx(gain_db, abs=1)
    assert all(finding.file.endswith("bass.wav") for finding in found), "no file beside it is blamed"


def test_two_files_with_one_recording_are_an_error(findings, music):
    found = findings("other", lambda _: music[0]["drums"], summed=True)
    errors = [finding.what for finding in found if finding.severity == "error"]
    assert errors == ["other holds the recording of drums"]


@pytest.mark.slow
@pytest.mark.parametrize("milliseconds", [3, 11])
def test_bleed_that_is_late_as_across_a_room_is_measured_with_its_delay(findings, music, milliseconds):
    delay = round(milliseconds / 1000 * RATE)
    late = 0.05 * np.pad(music[0]["drums"], ((delay, 0), (0, 0)))[:-delay]
    (finding,) = findings("vocals", lambda samples: samples + late, summed=True)
    assert finding.what == "vocals holds bleed of drums"
    assert finding.values["samples"] == delay
    assert finding.values["gain_db"] == pytest.approx(-26, abs=1.5)
    assert finding.detail.endswith(f" dB, {1000 * delay / RATE:.1f} ms late")


def means_of(*offsets):
    """Measurement of a stereo file whose blocks have these means in the left channel, over a noise of the means."""
    noise = np.random.default_rng(0).normal(0, 20, (len(offsets), 2))
    means = noise + np.array([[offset, 0] for offset in offsets])
    return SimpleNamespace(
        stems=("vocals",),
        num_channels=2,
        num_samples=len(offsets) * levels.BLOCK,
        sums=means * levels.BLOCK,
        rows=lambda stem: slice(0, 2),
    )


@pytest.mark.parametrize(
    ("offsets", "position"),
    [
        ([300] * 20, None),
        ([0] * 10 + [300] * 20, None),  # most of the time
        ([0] * 22 + [300] * 8, 22),
        ([0] * 8 + [-300] * 7, 8),
        ([0] * 30, "none"),
        ([0] * 27 + [300] * 3, "none"),  # a sound, not an offset
        ([0, 300] * 10, "none"),
    ],
)
def test_an_offset_that_begins_within_a_file_is_found_with_its_position(offsets, position):
    track = SimpleNamespace(name="A", sample_rate=RATE, path=lambda stem: f"{stem}.wav")
    found = list(levels.dc_offset(track, means_of(*offsets)))
    if position == "none":
        assert found == []
        return
    (finding,) = found
    assert finding.position == (None if position is None else pytest.approx(position * levels.BLOCK / RATE))
    assert finding.values["offset"] == pytest.approx(max(offsets, key=abs) / 32768, abs=5e-4)
    assert "left channel" in finding.detail
