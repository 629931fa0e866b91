"""Settings of the C library's memory allocator."""

import ctypes
import sys


def keep_freed_memory() -> None:
    """Make glibc keep freed memory for the next batch; do nothing with other C libraries.

    By default glibc returns large blocks to the system, which zeroes them page by page when they are allocated again.
    That takes several times as long as filling them with samples.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        trim_threshold, mmap_max = -1, -4  # M_TRIM_THRESHOLD, M_MMAP_MAX of <malloc.h>
        mallopt(trim_threshold, 2**31 - 1)
        mallopt(mmap_max, 0)
