"""Checks of the files and names that a command is given; does not import torch, so that they are answered at once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from unmix import checks, errors, finished
from unmix.augmentation_settings import unknown_tracks
from unmix.data import library
from unmix.data.cache import default_folder
from unmix.data.layouts.listing import Listing
from unmix.evaluation import metrics, published, scenarios
from unmix.evaluation.oracle_names import is_oracle, oracle_of
from unmix.experiments import status
from unmix.experiments.hold import check_writable
from unmix.identity import targets_of
from unmix.runs import songs, stems
from unmix.runs.chosen_tracks import chosen_tracks
from unmix.settings import LOUDNESS, WEBMUSHRA
from unmix.weights import files

LONGEST_CLIP = 12  # seconds: what BS.1534-3 asks for and webMUSHRA enforces


def check(command: str, cfg: DictConfig) -> None:
    """Check what a command names: checkpoints, songs, published scores and data.

    Args:
        command: name of the command; `train elsewhere` is a training for which another machine has the data.
        cfg: its configuration, whose values are checked already.
    Raises:
        FileNotFoundError: when a checkpoint, a song or the folder of the data does not exist.
        ValueError: on an unknown oracle or method, or when there are no data where they should be.
    """
    for part in CHECKS.get(command, ()):
        part(cfg)


def _ckpt(cfg: DictConfig) -> None:
    for item in _listed(cfg.ckpt):
        _check_weights(item, "ckpt")


def _separators(cfg: DictConfig) -> None:
    """Check the entries of `ckpt` that evaluate.py takes, which may be oracles; these need `data`."""
    for item in _listed(cfg.ckpt):
        if is_oracle(item):
            oracle_of(item)
        else:
            _check_weights(item, "ckpt")
    items = _listed(cfg.ckpt)
    if not cfg.data and items and all(map(is_oracle, items)):
        raise ValueError(errors.no_data(items))


def _metrics(cfg: DictConfig) -> None:
    if cfg.metrics is None or not any(cfg.metrics.values()):
        raise ValueError(metrics.NO_METRICS)


def _compare(cfg: DictConfig) -> None:
    scored = [cfg.evaluation.scenario, scenarios.ACCOMPANIMENT] if cfg.evaluation.scenario else []
    for method in _listed(cfg.evaluation.compare):
        scenarios.check_published("evaluation.compare", method, published.medians_of(method), scored)


def _scenario(cfg: DictConfig) -> None:
    """Check `evaluation.scenario` against the sources of the data that are to be trained on."""
    scenarios.check(cfg.evaluation.scenario, list(cfg.data.sources))


def _init_from(cfg: DictConfig) -> None:
    """Check `init_from`, which only a new run reads."""
    if cfg.init_from and (cfg.fresh or not (Path(cfg.run_dir) / status.FILE).exists()):
        for item in _listed(cfg.init_from):
            _check_weights(item, "init_from")


def _input(cfg: DictConfig) -> None:
    songs.check(_listed(cfg.input), cfg.start)
    stems.subtype_of(cfg.format, str(cfg.bits))


def _data_settings(cfg: DictConfig) -> None:
    """Check the settings of data that another machine has."""
    if cfg.data.get("_target_") == finished.DATA_MODULE:
        data: Any = OmegaConf.to_container(cfg.data, resolve=True)
        library.from_settings(data, default_folder())


def _listing(cfg: DictConfig) -> Listing | None:
    """List the tracks of the data; None if they will be fetched or made, or are of another class than ours."""
    if not cfg.data or cfg.data.get("_target_") != finished.DATA_MODULE:
        return None
    data: Any = OmegaConf.to_container(cfg.data, resolve=True)
    cache = default_folder() if data.get("cache") is None else Path(data["cache"]).expanduser()
    data_set = library.from_settings(data, cache)
    is_made = data.get("prepare") is not None and not data_set.root.exists()
    return None if is_made or data_set.to_fetch is not None else data_set.listing


def _listing_of_run(cfg: DictConfig) -> Listing | None:
    """List the tracks of the first run that `ckpt` names, by its config.yaml; None if that or the data are not there.

    What is wrong with the data is refused later, when they are read from the checkpoint.
    """
    runs = (file.parents[1] for item in _listed(cfg.ckpt) for file in files.own_files(item))
    path = next((run / "config.yaml" for run in runs if (run / "config.yaml").is_file()), None)
    if path is None:
        return None
    try:
        data = OmegaConf.merge(OmegaConf.load(path).data, {"cache": cfg.paths.data})
        return _listing(OmegaConf.create({"data": data}))
    except (OSError, ValueError, LookupError, AttributeError, yaml.YAMLError):
        return None


def _tracks(cfg: DictConfig) -> None:
    """Check the names, or the number, of the tracks to listen to, if it is known which there are."""
    listing = _listing(cfg) if cfg.data else _listing_of_run(cfg)
    names = [] if listing is None else [entry.name for entry in listing.entries if entry.split == cfg.subset]
    if names:
        chosen_tracks(OmegaConf.to_container(cfg.tracks) if OmegaConf.is_list(cfg.tracks) else cfg.tracks, names)


def _training_data(cfg: DictConfig) -> None:
    """Check that there are tracks at `data.root`, and those that `data.track_weights` names."""
    if (listing := _listing(cfg)) is not None and not listing.errors:
        names = [entry.name for entry in listing.entries if entry.split == "train"]
        for problem in unknown_tracks("data.track_weights", cfg.data.get("track_weights"), names):
            raise ValueError(problem)


def _targets(cfg: DictConfig) -> None:
    """Check that a model of ours can have as many targets."""
    if check_number := TARGETS.get(str(cfg.model.get("_target_"))):
        check_number(targets_of(cfg.target, list(cfg.data.sources)))


def _report(cfg: DictConfig) -> None:
    if cfg.report is not None:
        check_writable(Path(cfg.report).expanduser(), "report")


def _page(cfg: DictConfig) -> None:
    """Check what listen.py writes: the file of a page, or the folder of a listening test."""
    if cfg.format == WEBMUSHRA:
        _listening_test(cfg)
        return
    if cfg.loudness != LOUDNESS:
        raise ValueError(
            f"loudness: got {cfg.loudness}, but a page keeps the levels of stems; only format={WEBMUSHRA} uses it"
        )
    if cfg.out is not None and Path(cfg.out).suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"out: got {str(cfg.out)!r}, the name of a page is needed, as listening.html")
    if cfg.out is not None:
        check_writable(Path(cfg.out).expanduser().parent, "out")


def _listening_test(cfg: DictConfig) -> None:
    """Check the settings of a test by BS.1534-3: its clips have 12 seconds at most."""
    if cfg.serve:
        raise ValueError(f"serve: got true, a page is served, but format={WEBMUSHRA} writes files for webMUSHRA")
    if cfg.seconds > LONGEST_CLIP:
        raise ValueError(f"seconds: got {cfg.seconds}, format={WEBMUSHRA} allows {LONGEST_CLIP} or less (BS.1534-3)")
    if cfg.out is not None:
        out = Path(cfg.out).expanduser()
        if out.exists():
            raise FileExistsError(f"out: {out} exists, perhaps a test that people have taken: name another folder")
        check_writable(out, "out")


# What the constructors of these models check, too.
TARGETS = {"unmix.models.open_unmix.UMX": checks.one_target, "unmix.models.x_umx.XUMX": checks.several_targets}
CHECKS: dict[str, tuple[Callable[[DictConfig], object], ...]] = {
    "train": (_targets, _training_data, _init_from, _metrics, _compare, _scenario),
    "train elsewhere": (_targets, _data_settings, _init_from, _metrics, _compare, _scenario),
    "evaluate": (_separators, _metrics, _compare, _listing),
    "listen": (_separators, _page, _tracks),
    "separate": (_ckpt, _input),
    "export": (_ckpt,),
    "check": (_report, _listing),
}


def _listed(value: Any) -> list[str]:
    """The texts of a list, of a single text, or of None."""
    return [] if value is None else [str(item) for item in (value if OmegaConf.is_list(value) else [value])]


def _check_weights(item: str, key: str) -> None:
    """Check that an entry of `ckpt` or `init_from` names weights; an artifact at W&B is not looked up."""
    if item.startswith(files.WANDB):
        return
    paths = files.paths_of(item, key)
    if len(paths) == 1 and not files.is_foreign(paths[0]):  # a pattern also matches what has no checkpoint yet
        files.files_of(paths[0], key)
