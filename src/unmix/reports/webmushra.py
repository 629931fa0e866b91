"""Listening tests in the format of webMUSHRA: what listeners hear, and the key that says what it was."""

import html
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt
import soundfile
import yaml

from unmix.evaluation import stimuli
from unmix.evaluation.ratings import REFERENCE
from unmix.experiments import folder

KEY = "key.json"
MAX_CONDITIONS = 12  # BS.1534-3; webMUSHRA refuses more
WELCOME = (
    "<p>You will hear short clips of music. In each trial, several methods took a source (for instance vocals) out of "
    "a song. <b>Reference</b> is the source as it was recorded. Rate how close each clip is to the reference, from 0 "
    "(bad) to 100 (excellent: no difference). One of the clips is the reference itself: rate it with 100.</p>"
    "<p>Use headphones. Set the volume on the next page and leave it there.</p>"
)


@dataclass(frozen=True)
class Trial:
    """One source of one excerpt by several methods.

    Args:
        track: name of the track.
        target: name of the source.
        start: start of the excerpt, seconds.
        reference: true source, (channels, samples).
        mixture: mixture, in the same shape.
        estimates: method -> estimate, in the same shape.
        scores: method -> metric -> value for this excerpt.
    """

    track: str
    target: str
    start: float
    reference: npt.NDArray
    mixture: npt.NDArray
    estimates: Mapping[str, npt.NDArray]
    scores: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class KeyedTrial:
    """What a trial of an exported test was: methods and scores by the name of the condition."""

    track: str
    target: str
    start: float
    conditions: Mapping[str, str]
    scores: Mapping[str, Mapping[str, float]]


class Export:
    """A listening test that is written trial by trial.

    Writes `configs/<name>.yaml` and `configs/resources/<name>/`, which belong into webMUSHRA's folder, and `key.json`,
    which does not: it tells methods and scores of the conditions C1, C2, ...

    Args:
        path: folder to write.
        name: name of the test: letters, digits and hyphens.
        sample_rate: Hz, of all excerpts.
        loudness: of every clip, LUFS.
    """

    def __init__(self, path: Path, name: str, sample_rate: int, loudness: float) -> None:
        self.path, self.name, self.sample_rate, self.loudness = path, name, sample_rate, loudness
        self.pages: list[dict[str, Any]] = []
        self.trials: dict[str, KeyedTrial] = {}

    def add(self, trial: Trial) -> None:
        """Write the clips of a trial: reference, anchors, mixture and estimates, all of one loudness.

        Raises:
            ValueError: when a trial has too many conditions for BS.1534-3.
        """
        name = f"t{len(self.trials) + 1:02d}"
        conditions = {f"C{i}": method for i, method in enumerate(trial.estimates, start=1)}
        clips = {REFERENCE: trial.reference}
        for anchor, cutoff in stimuli.ANCHORS.items():
            clips[anchor] = stimuli.anchor(trial.reference, cutoff, self.sample_rate)
        clips["mixture"] = trial.mixture
        clips |= {condition: trial.estimates[method] for condition, method in conditions.items()}
        if len(clips) > MAX_CONDITIONS:
            most = MAX_CONDITIONS - len(clips) + len(conditions)
            raise ValueError(f"ckpt: got {len(conditions)} methods, a MUSHRA trial has room for {most}: name fewer")
        paths = {}
        for clip, waveform in stimuli.level(clips, self.sample_rate, self.loudness).items():
            paths[clip] = f"configs/resources/{self.name}/{name}/{clip}.wav"
            (self.path / paths[clip]).parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(self.path / paths[clip], waveform.T, self.sample_rate, subtype="PCM_24")
        self.pages.append(_page(name, trial, paths))
        scores = {condition: dict(trial.scores.get(method, {})) for condition, method in conditions.items()}
        self.trials[name] = KeyedTrial(trial.track, trial.target, trial.start, conditions, scores)

    def finish(self, settings: Mapping[str, Any]) -> None:
        """Write the configuration and the key.

        Args:
            settings: facts that reproduce the test, for the key.
        """
        config = {
            "testname": "How close is each clip to the reference?",
            "testId": self.name,
            "bufferSize": 2048,
            "stopOnErrors": True,
            "showButtonPreviousPage": True,
            "remoteService": "service/write.php",
            "pages": [
                {"type": "generic", "id": "welcome", "name": "Welcome", "content": WELCOME},
                {
                    "type": "volume",
                    "id": "volume",
                    "name": "Volume",
                    "content": "Play the clip, and set a comfortable volume.",
                    "stimulus": self.pages[0]["reference"],
                    "defaultVolume": 0.5,
                },
                ["random", *self.pages],
                {
                    "type": "finish",
                    "name": "Thank you",
                    "content": "Please send your ratings.",
                    "showResults": False,
                    "writeResults": True,
                    "popupContent": "Your ratings were sent. Thank you!",
                    "questionnaire": [{"type": "text", "label": "Headphones or loudspeakers", "name": "equipment"}],
                },
            ],
        }
        text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=math.inf)
        text = text.replace("- - random", "-\n  - random")  # webMUSHRA's parser does not know compact nested lists
        folder.write_atomically(self.path / "configs" / f"{self.name}.yaml", text)
        key = {name: asdict(trial) for name, trial in self.trials.items()}
        folder.write_json(self.path / KEY, {"name": self.name, "trials": key, "settings": dict(settings)})


def _page(name: str, trial: Trial, paths: Mapping[str, str]) -> dict[str, Any]:
    return {
        "type": "mushra",
        "id": name,
        "name": html.escape(trial.target),  # not the track: nobody should recognise a song that they know
        "content": f"How close is each clip to the reference ({html.escape(trial.target)})?",
        "showWaveform": True,
        "enableLooping": True,
        "randomize": True,
        "showConditionNames": False,
        "reference": paths[REFERENCE],
        "createAnchor35": False,  # ours are in the stimuli: of the same loudness as all others
        "createAnchor70": False,
        "stimuli": {clip: path for clip, path in paths.items() if clip != REFERENCE},
    }


def read_key(path: Path) -> dict[str, KeyedTrial]:
    """Read the key of an exported test: name of the trial -> what it was.

    Raises:
        ValueError: when the file is not such a key.
        OSError: when it cannot be read.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {name: KeyedTrial(**trial) for name, trial in content["trials"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"key: {path} is not key.json of a listening test, as listen.py format=webmushra writes it: {error}"
        ) from error


def test_id(text: str) -> str:
    """Turn a text into a name that webMUSHRA takes: small letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "listening-test"
