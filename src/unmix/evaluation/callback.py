"""Scoring, track by track, beside Lightning's test loop that separates."""

import logging
import multiprocessing
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from threadpoolctl import threadpool_limits
from torch import Tensor

from unmix import errors
from unmix.data.tracks import Track
from unmix.evaluation import scores
from unmix.evaluation.scoring import MIXTURE, EvaluationFolder, Scoring
from unmix.evaluation.separation import MakeTest, SeparationTest
from unmix.evaluation.summary import Summary
from unmix.processes import signals

log = logging.getLogger(__name__)


class Museval(Callback):
    """Scores every track as soon as it is separated, and summarizes when all are done.

    Args:
        tracks: all tracks of the evaluation, also those scored before.
        where: folder of the evaluation; a track whose scores are there already is not separated again.
        method: name of the separator, in tables.
        settings: what reproduces the scores, for the summary and the report.
        engine: see `scores.score_track`.
        workers: processes that score, one thread each, while the next track is separated; 0 scores in between.
        save_estimates: also write the estimates as WAV files.
        compare: method whose published medians stand beside ours, see `published.medians_of`.
        tell: called with the progress, for people.
    """

    def __init__(
        self,
        tracks: Sequence[Track],
        where: EvaluationFolder,
        *,
        method: str,
        settings: dict[str, Any],
        engine: str = "torch",
        workers: int = 0,
        save_estimates: bool = False,
        compare: str | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        if workers < 0:
            raise ValueError(f"workers: got {workers}, allowed 0 or more")
        if engine not in scores.ENGINES:
            raise ValueError(errors.unknown("engine", engine, scores.ENGINES))
        self.tracks = tracks
        self.where = where
        self.method = method
        self.settings = settings
        self.engine = engine
        self.workers = workers
        self.save_estimates = save_estimates
        self.compare = compare
        self.tell = tell
        self.unscored = [track for track in tracks if not self._is_scored(track)]
        self.pool: ProcessPoolExecutor | None = None
        self.under_way: deque[Future[Scoring]] = deque()

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.started, self.num_done, self.num_tracks = time.monotonic(), 0, int(trainer.num_test_batches[0])
        if self.workers:
            self.pool = ProcessPoolExecutor(
                self.workers, multiprocessing.get_context("spawn"), _alone_in_its_thread, (os.getpid(),)
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
            self.where,
            self.engine,
            pl_module.device if self.pool is None else torch.device("cpu"),
            self.save_estimates,
        )
        if self.pool is None:
            self._log(scoring())
            return
        self.under_way.append(self.pool.submit(scoring))
        # estimates wait on the disk: one more than there are processes is enough to keep them busy
        self._collect(self.workers)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._collect(0)
        self._stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._stop()
        for track in self.unscored:
            self.where.under_way(track.name).unlink(missing_ok=True)  # as large as the track

    def _collect(self, most: int) -> None:
        """Log finished tracks, and wait until at most this many are unfinished."""
        while self.under_way and (len(self.under_way) > most or self.under_way[0].done()):
            self._log(self.under_way.popleft().result())

    def _stop(self) -> None:
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)
            self.pool = None

    def finish(self) -> Summary:
        """Summarize the scores of all tracks."""
        stores = {
            method: {track.name: self.where.store(method, track.name).read_text() for track in self.tracks}
            for method in (self.method, MIXTURE)
        }
        rows = [
            row
            for method in stores
            for track, store in stores[method].items()
            for row in scores.medians(method, track, store)
        ]
        windows = {track: scores.num_windows(store) for track, store in stores[self.method].items()}
        means = {method: scores.means_over_tracks(list(stores[method].values())) for method in stores}
        return Summary(self.method, MIXTURE, rows, self.settings, windows, self.compare, means)

    def _is_scored(self, track: Track) -> bool:
        files = [self.where.store(method, track.name) for method in (self.method, MIXTURE)]
        return all(file.is_file() and scores.is_complete(file.read_text(encoding="utf-8")) for file in files)

    def _log(self, done: Scoring) -> None:
        self.num_done += 1
        num_done, num_tracks, name = self.num_done, self.num_tracks, done.track.name
        self.tell(f"evaluating, {num_done}/{num_tracks} tracks")
        store = self.where.store(self.method, name).read_text()
        sdr = "  ".join(f"{row.target} {row.metrics['SDR']:.2f}" for row in scores.medians("", name, store))
        remaining = (time.monotonic() - self.started) / num_done * (num_tracks - num_done)
        log.info("[%d/%d] %s: SDR %s (%.0f s to go)", num_done, num_tracks, name, sdr, remaining)


def _alone_in_its_thread(parent: int) -> None:
    """Set up a worker: one thread per worker avoids oversubscription."""
    signals.die_with_parent(parent)
    threadpool_limits(1)
    torch.set_num_threads(1)


def evaluate(make_test: MakeTest, scorer: Museval, trainer: Trainer) -> None:
    """Separate and score the tracks that are not scored yet; `trainer` must have `scorer` among its callbacks.

    Ranks share the tracks. When this returns on the first rank all tracks are scored, and `scorer.finish()` sums up.
    """
    if scorer.unscored:
        log.info("evaluating %d of %d tracks in %s", len(scorer.unscored), len(scorer.tracks), scorer.where.path)
        trainer.test(make_test(scorer.unscored, scorer.where), verbose=False)
        trainer.strategy.barrier()
