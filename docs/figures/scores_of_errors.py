"""Print the table of docs/explanation/bss_eval.md: what each metric says of estimates that are wrong in a known way.

python docs/figures/scores_of_errors.py
"""

import sys

import torch
from torch import Tensor

from unmix.evaluation import scores, track_scoring
from unmix.evaluation.energy_ratios import ChunkSdr, SiSdr, TrackSdr
from unmix.evaluation.engines import BssEval
from unmix.evaluation.stems import reader

RATE, SECONDS, LATE = 44100, 6, 220  # Hz, length, samples of 5 ms
COLUMNS = ("SDR", "ISR", "SIR", "SAR", "cSDR", "uSDR", "SI-SDR")


def sources() -> Tensor:
    """Make two stereo noises of six seconds, the last one ten times as loud: (sources, channels, samples)."""
    noises = torch.randn(2, 2, SECONDS * RATE, generator=torch.Generator().manual_seed(0)) * 0.01
    noises[..., -RATE:] *= 10
    return noises


def estimates(first: Tensor, second: Tensor) -> dict[str, Tensor]:
    """Make wrong estimates of `first`, each by what is wrong; a trace of noise keeps all ratios finite."""
    noise = torch.randn(first.shape, generator=torch.Generator().manual_seed(1)) * first.std(dim=-1, keepdim=True)
    first = first + 1e-5 * noise
    silenced, wrong_at_the_end = first + 0.1 * second, first + 0.1 * second
    silenced[..., :RATE] = 0
    wrong_at_the_end[..., -RATE:] = second[..., -RATE:]
    return {
        "the other source is in it, 20 dB lower": first + 0.1 * second,
        "noise is in it, 20 dB lower than the track": first + 0.1 * noise,
        "half as loud": 0.5 * first,
        "5 ms late": first.roll(LATE, dims=-1),
        "the other source 20 dB lower, and alone in the last, loud second": wrong_at_the_end,
        "silent in the first second, later the other source is in it, 20 dB lower": silenced,
    }


def rows() -> list[str]:
    """Score all estimates as `evaluate.py` does; return rows of a Markdown table."""
    references = sources()
    wrong = estimates(*references)
    # the second source is estimated without an error but for a trace, which keeps ratios finite
    pairs = [torch.stack([estimate, references[1] + 1e-4 * references[0]]) for estimate in wrong.values()]
    stores = track_scoring.score_track(
        "track",
        ["first", "second"],
        reader(references),
        [reader(pair) for pair in pairs],
        references.shape[-1],
        sample_rate=RATE,
        chosen=[BssEval(), ChunkSdr(), TrackSdr(), SiSdr()],
    )
    results = []
    for name, store in zip(wrong, stores, strict=True):
        values = scores.of_track("ours", "track", store)[0].metrics
        results.append(f"| {name} | {' | '.join(_shown(values[column]) for column in COLUMNS)} |")
    return results


def _shown(value: float) -> str:
    return "> 60" if value > 60 else f"{value + 0.0:.1f}"


if __name__ == "__main__":
    sys.stdout.write("\n".join([*rows(), ""]))
