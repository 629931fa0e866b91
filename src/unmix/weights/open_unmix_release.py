"""Open-Unmix's files: its released networks, and folders in the format of its training script.

A folder holds `separator.json` (nfft, nhop, sample_rate, nb_channels), and for each target `<target>.pth` (a bare state
dict) and `<target>.json` (arguments, losses).

Source:
    sigsep/open-unmix-pytorch v1.3.0, scripts/train.py, openunmix/utils.py.
"""

import hashlib
import json
import logging
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unmix.weights.checkpoint import Checkpoint
from unmix.weights.files import OPEN_UNMIX_FOLDER
from unmix.weights.migration import NETWORK_PREFIX, migrated
from unmix.weights.releases import RELEASES

log = logging.getLogger(__name__)

_URL = "https://zenodo.org/records/{record}/files/{file}"
# Files of 2019 also hold the window of their STFT and other entries that are not weights.
_WEIGHTS = ("input_", "output_", "fc1.", "fc2.", "fc3.", "bn1.", "bn2.", "bn3.", "lstm.")


def read_release(name: str) -> list[Checkpoint]:
    """Read the networks of a release, which is downloaded once, into torch hub's folder.

    Args:
        name: a key of `RELEASES`.
    Raises:
        OSError: when a file cannot be downloaded.
        ValueError: when a file is not the published one, by its SHA-256.
    """
    release = RELEASES[name]
    if release.licence:
        log.warning("%s: its weights are under %s", name, release.licence)
    paths = {target: _fetch(release.record, file) for target, file in release.files.items()}
    return [_as_checkpoint(path, target, _load(path), release.signal, {}) for target, path in paths.items()]


def _fetch(record: int, file: str) -> Path:
    """Download a file of a Zenodo record, unless torch hub's folder has it, and verify its SHA-256."""
    prefix = file.removesuffix(".pth")[-8:]
    path = Path(torch.hub.get_dir()) / "checkpoints" / file
    url = _URL.format(record=record, file=file)
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(path), hash_prefix=prefix, progress=False)
        except OSError as error:
            raise OSError(f"ckpt: {url} cannot be downloaded ({error}); download it by hand to {path}") from error
        except RuntimeError as error:
            raise ValueError(f"ckpt: {url}: the download is not the published file ({error}); try again") from error
    if not hashlib.sha256(path.read_bytes()).hexdigest().startswith(prefix):
        raise ValueError(f"ckpt: {path} is not the published file: its SHA-256 does not begin with {prefix}; remove it")
    return path


def read_folder(folder: Path) -> list[Checkpoint]:
    """Read the networks of a folder that Open-Unmix's training script or `write_folder` wrote.

    Args:
        folder: contains separator.json and <target>.pth files.
    Raises:
        ValueError: when a file is missing, damaged, or is not an Open-Unmix file.
    """
    settings = _read_json(folder / OPEN_UNMIX_FOLDER)
    try:
        signal = (settings["nfft"], settings["nhop"], settings["sample_rate"])
    except KeyError as error:
        raise ValueError(
            f"ckpt: {folder / OPEN_UNMIX_FOLDER} lacks {error}; nfft, nhop and sample_rate are needed"
        ) from error
    checkpoints = []
    for path in sorted(folder.glob("*.pth")):
        target = path.stem.rpartition("-")[0] or path.stem  # releases name their files like `vocals-b62c91ce.pth`
        info = folder / f"{target}.json"
        training = _read_json(info) if info.is_file() else {}
        checkpoints.append(_as_checkpoint(path, target, _load(path), signal, training))
    if not checkpoints:
        raise ValueError(f"ckpt: {folder} has {OPEN_UNMIX_FOLDER}, but no <target>.pth beside it")
    return checkpoints


def write_folder(checkpoints: Sequence[Checkpoint], folder: Path) -> None:
    """Write networks as Open-Unmix's training script does, for `openunmix.utils.load_separator(folder, targets)`.

    Args:
        checkpoints: one per target, all with the same STFT and sample rate.
        folder: created when missing; files of the same names are replaced.
    Raises:
        ValueError: when a model is not an Open-Unmix network, or has another mask than openunmix's.
    """
    for checkpoint in checkpoints:
        if f"{NETWORK_PREFIX}fc1.weight" not in checkpoint.state:
            raise ValueError(
                f"format: umx holds Open-Unmix networks only, {checkpoint.path} is "
                f"{checkpoint.config['model']['_target_']}: take format=safetensors"
            )
        if (mask := checkpoint.config["model"].get("mask", "relu")) != "relu":
            raise ValueError(
                f"format: umx holds model.mask=relu only, {checkpoint.path} has {mask}: take format=safetensors"
            )
    folder.mkdir(parents=True, exist_ok=True)
    for checkpoint in checkpoints:
        _write_network(checkpoint, folder)


