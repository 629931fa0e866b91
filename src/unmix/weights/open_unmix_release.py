"""Open-Unmix's own files, in and out: its released networks, and folders as its training script writes them.

Files: `separator.json` (nfft, nhop, sample_rate, nb_channels), and for each target `<target>.pth` (a bare state dict)
beside `<target>.json` (arguments, losses); sigsep/open-unmix-pytorch v1.3.0, scripts/train.py, openunmix/utils.py.
"""

import hashlib
import json
import logging
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unmix.weights.checkpoint import Checkpoint
from unmix.weights.migration import NETWORK_PREFIX, migrated

log = logging.getLogger(__name__)

FOLDER_FILE = "separator.json"
_URL = "https://zenodo.org/records/{record}/files/{file}"
# Files of 2019 also hold the window of their STFT and other things that are no weights.
_WEIGHTS = ("input_", "output_", "fc1.", "fc2.", "fc3.", "bn1.", "bn2.", "bn3.", "lstm.")


@dataclass(frozen=True)
class Release:
    """Networks that Open-Unmix's authors published (openunmix/__init__.py).

    Args:
        record: of zenodo.org.
        files: by target; the eight hex digits before `.pth` begin the file's SHA-256.
        signal: fft_size, hop_size, sample_rate.
        licence: said when it is used, if it is not MIT.
    """

    record: int
    files: Mapping[str, str]
    signal: tuple[int, int, int] = (4096, 1024, 44100)
    licence: str | None = None


def _music(vocals: str, drums: str, bass: str, other: str) -> dict[str, str]:
    digits = {"vocals": vocals, "drums": drums, "bass": bass, "other": other}
    return {target: f"{target}-{begin}.pth" for target, begin in digits.items()}


RELEASES = {
    "umx": Release(3370486, _music("c8df74a5", "5a48008b", "646024d3", "f8e132cc")),
    "umxhq": Release(3370489, _music("b62c91ce", "9619578f", "8d85a5bd", "b52fbbf7")),
    "umxl": Release(
        5069601,
        _music("bccbd9aa", "69e0ebd4", "2ca1ce51", "c8c5b3e6"),
        licence="CC BY-NC-SA 4.0: not for commercial use",
    ),
    "umxse": Release(
        3786908, {"speech": "speech_f5e0d9f9.pth", "noise": "noise_04a6fc2d.pth"}, signal=(1024, 512, 16000)
    ),
}


def read_release(name: str) -> list[Checkpoint]:
    """The networks of a release; fetched once, into torch hub's folder.

    Raises:
        OSError: when a file cannot be fetched.
        ValueError: when what came, or lies there, is not the file that was published.
    """
    release = RELEASES[name]
    if release.licence:
        log.warning("%s: its weights are under %s", name, release.licence)
    paths = {target: _fetch(release.record, file) for target, file in release.files.items()}
    return [_as_checkpoint(path, target, _load(path), release.signal, {}) for target, path in paths.items()]


def _fetch(record: int, file: str) -> Path:
    begin = file.removesuffix(".pth")[-8:]
    path = Path(torch.hub.get_dir()) / "checkpoints" / file
    url = _URL.format(record=record, file=file)
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(path), hash_prefix=begin, progress=False)
        except OSError as error:
            raise OSError(f"ckpt: {url} cannot be fetched ({error}); fetch it by hand to {path}") from error
        except RuntimeError as error:
            raise ValueError(f"ckpt: {url}: what came is not the published file ({error}); try again") from error
    if not hashlib.sha256(path.read_bytes()).hexdigest().startswith(begin):
        raise ValueError(f"ckpt: {path} is not the published file: its SHA-256 does not begin with {begin}; remove it")
    return path


def read_folder(folder: Path) -> list[Checkpoint]:
    """The networks of a folder that Open-Unmix's training script, or `write_folder`, wrote.

    Raises:
        ValueError: when a file is missing, damaged, or is none of Open-Unmix's.
    """
    settings = _read_json(folder / FOLDER_FILE)
    try:
        signal = (settings["nfft"], settings["nhop"], settings["sample_rate"])
    except KeyError as error:
        raise ValueError(
            f"ckpt: {folder / FOLDER_FILE} lacks {error}; nfft, nhop and sample_rate are needed"
        ) from error
    found = []
    for path in sorted(folder.glob("*.pth")):
        target = path.stem.rpartition("-")[0] or path.stem  # `vocals-b62c91ce.pth` is a release's name
        about = folder / f"{target}.json"
        found.append(_as_checkpoint(path, target, _load(path), signal, _read_json(about) if about.is_file() else {}))
    if not found:
        raise ValueError(f"ckpt: {folder} has {FOLDER_FILE}, but no <target>.pth beside it")
    return found


