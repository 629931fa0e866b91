"""A metric of one's own: one class."""

from collections.abc import Mapping

from torch import Tensor

from unmix.evaluation.metrics import Definition
from unmix.evaluation.stems import Stems


class PeakError:
    """Largest error of any sample, as a share of `full_scale`; low is better.

    Args:
        full_scale: largest possible sample.
    """

    def __init__(self, full_scale: float = 1.0) -> None:
        self.full_scale = full_scale
        measure = f"largest error of a sample, of {full_scale:g}"
        self.definitions = (Definition("peak error", measure, unit="", better="low"),)

    def __call__(self, stems: Stems) -> Mapping[str, Tensor]:
        """Peaks, (sources,)."""
        peak = 0
        for references, estimates in stems.blocks():
            peak = (references - estimates).abs().amax(dim=(1, 2)).clamp_min(peak)
        return {"peak error": peak / self.full_scale}
