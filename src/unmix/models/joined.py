"""Join several models into one separator: by `join` of their class if it has one, else by `JoinedSeparator`."""

from collections.abc import Iterator, Sequence
from tempfile import TemporaryFile
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from unmix import settings
from unmix.dsp.overlap_add import spectrograms, waveforms
from unmix.dsp.stft import Stft
from unmix.dsp.wiener import wiener
from unmix.models import chunked, contract
from unmix.models.contract import Read, Separator
from unmix.models.mixture import separate

RESIDUAL = "residual"
# The Wiener filter of waveform models runs over blocks of 300 frames, 7 s at 44.1 kHz.
EM_FFT_SIZE, EM_HOP_SIZE, EM_FRAMES = 4096, 1024, 300
# Settings that only Open-Unmix's `join` takes, with their neutral values.
FAMILY_SETTINGS = {"softmask": False, "wiener": "torch", "window": "whole"}


def join(
    models: Sequence[nn.Module],
    *,
    targets: Sequence[str] | None = None,
    niter: int | None = None,
    residual: bool = False,
    chunk_seconds: float | None = None,
    overlap: float = 0.25,
    chunk_batch: int = 1,
    **family_settings: Any,
) -> Separator:
    """Join models into one separator.

    Args:
        models: see `contract.SourceSeparator`; each estimates a target that no model before it does.
        targets: sources to estimate, in the order of the output; None is all that the models estimate.
        niter: EM iterations of the Wiener filter; None is 1 for Open-Unmix networks of several sources, 0 for others.
        residual: whether to add a last source, the mixture minus all targets.
        chunk_seconds: length of the chunks that long tracks are cut into, for models that do not stream themselves;
            None is the model's own `chunk_seconds`, or 10.
        overlap: share of a chunk that the next one overlaps.
        chunk_batch: number of chunks separated at once.
        family_settings: `softmask`, `wiener`, `window`, see `open_unmix.Separator`.
    Raises:
        ValueError: when the models differ in sample rate or channels, a setting is not valid, or does not apply.
    """
    given = {"chunk_seconds": chunk_seconds, "overlap": overlap, "chunk_batch": chunk_batch, **family_settings}
    settings.check("separator", {"niter": niter, "residual": residual, **given}, is_complete=True)
    for model in models:
        contract.check(model, "ckpt")
    contract.check_alike(models)
    family = type(models[0])
    # models of several targets may estimate the same one, and are run independently
    is_family = len(models) == 1 or all(type(model) is family and _is_single(model) for model in models)
    if is_family and hasattr(family, "join"):
        return cast(Any, family).join(models, targets=targets, niter=niter, residual=residual, **family_settings)
    for name, neutral in FAMILY_SETTINGS.items():
        if family_settings.pop(name, neutral) != neutral:
            raise ValueError(f"separator.{name}: only for Open-Unmix networks; leave it at {neutral!r}")
    wanted = list(targets or dict.fromkeys(target for model in models for target in cast(Any, model).targets))
    return JoinedSeparator(
        models,
        wanted,
        niter=niter or 0,
        residual=residual,
        chunk_seconds=chunk_seconds,
        overlap=overlap,
        chunk_batch=chunk_batch,
    )


def _is_single(model: Any) -> bool:
    return len(model.targets) == 1


