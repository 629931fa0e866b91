"""The tracks to train on: whether segments can be drawn of them, how often each is drawn, and from where."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unmix import errors
from unmix.augmentation_settings import WEIGHTS, unknown_tracks
from unmix.data import activity
from unmix.data.augmentations.selections import Activity
from unmix.data.sampling import Recipe
from unmix.data.tracks import Track

# uniform, duration, activity, a column of a table of files, or weights by the name of a track
TrackWeights = str | Mapping[str, float]


def find_errors(
    tracks: Sequence[Track], sources: Sequence[str], recipe: Recipe, weights: TrackWeights
) -> Iterator[str]:
    """Yield a message for every reason why segments cannot be drawn of these tracks, by this recipe and weights."""
    short = [track for track in tracks if track.num_samples < recipe.longest]
    if short:
        shortest = min(short, key=lambda track: track.num_samples)
        rate = shortest.sample_rate
        fastest = f" ({recipe.longest / rate:g} s at the fastest speed)" if recipe.longest > recipe.segment else ""
        yield (
            f"data.segment_seconds: got {recipe.segment / rate:g} s{fastest}, but {len(short)} of "
            f"{errors.counted(len(tracks), 'track is', 'tracks are')} shorter, {shortest.folder} has "
            f"{shortest.num_samples / rate:.2f} s: take shorter segments or remove them"
        )
    partial = next((track for track in tracks if track.is_partial(sources)), None)
    if "same_track" in recipe.augmentations and partial is not None:
        yield f"data.augmentations: got same_track, but {partial.name} lacks sources: leave same_track out"
    names = [track.name for track in tracks]
    yield from unknown_tracks("data.track_weights", weights, names)
    given = isinstance(weights, Mapping) or weights not in WEIGHTS
    if given and names and not any(_weight(track, weights) for track in tracks):
        yield "data.track_weights: got 0 for all tracks, a weight above 0 is needed"


def needs_levels(recipe: Recipe, weights: TrackWeights) -> bool:
    """Whether draws depend on where sources sound, for which all files have to be read."""
    return "activity" in recipe.augmentations or weights == "activity"


def completed(
    recipe: Recipe, weights: TrackWeights, tracks: Sequence[Track], sources: Sequence[str], cache: Path
) -> Recipe:
    """Copy of a recipe with the weights of the tracks, and with the positions that `activity` allows.

    Levels of all files are computed if either needs them, once, and kept in the folder `cache`.

    Raises:
        ValueError: when there is a source of which no track can be drawn.
        OSError: when `cache` cannot be written.
    """
    chosen: Activity | None = recipe.augmentations.get("activity")
    held = [[track for track in tracks if source in track.files] for source in sources]
    levels, starts = [], None
    if needs_levels(recipe, weights):
        levels = [activity.load_or_compute(row, source, cache) for row, source in zip(held, sources, strict=True)]
    if chosen is not None:
        threshold_db, share = chosen.threshold_db, chosen.share
        lengths = [np.array([track.num_samples for track in row]) for row in held]
        starts = [
            activity.find_starts(level, length, recipe.segment, threshold_db=threshold_db, share=share)
            for level, length in zip(levels, lengths, strict=True)
        ]
        needed = f"sounds at {threshold_db:g} dB or more in {share:g} of a segment: lower threshold_db or share"
        _check_any([row.counts for row in starts], sources, "data.augmentations.activity", needed)
    if weights == "uniform":
        return replace(recipe, starts=starts)
    if weights == "activity":
        threshold_db = activity.THRESHOLD_DB if chosen is None else chosen.threshold_db
        table = [np.array([float(np.sum(level >= threshold_db)) for level in row]) for row in levels]
    else:
        table = [np.array([_weight(track, weights) for track in row]) for row in held]
    possible = table if starts is None else [row * (start.counts > 0) for row, start in zip(table, starts, strict=True)]
    _check_any(possible, sources, "data.track_weights", "has a weight above 0: change the weights")
    return replace(recipe, weights=table, starts=starts)


def _weight(track: Track, weights: TrackWeights) -> float:
    if isinstance(weights, Mapping):
        return float(weights.get(track.name, 1))
    return float(track.num_samples) if weights == "duration" else track.weight


def _check_any(table: Sequence[npt.NDArray], sources: Sequence[str], key: str, needed: str) -> None:
    """Check that every source, a row of the table, has a value above 0."""
    for source, row in zip(sources, table, strict=True):
        if not row.any():
            raise ValueError(f"{key}: of {source}, no track {needed}")
