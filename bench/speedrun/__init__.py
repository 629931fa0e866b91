"""What `bench/speedrun.py` adds to a training, as a package that `plugins=[speedrun]` lets a configuration name.

`Budget` ends the training so that its last validation ends at the limit; `to_the_limit` anneals the learning rate until
then. The command hands the limit over in the environment, as it must not change the identity of an experiment.
"""

import json
import math
import os
import resource
import time
from dataclasses import asdict, dataclass
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

VARIABLE = "SPEEDRUN_LIMIT"
WALL, PROCESSOR = CLOCKS = ("wall", "processor")
ENDING_SECONDS = 1.0  # after the last validation, to save the weights and leave Python


@dataclass(frozen=True)
class Limit:
    """Seconds that one process may take from its start, imports included.

    Args:
        clock: `wall`, or `processor`, which counts all threads of this process and the children it has waited for.
        seconds: allowed seconds.
        started: of the wall clock, `time.monotonic()` at the start of the process.
    """

    clock: str
    seconds: float
    started: float

    @classmethod
    def of_this_process(cls) -> "Limit":
        """Read the limit that the command has set."""
        return cls(**json.loads(os.environ[VARIABLE]))

    def environment(self) -> dict[str, str]:
        """Environment that hands the limit over to a process."""
        return {VARIABLE: json.dumps(asdict(self))}

    def used(self) -> float:
        """Seconds used so far."""
        return time.monotonic() - self.started if self.clock == WALL else time.process_time() + children_seconds()


def children_seconds() -> float:
    """Processor seconds of all children that have ended, and of theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Budget(Callback):
    """Callback that stops the training in time for its end and a last validation, as long as the longest so far."""

    def __init__(self) -> None:
        self.limit = Limit.of_this_process()
        self.longest_validation = 0.0

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.validation_started = self.limit.used()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.longest_validation = max(self.longest_validation, self.limit.used() - self.validation_started)

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        is_over = self.limit.used() + self.longest_validation + ENDING_SECONDS >= self.limit.seconds
        trainer.should_stop |= trainer.strategy.reduce_boolean_decision(is_over, all=False)


def to_the_limit(optimizer: Optimizer, *, warmup: float = 0.05, final: float = 0.0) -> LambdaLR:
    """Warm up linearly, then anneal along half a cosine until the limit; to be stepped once per epoch.

    Args:
        optimizer: its learning rate is the highest rate of the schedule.
        warmup: share of the limit in which the rate rises.
        final: rate at the limit, as a share of the highest.
    """
    limit = Limit.of_this_process()
    return LambdaLR(optimizer, lambda _: factor(limit.used() / limit.seconds, warmup, final))


def factor(share: float, warmup: float, final: float) -> float:
    """Learning rate as a share of the highest, when this share of the limit has been used."""
    if share < warmup:
        return share / warmup
    remaining = 0.5 + 0.5 * math.cos(math.pi * min(1.0, (share - warmup) / (1 - warmup)))
    return final + (1 - final) * remaining
