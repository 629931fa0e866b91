"""The allocator keeps what was freed."""

import ctypes
import subprocess
import sys

import pytest

from unmix.data import memory


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="needs glibc")
def test_freed_blocks_are_reused_without_new_pages():
    script = (
        "import resource, numpy; from unmix.data.memory import keep_freed_memory\n"
        "keep_freed_memory()\n"
        "faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "for size in (10**7, 10**7):\n"
        "    before = faults(); block = numpy.ones(size); del block; print(faults() - before)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    first, second = map(int, done.stdout.split())
    assert second < first / 4


def test_other_c_libraries_are_left_alone(monkeypatch):
    loaded = []
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    monkeypatch.setattr(memory.ctypes, "CDLL", loaded.append)
    memory.keep_freed_memory()
    assert loaded == []
