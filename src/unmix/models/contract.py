"""The contract of a model: all that training, evaluation and separation rely on.

A model needs no base class. Beside `SourceSeparator` it may have any of these, which are looked up by name:

    chunk_seconds           length of the chunks that long tracks are cut into for this model; 10 s by default
    prepare(data, device)   called once before training, with `TrainingData`
    join(models, targets=..., ...)  class method that joins one model of this class, or several of one target each,
                            into a separator of these targets, see `joined.join`
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from unmix.errors import counted

DEFAULT_CHUNK_SECONDS = 10.0

# read(start, stop) returns samples start .. stop - 1 of a track, (channels, samples).
Read = Callable[[int, int], Tensor]


class SourceSeparator(Protocol):
    """Model that estimates one or several sources of a mixture: waveforms in, waveforms out.

    Args:
        targets: names of the estimated sources, in the order of the output.
        sample_rate: Hz.
        num_channels: audio channels.
    """

    targets: tuple[str, ...]
    sample_rate: int
    num_channels: int

    def forward(self, mixture: Tensor) -> Tensor:
        """Estimate the targets: (batch, channels, samples) -> (batch, targets, channels, samples)."""


@runtime_checkable
class Separator(Protocol):
    """One or several models joined to separate tracks of any length, see `joined.join`."""

    targets: tuple[str, ...]
    sample_rate: int
    num_channels: int

    def __call__(self, mixture: Tensor) -> Tensor:
        """Separate mixtures: (batch, channels, samples) -> (batch, sources, channels, samples).

        A mixture (channels, samples) gives (sources, channels, samples), see `mixture.separate`.
        """

    def stream(self, read: Read, num_samples: int, *, exact_seconds: float = 900.0) -> Iterator[Tensor]:
        """Separate a track of any length in bounded memory; yields blocks (sources, channels, samples)."""


class TrainingData(Protocol):
    """Statistics of the training data that a model's `prepare` may ask for."""

    def magnitude_statistics(self, stft: nn.Module, device: torch.device) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each frequency bin over all training mixtures, (bins,) each."""


def check(model: Any, name: str = "model") -> None:
    """Check that an object has the attributes and `forward` of a model; error messages begin with `name`.

    Raises:
        ValueError: when an attribute of the contract is missing or has another type.
    """
    kind = f"{type(model).__module__}.{type(model).__qualname__}"
    if not isinstance(model, nn.Module) or type(model).forward is nn.Module.forward:
        raise ValueError(f"{name}: {kind} is not a model: it needs to be a torch.nn.Module with forward(mixture)")
    for attribute, needed in (("targets", "a tuple of names"), ("sample_rate", "Hz"), ("num_channels", "a number")):
        if not hasattr(model, attribute):
            raise ValueError(f"{name}: {kind} is not a model: it has no attribute `{attribute}` ({needed})")
    targets: Any = model.targets
    is_sequence = isinstance(targets, Sequence) and not isinstance(targets, str)
    if not is_sequence or not targets or not all(isinstance(target, str) for target in targets):
        raise ValueError(f"{name}: {kind}.targets is {targets!r}, a tuple of names is needed")
    if len(set(targets)) < len(targets):
        raise ValueError(f"{name}: {kind}.targets names a source twice: {', '.join(targets)}")
    for attribute in ("sample_rate", "num_channels"):
        value = getattr(model, attribute)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name}: {kind}.{attribute} is {value!r}, a whole number above 0 is needed")


@torch.no_grad()
def check_output(model: nn.Module, name: str = "model") -> None:
    """Check a model's output for one second of noise, by a forward pass on its device.

    Raises:
        ValueError: when the model fails, or its output has a wrong shape or is NaN or infinite.
    """
    separator: Any = model
    was_training, generator = model.training, torch.Generator().manual_seed(0)
    weight = next(model.parameters(), torch.empty(0))
    mixture = torch.rand(1, separator.num_channels, separator.sample_rate, generator=generator) - 0.5
    try:
        check_finite(estimate(model.eval(), mixture.to(weight.device), name), model, name)
    except ValueError:
        raise
    except Exception as error:
        raise ValueError(
            f"{name}: {type(model).__qualname__} failed on a second of noise, {tuple(mixture.shape)}: "
            f"{type(error).__name__}: {error}; HYDRA_FULL_ERROR=1 shows where"
        ) from error
    finally:
        model.train(was_training)


def check_finite(estimates: Tensor, model: nn.Module, name: str = "model") -> None:
    """Check that a model's estimates are finite; raises ValueError when they are not."""
    if not bool(estimates.isfinite().all()):
        raise ValueError(f"{name}: {type(model).__qualname__} returned NaN or infinity")


def estimate(model: Any, mixture: Tensor, name: str = "model") -> Tensor:
    """Run a model and check the shape of its output.

    Shape:
        (batch, channels, samples) -> (batch, targets, channels, samples).

    Raises:
        ValueError: when the output has another shape.
    """
    batch, channels, samples = mixture.shape
    estimates = model(mixture)
    needed = (batch, len(model.targets), channels, samples)
    shape = tuple(estimates.shape) if isinstance(estimates, Tensor) else type(estimates).__name__
    if shape != needed:
        raise ValueError(
            f"{name}: {type(model).__qualname__} returned {shape} for a mixture of {tuple(mixture.shape)}; "
            f"(batch, targets, channels, samples) = {needed} is needed, targets: {', '.join(model.targets)}"
        )
    return estimates


def chunk_samples(model: Any) -> int:
    """Length in samples of the chunks that long tracks are cut into for a model."""
    return round(getattr(model, "chunk_seconds", DEFAULT_CHUNK_SECONDS) * model.sample_rate)


def check_alike(models: Sequence[Any]) -> None:
    """Check that models agree in sample rate and channels, so that they can separate the same mixture.

    Raises:
        ValueError: when they differ in sample rate or number of channels.
    """
    if len({(model.sample_rate, model.num_channels) for model in models}) > 1:
        described = "; ".join(
            f"{', '.join(model.targets)}: {model.sample_rate} Hz, {counted(model.num_channels, 'channel')}"
            for model in models
        )
        raise ValueError(f"ckpt: these models differ in sample rate or channels and cannot be joined: {described}")
