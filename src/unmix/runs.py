"""The commands: a checked configuration in, objects built and called. `check_*` refuses before anything is written."""

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
import torchaudio
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import ProgressBar

from unmix import errors
from unmix.data import pcm, statistics
from unmix.data.datamodule import SeparationDataModule
from unmix.data.tracks import SOURCES
from unmix.evaluation import callback, report
from unmix.experiments import folder
from unmix.models.checkpoint import Checkpoint
from unmix.models.open_unmix import OpenUnmix
from unmix.models.separator import find_checkpoints, load_separator
from unmix.training.callbacks import Provenance
from unmix.training.module import SeparationModule
from unmix.training.trainer import check_arguments, make_trainer

log = logging.getLogger(__name__)


def check_train(cfg: DictConfig) -> None:
    """Refuse an unknown target, missing GPUs, sizes that do not fit and unusable data."""
    if cfg.target not in SOURCES:
        raise ValueError(errors.unknown("target", cfg.target, SOURCES))
    check_arguments(**{str(name): value for name, value in cfg.trainer.items() if not str(name).startswith("_")})
    with torch.device("meta"):  # no memory, no numbers
        build_module(cfg)
    datamodule = make_datamodule(cfg.data)
    if datamodule.root.exists() or datamodule.prepare is None:
        datamodule.check_training()


def train(cfg: DictConfig) -> float:
    """Train one target; evaluate the experiment when it was the last one. Returns the best val/loss."""
    _quiet_lightning()
    run = Path(cfg.run_dir)
    datamodule = make_datamodule(cfg.data)
    datamodule.prepare_data()
    datamodule.check_training()
    config = plain(cfg, datamodule)
    folder.write_atomically(run / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(config)))
    folder.write_json(run / "env.json", folder.environment())
    module = make_module(cfg, datamodule)
    callbacks = {**instantiate(cfg.callbacks), "provenance": Provenance(record(cfg, config, datamodule))}
    loggers = list(instantiate(cfg.logger or {}).values())
    for logger in loggers:
        logger.log_configuration(config)
    trainer: Trainer = instantiate(
        cfg.trainer,
        logger=loggers or False,
        callbacks=list(callbacks.values()),
        enable_progress_bar=isinstance(callbacks.get("progress"), ProgressBar),
    )
    last = run / "checkpoints" / "last.ckpt"
    log.info("%s: %d steps an epoch in %s", cfg.target, datamodule.steps_per_epoch, run)
    trainer.fit(module, datamodule=datamodule, ckpt_path=last if last.is_file() else None, weights_only=True)
    best = callbacks["best"]
    log.info("%s: best val/loss %.4f in %s", cfg.target, best.best_model_score, best.best_model_path)
    if trainer.is_global_zero:
        folder.write_json(run / "status.json", {"status": "done", "epochs": trainer.current_epoch})
        _evaluate_if_last(cfg, run)
    return float(best.best_model_score)


def make_datamodule(data: Mapping[str, Any], **overrides: Any) -> SeparationDataModule:
    """The data module of a configuration.

    Raises:
        ValueError: when no root was given.
    """
    if data["root"] is None:
        raise ValueError(
            "data.root: not given; set data.root=/path/to/musdb18hq or the environment variable MUSDB_PATH, "
            "or try experiment=demo, which makes its own data"
        )
    root = Path(data["root"]).expanduser()
    return instantiate(data, root=str(root), **overrides)


def make_module(cfg: DictConfig, datamodule: SeparationDataModule) -> SeparationModule:
    """Network with the statistics of its training data, loss and optimisation; the same for the same seed."""
    torch.manual_seed(cfg.seed)  # the initial weights
    module = build_module(cfg)
    cache = Path(cfg.paths.data).expanduser() / "statistics"
    mean, std = statistics.load_or_compute(datamodule.splits.train, module.stft, cache)
    cast(OpenUnmix, module.model).set_statistics(mean, std)
    return module


def build_module(cfg: DictConfig) -> SeparationModule:
    """Network, loss and optimisation as configured."""
    return SeparationModule(
        instantiate(cfg.model),
        instantiate(cfg.stft),
        target=cfg.target,
        optimizer=instantiate(cfg.optimizer),
        scheduler=instantiate(cfg.scheduler),
    )


def plain(cfg: DictConfig, datamodule: SeparationDataModule) -> dict[str, Any]:
    """The resolved configuration as plain containers, with the data's folder absolute."""
    config = OmegaConf.to_container(cfg, resolve=True)
    config["data"]["root"] = str(datamodule.root.resolve())  # type: ignore[index, call-overload]
    return config  # type: ignore[return-value]


def record(cfg: DictConfig, config: dict[str, Any], datamodule: SeparationDataModule) -> dict[str, Any]:
    """What every checkpoint says of its run."""
    return {
        "config": config,
        "experiment": Path(cfg.run_dir).parent.name,
        "target": cfg.target,
        "seed": cfg.seed,
        "data_fingerprint": datamodule.splits.fingerprint(),
        "git": folder.git_state(),
    }


