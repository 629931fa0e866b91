"""Checks of a separator's settings, the node `separator` of a configuration, before any model is loaded."""

from collections.abc import Callable
from typing import Any

from unmix import checks, errors

FILTERS = ("torch", "norbert")  # implementations of the Wiener filter
WHOLE = "whole"
SHORTEST_EXACT_SECONDS = 60.0
LARGEST_OVERLAP = 0.5


def check(**settings: Any) -> None:
    """Check the settings of a separator that are given.

    Args:
        settings: any of niter, softmask, residual, wiener, window, exact_seconds, chunk_seconds, overlap, chunk_batch;
            see `models.joined.join` and `open_unmix.Separator`.
    Raises:
        ValueError: on an unknown setting, or a value of the wrong type or out of range, naming `separator.<setting>`.
    """
    for name, value in settings.items():
        if name not in _CHECKS:
            raise ValueError(errors.unknown(f"separator.{name}", name, _CHECKS))
        _CHECKS[name](f"separator.{name}", value)


def _niter(name: str, value: Any) -> None:
    if value is not None:
        checks.integer(name, value, least=0)


def _wiener(name: str, value: Any) -> None:
    checks.word(name, value, FILTERS)


def _window(name: str, value: Any) -> None:
    if value != WHOLE and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise ValueError(f"{name}: got {value!r}, allowed {WHOLE!r} or a number of frames")


def _exact_seconds(name: str, value: Any) -> None:
    checks.number(name, value, least=SHORTEST_EXACT_SECONDS)


def _chunk_seconds(name: str, value: Any) -> None:
    if value is not None and checks.number(name, value) <= 0:
        raise ValueError(f"{name}: got {value!r}, a number above 0 or null is needed")


def _overlap(name: str, value: Any) -> None:
    if not 0 <= checks.number(name, value) <= LARGEST_OVERLAP:
        raise ValueError(f"{name}: got {value!r}, allowed 0 up to {LARGEST_OVERLAP:g}")


def _chunk_batch(name: str, value: Any) -> None:
    checks.integer(name, value, least=1)


_CHECKS: dict[str, Callable[[str, Any], object]] = {
    "niter": _niter,
    "softmask": checks.flag,
    "residual": checks.flag,
    "wiener": _wiener,
    "window": _window,
    "exact_seconds": _exact_seconds,
    "chunk_seconds": _chunk_seconds,
    "overlap": _overlap,
    "chunk_batch": _chunk_batch,
}
