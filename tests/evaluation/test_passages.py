import math
from io import BytesIO

import psutil
import pytest
import soundfile
import torch

from unmix.data.memory import keep_freed_memory
from unmix.evaluation import passages
from unmix.evaluation.passages import Passage

RATE = 1000


@pytest.mark.parametrize(
    ("sdrs", "seconds", "expected"),
    [
        # the median is 4.5: seconds 2 and 9 are equally near, and the first is taken
        ([1, 9, 5, 2, 8, 0, 7, 3, 6, 4], 10, (0, 5000)),
        ([0] * 8 + [5] + [9] * 8, 17, (6000, 11000)),  # second 8 is in the middle
        ([math.nan, math.nan, 3, math.nan], 4.5, (0, 4500)),  # shorter than a passage
        ([1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 1.4], 16, (0, 5000)),
        ([9] * 8 + [1] * 8 + [5], 17, (12000, 17000)),  # ends with the track
        ([math.nan] * 4, 4, None),
    ],
)
def test_a_passage_is_centred_on_the_second_whose_sdr_is_nearest_to_the_median(sdrs, seconds, expected):
    windows = [(float(start), sdr) for start, sdr in enumerate(sdrs)]
    assert passages.span(windows, round(seconds * RATE), RATE) == expected


@pytest.mark.parametrize("num_channels", [1, 2, 5])
def test_a_written_passage_is_read_back(tmp_path, num_channels):
    stems = torch.rand(3, num_channels, 500) - 0.5
    path = tmp_path / "a song" / "bass.wav"
    Passage(*stems, RATE).write(path)
    passage = passages.read(path)
    assert passage.sample_rate == RATE
    for restored, stem in zip(passage.stems.values(), stems, strict=True):
        assert (restored - stem).abs().max() <= 2**-16


def test_an_mp3_keeps_length_rate_channels_and_level():
    tone = 0.5 * torch.sin(torch.arange(44100) * 0.1).expand(2, -1)
    samples, rate = soundfile.read(BytesIO(passages.mp3(tone, 44100)))
    assert (samples.shape[1], rate) == (2, 44100)
    assert len(samples) == pytest.approx(44100, abs=3000)
    assert samples.std() == pytest.approx(0.5 / math.sqrt(2), rel=0.05)


def test_the_busiest_passage_is_where_all_sources_sound():
    stems = torch.zeros(3, 2, 10 * RATE)
    stems[0] = 0.5
    stems[1, :, 2000:7000] = 0.1  # a quiet source counts as much as a loud one
    stems[2, :, 5000:] = 1

    def read(start, stop):
        assert stop - start <= RATE
        return stems[..., start:stop]

    assert passages.busiest(read, 10 * RATE, 2 * RATE, RATE) == 5000
    assert passages.busiest(read, 10 * RATE, 20 * RATE, RATE) == 0
    stems[1:] = 0
    assert passages.busiest(read, 9500, 4 * RATE, RATE) == 0
    stems[2, :, 9000:] = 1
    assert passages.busiest(read, 9500, 4 * RATE, RATE) == 5500  # ends with the track


def test_a_long_track_takes_no_more_memory_than_a_short_one():
    keep_freed_memory()  # as commands do: large blocks come from the heap, and can be fragmented
    process = psutil.Process()

    def growth(num_seconds):
        before = process.memory_info().rss
        passages.busiest(lambda start, stop: torch.ones(4, 2, stop - start), num_seconds * 44100, 44100, 44100)
        return process.memory_info().rss - before

    growth(10)
    assert growth(200) < 100e6


def test_a_flac_has_the_samples_in_16_bits():
    waveform = torch.rand(2, 1000) * 2 - 1
    samples, rate = soundfile.read(BytesIO(passages.flac(waveform, 22050)))
    assert rate == 22050
    assert float((torch.from_numpy(samples.T) - waveform).abs().max()) < 1 / 32768
