"""Ranks that torchrun started: the first one decides whether there is something to train, the others wait for it.

Ranks that Lightning starts itself need none of this: the first rank starts them when it holds the folder.
"""

import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from unmix.errors import counted, one_line
from unmix.processes.signals import HANDLED, Interrupted

log = logging.getLogger(__name__)

POLL_SECONDS = 0.1
# Parts of the errors of gloo and NCCL about a process that is gone.
LOST = ("gloo/transport", "ncclRemoteError")
KEY = "unmix/is_training"


class _Meeting:
    """The store in which the first rank tells the others what to do; global, as torchrun's environment is."""

    store: Any = None


def is_used() -> bool:
    """Whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def check(command: str, *, is_sweep: bool) -> None:
    """Refuse what has no ranks: a sweep, and every command but train.

    Raises:
        ValueError: with the command to type instead.
    """
    if not is_used():
        return
    if is_sweep:
        raise ValueError(
            "torchrun: a sweep gives every job processes of its own; "
            "python src/train.py -m without torchrun, and trainer.gpus=N for the processes of a job"
        )
    if command != "train" and int(os.environ["WORLD_SIZE"]) > 1:
        raise ValueError(f"torchrun: {command}.py starts its own processes; python src/{command}.py without torchrun")


def check_world(arguments: Mapping[str, Any]) -> None:
    """Check that torchrun started as many processes as `trainer` asks for.

    Args:
        arguments: result of `unmix.training.trainer.device_arguments`.
    Raises:
        ValueError: naming both numbers.
    """
    if not is_used():
        return
    devices, machines = arguments["devices"], arguments["num_nodes"]
    a_machine = devices if isinstance(devices, int) else len(devices)
    started, started_here = int(os.environ["WORLD_SIZE"]), int(os.environ["LOCAL_WORLD_SIZE"])
    if (started, started_here) != (a_machine * machines, a_machine):
        key = "trainer.cpu_processes" if arguments["accelerator"] == "cpu" else "trainer.gpus"
        raise ValueError(
            f"{key}: got {a_machine} on each of {counted(machines, 'machine')} (trainer.num_nodes), but torchrun "
            f"started {counted(started, 'process', 'processes')}, {started_here} on this one; give {key} the number of "
            "--nproc-per-node, and trainer.num_nodes that of --nnodes"
        )


@contextmanager
def ranks() -> Iterator[bool]:
    """Yield whether this process has something to do: always, except a rank whose first rank does not train.

    The other ranks of torchrun wait here until the first one calls `announce`, or leaves the block.
    """
    if not is_used() or int(os.environ["WORLD_SIZE"]) == 1:
        yield True
        return
    from torch.distributed.rendezvous import rendezvous

    _Meeting.store, rank, _ = next(rendezvous("env://"))
    if rank != 0:
        logging.getLogger("unmix").setLevel(logging.WARNING)  # the first rank says it
        import_module("unmix.runs.train")  # takes seconds, in which the first rank gets ready
        while not _Meeting.store.check([KEY]):  # `wait` would not be interrupted by a signal
            time.sleep(POLL_SECONDS)
        yield _Meeting.store.get(KEY) == b"1"
        return
    try:
        yield True
    finally:
        if not _Meeting.store.check([KEY]):
            announce(is_training=False)


def announce(*, is_training: bool) -> None:
    """Tell the waiting ranks of torchrun whether to train; does nothing without them."""
    if _Meeting.store is not None:
        _Meeting.store.set(KEY, "1" if is_training else "0")


@contextmanager
def stopping_together() -> Iterator[None]:
    """Stop this rank of torchrun as by a signal when another one is gone, so that the same command continues the run.

    Raises:
        Interrupted: when a collective of the block fails for that reason.
    """
    try:
        yield
    except RuntimeError as error:
        if not is_used() or not any(part in str(error) for part in LOST):
            raise
        log.error("another process of this training has ended: %.100s", one_line(error))
        raise Interrupted(HANDLED[1]) from None


def leave() -> None:
    """Make this process of torchrun one of its own again, which may evaluate what the ranks have trained."""
    if not is_used():
        return
    for name in [name for name in os.environ if name.startswith("TORCHELASTIC_")]:
        del os.environ[name]
    for name in ("RANK", "LOCAL_RANK", "GROUP_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        os.environ.pop(name, None)
