"""The stems of a track that a metric scores, read piece by piece so that memory does not depend on the length."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

# Returns samples start .. stop - 1 of all stems, (sources, channels, samples), real.
ReadStems = Callable[[int, int], Tensor]
BLOCK = 1 << 18  # samples that are read at once


@dataclass(frozen=True)
class Stems:
    """True and estimated stems of one track, in the same order.

    Args:
        references: reads the true stems.
        estimates: reads the estimated stems.
        num_samples: length of the track.
        sample_rate: Hz.
    """

    references: ReadStems
    estimates: ReadStems
    num_samples: int
    sample_rate: int

    @classmethod
    def of(cls, references: Tensor, estimates: Tensor, sample_rate: int) -> "Stems":
        """Make stems of tensors, (sources, channels, samples)."""
        return cls(reader(references), reader(estimates), references.shape[-1], sample_rate)

    def blocks(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield references and estimates block by block, (sources, channels, samples), float64.

        Raises:
            ValueError: on samples that are NaN or infinite.
        """
        for start in range(0, self.num_samples, BLOCK):
            yield self.read(start, min(start + BLOCK, self.num_samples))

    def read(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Read samples start .. stop - 1 of references and estimates; see `blocks`."""
        references, estimates = self.references(start, stop), self.estimates(start, stop)
        check_finite(references=references, estimates=estimates)
        return references.double(), estimates.double()


def reader(stems: Tensor) -> ReadStems:
    """Make a reader of stems that are in memory, (sources, channels, samples)."""
    return lambda start, stop: stems[..., start:stop]


def check_finite(**values: Tensor) -> None:
    """Check that samples, or sums over them, are finite; raises ValueError naming the first that are not."""
    for name, value in values.items():
        if not value.isfinite().all():
            raise ValueError(f"{name}: got NaN or infinite samples, finite ones are needed")
