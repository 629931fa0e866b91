"""What a separator accepts as a mixture in Python: tensors and NumPy arrays, with or without a batch axis."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from unmix.dsp.arrays import as_tensor
from unmix.errors import counted


def separate(mixture: Any, num_channels: int, window: Tensor, run: Callable[[Tensor], Tensor]) -> Tensor:
    """Check a mixture, run a separator on it, and return estimates without a batch axis if the mixture has none.

    Args:
        mixture: tensor or NumPy array, (batch, channels, samples) or (channels, samples).
        num_channels: audio channels that the separator takes.
        window: of the separator's STFT; the mixture is converted to its precision and moved to its device.
        run: (batch, channels, samples) -> (batch, sources, channels, samples).
    Raises:
        ValueError: on another type or shape, integers, or samples that are NaN or infinite.
    """
    samples = as_tensor("mixture", mixture)
    if not samples.is_floating_point():
        raise ValueError(
            f"mixture: got {samples.dtype}, floating-point samples are needed, full scale at 1; for 16-bit integers "
            "that is mixture / 32768"
        )
    _check_shape(tuple(samples.shape), num_channels)
    if not bool(samples.isfinite().all()):
        raise ValueError("mixture: got NaN or infinite samples, finite ones are needed")
    samples = samples.to(window)
    return run(samples) if samples.ndim == 3 else run(samples[None])[0]


def _check_shape(shape: tuple[int, ...], num_channels: int) -> None:
    """Raise ValueError on any shape but (batch, channels, samples) and (channels, samples)."""
    needed = f"(batch, channels, samples) or (channels, samples) with {counted(num_channels, 'channel')}"
    if len(shape) not in (2, 3) or 0 in shape or shape[-2] != num_channels:
        hint = ""
        if len(shape) in (2, 3) and shape[-1] == num_channels:
            hint = "; swap the last two axes"
        elif len(shape) in (2, 3) and shape[-2] == 1:
            hint = f"; mixture.repeat_interleave({num_channels}, dim=-2) repeats a mono channel"
        raise ValueError(f"mixture: got shape {shape}, {needed} is needed{hint}")
