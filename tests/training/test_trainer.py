from typing import get_args

import pytest
import torch
from lightning_fabric.plugins.precision.precision import _PRECISION_INPUT_STR, _PRECISION_INPUT_STR_ALIAS_CONVERSION
from pytorch_lightning.accelerators import CPUAccelerator

from unmix import settings
from unmix.training.trainer import GPU_ONLY_PRECISIONS, check_arguments, device_arguments, make_trainer


def pretend(monkeypatch, count):
    """Pretend that this machine has a number of CUDA devices."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


@pytest.mark.parametrize(
    ("available", "gpus", "expected"),
    [
        (0, None, ("cpu", 1, "auto")),
        (2, None, ("gpu", 1, "auto")),
        (2, 0, ("cpu", 1, "auto")),
        (2, 1, ("gpu", 1, "auto")),
        (4, 4, ("gpu", 4, "ddp")),
        (4, -1, ("gpu", 4, "ddp")),
        (0, -1, ("cpu", 1, "auto")),
        (4, [1, 3], ("gpu", [1, 3], "ddp")),
        (4, [2], ("gpu", [2], "auto")),
    ],
)
def test_gpus_are_translated_to_lightning_s_arguments(available, gpus, expected):
    arguments = device_arguments(gpus, num_nodes=1, cpu_processes=1, available=available)
    assert (arguments["accelerator"], arguments["devices"], arguments["strategy"]) == expected


def test_cpu_processes_and_nodes_mean_ddp():
    assert device_arguments(0, num_nodes=1, cpu_processes=2, available=1)["strategy"] == "ddp"
    assert device_arguments(1, num_nodes=2, cpu_processes=1, available=1)["strategy"] == "ddp"


@pytest.mark.parametrize(("available", "gpus"), [(0, 4), (2, 4), (2, [0, 2])])
def test_more_gpus_than_available_are_refused(monkeypatch, available, gpus):
    pretend(monkeypatch, available)
    with pytest.raises(ValueError, match=r"trainer.gpus: got .* but this machine has (no|2) CUDA device"):
        make_trainer(gpus)


@pytest.mark.parametrize("gpus", [-2, "0", True, 0.5, [], [-1]])
def test_gpus_of_another_kind_are_refused(gpus):
    with pytest.raises(ValueError, match=r"trainer.gpus: got .*, a number, a list of indices, -1 \(all\) or null"):
        make_trainer(gpus)


def test_other_arguments_are_passed_to_lightning():
    trainer = make_trainer(0, max_epochs=3, logger=False, enable_checkpointing=False)
    assert trainer.max_epochs == 3
    assert isinstance(trainer.accelerator, CPUAccelerator)


def test_matmul_precision_is_float32_by_default():
    before = torch.get_float32_matmul_precision()
    make_trainer(0, matmul_precision="high")
    assert torch.get_float32_matmul_precision() == "high"
    make_trainer(0)
    assert torch.get_float32_matmul_precision() == before == "highest"
    with pytest.raises(ValueError, match=r"trainer\.matmul_precision: got 'hihg', allowed highest, high, medium"):
        make_trainer(0, matmul_precision="hihg")


def test_unknown_and_conflicting_arguments_are_refused():
    with pytest.raises(ValueError, match=r"trainer.max_epoch: .*did you mean 'max_epochs'\?"):
        make_trainer(0, max_epoch=3)
    with pytest.raises(ValueError, match=r"trainer.devices: not allowed, trainer.gpus sets it"):
        make_trainer(0, devices=2)


CPU_PRECISIONS = [name for name in settings.PRECISIONS if name not in GPU_ONLY_PRECISIONS]


@pytest.mark.parametrize("precision", [*CPU_PRECISIONS, 32])
def test_a_precision_that_is_allowed_on_a_cpu_is_what_lightning_trains_in(precision):
    trainer = make_trainer(0, precision=precision, logger=False, enable_checkpointing=False)
    assert trainer.precision == _PRECISION_INPUT_STR_ALIAS_CONVERSION.get(str(precision), precision)


@pytest.mark.parametrize("precision", [16, "16", "16-mixed"])
def test_half_precision_is_for_gpus_only(precision):
    with pytest.raises(
        ValueError, match=f"trainer.precision: got {precision}, which a CPU cannot do; allowed 32-true, "
    ):
        make_trainer(0, precision=precision)
    assert check_arguments(1, 1, precision=precision)["accelerator"] == "gpu"


def test_lightning_knows_our_precisions():
    assert set(settings.PRECISIONS) <= {*get_args(_PRECISION_INPUT_STR), *_PRECISION_INPUT_STR_ALIAS_CONVERSION}
