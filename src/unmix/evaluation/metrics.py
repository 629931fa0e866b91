"""The metrics of an evaluation: to add one, add an entry to `TRACK_METRICS`.

Importing this module needs neither torch nor museval, so that a command that only shows scores starts quickly.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from unmix.evaluation.projections import ReadStems

# BSS Eval v4's ratios, computed together over one-second windows, in the order of SiSEC 2018's tables.
METRICS = ("SDR", "SIR", "ISR", "SAR")
Medians = Mapping[str, Mapping[str, float]]  # target -> metric -> dB
BLOCK = 1 << 20  # samples that are read at once


@dataclass(frozen=True)
class TrackMetric:
    """A metric of all samples of a track at once, reported as its mean over tracks.

    Args:
        key: name in the JSON file of a track.
        summary_key: name in summary.json.
        title: title of its column in the report.
        compute: (references, estimates, number of samples) -> one value per source, in dB.
    """

    key: str
    summary_key: str
    title: str
    compute: "Callable[[ReadStems, ReadStems, int], Tensor]"


def whole_track_sdr(references: "ReadStems", estimates: "ReadStems", num_samples: int) -> "Tensor":
    """Compute the SDR of all samples and channels at once, dB, (sources,), as the Music Demixing Challenge 2021 does.

    Y. Mitsufuji et al., Music Demixing Challenge 2021, Frontiers in Signal Processing 1 (2022), equation 1; its
    10^-7 keeps silence finite.
    """
    import torch

    signal, noise = torch.zeros(2, 1, dtype=torch.float64)
    for start in range(0, num_samples, BLOCK):
        span = start, min(start + BLOCK, num_samples)
        reference = references(*span).double()
        signal = signal + reference.square().sum(dim=(1, 2))
        noise = noise + (reference - estimates(*span)).square().sum(dim=(1, 2))
    return 10 * ((signal + 1e-7) / (noise + 1e-7)).log10()


TRACK_METRICS = [TrackMetric("whole_track_sdr", "mean_sdr_of_whole_tracks", "SDR, whole tracks", whole_track_sdr)]


def mean_sdr(medians: Medians) -> float:
    """Mean over targets of the median SDR, dB: one number to sort methods by; NaN when a target has no score."""
    return sum(metrics["SDR"] for metrics in medians.values()) / len(medians)
