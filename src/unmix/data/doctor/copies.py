"""Detector of copies within a track: two files that hold the same recording, such as a mixture exported as a source."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from unmix.data.doctor.finding import Finding
from unmix.data.doctor.measuring import Measurement
from unmix.data.tracks import Track

SAME = 0.99  # correlation
ALONE = 1e-2  # of the mixture's energy, -20 dB: with less in all other sources, one source is the mixture


def copies(track: Track, measured: Measurement) -> Iterator[Finding]:
    """Find pairs of files that hold the same recording."""
    files, channels = len(measured.stems), measured.num_channels
    gram = measured.gram.sum(axis=0, dtype=np.float64).reshape(files, channels, files, channels)
    inner = np.einsum("acbc->ab", gram)
    energy = inner.diagonal()
    for a, b in combinations(range(files), 2):
        is_mixture = measured.stems[a] == "mixture"
        rest = energy.sum() - energy[a] - energy[b]
        if min(energy[a], energy[b]) <= 0 or (is_mixture and rest < ALONE * energy[a]):
            continue
        if inner[a, b] > SAME * np.sqrt(energy[a] * energy[b]):
            first, second = measured.stems[a], measured.stems[b]
            path, remedy = str(track.path(second)), f"export {second} again, or remove the track"
            what = f"{second} holds the recording of {first}"
            yield Finding("error", "copy", track.name, path, what, remedy, values={"of": first})
