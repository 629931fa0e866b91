"""The tracks that listen.py is asked for; does not import torch."""

from collections.abc import Sequence
from typing import Any

from unmix import checks, errors

MOST_NAMES = 20  # that a message lists


def chosen_tracks(tracks: Any, names: Sequence[str]) -> list[str]:
    """List the names that `tracks` asks for: these, or so many from the first on.

    Args:
        tracks: a number, a name or a list of names; a number that is a name stands for that track.
        names: names of all tracks.
    Raises:
        ValueError: on an unknown name, or a number below 1.
    """
    if not isinstance(tracks, list):
        if str(tracks) not in names and str(tracks).isdecimal():
            return list(names)[: checks.integer("tracks", int(tracks), least=1)]
        tracks = [str(tracks)]
    for name in tracks:
        if name not in names:
            raise ValueError(errors.unknown("tracks", name, names, most=MOST_NAMES))
    return list(tracks)
