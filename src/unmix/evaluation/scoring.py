"""Scoring of one separated track, and the files of an evaluation; runs in the main process or a worker.

Nothing here imports Lightning, so that a worker takes 4 s to start instead of 10.
"""

import signal
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits

from unmix.data import pcm
from unmix.data.tracks import Track
from unmix.evaluation import passages, scores, track_scoring
from unmix.evaluation.estimates import Estimates, Shared, Sources
from unmix.evaluation.metrics import Metric
from unmix.experiments import folder
from unmix.processes import signals

MIXTURE = "mixture"  # baseline method: every estimate is the mixture divided by the number of sources


@dataclass(frozen=True)
class EvaluationFolder:
    """Paths of the files of an evaluation."""

    path: Path

    def store(self, method: str, track: str) -> Path:
        """JSON file with the scores of a track, for the method `mixture` or the evaluated one, whatever its name."""
        return self.path / (MIXTURE if method == MIXTURE else "tracks") / f"{track}.json"

    def estimate(self, track: str, target: str) -> Path:
        """WAV file with the estimate of a target; written only with `save_estimates`."""
        return self.path / "estimates" / track / f"{target}.wav"

    def passage(self, track: str, target: str) -> Path:
        """WAV file with the passage of a track and target, see `passages.Passage`; only the best and worst are kept."""
        return self.path / "passages" / track / f"{target}.wav"

    def pace(self, track: str) -> Path:
        """Text file with the seconds of processing per second of audio of a track; not in its scores, which repeat."""
        return self.path / "pace" / f"{track}.txt"

    def mean_pace(self, tracks: Sequence[str]) -> float | None:
        """Mean over tracks of the seconds of processing per second of audio; None when one has no record of it."""
        files = [self.pace(track) for track in tracks]
        if not files or not all(file.is_file() for file in files):
            return None
        return round(statistics.fmean(float(file.read_text()) for file in files), 5)

    def typical(self, track: str, target: str) -> Path:
        """WAV file with the passage that is the same for all methods; only that of `Summary.typical_track` is kept."""
        return self.path / "typical" / track / f"{target}.wav"

    def clip(self, target: str, which: str) -> Path:
        """MP3 file with the estimate of a target in its `worst` or `best` track, for web pages."""
        return self.path / "clips" / f"{target}-{which}.mp3"

    def under_way(self, track: str) -> Path:
        """Temporary file of estimates that are not scored yet."""
        return self.path / f".{track}.f32"


@dataclass(frozen=True)
class Scoring:
    """Scores one separated track and its mixture when called, and writes the results.

    Args:
        track: the separated track.
        names: names of the sources, in the order of the estimates.
        estimates: the estimates; their file is deleted after scoring.
        method: name of the evaluated method.
        output: folder of the evaluation.
        metrics: what is computed.
        device: see `track_scoring.score_track`.
        save_estimates: whether to write the estimates as WAV files.
    """

    track: Track
    names: Sequence[str]
    estimates: Estimates
    method: str
    output: EvaluationFolder
    metrics: Sequence[Metric]
    device: torch.device
    save_estimates: bool

    def __call__(self) -> "Scoring":
        """Score the track, write all files, and return `self`."""
        track, references = self.track, Sources(self.track, self.names)
        baseline, store = track_scoring.score_track(
            track.name,
            self.names,
            references,
            [Shared(track, len(self.names)), self.estimates],
            track.num_samples,
            sample_rate=track.sample_rate,
            chosen=self.metrics,
            device=self.device,
        )
        folder.write_atomically(self.output.store(MIXTURE, track.name), baseline)
        self._keep_passages(references, store, self.output.passage)
        self._keep_passages(references, baseline, self.output.typical)
        if self.save_estimates:
            self._save_estimates()
        self.estimates.path.unlink()
        pace = self.estimates.seconds * track.sample_rate / track.num_samples
        folder.write_atomically(self.output.pace(track.name), f"{pace:.5f}\n")
        # last, as this file marks the track as done: if the process is killed before, the track is scored again
        folder.write_atomically(self.output.store(self.method, track.name), store)
        return self

    def _save_estimates(self) -> None:
        """Write every estimate as a WAV file, block by block."""
        track, ends = self.track, [*range(0, self.track.num_samples, pcm.BLOCK), self.track.num_samples]
        for i, name in enumerate(self.names):
            path = self.output.estimate(track.name, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            blocks = (self.estimates(start, stop)[i].numpy() for start, stop in pairwise(ends))
            pcm.write_blocks(path, blocks, track.sample_rate, track.num_channels)

    def _keep_passages(self, references: Sources, store: str, path: Callable[[str, str], Path]) -> None:
        """Write a passage of the track for every target that has a score in `store`, where that is typical of it."""
        track, mixture = self.track, Sources(self.track, ["mixture"])
        for i, name in enumerate(self.names):
            span = passages.span(scores.windows(store, name), track.num_samples, track.sample_rate)
            if span is not None:
                stems = mixture(*span)[0], references(*span)[i], self.estimates(*span)[i]
                passages.Passage(*stems, track.sample_rate).write(path(track.name, name))


def initialize_worker(parent: int) -> None:
    """Set up a scoring worker: it ends with its parent, and uses one thread, as more would oversubscribe the cores.

    Ctrl-C in a terminal reaches it too; only the parent reacts, which lets it finish its track.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signals.die_with_parent(parent)
    threadpool_limits(1)
    torch.set_num_threads(1)
