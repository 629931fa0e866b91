"""What is done with the estimates of a track, in this process or another: scores, and files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from unmix.data import pcm
from unmix.data.tracks import Track
from unmix.evaluation import passages, scores
from unmix.evaluation.estimates import Estimates, Shared, Sources
from unmix.experiments import folder

MIXTURE = "mixture"  # the method that must be beaten: the mixture divided by the number of sources


@dataclass(frozen=True)
class EvaluationFolder:
    """Where an evaluation's files lie."""

    path: Path

    def store(self, method: str, track: str) -> Path:
        """museval's JSON of a track; `method` is ours or `mixture`."""
        return self.path / (MIXTURE if method == MIXTURE else "tracks") / f"{track}.json"

    def estimate(self, track: str, target: str) -> Path:
        return self.path / "estimates" / track / f"{target}.wav"

    def passage(self, track: str, target: str) -> Path:
        """A few seconds to listen to; in the end, of the best and the worst track of a target."""
        return self.path / "passages" / track / f"{target}.wav"

    def clip(self, target: str, which: str) -> Path:
        """What the report plays of the `worst` or `best` track of a target."""
        return self.path / "clips" / f"{target}-{which}.mp3"

    def under_way(self, track: str) -> Path:
        """Estimates that are yet to be scored."""
        return self.path / f".{track}.f32"


@dataclass(frozen=True)
class Scoring:
    """The scores of a separated track, and of its mixture, when called.

    Args:
        track: which.
        names: of its sources, in the order of the estimates.
        estimates: what was separated; the file is removed in the end.
        method: name of what is evaluated.
        where: folder of the evaluation.
        engine, device: see `scores.score_track`.
        save_estimates: also write them as WAV files.
    """

    track: Track
    names: Sequence[str]
    estimates: Estimates
    method: str
    where: EvaluationFolder
    engine: str
    device: torch.device
    save_estimates: bool

    def __call__(self) -> "Scoring":
        track, references = self.track, Sources(self.track, self.names)
        for method, estimates in (
            (MIXTURE, Shared(track, len(self.names))),
            (self.method, self.estimates),  # the last: its scores say that the track is done
        ):
            store = scores.score_track(
                track.name,
                self.names,
                references,
                estimates,
                track.num_samples,
                sample_rate=track.sample_rate,
                engine=self.engine,
                device=self.device,
            )
            if method == self.method:
                self._keep_passages(references, store)
            folder.write_atomically(self.where.store(method, track.name), store)
        if self.save_estimates:
            for i, name in enumerate(self.names):
                path = self.where.estimate(track.name, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                pcm.write(path, self.estimates(0, track.num_samples)[i].numpy(), track.sample_rate)
        self.estimates.path.unlink()
        return self

    def _keep_passages(self, references: Sources, store: str) -> None:
        track, mixture = self.track, Sources(self.track, ["mixture"])
        for i, name in enumerate(self.names):
            span = passages.span(scores.windows(store, name), track.num_samples, track.sample_rate)
            if span is not None:
                stems = mixture(*span)[0], references(*span)[i], self.estimates(*span)[i]
                passages.Passage(*stems, track.sample_rate).write(self.where.passage(track.name, name))
