"""Samples that a user hands over in Python, as tensors."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Samples = Tensor | npt.NDArray[Any]
MOST_CHANNELS = 64  # more are samples taken for channels, as in arrays in museval's order


def as_tensor(name: str, samples: Any) -> Tensor:
    """Return real samples as a tensor, without a copy where that is possible.

    Args:
        name: name of the argument, for messages.
        samples: tensor or NumPy array.
    Raises:
        ValueError: on another type, or values that are not real numbers.
    """
    if isinstance(samples, np.ndarray) and samples.dtype.kind in "fiu":
        # torch takes neither a foreign byte order nor negative strides
        samples = torch.from_numpy(samples.astype(samples.dtype.newbyteorder("="), order="C", copy=False))
    if not isinstance(samples, Tensor | np.ndarray):
        raise ValueError(f"{name}: got {type(samples).__name__}, a tensor or a NumPy array is needed")
    if isinstance(samples, np.ndarray) or samples.is_complex() or samples.dtype == torch.bool:
        raise ValueError(f"{name}: got values of {samples.dtype}, real numbers are needed")
    return samples


def as_stems(references: Samples, estimates: Samples) -> tuple[Tensor, Tensor]:
    """Return true and estimated stems as tensors (sources, channels, samples).

    Raises:
        ValueError: as `as_tensor`, and on shapes that differ or have other axes.
    """
    true, estimated = as_tensor("references", references), as_tensor("estimates", estimates)
    if true.ndim != 3 or true.shape != estimated.shape:
        raise ValueError(
            f"estimates: got shape {tuple(estimated.shape)} and references {tuple(true.shape)}; "
            "both must be (sources, channels, samples), and equal"
        )
    if true.shape[1] > MOST_CHANNELS:
        raise ValueError(
            f"references: got {true.shape[1]} channels, allowed {MOST_CHANNELS} or fewer; the order is (sources, "
            "channels, samples), that of museval is (sources, samples, channels): swap the last two axes"
        )
    return true, estimated
