"""A mixture in, its sources out: one network per target, STFT and Wiener filter."""

import glob
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from unmix import errors
from unmix.dsp.norbert_wiener import norbert_wiener
from unmix.dsp.stft import Stft
from unmix.dsp.wiener import Initial, wiener
from unmix.models import artifacts, checkpoint, pretrained, sharing
from unmix.models.checkpoint import Checkpoint
from unmix.models.open_unmix import OpenUnmix

log = logging.getLogger(__name__)

# UMX's published scores come from norbert in double precision; so do ours, whatever the precision of the networks.
EPS = torch.finfo(torch.float64).eps
FILTERS: dict[str, Any] = {"torch": wiener, "norbert": norbert_wiener}


class Separator(nn.Module):
    """Networks that estimate magnitudes, made consistent with the mixture by a multichannel Wiener filter.

    Args:
        networks: by target, magnitude (batch, channels, bins, frames) -> the same.
        stft: centred.
        sample_rate: Hz, of the mixtures it separates.
        niter: EM passes; 0 takes the networks' magnitudes with the mixture's phase.
        softmask: EM begins with the mixture shared out in proportion to the magnitudes, not with its phase.
        residual: adds a last source, what the targets leave of the mixture.
        wiener: whose filter, `torch` (ours) or `norbert` (the package's).
        window: frames that EM sees at a time; `whole` is all.

    Shape:
        mixture (batch, channels, samples) -> (batch, sources, channels, samples), sources in the order of `targets`.

    Raises:
        ValueError: on no network, or a single one with niter > 0 and nothing beside it that could be refined.
    """

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        stft: Stft,
        *,
        sample_rate: int,
        niter: int = 1,
        softmask: bool = False,
        residual: bool = False,
        wiener: str = "torch",
        window: int | Literal["whole"] = "whole",
    ) -> None:
        super().__init__()
        if not networks:
            raise ValueError("networks: got none, at least one target is needed")
        if len(networks) == 1 and niter > 0 and not residual:
            raise ValueError(
                f"niter: got {niter} with the single target {next(iter(networks))!r}; the Wiener filter shares the "
                "mixture among sources: set residual=True or niter=0, or add targets"
            )
        if wiener not in FILTERS:
            raise ValueError(errors.unknown("wiener", wiener, FILTERS))
        if window != "whole" and (not isinstance(window, int) or window < 1):
            raise ValueError(f"window: got {window!r}, allowed 'whole' or a number of frames")
        self.networks = nn.ModuleDict(networks)
        self.stft = stft
        self.sample_rate = sample_rate
        self.niter = niter
        self.initial: Initial = "softmask" if softmask else "mixture_phase"
        self.residual = residual
        self.wiener = wiener
        self.window: int | Literal["whole"] = window

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the sources in the order they come out."""
        return (*self.networks, *(["residual"] if self.residual else []))

    @property
    def num_channels(self) -> int:
        """Audio channels that the networks take."""
        network = cast(OpenUnmix, next(iter(self.networks.values())))
        return network.fc1.in_features // network.num_input_bins

    @torch.no_grad()
    def forward(self, mixture: Tensor) -> Tensor:
        _, _, num_samples = mixture.shape
        # Shorter than a window, nothing can be reflected at the ends: silence goes after it.
        padding = max(0, self.stft.fft_size - num_samples)
        spectrogram = self.stft(nn.functional.pad(mixture, (0, padding)))
        magnitude = spectrogram.abs()
        magnitudes = torch.stack([network(magnitude) for network in self.networks.values()], dim=1)
        frames = spectrogram.shape[-1] if self.window == "whole" else self.window
        refined = map(self.refine, magnitudes.split(frames, dim=-1), spectrogram.split(frames, dim=-1))
        estimates = torch.cat(list(refined), dim=-1)
        return self.stft.inverse(estimates, num_samples=num_samples + padding)[..., :num_samples]

    def refine(self, magnitudes: Tensor, mixture: Tensor) -> Tensor:
        """The Wiener filter, over all frames it is given; shapes as `unmix.wiener`."""
        return FILTERS[self.wiener](
            magnitudes, mixture, iterations=self.niter, eps=EPS, initial=self.initial, residual=self.residual
        )


def load_separator(
    ckpt: str | Path | Sequence[str | Path],
    device: str | torch.device | None = None,
    targets: Sequence[str] | None = None,
    niter: int = 1,
    *,
    softmask: bool = False,
    residual: bool = False,
    wiener: str = "torch",
    window: int | Literal["whole"] = "whole",
) -> Separator:
    """The separator of trained networks.

    Args:
        ckpt: experiment folder, run folder, checkpoint file, `.safetensors` file, folder of Open-Unmix's, a pattern
            of any of these, `umx`, `umxhq`, `umxl`, `umxse`, `wandb:entity/project/name:best`, or a list.
        device: where it computes; None is the GPU if there is one.
        targets: which sources, in which order; None is all that are found.
        niter, softmask, residual, wiener, window: see `Separator`.
    Raises:
        FileNotFoundError: when nothing is there.
        ValueError: when a target is not among the checkpoints, or they disagree in STFT or sample rate.
    """
    found = find_checkpoints(ckpt)
    names = tuple(found) if targets is None else tuple(targets)
    for name in names:
        if name not in found:
            raise ValueError(f"{errors.unknown('targets', name, found)} (found in {_said(ckpt)})")
    chosen = [found[name] for name in names]
    settings = {_signal_settings(one) for one in chosen}
    if len(settings) > 1:
        described = ", ".join(f"{one.target}: {_signal_settings(one)}" for one in chosen)
        raise ValueError(f"ckpt: trained at different (fft_size, hop_size, sample_rate): {described}")
    fft_size, hop_size, sample_rate = settings.pop()
    networks = {one.target: checkpoint.build_network(one) for one in chosen}
    separator = Separator(
        networks,
        Stft(fft_size, hop_size, center=True),
        sample_rate=sample_rate,
        niter=niter,
        softmask=softmask,
        residual=residual,
        wiener=wiener,
        window=window,
    )
    return separator.to(device or ("cuda" if torch.cuda.is_available() else "cpu")).eval()


def find_checkpoints(ckpt: str | Path | Sequence[str | Path]) -> dict[str, Checkpoint]:
    """Checkpoints by target, in the usual order; of several for one target the one with the lowest val/loss.

    Raises:
        FileNotFoundError, ValueError: as `load_separator`.
    """
    by_target: dict[str, list[Checkpoint]] = {}
    for item in dict.fromkeys([ckpt] if isinstance(ckpt, str | Path) else ckpt):
        for one in _read(item):
            by_target.setdefault(one.target, []).append(one)
    best = {}
    for target in sorted(by_target, key=_usual_order):
        candidates = by_target[target]
        best[target] = min(candidates, key=lambda one: one.metrics.get("val/loss", math.inf))
        if len(candidates) > 1:
            log.info("%s: %s has the lowest val/loss of %d", target, best[target].path, len(candidates))
    return best


def _usual_order(target: str) -> tuple[int, str]:
    """musdb's order of sources, others behind it by name; as separated stems are usually listed."""
    usual = ("vocals", "drums", "bass", "other")
    return (usual.index(target) if target in usual else len(usual), target)