def _write_network(checkpoint: Checkpoint, folder: Path) -> None:
    """Write one network's weights and description, and the separator's settings."""
    (target,), stft = checkpoint.targets, checkpoint.config["model"]["stft"]
    state = {name.removeprefix(NETWORK_PREFIX): value for name, value in checkpoint.state.items()}
    nb_channels = state["fc1.weight"].shape[1] // state["input_mean"].shape[0]
    signal = {"nfft": stft["fft_size"], "nhop": stft["hop_size"], "nb_channels": nb_channels}
    is_unidirectional = "lstm.weight_ih_l0_reverse" not in state
    if is_unidirectional:
        log.warning("%s: unidirectional, which openunmix 1.3.0 can train but not load", target)
    hidden_size = state["fc1.weight"].shape[0]
    arguments = {**signal, "hidden_size": hidden_size, "unidirectional": is_unidirectional, "target": target}
    description = {"args": arguments, "best_loss": checkpoint.metrics.get("val/loss"), **_progress(checkpoint)}
    (folder / f"{target}.json").write_text(json.dumps(description, indent=4), encoding="utf-8")
    separator = {**signal, "sample_rate": checkpoint.sample_rate}
    (folder / OPEN_UNMIX_FOLDER).write_text(json.dumps(separator, indent=4), encoding="utf-8")
    # copies, because the weights of a checkpoint are mapped from its file
    torch.save({name: value.clone() for name, value in state.items()}, folder / f"{target}.pth")


def _progress(checkpoint: Checkpoint) -> dict[str, Any]:
    epochs = checkpoint.record.get("position", [None])[0]
    return {"epochs_trained": epochs, "commit": (checkpoint.record.get("git") or {}).get("sha")}


def _load(path: Path) -> dict[str, Tensor]:
    """Read the weights of a `.pth` file; raises ValueError when it is not an Open-Unmix file."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise ValueError(f"ckpt: {path} does not contain weights (damaged, or another kind of file)") from error
    if not isinstance(state, dict) or "input_mean" not in state:
        raise ValueError(f"ckpt: {path} was not written by Open-Unmix: it has no input_mean")
    return {name: value for name, value in state.items() if name.startswith(_WEIGHTS)}


def _as_checkpoint(
    path: Path, target: str, state: dict[str, Tensor], signal: tuple[int, int, int], training: dict[str, Any]
) -> Checkpoint:
    """Make a checkpoint from the weights of a network, whose configuration is inferred from their shapes."""
    fft_size, hop_size, sample_rate = signal
    num_bins, num_input_bins = state["output_mean"].shape[0], state["input_mean"].shape[0]
    nyquist_hz = sample_rate / 2
    model = {
        "_target_": "unmix.models.open_unmix.OpenUnmix",
        "hidden_size": state["fc1.weight"].shape[0],
        "bidirectional": "lstm.weight_ih_l0_reverse" in state,
        "num_layers": sum(name.startswith("lstm.weight_ih_") and "reverse" not in name for name in state),
        "num_channels": state["fc1.weight"].shape[1] // num_input_bins,
        "num_bins": num_bins,
        # half a bin more, so that rounding does not drop the last bin
        "bandwidth_hz": min(nyquist_hz, (num_input_bins - 0.5) * nyquist_hz / (num_bins - 1)),
        "sample_rate": sample_rate,
    }
    config = {
        "model": model,
        "stft": {"fft_size": fft_size, "hop_size": hop_size},
        "data": {"sample_rate": sample_rate, "root": None},
    }
    loss = training.get("best_loss")
    metrics = {} if loss is None else {"val/loss": float(loss)}
    targets, config, state = migrated([target], config, state)  # schema 1 followed the layout of these files
    return Checkpoint(path, tuple(targets), config, metrics, {}, state)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"ckpt: {path} cannot be read as JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"ckpt: {path} contains a {type(content).__name__}, a JSON object is needed")
    return content