def write_folder(checkpoints: Sequence[Checkpoint], folder: Path) -> None:
    """Write networks as Open-Unmix's training script does, for `openunmix.utils.load_separator(folder, targets)`.

    Args:
        checkpoints: one per target, of one STFT and sample rate.
        folder: is made; files of these names in it are replaced.
    Raises:
        ValueError: when a model is not an Open-Unmix network.
    """
    for checkpoint in checkpoints:
        if f"{NETWORK_PREFIX}fc1.weight" not in checkpoint.state:
            raise ValueError(
                f"format: umx holds Open-Unmix networks only, {checkpoint.path} is "
                f"{checkpoint.config['model']['_target_']}: take format=safetensors"
            )
    folder.mkdir(parents=True, exist_ok=True)
    for checkpoint in checkpoints:
        _write_network(checkpoint, folder)


def _write_network(checkpoint: Checkpoint, folder: Path) -> None:
    (target,), stft = checkpoint.targets, checkpoint.config["model"]["stft"]
    state = {name.removeprefix(NETWORK_PREFIX): value for name, value in checkpoint.state.items()}
    nb_channels = state["fc1.weight"].shape[1] // state["input_mean"].shape[0]
    signal = {"nfft": stft["fft_size"], "nhop": stft["hop_size"], "nb_channels": nb_channels}
    is_unidirectional = "lstm.weight_ih_l0_reverse" not in state
    if is_unidirectional:
        log.warning("%s: unidirectional; openunmix 1.3.0 trains such networks, but cannot load them", target)
    hidden_size = state["fc1.weight"].shape[0]
    arguments = {**signal, "hidden_size": hidden_size, "unidirectional": is_unidirectional, "target": target}
    about = {"args": arguments, "best_loss": checkpoint.metrics.get("val/loss"), **_progress(checkpoint)}
    (folder / f"{target}.json").write_text(json.dumps(about, indent=4), encoding="utf-8")
    separator = {**signal, "sample_rate": checkpoint.sample_rate}
    (folder / FOLDER_FILE).write_text(json.dumps(separator, indent=4), encoding="utf-8")
    # copies, as the weights of a checkpoint are mapped from its file
    torch.save({name: value.clone() for name, value in state.items()}, folder / f"{target}.pth")


def _progress(one: Checkpoint) -> dict[str, Any]:
    epochs = one.record.get("position", [None])[0]
    return {"epochs_trained": epochs, "commit": (one.record.get("git") or {}).get("sha")}


def _load(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise ValueError(f"ckpt: {path} holds no weights (damaged, or another kind of file)") from error
    if not isinstance(state, dict) or "input_mean" not in state:
        raise ValueError(f"ckpt: {path} was not written by Open-Unmix: it has no input_mean")
    return {name: value for name, value in state.items() if name.startswith(_WEIGHTS)}


def _as_checkpoint(
    path: Path, target: str, state: dict[str, Tensor], signal: tuple[int, int, int], about: dict[str, Any]
) -> Checkpoint:
    """A checkpoint with the configuration that follows from the shapes of the weights."""
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
        # half a bin more, so that rounding keeps the last one
        "bandwidth_hz": min(nyquist_hz, (num_input_bins - 0.5) * nyquist_hz / (num_bins - 1)),
        "sample_rate": sample_rate,
    }
    config = {
        "model": model,
        "stft": {"fft_size": fft_size, "hop_size": hop_size},
        "data": {"sample_rate": sample_rate, "root": None},
    }
    loss = about.get("best_loss")
    metrics = {} if loss is None else {"val/loss": float(loss)}
    targets, config, state = migrated([target], config, state)  # schema 1 was made after these files
    return Checkpoint(path, tuple(targets), config, metrics, {}, state)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"ckpt: {path} cannot be read as JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"ckpt: {path} holds {type(content).__name__}, an object is needed")
    return content
