"""Samples from Python: arrays become tensors, and what is no audio is refused in one line."""

import numpy as np
import pytest
import torch

from unmix.dsp.arrays import MOST_CHANNELS, as_stems, as_tensor


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">i2", "u1"])
def test_arrays_of_any_byte_order_and_stride_become_tensors(dtype):
    values = np.arange(12).reshape(3, 4).astype(dtype)
    assert as_tensor("a", values).tolist() == values.tolist()
    assert as_tensor("a", values[:, ::-1]).tolist() == values[:, ::-1].tolist()


def test_tensors_and_native_arrays_are_not_copied():
    tensor, array = torch.zeros(3), np.zeros(3, dtype=np.float32)
    assert as_tensor("a", tensor) is tensor
    as_tensor("a", array)[0] = 1
    assert array[0] == 1


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([0.0], "a: got list, a tensor or a NumPy array is needed"),
        (None, "a: got NoneType, a tensor or a NumPy array is needed"),
        (torch.zeros(3, dtype=torch.complex64), r"a: got values of torch.complex64, real numbers are needed"),
        (torch.zeros(3, dtype=torch.bool), "a: got values of torch.bool, real numbers are needed"),
        (np.zeros(3, dtype=complex), "a: got values of complex128, real numbers are needed"),
        (np.array(["x"]), "a: got values of <U1, real numbers are needed"),
    ],
)
def test_other_values_are_refused(value, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        as_tensor("a", value)


def test_stems_have_three_equal_axes_and_few_channels():
    stems = torch.zeros(4, 2, 10)
    assert [part.shape for part in as_stems(stems, stems.numpy())] == [stems.shape] * 2
    for estimates in (stems[:3], stems[..., :9], stems[0]):
        with pytest.raises(ValueError, match=r"both must be \(sources, channels, samples\), and equal"):
            as_stems(stems, estimates)
    swapped = torch.zeros(4, MOST_CHANNELS + 1, 2)
    with pytest.raises(ValueError, match=r"got 65 channels, allowed 64 or fewer; .*swap the last two axes"):
        as_stems(swapped, swapped)
