"""BSS Eval v4 as a metric, and the engines that compute it: our implementation, and the museval package."""

import shutil
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from unmix import settings
from unmix.evaluation.bss_eval import Scores, bss_eval_blocks
from unmix.evaluation.metrics import BSS_EVAL
from unmix.evaluation.stems import BLOCK, ReadStems, Stems


def _torch(
    references: ReadStems, estimates: Sequence[ReadStems], num_samples: int, sample_rate: int
) -> Sequence[Scores]:
    """Score by our implementation, in windows of one second."""
    return bss_eval_blocks(references, estimates, num_samples, window=sample_rate, hop=sample_rate)


def _museval(
    references: ReadStems, estimates: Sequence[ReadStems], num_samples: int, sample_rate: int
) -> Sequence[Scores]:
    """Score by the museval package, in windows of one second.

    Raises:
        FileNotFoundError: when FFmpeg is not installed.
    """
    if shutil.which("ffmpeg") is None or shutil.which("ffprobe") is None:
        raise FileNotFoundError("engine: museval needs ffmpeg and ffprobe on PATH (musdb imports them); install FFmpeg")
    import museval

    scores = []
    for read in estimates:
        if silent_stems(references, num_samples) or silent_stems(read, num_samples):  # museval raises on silent stems
            windows = 1 + max(0, num_samples - sample_rate) // sample_rate
            ratios = [np.full((len(references(0, 1)), windows), np.nan)] * 4
        else:
            # museval's axes: (sources, samples, channels)
            stems = [stem(0, num_samples).transpose(1, 2).cpu().numpy() for stem in (references, read)]
            ratios = museval.evaluate(*stems, win=sample_rate, hop=sample_rate)
        sdr, isr, sir, sar = map(torch.from_numpy, ratios)
        scores.append(Scores(sdr, isr, sir, sar))
    return scores


def silent_stems(read: ReadStems, num_samples: int) -> list[int]:
    """Indices of stems that are silent throughout; as in museval, a stem whose channels cancel is silent."""
    starts = range(0, num_samples, BLOCK)
    pieces = (read(start, min(start + BLOCK, num_samples)) for start in starts)
    heard = torch.stack([piece.sum(dim=1).ne(0).any(dim=-1) for piece in pieces])
    return [i for i, is_heard in enumerate(heard.any(dim=0).tolist()) if not is_heard]


Engine = Callable[[ReadStems, Sequence[ReadStems], int, int], Sequence[Scores]]
ENGINES: dict[str, Engine] = dict(zip(settings.ENGINES, (_torch, _museval), strict=True))


class BssEval:
    """SDR, SIR, ISR and SAR of BSS Eval v4 in windows of one second, as the package museval computes them.

    Args:
        engine: `torch` (our implementation) or `museval` (the package); the values are the same.

    Raises:
        ValueError: on another engine.
    """

    definitions = BSS_EVAL

    def __init__(self, engine: str = "torch") -> None:
        settings.check("evaluation", {"engine": engine})
        self.engine = engine

    def __call__(self, stems: Stems) -> Mapping[str, Tensor]:
        (scores,) = self.together([stems])
        return scores

    def together(self, stems: Sequence[Stems]) -> list[Mapping[str, Tensor]]:
        """Score several methods, which share all work on the references.

        Raises:
            ValueError: on fewer than two stems, or NaN or infinite samples.
            FileNotFoundError: when engine `museval` finds no FFmpeg, which importing museval needs.
        """
        first = stems[0]
        if len(first.references(0, 1)) < 2:
            raise ValueError("got 1 stem; BSS Eval needs at least two, metrics=[csdr,usdr] does not")
        estimates = [method.estimates for method in stems]
        scores = ENGINES[self.engine](first.references, estimates, first.num_samples, first.sample_rate)
        return [{"SDR": each.sdr, "SIR": each.sir, "ISR": each.isr, "SAR": each.sar} for each in scores]