class JoinedSeparator(nn.Module):
    """Separator that runs models independently, and takes each target from the first model that estimates it.

    Args:
        models, niter, residual, chunk_seconds, overlap, chunk_batch: see `join`.
        wanted: targets, in the order of the output.

    Shape:
        mixture (batch, channels, samples) -> (batch, sources, channels, samples), sources in the order of `targets`;
        both may lack the batch axis, see `mixture.separate`.

    Raises:
        ValueError: when no model estimates a wanted target, a setting is out of range, or EM has a single source.
    """

    def __init__(
        self,
        models: Sequence[nn.Module],
        wanted: Sequence[str],
        *,
        niter: int = 0,
        residual: bool = False,
        chunk_seconds: float | None = None,
        overlap: float = 0.25,
        chunk_batch: int = 1,
    ) -> None:
        super().__init__()
        self.models = nn.ModuleList(models)
        first: Any = models[0]
        self.sample_rate, self.num_channels = int(first.sample_rate), int(first.num_channels)
        estimated = [target for model in models for target in cast(Any, model).targets]
        for target in wanted:
            if target not in estimated:
                raise ValueError(f"targets: got {target!r}, the models estimate {', '.join(estimated)}")
        if niter and len(wanted) + residual < 2:
            raise ValueError(
                f"separator.niter: got {niter} with the single target {wanted[0]!r}; the Wiener filter shares the "
                "mixture among sources: residual=true gives it a second one, separator.niter=0 turns it off"
            )
        self.positions = [estimated.index(target) for target in wanted]
        self.targets = (*wanted, *([RESIDUAL] if residual else []))
        self.niter, self.residual = niter, residual
        self.chunk_seconds, self.overlap, self.chunk_batch = chunk_seconds, overlap, chunk_batch
        self.stft = Stft(EM_FFT_SIZE, EM_HOP_SIZE, center=True)

    @torch.no_grad()
    def forward(self, mixture: Tensor) -> Tensor:
        return separate(mixture, self.num_channels, self.stft.window, self._of_batch)

    def _of_batch(self, mixture: Tensor) -> Tensor:
        """Separate a checked batch of mixtures, see `forward`."""
        _, _, num_samples = mixture.shape
        parts = [contract.estimate(model, mixture, "ckpt") for model in self.models]
        estimates = self._with_residual(torch.cat(parts, dim=1)[:, self.positions], mixture)
        if not self.niter:
            return estimates
        padding = max(0, self.stft.fft_size - num_samples)
        padded, spectrogram = (self.stft(nn.functional.pad(x, (0, padding))) for x in (estimates, mixture))
        blocks = [
            self._refine(magnitudes, x)
            for magnitudes, x in zip(
                padded.abs().split(EM_FRAMES, dim=-1), spectrogram.split(EM_FRAMES, dim=-1), strict=True
            )
        ]
        refined = self.stft.inverse(torch.cat(blocks, dim=-1), num_samples=num_samples + padding)
        return refined[..., :num_samples]

    def _refine(self, magnitudes: Tensor, mixture: Tensor) -> Tensor:
        """Refine the estimates of a block of frames by EM; arguments and shapes as in `unmix.wiener`."""
        return wiener(magnitudes, mixture, iterations=self.niter, eps=torch.finfo(torch.float64).eps)

    def _with_residual(self, estimates: Tensor, mixture: Tensor) -> Tensor:
        """Append the mixture minus all estimates, if `residual` is set."""
        if not self.residual:
            return estimates
        residual = mixture.unsqueeze(-3) - estimates.sum(dim=-3, keepdim=True)
        return torch.cat([estimates, residual], dim=-3)

    @torch.no_grad()
    def stream(self, read: Read, num_samples: int, *, exact_seconds: float = 900.0) -> Iterator[Tensor]:
        """Separate a track of any length in bounded memory.

        Args:
            read: reads samples of the track at `sample_rate`.
            num_samples: length of the track.
            exact_seconds: for Open-Unmix networks, see `open_unmix.streaming.separate`.
        Yields:
            Consecutive estimates, (sources, channels, samples).
        """
        blocks = self._estimates(read, num_samples, exact_seconds)
        return self._refined(read, num_samples, blocks) if self.niter else blocks

    def _estimates(self, read: Read, num_samples: int, exact_seconds: float) -> Iterator[Tensor]:
        """Merge the streams of all models; each block is as long as the shortest pending one."""
        streams = [self._stream_of(model, read, num_samples, exact_seconds) for model in self.models]
        pending: list[Tensor | None] = [None] * len(streams)
        position = 0
        while position < num_samples:
            for i, stream in enumerate(streams):
                if pending[i] is None:
                    pending[i] = next(stream)
            available = cast(list[Tensor], pending)
            length = min(block.shape[-1] for block in available)
            estimates = torch.cat([block[..., :length] for block in available])[self.positions]
            yield self._with_residual(estimates, read(position, position + length).to(estimates.device))
            pending = [block[..., length:] if block.shape[-1] > length else None for block in available]
            position += length

    def _stream_of(self, model: Any, read: Read, num_samples: int, exact_seconds: float) -> Iterator[Tensor]:
        if hasattr(type(model), "join"):
            separator: Separator = type(model).join([model], niter=0)
            return separator.stream(read, num_samples, exact_seconds=exact_seconds)
        chunk = (
            contract.chunk_samples(model)
            if self.chunk_seconds is None
            else round(self.chunk_seconds * model.sample_rate)
        )
        return chunked.separate(
            model, read, num_samples, chunk_samples=chunk, overlap=self.overlap, batch_size=self.chunk_batch
        )

    def _refined(self, read: Read, num_samples: int, blocks: Iterator[Tensor]) -> Iterator[Tensor]:
        """Write all estimates to a temporary file, then yield them block by block, refined by the Wiener filter."""
        device, padded = self.stft.window.device, max(num_samples, self.stft.fft_size)
        sources, channels = len(self.targets), self.num_channels
        with TemporaryFile(prefix="unmix-") as file:
            for block in blocks:
                block.permute(2, 0, 1).cpu().float().contiguous().numpy().tofile(file)
            file.flush()
            stored = np.memmap(file, np.float32, mode="r", shape=(num_samples, sources * channels))

            def stored_block(start: int, stop: int) -> Tensor:
                return torch.from_numpy(np.array(stored[start : min(stop, num_samples)].T, order="C"))  # a copy

            def padded_to(source: Read, start: int, stop: int) -> Tensor:
                samples = source(min(start, num_samples), min(stop, num_samples)).to(device)
                return nn.functional.pad(samples, (0, stop - start - samples.shape[-1]))

            pairs = zip(
                spectrograms(self.stft, lambda *span: padded_to(stored_block, *span), padded, EM_FRAMES),
                spectrograms(self.stft, lambda *span: padded_to(read, *span), padded, EM_FRAMES),
                strict=True,
            )
            refined = (self._refine(y.abs().unflatten(0, (sources, channels))[None], x[None])[0] for y, x in pairs)
            remaining = num_samples
            for block in waveforms(self.stft, refined, padded):
                yield block[..., :remaining]
                remaining -= min(remaining, block.shape[-1])
