"""Callback that scores tracks while Lightning's test loop separates the next ones."""

import logging
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from unmix.data.tracks import Track
from unmix.errors import counted
from unmix.evaluation import scores, track_scoring
from unmix.evaluation.metrics import Definition, Metric, definitions_of
from unmix.evaluation.scoring import MIXTURE, EvaluationFolder, Scoring, initialize_worker
from unmix.evaluation.separation import MakeTest, SeparationTest
from unmix.evaluation.summary import Summary
from unmix.settings import check as check_settings
from unmix.time_left import Watch

log = logging.getLogger(__name__)


class Museval(Callback):
    """Callback that scores every track as soon as it is separated; `finish` combines the scores of all tracks.

    Args:
        tracks: all tracks of the evaluation, including those scored before.
        output: folder of the evaluation; tracks whose scores it already holds are not separated again.
        method: name of the evaluated method in tables.
        settings: facts needed to reproduce the scores, for summary and report.
        metrics: what is computed; None is `track_scoring.default_metrics`.
        workers: number of scoring processes, one thread each, that run during separation; with 0, this process scores
            each track before it separates the next.
        save_estimates: whether to write the estimates as WAV files.
        compare: published methods to compare with, see `published.medians_of`.
        on_progress: called with one line of text on the progress after every track.

    Raises:
        ValueError: on a negative number of workers, or as `metrics.definitions_of`.
    """

    def __init__(
        self,
        tracks: Sequence[Track],
        output: EvaluationFolder,
        *,
        method: str,
        settings: dict[str, Any],
        metrics: Sequence[Metric] | None = None,
        workers: int = 0,
        save_estimates: bool = False,
        compare: Sequence[str] = (),
        on_progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        check_settings("evaluation", {"workers": workers, "save_estimates": save_estimates})
        self.tracks = tracks
        self.output = output
        self.method = method
        self.settings = settings
        self.metrics = track_scoring.default_metrics() if metrics is None else metrics
        self.definitions = definitions_of(self.metrics)
        self.workers = workers
        self.save_estimates = save_estimates
        self.compare = compare
        self.on_progress = on_progress
        self.unscored = unscored(tracks, output, method, self.definitions)
        self.pool: ProcessPoolExecutor | None = None
        self.under_way: deque[Future[Scoring]] = deque()

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.num_done, self.num_tracks = 0, int(trainer.num_test_batches[0])
        self.watch = Watch(self.num_tracks)
        if self.workers:
            self.pool = ProcessPoolExecutor(
                self.workers, multiprocessing.get_context("spawn"), initialize_worker, (os.getpid(),)
            )

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Tensor,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        assert isinstance(pl_module, SeparationTest)
        scoring = Scoring(
            pl_module.tracks[int(batch)],
            pl_module.targets,
            outputs["estimates"],
            self.method,
            self.output,
            self.metrics,
            pl_module.device if self.pool is None else torch.device("cpu"),
            self.save_estimates,
        )
        if self.pool is None:
            self._log(scoring())
            return
        self.under_way.append(self.pool.submit(scoring))
        # Waiting estimates take disk space; one more than there are workers keeps all of them busy.
        self._collect(self.workers)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._collect(0)
        self._stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._stop()
        for track in self.unscored:
            self.output.under_way(track.name).unlink(missing_ok=True)  # the estimates, which are large

    def _collect(self, max_pending: int) -> None:
        """Log scored tracks, waiting until at most `max_pending` are still being scored."""
        while self.under_way and (len(self.under_way) > max_pending or self.under_way[0].done()):
            self._log(self.under_way.popleft().result())

    def _stop(self) -> None:
        """Stop the workers after their current tracks; drop the tracks that no worker has started."""
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)
            self.pool = None

    def finish(self) -> Summary:
        """Combine the scores of all tracks, which are read from the folder of the evaluation."""
        stores = {
            method: {track.name: self.output.store(method, track.name).read_text() for track in self.tracks}
            for method in (self.method, MIXTURE)
        }
        rows = [
            row
            for method in stores
            for track, store in stores[method].items()
            for row in scores.of_track(method, track, store)
        ]
        windows = {track: scores.num_windows(store) for track, store in stores[self.method].items()}
        pace = self.output.mean_pace([track.name for track in self.tracks])
        settings = {**self.settings, "seconds_per_second": pace}
        return Summary(self.method, MIXTURE, rows, settings, windows, self.compare, self.definitions)

    def _log(self, scoring: Scoring) -> None:
        """Log a scored track's values of the first metric, and the estimated time left."""
        self.num_done += 1
        num_done, num_tracks, name = self.num_done, self.num_tracks, scoring.track.name
        self.on_progress(f"evaluating, {num_done}/{counted(num_tracks, 'track')}")
        store = self.output.store(self.method, name).read_text()
        main = self.definitions[0].name
        shown = "  ".join(f"{row.target} {row.metrics[main]:.2f}" for row in scores.of_track("", name, store))
        log.info("%s", self.watch.numbered(num_done, f"{name}: {main} {shown}"))


def unscored(
    tracks: Sequence[Track], output: EvaluationFolder, method: str, definitions: Sequence[Definition]
) -> list[Track]:
    """List the tracks of which a score by `definitions` is missing on disk, of the method or of the mixture."""
    files = {track.name: [output.store(name, track.name) for name in (method, MIXTURE)] for track in tracks}
    return [track for track in tracks if not all(_is_complete(file, definitions) for file in files[track.name])]


def _is_complete(store: Path, definitions: Sequence[Definition]) -> bool:
    return store.is_file() and scores.is_complete(store.read_text(encoding="utf-8"), definitions)


def evaluate(make_test: MakeTest, scorer: Museval, trainer: Trainer) -> None:
    """Separate and score all tracks that have no scores yet.

    Ranks share the tracks. The call returns when all ranks are done; only rank 0 should then call `scorer.finish()`.

    Args:
        make_test: function from tracks and folder to the test module.
        scorer: the callback that scores.
        trainer: a Trainer with `scorer` among its callbacks.
    """
    if scorer.unscored:
        num_tracks = counted(len(scorer.tracks), "track")
        log.info("evaluating %d of %s in %s", len(scorer.unscored), num_tracks, scorer.output.path)
        trainer.test(make_test(scorer.unscored, scorer.output), verbose=False)
        trainer.strategy.barrier()
