"""Settings of the Slurm launcher, checked before anything is submitted."""

import math
import re
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unmix import checks, errors
from unmix.cluster.submission import Request
from unmix.extras import require

KEY = "hydra.launcher"
OPTIONS = ("partition", "account", "constraint", "mem")
# The formats of sbatch's --time, whose meaning of `12:30` depends on what surrounds it.
TIME = re.compile(
    r"(?:(?P<days>\d+)-(?P<hours>\d+)(?::(?P<minutes>\d+)(?::(?P<seconds>\d+))?)?)"
    r"|(?:(?P<h>\d+):(?P<m>\d+):(?P<s>\d+))|(?:(?P<min>\d+)(?::(?P<sec>\d+))?)"
)


def request(
    folder: Path,
    max_parallel: Any,
    time: Any,
    signal_seconds: Any,
    setup: Any,
    extra: Any,
    options: Mapping[str, Any],
) -> Request:
    """Check what is asked of Slurm.

    Args:
        folder: folder for the scripts and messages of the jobs.
        max_parallel, time, signal_seconds, setup, extra: settings of `conf/hydra/launcher/slurm.yaml`.
        options: its other settings, of `OPTIONS`; None is Slurm's default.
    Raises:
        ValueError: naming the setting; or when submitit or Slurm is not installed.
    """
    check_installed()
    if max_parallel is not None:
        checks.integer(f"{KEY}.max_parallel", max_parallel, least=1)
    for name, value in options.items():
        if name not in OPTIONS:
            raise ValueError(errors.unknown(f"{KEY}.{name}", name, OPTIONS))
        if value is not None:
            checks.text(f"{KEY}.{name}", value)
    limit = minutes(f"{KEY}.time", time)
    checks.integer(f"{KEY}.signal_seconds", signal_seconds, least=1)
    if limit * 60 <= signal_seconds:
        raise ValueError(
            f"{KEY}.time: got {time!r}, allowed more than {KEY}.signal_seconds={signal_seconds}: "
            "a job would stop as soon as it starts"
        )
    lines = checks.texts(f"{KEY}.setup", [setup] if isinstance(setup, str) else setup, may_be_empty=True)
    further = dict(map(_option, shlex.split(checks.text(f"{KEY}.extra", extra)))) if extra is not None else {}
    given = {name: value for name, value in options.items() if value is not None}
    return Request(folder, limit, signal_seconds, max_parallel, {**given, "setup": lines}, further)


def _option(text: str) -> tuple[str, str | bool]:
    """Split an option of sbatch, such as `--qos=long` or `--exclusive`, into name and value."""
    match = re.fullmatch(r"--([a-z][a-z-]*)(?:=(.+))?", text)
    if match is None:
        raise ValueError(f"{KEY}.extra: got {text!r}, long options of sbatch are needed, as --qos=long --exclusive")
    return match[1], match[2] or True


def check_installed() -> None:
    """Check that submitit is installed, and that this machine can submit jobs.

    Raises:
        ValueError: saying what to install, or where to go.
    """
    require("hydra/launcher=slurm", "submitit", "slurm")
    for program in ("sbatch", "srun", "squeue"):
        if shutil.which(program) is None:
            raise ValueError(
                f"hydra/launcher=slurm: {program} is not on PATH; submit from a login node of the cluster, "
                "or leave hydra/launcher=process to train on this machine"
            )


def cpus(value: Any) -> Any:
    """Check the number of CPUs of each rank; `auto` is allowed."""
    return value if value == "auto" else checks.integer(f"{KEY}.cpus_per_task", value, least=1)


def minutes(name: str, value: Any) -> int:
    """Convert a time limit of Slurm to minutes, rounded up.

    Raises:
        ValueError: when it has another format, or is 0.
    """
    match = TIME.fullmatch(str(value)) if isinstance(value, str | int) and not isinstance(value, bool) else None
    parts = {part: int(text) for part, text in match.groupdict().items() if text} if match else {}
    seconds = sum(count * SECONDS[part] for part, count in parts.items())
    if not seconds:
        raise ValueError(
            f"{name}: got {value!r}, a time limit is needed: minutes, HH:MM:SS or D-HH:MM:SS, as 90 or 1-12:00:00"
        )
    return math.ceil(seconds / 60)


SECONDS = {
    "days": 86400,
    "hours": 3600,
    "minutes": 60,
    "seconds": 1,
    "h": 3600,
    "m": 60,
    "s": 1,
    "min": 60,
    "sec": 1,
}
