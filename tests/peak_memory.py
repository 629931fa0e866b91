"""Peak memory of separations, in a process of their own.

getrusage would not do: it gives the maximum of the parent process, too, which survives exec.
"""

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

CODE = """if True:
    import re, sys
    from unmix.config import main
    songs, options = sys.argv[1].split("\\n"), sys.argv[2:]
    for song in songs:
        sys.argv[1:] = [f"input={song}", *options]
        assert main("separate") == 0
        print("peak", re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
"""


def peaks_of_separations(songs: Sequence[Path], *options: str) -> list[float]:
    """Separate songs one after the other; returns the peak after each, in MB, which never falls."""
    command = [sys.executable, "-c", CODE, "\n".join(map(str, songs)), *options, "gpus=0"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [int(peak) / 1024 for peak in re.findall(r"peak (\d+)", printed)]
