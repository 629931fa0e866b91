"""MP3 clips of an evaluation, kept as files for other pages: one passage that is the same for every method."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from unmix.evaluation.scoring import EvaluationFolder
from unmix.experiments import folder

TYPICAL = "typical"
STEMS = ("mixture", "reference", "estimate")


@dataclass(frozen=True)
class Clips:
    """Clips of a target: the name of the track and the time of the passage, and MP3 files by name of the stem."""

    title: str
    sounds: Mapping[str, bytes]


def write(where: EvaluationFolder, clips: Mapping[str, Clips]) -> None:
    """Write the clips of every target into the folder of an evaluation."""
    for target, own in clips.items():
        for stem in STEMS:
            path = where.clip(target, f"{TYPICAL}-{stem}")
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(own.sounds[stem])
    titles = {target: own.title for target, own in clips.items()}
    folder.write_json(where.path / "clips" / f"{TYPICAL}.json", titles)  # last, as it says what is complete


def read(where: EvaluationFolder) -> dict[str, Clips]:
    """Read the clips of every target; empty for an evaluation by a version that kept none."""
    path = where.path / "clips" / f"{TYPICAL}.json"
    titles = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return {
        target: Clips(title, {stem: where.clip(target, f"{TYPICAL}-{stem}").read_bytes() for stem in STEMS})
        for target, title in titles.items()
    }
