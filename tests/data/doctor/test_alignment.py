"""A mixture is compared with its sources: delay, level, polarity, and what none of these explains."""

import numpy as np
import pytest
import soundfile

from unmix.data import pcm
from unmix.data.datamodule import SeparationDataModule
from unmix.data.doctor import alignment
from unmix.data.doctor.examination import examine_track

pytestmark = pytest.mark.slow

SOURCES = ("vocals", "drums", "bass", "other")


@pytest.fixture
def error(tmp_path, write_tree):
    """The errors of a track whose mixture was changed: (mixture, sources by name) -> mixture, all of floats."""

    def measure(change, *, num_samples=20_000, level=1.0):
        root = write_tree(tmp_path / "tree", ("A - B", "Actions - One Minute Smile"), num_samples=num_samples)
        folder = root / "train" / "A - B"
        sources = {}
        for stem in SOURCES:
            sources[stem] = soundfile.read(folder / f"{stem}.wav", dtype="int16")[0] * 0.1 * level
            integers = np.rint(sources[stem]).astype(np.int16)
            soundfile.write(folder / f"{stem}.wav", integers, 44100, subtype="PCM_16")
        mixture = np.rint(change(sum(sources.values()), sources)).astype(np.int16)
        soundfile.write(folder / "mixture.wav", mixture, 44100, subtype="PCM_16")
        (track,) = SeparationDataModule(root, name="t", cache=tmp_path / "cache").splits.train
        examined = examine_track(track, tmp_path / "cache")
        assert examine_track(track, tmp_path / "cache").findings == examined.findings, "read from the cache"
        errors = [finding for finding in examined.findings if finding.severity == "error"]
        return ", ".join(f"{error.what} ({error.detail})" if error.detail else error.what for error in errors)

    return measure


def shifted(mixture, by):
    return np.roll(np.pad(mixture, ((5000, 5000), (0, 0))), by, axis=0)[5000:-5000]


@pytest.mark.parametrize("block", [2**17, 7000])
@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (441, "mixture is 441 samples later than the sum of its sources"),
        (-4000, "mixture is 4000 samples earlier than the sum of its sources"),
        (1, "mixture is 1 sample later than the sum of its sources"),
    ],
)
def test_a_shifted_mixture_is_measured_to_the_sample(error, monkeypatch, by, expected, block):
    monkeypatch.setattr(alignment, "_BLOCK", block)
    assert error(lambda mixture, _: shifted(mixture, by)) == expected


@pytest.mark.parametrize(
    ("gain_db", "expected"),
    [
        (21.0, "mixture is 21.0 dB louder than the sum of its sources"),
        (-6.0, "mixture is 6.0 dB quieter than the sum of its sources"),
        (1.1, "mixture is 1.1 dB louder than the sum of its sources"),
        (0.9, ""),
        (-0.9, ""),
    ],
)
def test_the_level_of_a_mixture_is_measured(error, gain_db, expected):
    assert error(lambda mixture, _: mixture * 10 ** (gain_db / 20)) == expected


def test_shift_level_and_polarity_are_told_together(error):
    expected = "mixture is 30 samples later and 3.0 dB louder than the sum of its sources, mixture is inverted"
    assert error(lambda mixture, _: -shifted(mixture, 30) * 10 ** (3 / 20)) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"vocals": -1}, "vocals is inverted in the mixture"),
        ({"bass": 0}, "bass is missing from the mixture"),
        ({"drums": 2, "other": 0.5}, "drums is 6.0 dB louder in the mixture, other is 6.0 dB quieter in the mixture"),
    ],
)
def test_a_source_that_is_mixed_otherwise_is_named(error, changes, expected):
    factors = dict.fromkeys(SOURCES, 1) | changes
    assert error(lambda _, sources: sum(factors[stem] * sources[stem] for stem in SOURCES)) == expected


def test_a_mixture_of_other_music_is_an_error(error):
    noise = np.random.default_rng(5).normal(0, 1000, size=(20_000, 2))
    assert error(lambda mixture, _: noise).startswith(
        "mixture is not the sum of its sources (mixture minus sum is at +"
    )


def mastered(mixture, drive):
    """Soft clipping, scaled so that the level stays the same: what is added is distortion."""
    loud = np.tanh(mixture / mixture.std() * drive)
    return loud * (loud * mixture).sum() / (loud**2).sum()


def test_a_mixture_that_was_mastered_gently_is_no_error(error):
    assert error(lambda mixture, _: mastered(mixture, 1.0)) == ""


def test_a_mixture_that_was_mastered_and_made_louder_is_one(error):
    message = error(lambda mixture, _: 1.8 * mastered(mixture, 1.0))
    assert message == "mixture is 4.5 dB louder than the sum of its sources"


def test_a_silent_mixture_is_an_error_and_silence_in_all_files_is_none(error):
    assert error(lambda mixture, _: 0 * mixture) == "mixture is silent, but its sources are not"


def test_silence_in_all_files_is_no_error(error):
    assert error(lambda mixture, _: mixture, level=0.0) == ""


def test_sources_that_are_silent_beside_a_mixture_are_an_error(error):
    message = error(lambda mixture, _: 1000 * np.sin(np.arange(40_000.0)).reshape(-1, 2), level=0.0)
    assert message == "mixture is not the sum of its sources (mixture minus sum is at +0.0 dB of the mixture)"


def test_a_long_track_is_read_in_blocks(tmp_path, write_tree, monkeypatch):
    root = write_tree(tmp_path / "tree", ("A - B", "Actions - One Minute Smile"), num_samples=30_000)
    (track,) = SeparationDataModule(root, name="t", cache=tmp_path / "cache").splits.train
    monkeypatch.setattr(alignment, "_BLOCK", 1000)
    monkeypatch.setattr(alignment, "MAX_SHIFT", 500)
    lengths, read = [], pcm.read_int16
    monkeypatch.setattr(
        pcm, "read_int16", lambda *args, **options: (lengths.append(options["num_samples"]), read(*args, **options))[1]
    )
    found = alignment.align(track)
    assert found.is_exact
    assert (found.shift, found.gain, found.gains) == (0, pytest.approx(1), {})
    assert max(lengths) == 2000
