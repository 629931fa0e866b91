"""How much memory may be taken without running the machine, its container or its GPU out of it; and keeping it."""

import ctypes
import sys
from pathlib import Path

import psutil
import torch

_CGROUPS = Path("/sys/fs/cgroup")
_LIMIT_USED_DROPPABLE = (  # of control groups, version 2 and 1
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
)


def available(device: torch.device) -> int:
    """Bytes that are free: of the device, or of the machine and of the container this process is in."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free
    return min(psutil.virtual_memory().available, _left_in_container(_CGROUPS))


def _left_in_container(groups: Path) -> int:
    """What the control group allows beyond what is in use; page cache that can be dropped is not in use."""
    for limit, used, stat, droppable in _LIMIT_USED_DROPPABLE:
        if (groups / limit).is_file() and (allowed := (groups / limit).read_text().strip()) != "max":
            counts = dict(line.split() for line in (groups / stat).read_text().splitlines())
            return max(0, int(allowed) - int((groups / used).read_text()) + int(counts.get(droppable, 0)))
    return 2**63


def keep_freed_memory() -> None:
    """Have glibc keep freed blocks for the next batch; with other C libraries nothing happens.

    By itself it gives large blocks back to the system, which hands them out again zeroed, page by page: that costs
    several times what it costs to fill them with samples.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        trim_threshold, mmap_max = -1, -4  # M_TRIM_THRESHOLD, M_MMAP_MAX of <malloc.h>
        mallopt(trim_threshold, 2**31 - 1)
        mallopt(mmap_max, 0)
