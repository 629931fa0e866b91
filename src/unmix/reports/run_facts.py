"""Facts of a run for tables: how long it trained, and on what."""

import json
from pathlib import Path

from unmix.errors import counted
from unmix.experiments import status


def training_seconds(run: Path) -> float | None:
    """Seconds that the training of a run took, all attempts together; None when unknown."""
    now = status.read(run)
    return None if now is None else now.seconds


def hardware(run: Path) -> str | None:
    """What a run was trained on: its GPUs, or else its CPU cores; None when there is no record."""
    path = run / "env.json"
    if not path.is_file():
        return None
    facts = json.loads(path.read_text(encoding="utf-8"))
    gpus = facts.get("gpus") or []
    if gpus:
        return f"{len(gpus)} x {gpus[0]}" if len(gpus) > 1 else str(gpus[0])
    return counted(facts["cpu_count"], "CPU core") if facts.get("cpu_count") else None
