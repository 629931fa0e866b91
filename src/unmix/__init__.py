"""Unmix: train, sweep and evaluate Open-Unmix music source separation.

The package in reading order:

    dsp/          stft (waveform <-> spectrogram), wiener (four magnitudes + mixture -> four estimates)
    data/         library (find, scan) -> sampling (what to draw) -> store (from where) -> mixing (forms the mixture)
    models/       contract (what a model is), open_unmix/ (network, Wiener separator), joined, chunked (any others)
    weights/      checkpoint (our file), find (ckpt=... -> separator), others' files
    training/     module (the loss), checkpoints (how a run survives), trainer, callbacks, loggers
    evaluation/   bss_eval (the ratios), metrics, scores (tracks, medians), callback (track by track)
    reports/      output for people: tables, figures, pages, leaderboard, clips
    experiments/  status, hold (one process per folder), folder
    processes/    pool (child processes), signals
    config, composition, identity, plans, runs/    command line -> checked configurations -> the above

Axes, always in this order and under these names:

    waveforms     batch, sources, channels, samples
    spectrograms  batch, sources, channels, bins, frames      (complex dtypes, never a trailing 2)

A *source* is a true stem, an *estimate* is ours, a *target* is a name.
"""

from importlib import import_module
from typing import Any

_PUBLIC = {
    "OpenUnmix": "unmix.models.open_unmix",
    "Separator": "unmix.models.open_unmix.separator",
    "Stft": "unmix.dsp.stft",
    "bss_eval": "unmix.evaluation.bss_eval",
    "load_separator": "unmix.weights.find",
    "wiener": "unmix.dsp.wiener",
}
__all__ = ["OpenUnmix", "Separator", "Stft", "bss_eval", "load_separator", "wiener"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import the public names on first use (PEP 562): `import unmix` must not cost the seconds torch needs."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'unmix' has no attribute {name!r}; public names: {', '.join(__all__)}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
