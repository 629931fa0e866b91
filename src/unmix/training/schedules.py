"""Learning rates that torch has no schedule for."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def cosine(optimizer: Optimizer, *, num_epochs: int, warmup_epochs: int = 0, final: float = 0.0) -> LambdaLR:
    """Up in equal steps, down along half a cosine; stepped once an epoch.

    I. Loshchilov, F. Hutter, SGDR, ICLR 2017, equation 5 without restarts; P. Goyal et al., arXiv 1706.02677 (warm-up).

    Args:
        optimizer: whose learning rates are the highest ones.
        num_epochs: of the whole training.
        warmup_epochs: the first one has the highest rate divided by these, the last of them the highest.
        final: share of the highest rate that the epoch after the last would have.

    Raises:
        ValueError: when there is no epoch left to go down in, or `final` is no share.
    """
    if num_epochs is None or not 0 <= warmup_epochs < num_epochs:
        raise ValueError(
            f"scheduler.warmup_epochs: got {warmup_epochs} of trainer.max_epochs={num_epochs}, allowed 0 up to one less"
        )
    if not 0 <= final <= 1:
        raise ValueError(f"scheduler.final: got {final:g}, allowed 0 up to 1")

    def share(epoch: int) -> float:
        if epoch < warmup_epochs:
            return (epoch + 1) / warmup_epochs
        progress = min(1.0, (epoch - warmup_epochs) / (num_epochs - warmup_epochs))
        return final + (1 - final) * (1 + math.cos(math.pi * progress)) / 2

    return LambdaLR(optimizer, share)
