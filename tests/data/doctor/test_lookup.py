"""The index of fingerprints finds copies among many recordings, with errors and delays, and compares few pairs."""

import numpy as np
import pytest

from unmix.data.doctor import duplicates, lookup
from unmix.data.doctor.duplicates import Printed
from unmix.data.doctor.fingerprint import NUM_BITS, SILENT
from unmix.data.tracks import Track

COUNT, LENGTH = duplicates.FEW + 16, 900


def with_errors(codes, rate, generator):
    """Codes of which each bit is inverted with a probability."""
    return codes ^ ((generator.random((len(codes), NUM_BITS)) < rate) @ (1 << np.arange(NUM_BITS))).astype(np.int32)


@pytest.fixture(scope="module")
def prints():
    """Recordings, of which 1 is a copy of 0, 3 of 2 (later), and 5 of a part of 4; 6 is silent, 7 and 8 empty."""
    generator = np.random.default_rng(0)
    codes = [generator.integers(0, 2**NUM_BITS, LENGTH).astype(np.int32) for _ in range(COUNT)]
    codes[1] = with_errors(codes[0], 0.2, generator)
    codes[3] = np.concatenate([codes[9][:77], with_errors(codes[2], 0.2, generator)[:-77]])
    codes[5] = with_errors(codes[4], 0.1, generator)[500:]
    codes[6], codes[7], codes[8] = np.full(LENGTH, SILENT, np.int32), codes[7][:0], codes[8][:0]
    return [Printed(Track(str(i), {}), "train", "mixture", row) for i, row in enumerate(codes)]


def test_copies_with_errors_and_delays_are_found_and_nothing_else(prints):
    pairs = set(duplicates.likely(prints, prints, duplicates.SAME))
    assert {pair for pair in pairs if pair[0] != pair[1]} == {(0, 1), (1, 0), (2, 3), (3, 2), (4, 5), (5, 4)}


def test_candidates_come_with_their_lag(prints):
    index = lookup.Index([printed.codes for printed in prints])
    assert dict(index.candidates(prints[2].codes))[3] == 77
    assert dict(index.candidates(prints[5].codes))[4] == 500
    assert list(index.candidates(prints[6].codes)) == list(index.candidates(prints[7].codes)) == []
    assert list(lookup.Index([]).candidates(prints[0].codes)) == []


@pytest.mark.parametrize(("lag", "expected"), [(0, (1, 4)), (1, (-1, 2)), (5, (0, 0)), (-7, (0, 0))])
def test_agreement_counts_the_bits_that_two_recordings_share(lag, expected):
    ones, zeros = 2**NUM_BITS - 1, 0
    codes = np.array([ones, zeros, ones, SILENT, ones], np.int32)
    assert lookup.agreement(codes, codes, lag) == expected


def test_many_files_are_compared_as_few_are(prints, monkeypatch):
    monkeypatch.setattr(duplicates, "_exact", lambda first, second, lag: (lag, True))
    monkeypatch.setattr(duplicates, "HOP", 1)
    monkeypatch.setattr(Track, "sample_rate", 44100)
    longer = [printed for printed in prints if len(printed.codes)]
    by_index = [
        (match.first.track.name, match.second.track.name, match.samples) for match in duplicates.matches(longer, 0.35)
    ]
    monkeypatch.setattr(duplicates, "FEW", 10**6)
    of_all = [
        (match.first.track.name, match.second.track.name, match.samples) for match in duplicates.matches(longer, 0.35)
    ]
    assert by_index == of_all == [("0", "1", 0), ("2", "3", 77), ("4", "5", -500)]
