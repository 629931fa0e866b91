"""What is on disk beside the runs of a command: other runs of their experiments, evaluations, and test tracks."""

import json
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from unmix.data import library
from unmix.experiments import status
from unmix.experiments.status import Status

# Settings of data by which the jobs of a sweep may differ without having other tracks.
WITHOUT_EFFECT_ON_TRACKS = (
    *("seed", "batch_size", "segment_seconds", "samples_per_track", "random_mix", "gain", "swap_probability"),
    *("augmentations", "track_weights", "num_workers", "storage"),
)


class Survey:
    """The files as they are at the first look, each read once, however many jobs of a sweep ask for them."""

    def __init__(self) -> None:
        self._names = cache(_run_folders)
        self.finished_runs = cache(self._finished_runs)
        self.evaluations = cache(_evaluations)
        self._has_test_tracks = cache(_has_test_tracks)

    def _finished_runs(self, experiment: Path, seed: Any) -> list[tuple[Path, Status]]:
        """Folders and statuses of the runs of an experiment that are done, those of one seed, by name."""
        runs = [(folder, status.read(folder)) for folder in self._names(experiment)[str(seed)]]
        return [(folder, read) for folder, read in runs if read is not None and read.state == "done"]

    def has_test_tracks(self, data: Mapping[str, Any], cache_folder: Path) -> bool:
        """Whether data have tracks to evaluate on; True also when the data do not exist yet.

        Args:
            data: settings of the data, without interpolations.
            cache_folder: folder of prepared data.
        """
        relevant = {key: value for key, value in data.items() if key not in WITHOUT_EFFECT_ON_TRACKS}
        return self._has_test_tracks(json.dumps(relevant), cache_folder)


def _run_folders(experiment: Path) -> Mapping[str, list[Path]]:
    """Sort the folders of an experiment's runs, `<target>-s<seed>`, by seed, then name."""
    folders = defaultdict[str, list[Path]](list)
    for folder in sorted(experiment.glob("*-s*")):
        folders[folder.name.rpartition("-s")[2]].append(folder)
    return folders


def _evaluations(experiment: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Folders of the finished evaluations of an experiment, by name, and what they evaluated."""
    paths = sorted(experiment.glob("eval/*/summary.json"))
    summaries = [(path.parent, json.loads(path.read_text(encoding="utf-8"))) for path in paths]
    keys = ("weights", "subset", "separator", "metrics", "beside_accompaniment")
    return [(at, {key: read.get(key) for key in keys}) for at, read in summaries]


def _has_test_tracks(settings: str, cache_folder: Path) -> bool:
    data: dict[str, Any] = json.loads(settings)
    if data["root"] is None or not Path(data["root"]).expanduser().exists():
        return True
    try:
        entries = library.from_settings(data, cache_folder).entries
    except (ValueError, OSError):
        return True  # the run says what is wrong
    return any(entry.split == "test" for entry in entries)
