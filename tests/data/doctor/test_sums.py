"""A mixture that is not the sum of its sources is attributed to the file that is wrong."""

import numpy as np
import pytest
import scipy.signal

pytestmark = pytest.mark.slow

RATE = 44100


def shifted(by):
    def change(samples):
        width = abs(by)
        return np.roll(np.pad(samples, ((width, width), (0, 0))), by, axis=0)[width : width + len(samples)]

    return change


def resampled(up, down):
    def change(samples):
        changed = scipy.signal.resample_poly(samples, up, down, axis=0)[: len(samples)]
        return np.pad(changed, ((0, len(samples) - len(changed)), (0, 0)))

    return change


@pytest.mark.parametrize(
    ("stem", "by"), [("vocals", 1), ("drums", -1), ("bass", 441), ("other", -4000), ("vocals", 30000)]
)
def test_a_shifted_source_is_measured_to_the_sample(findings, stem, by):
    (finding,) = [found for found in findings(stem, shifted(by)) if found.severity == "error"]
    assert (finding.defect, finding.values["samples"]) == ("shifted", by)
    side = f"{abs(by)} sample{'s' if abs(by) > 1 else ''} {'later' if by > 0 else 'earlier'}"
    assert finding.what == f"{stem} is {side} than in the mixture"
    assert finding.file.endswith(f"{stem}.wav")


@pytest.mark.parametrize(
    ("stem", "change", "what"),
    [
        ("drums", lambda samples: -samples, "drums is inverted in the mixture"),
        ("vocals", lambda samples: samples * 0.5, "vocals is 6.0 dB louder in the mixture"),
        ("other", lambda samples: samples * [1, -1], "the right channel of other is inverted in the mixture"),
        ("drums", lambda samples: samples[:, ::-1], "the channels of drums are exchanged"),
        (
            "bass",
            resampled(160, 147),
            "bass runs at 0.9187 times its speed in the mixture, as after a wrong sample rate",
        ),
        ("bass", lambda samples: samples * 0, "bass is silent"),
    ],
)
def test_a_wrong_source_is_an_error(findings, stem, change, what):
    (finding,) = findings(stem, change)
    assert (finding.severity, finding.what) == ("error", what)
    assert finding.file.endswith(f"{stem}.wav")


def test_a_small_difference_in_level_is_a_warning(findings):
    (finding,) = findings("other", lambda samples: samples * 10 ** (-0.5 / 20))
    assert (finding.severity, finding.what) == ("warning", "other is 0.5 dB louder in the mixture")


def test_noise_in_a_source_is_found_by_what_the_mixture_lacks(findings):
    noise = np.random.default_rng(0).normal(0, 60, (4 * RATE, 2))
    (finding,) = findings("vocals", lambda samples: samples + noise)
    assert finding.what == "vocals holds something that the mixture lacks"


def test_a_defect_of_a_file_that_the_mixture_does_not_share_is_found_once(findings):
    def broken(samples):
        return np.where(np.arange(len(samples))[:, None] < 2.5 * RATE, samples, 0)

    (finding,) = findings("other", broken)
    assert (finding.severity, finding.defect, finding.position) == ("error", "truncated", pytest.approx(2.5, abs=1e-3))
    assert "mixture minus sum is at -" in finding.detail


def test_a_passage_that_the_mixture_lacks_is_found_with_its_position(findings):
    def other_music(mixture):
        changed = mixture.copy()
        changed[3 * RATE : 3 * RATE + 4000] = np.random.default_rng(0).normal(0, 700, (4000, 2))
        return changed

    found = [finding for finding in findings("mixture", other_music) if finding.severity != "note"]
    assert [finding.file.endswith("mixture.wav") for finding in found] == [True]
    assert found[0].position == pytest.approx(3, abs=0.03)