def _read(item: str | Path) -> list[Checkpoint]:
    """All networks that one entry of `ckpt` names."""
    if str(item).startswith(artifacts.PREFIX):
        return [checkpoint.read(artifacts.fetch(str(item)))]
    path = Path(item).expanduser()
    if path.exists():
        return _read_path(path)
    if matches := sorted(glob.glob(str(path))):  # noqa: PTH207 - Path.glob takes no absolute pattern
        return [one for match in matches for one in _read_path(Path(match))]
    if str(item) in pretrained.RELEASES:
        return pretrained.read_release(str(item))
    raise FileNotFoundError(
        f"ckpt: {item} does not exist; give an experiment folder, a .ckpt or .safetensors file, a pattern, a folder of "
        f"Open-Unmix's, or one of its releases: {', '.join(pretrained.RELEASES)}"
    )


def _read_path(path: Path) -> list[Checkpoint]:
    if path.is_file() and path.suffix == sharing.ENDING:
        return sharing.read(path)
    if (path / pretrained.FOLDER_FILE).is_file():
        return pretrained.read_folder(path)
    return [checkpoint.read(file) for file in _files_of(path)]


def _files_of(path: Path) -> list[Path]:
    """Checkpoint files of an experiment, of a run, or the file itself."""
    if path.is_file():
        return [path]
    for pattern in ("*/checkpoints/best.ckpt", "checkpoints/best.ckpt", "best.ckpt", "*.ckpt"):
        if files := sorted(path.glob(pattern)):
            return files
    raise FileNotFoundError(f"ckpt: no checkpoint in {path}: looked for */checkpoints/best.ckpt and *.ckpt")


def _signal_settings(one: Checkpoint) -> tuple[int, int, int]:
    stft = one.config["stft"]
    return stft["fft_size"], stft["hop_size"], one.config["data"]["sample_rate"]


def _said(ckpt: object) -> str:
    return ", ".join(map(str, ckpt)) if isinstance(ckpt, list | tuple) else str(ckpt)