def _evaluate_if_last(cfg: DictConfig, run: Path) -> None:
    """Evaluate when all four targets of this seed are done; of several jobs that end together, one does it."""
    siblings = [run.parent / f"{target}-s{cfg.seed}" for target in SOURCES]
    if not cfg.evaluation.after_training or not all((sibling / "status.json").is_file() for sibling in siblings):
        return
    ckpt = [sibling / "checkpoints" / "best.ckpt" for sibling in siblings]
    claimed = run.parent / "eval" / f".claimed-s{cfg.seed}"
    if folder.claim(claimed):
        try:
            _evaluate(ckpt, run.parent / "eval", run.parent.name, "test", cfg.evaluation, data=None)
        except BaseException:
            claimed.unlink()  # the same command again finishes it
            raise


def check_evaluate(cfg: DictConfig) -> None:
    """Refuse checkpoints that are not there, or lack one of the four targets."""
    _complete(cfg.ckpt)


def evaluate(cfg: DictConfig) -> None:
    """Score a separator over all tracks of a subset."""
    _quiet_lightning()
    ckpt = list(cfg.ckpt) if OmegaConf.is_list(cfg.ckpt) else cfg.ckpt
    parent, name = Path(cfg.paths.out) / "evaluations", "checkpoints"
    if isinstance(ckpt, str) and Path(ckpt).is_dir():
        parent, name = Path(ckpt) / "eval", Path(ckpt).resolve().name
    _evaluate(ckpt, parent, name, cfg.subset, cfg.evaluation, data=cfg.data)


def _evaluate(ckpt: Any, parent: Path, method: str, subset: str, settings: DictConfig, *, data: Any) -> None:
    """`parent`/<data>-<subset>-<6 hex>: other weights, data or settings are another folder, no score goes stale."""
    found = _complete(ckpt)
    data = data or next(iter(found.values())).config["data"]
    datamodule = make_datamodule(data, target="vocals")
    datamodule.prepare_data()
    tracks = getattr(datamodule.splits, subset)
    if not tracks:
        raise ValueError(f"subset: got {subset!r}, which has no track in {datamodule.root}")
    separator = load_separator(ckpt, targets=SOURCES, niter=settings.niter)
    matters = {
        "weights": {target: _digest(one.state) for target, one in found.items()},
        "data": datamodule.splits.fingerprint(),
        "subset": subset,
        "niter": settings.niter,
    }
    code = hashlib.sha256(json.dumps(matters, sort_keys=True).encode()).hexdigest()[:6]
    where = callback.EvaluationFolder(parent / f"{datamodule.name}-{subset}-{code}")
    described = {**matters, "checkpoints": {t: str(one.path) for t, one in found.items()}, **folder.environment()}
    scorer = callback.Museval(tracks, where, method=method, settings=described, save_estimates=settings.save_estimates)
    trainer = make_trainer(
        settings.gpus, logger=False, callbacks=[scorer], enable_checkpointing=False, enable_progress_bar=False
    )
    report.print_table(callback.evaluate(separator, scorer, trainer))
    log.info("report: %s", where.path / "report.html")
    if settings.save_estimates:
        log.info("stems: %s", where.path / "estimates")


def _complete(ckpt: Any) -> dict[str, Checkpoint]:
    """Checkpoints of all four targets: museval scores them together, or not at all."""
    found = find_checkpoints(ckpt)
    missing = [target for target in SOURCES if target not in found]
    if missing:
        raise ValueError(
            f"ckpt: {ckpt} holds {', '.join(found)} and lacks {', '.join(missing)}; museval scores all four together: "
            f"train the rest with the same options and -m target={','.join(missing)}"
        )
    return found


def _digest(state: Mapping[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode() + state[name].contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def check_separate(cfg: DictConfig) -> None:
    """Refuse an input that is no audio file, checkpoints that are not there, and stems that are there already."""
    source = Path(cfg.input)
    if not source.is_file():
        raise FileNotFoundError(f"input: {source} is not a file")
    pcm.read_header(source)
    for target in find_checkpoints(cfg.ckpt):
        stem = stem_path(source, target)
        if stem.exists() and not cfg.overwrite:
            raise FileExistsError(f"input: {stem} exists; overwrite=true replaces it")


def separate(cfg: DictConfig) -> None:
    """Write the stems of a song next to it, at its own rate and with its own channels."""
    source = Path(cfg.input)
    found = find_checkpoints(cfg.ckpt)
    separator = load_separator(cfg.ckpt, niter=cfg.niter, residual=len(found) == 1 and cfg.niter > 0)
    rate = pcm.read_header(source).sample_rate
    mixture = torch.from_numpy(pcm.read_float(source))
    channels, samples = mixture.shape
    at_rate = torchaudio.functional.resample(mixture.expand(max(2, channels), -1), rate, separator.sample_rate)
    device = next(separator.parameters()).device
    estimates = separator(at_rate[None].to(device))[0].cpu()
    back = torchaudio.functional.resample(estimates, separator.sample_rate, rate)
    back = torch.nn.functional.pad(back, (0, max(0, samples - back.shape[-1])))[..., :samples]
    for target, stem in zip(separator.targets, back, strict=True):
        path = stem_path(source, target)
        pcm.write(path, stem.mean(dim=0, keepdim=True).numpy() if channels == 1 else stem.numpy(), rate)
        log.info("%s", path)


def stem_path(source: Path, target: str) -> Path:
    """`song.wav` -> `song.vocals.wav`."""
    return source.with_name(f"{source.stem}.{target}.wav")


def _quiet_lightning() -> None:
    """Its notes on hardware and on itself are noise in a log; its warnings stay."""
    for name in ("pytorch_lightning", "lightning_fabric", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.WARNING)
