"""Learning rate schedules, composed from those of torch."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LambdaLR, LinearLR, LRScheduler, SequentialLR

_FOREVER = 2**31  # epochs


def cosine(optimizer: Optimizer, *, num_epochs: int, warmup_epochs: int = 0, final: float = 0.0) -> SequentialLR:
    """Warm up linearly, then anneal along half a cosine; to be stepped once per epoch.

    I. Loshchilov, F. Hutter, SGDR, ICLR 2017, equation 5 without restarts; P. Goyal et al., arXiv 1706.02677 (warm-up).

    Args:
        optimizer: its learning rate is the highest rate of the schedule.
        num_epochs: length of the training.
        warmup_epochs: epochs in which the rate rises linearly, from highest / warmup_epochs to the highest.
        final: rate after the last epoch, as a share of the highest.

    Raises:
        ValueError: when no epoch is left to anneal, `final` is not a share, or parameters have several learning rates.
    """
    if num_epochs is None or not 0 <= warmup_epochs < num_epochs:
        raise ValueError(
            f"scheduler.warmup_epochs: got {warmup_epochs}, scheduler.num_epochs (trainer.max_epochs) is {num_epochs}: "
            "allowed 0 up to one less"
        )
    if not 0 <= final <= 1:
        raise ValueError(f"scheduler.final: got {final:g}, allowed 0 up to 1")
    rates = {group["lr"] for group in optimizer.param_groups}
    if len(rates) > 1:
        raise ValueError(f"scheduler: cosine needs one learning rate for all parameters, got {sorted(rates)}")
    (highest,) = rates
    annealing = CosineAnnealingLR(optimizer, num_epochs - warmup_epochs, eta_min=final * highest)
    stages: list[LRScheduler] = [annealing, ConstantLR(optimizer, final, total_iters=_FOREVER)]
    if warmup_epochs == 0:
        return SequentialLR(optimizer, stages, milestones=[num_epochs])
    warmup = LinearLR(optimizer, start_factor=1 / warmup_epochs, total_iters=warmup_epochs - 1)
    return SequentialLR(optimizer, [warmup, *stages], milestones=[warmup_epochs, num_epochs])


def migrated_state(state: Mapping[str, Any], make_schedule: Callable[[Optimizer], Any]) -> Mapping[str, Any]:
    """Convert the saved state of the LambdaLR that earlier versions of `cosine` returned; return others unchanged.

    Args:
        state: state of a schedule, from `lr_schedulers` of a checkpoint.
        make_schedule: makes the schedule that will load the state, for an optimiser.
    """
    if "lr_lambdas" not in state:
        return state
    groups = [{"params": [torch.nn.Parameter(torch.zeros(()))], "lr": rate} for rate in state["base_lrs"]]
    optimizer = torch.optim.SGD(groups)
    schedule = make_schedule(optimizer)
    if isinstance(schedule, LambdaLR):
        return state
    optimizer.step()  # torch warns about a schedule that is stepped before its optimiser
    for _ in range(state["last_epoch"]):
        schedule.step()
    converted: dict[str, Any] = schedule.state_dict()
    return converted
