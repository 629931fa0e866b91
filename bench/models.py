"""Speed and memory of our models beside the implementations that they are compared with: `make bench-models`.

One row per family: forward pass to magnitudes, of SCNet and RoFormers to waveforms, and training step, with the same
weights, on the same batch, in turns; peaks of memory less model and batch, on the CPU in processes of their own.
Full-size networks; no data loading, no optimiser. On the CPU the RoFormers have a quarter of their transformers and a
batch of one, on a GPU a batch of two. The losses of asteroid's X-UMX and of SCNet's authors are in recipes outside the
packages, and written out here. On a GPU each family has three rows: single precision, bf16-mixed, and this with
torch.compile of both networks; msst's networks fail in bf16, so ours are alone there. Arguments are the families to
measure; `--variants` selects rows.
"""

import argparse
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from itertools import combinations
from pathlib import Path

import asteroid.models
import torch
from msst.models.bs_roformer import BSRoformer, MelBandRoformer
from msst.models.bs_roformer.attend import Attend, FlashAttentionConfig
from msst.models.scnet import SCNet as MsstSCNet
from openunmix import model as openunmix
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from unmix.data.memory import keep_freed_memory
from unmix.dsp.stft import Stft
from unmix.models.band_roformer import BandRoformer
from unmix.models.frequency_bands import MelBands, WidthBands
from unmix.models.open_unmix import UMX
from unmix.models.rotary_transformer import Layers
from unmix.models.scnet import SCNet
from unmix.models.sparse_bands import Bands
from unmix.models.x_umx import XUMX
from unmix.training.module import total
from unmix.training.multi_domain import MultiDomain
from unmix.training.objectives import ComplexRmse, MagnitudeMse, MultiResolutionStft, references

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
BATCH, ROFORMER_BATCH, SECONDS = (16, 2, 6.0) if DEVICE == "cuda" else (4, 1, 3.0)
TARGETS, TURNS = ("vocals", "drums", "bass", "other"), 5
SINGLE, _, COMPILED = VARIANTS = ("single", "bf16", "bf16-compiled")
KEPT: list[nn.Module] = []  # so that no model leaves room behind that a later pass would use
Sources = dict[str, Tensor]
Run = Callable[[Tensor, Sources], Tensor]  # mixture and sources -> estimates, or a loss


@dataclass(frozen=True)
class Family:
    """A model of ours and its peer, which gets our weights.

    Args:
        peer: package that holds the peer.
        make: builds our model.
        ours, theirs: given our model, functions for a forward pass and for the loss of a training step.
    """

    peer: str
    make: Callable[[], nn.Module]
    ours: Callable[[nn.Module], tuple[nn.Module, Run, Run]]
    theirs: Callable[[nn.Module], tuple[nn.Module, Run, Run]]
    batch: int = BATCH


def ours_with(objective: Callable[..., dict[str, Tensor]]) -> Callable[[nn.Module], tuple[nn.Module, Run, Run]]:
    """Forward pass to magnitudes, and loss, of a model of ours."""

    def runs(model: nn.Module) -> tuple[nn.Module, Run, Run]:
        stft = Stft(center=not isinstance(model, UMX)).to(DEVICE)
        return (
            model,
            lambda mixture, _: model.magnitudes(stft(mixture)),  # type: ignore[operator]
            lambda mixture, sources: total(objective(model, mixture, sources)),
        )

    return runs


def openunmix_runs(model: nn.Module) -> tuple[nn.Module, Run, Run]:
    """openunmix's network and the loss of its training script."""
    theirs = openunmix.OpenUnmix(2049, 2, max_bin=1487).to(DEVICE)
    theirs.load_state_dict(model.network.state_dict())  # type: ignore[union-attr]
    stft = Stft().to(DEVICE)

    def forward(mixture: Tensor, _: Sources) -> Tensor:
        spectrogram = stft(mixture)  # kept, as its phase is needed
        return theirs(spectrogram.abs())

    def loss(mixture: Tensor, sources: Sources) -> Tensor:
        return mse_loss(forward(mixture, sources), stft(sources[TARGETS[0]]).abs())

    return theirs, forward, loss


def asteroid_runs(model: nn.Module) -> tuple[nn.Module, Run, Run]:
    """asteroid's X-UMX and the loss of its recipe."""
    theirs = asteroid.models.XUMX(list(TARGETS), max_bin=1487).to(DEVICE)
    parts = {"fc1": "enc.0", "bn1": "enc.1", "fc2": "dec.0", "bn2": "dec.1", "fc3": "dec.3", "bn3": "dec.4"}
    with torch.no_grad():
        for target, network in zip(TARGETS, model.networks, strict=True):  # type: ignore[arg-type]
            theirs.layer_lstm[target].load_state_dict(network.lstm.state_dict())
            for name, part in parts.items():
                layers = theirs.layer_enc if part.startswith("enc") else theirs.layer_dec
                layers[target].get_submodule(part).load_state_dict(getattr(network, name).state_dict())
            for name in ("input_mean", "input_scale", "output_mean", "output_scale"):
                theirs.mean_scale[f"{name}_{target}"].copy_(getattr(network, name))

    def forward(mixture: Tensor, _: Sources) -> Tensor:
        return theirs(mixture)[0]

    def loss(mixture: Tensor, sources: Sources) -> Tensor:
        magnitude, angle = theirs.encoder(mixture)
        masked = theirs.apply_masks(magnitude, theirs.forward_masker(magnitude.clone()))
        spectrogram = masked.permute(0, 2, 3, 4, 1)  # its decoder calls torch.istft as it was before torch 2
        spectrogram = torch.complex(spectrogram * angle.cos(), spectrogram * angle.sin())
        window = theirs.decoder.window
        estimates = torch.istft(spectrogram.flatten(end_dim=2), 4096, 1024, window=window)
        true = references(sources, TARGETS).transpose(0, 1)
        estimates, true = estimates.unflatten(0, true.shape[:3]), true[..., : estimates.shape[-1]]
        reference = theirs.encoder(references(sources, TARGETS).flatten(1, 2))[0].unflatten(2, (len(TARGETS), 2))
        return combined(mixture[..., : true.shape[-1]], estimates, true, masked, reference.permute(2, 0, 1, 3, 4))

    return theirs, forward, loss


def combined(mixture: Tensor, estimates: Tensor, true: Tensor, masked: Tensor, reference: Tensor) -> Tensor:
    """X-UMX's loss with a sum for every combination; the first axis is targets."""
    chosen = [list(c) for size in range(1, len(true)) for c in combinations(range(len(true)), size)]
    squared = torch.stack([mse_loss(masked[c].sum(0), reference[c].sum(0)) for c in chosen]).mean()
    estimate, source = (torch.stack([values[c].sum(0) for c in chosen]) for values in (estimates, true))
    rest, rest_estimate = mixture - source, mixture - estimate
    energy, energy_of_rest = source.square().sum(-1), rest.square().sum(-1)
    share = energy / (energy + energy_of_rest + 1e-10)
    weighted = share * cosine(estimate, source) + (1 - share) * cosine(rest_estimate, rest)
    return 10 * (1 - weighted.mean()) + squared


def cosine(first: Tensor, second: Tensor) -> Tensor:
    """Cosine of the angle between signals, with asteroid's regularisation."""
    norms = [(values.square().sum(-1) + 1e-10).sqrt() for values in (first, second)]
    return (first * second).sum(-1) / (norms[0] * norms[1] + 1e-10)


def waveforms_with(objective: nn.Module) -> Callable[[nn.Module], tuple[nn.Module, Run, Run]]:
    """Forward pass to waveforms, and loss, of a model of ours."""

    def runs(model: nn.Module) -> tuple[nn.Module, Run, Run]:
        loss = objective.to(DEVICE)
        return (
            model,
            lambda mixture, _: model(mixture),
            lambda mixture, sources: total(loss(model, mixture, sources)),
        )

    return runs


def msst_runs(model: nn.Module) -> tuple[nn.Module, Run, Run]:
    """msst's SCNet, and the loss of the authors' training script."""
    theirs = MsstSCNet(sources=list(TARGETS)).to(DEVICE)
    theirs.load_state_dict(model.state_dict())

    def spectra(waveforms: Tensor) -> Tensor:
        waveforms = waveforms.flatten(end_dim=2)
        return torch.view_as_real(torch.stft(waveforms, 4096, 1024, normalized=True, return_complex=True))

    def loss(mixture: Tensor, sources: Sources) -> Tensor:
        squared = mse_loss(spectra(theirs(mixture)), spectra(references(sources, TARGETS)), reduction="none")
        return squared.unflatten(0, (BATCH, len(TARGETS), 2)).mean(dim=(2, 3, 4, 5)).sqrt().mean()

    return theirs, lambda mixture, _: theirs(mixture), loss


def scnet() -> nn.Module:
    """SCNet as published, with the input as it is, like msst's."""
    return SCNet(TARGETS, Stft(center=True, window="rectangular", normalized=True), Bands(), standardize=False)


WIDTHS = [*[2] * 24, *[4] * 12, *[12] * 8, *[24] * 8, *[48] * 8, 128, 129]  # BS-RoFormer's bands
DEPTH = 8 if DEVICE == "cuda" else 2
ROFORMER_LOSS = MultiResolutionStft(hop_size=147, min_fft_size=2048)


def roformer(bands: WidthBands | MelBands, norm: str) -> Callable[[], nn.Module]:
    """A RoFormer with the sizes of our recipe."""
    layers = Layers(384, DEPTH, norm=norm)
    stft = Stft(2048, 441, center=True)
    return lambda: BandRoformer(TARGETS, stft, bands, layers, mask_expansion=2)


def msst_roformer(network: Callable[..., nn.Module], **given: object) -> Callable[..., tuple[nn.Module, Run, Run]]:
    """msst's RoFormer, which computes its own loss."""
    options = {"stereo": True, "num_stems": len(TARGETS), "time_transformer_depth": 1, "freq_transformer_depth": 1}

    def runs(model: nn.Module) -> tuple[nn.Module, Run, Run]:
        sizes = {"depth": DEPTH, "mlp_expansion_factor": 2, "stft_hop_length": 441, **options, **given}
        theirs = network(384, **sizes).to(DEVICE)
        theirs.load_state_dict(model.state_dict())
        for module in theirs.modules():
            if isinstance(module, Attend):  # on a GPU it asks for kernels that refuse float32, and for no other
                module.cuda_config = FlashAttentionConfig(True, True, True)
        return (
            theirs,
            lambda mixture, _: theirs(mixture),
            lambda mixture, sources: theirs(mixture, references(sources, TARGETS)),
        )

    return runs


NO_DROPOUT = {"attn_dropout": 0.0, "ff_dropout": 0.0, "match_input_audio_length": True}
FAMILIES = {
    "Open-Unmix": Family("openunmix", lambda: UMX(TARGETS[:1], Stft()), ours_with(MagnitudeMse()), openunmix_runs),
    "X-UMX": Family("asteroid", lambda: XUMX(TARGETS, Stft()), ours_with(MultiDomain()), asteroid_runs),
    "SCNet": Family("msst", scnet, waveforms_with(ComplexRmse(window="rectangular", normalized=True)), msst_runs),
    "BS-RoFormer": Family(
        "msst",
        roformer(WidthBands(WIDTHS), "last"),
        waveforms_with(ROFORMER_LOSS),
        msst_roformer(BSRoformer),
        batch=ROFORMER_BATCH,
    ),
    "Mel-band RoFormer": Family(
        "msst",
        roformer(MelBands(), "each"),
        waveforms_with(ROFORMER_LOSS),
        msst_roformer(MelBandRoformer, **NO_DROPOUT),
        batch=ROFORMER_BATCH,
    ),
}


def compile_network(module: nn.Module) -> None:
    """Compile what a forward pass and a training step call."""
    module.compile()
    if hasattr(module, "magnitudes"):
        module.magnitudes = torch.compile(module.magnitudes)


def contender(
    family: str, name: str, duration: float, variant: str = SINGLE
) -> tuple[Callable[[], Tensor], Callable[[], Tensor]]:
    """Functions that run a forward pass and a training step of `ours` or `theirs`; they return estimates and loss."""
    torch.manual_seed(0)
    model = FAMILIES[family].make().to(DEVICE)
    KEPT.append(model)
    module, forward, loss = getattr(FAMILIES[family], name)(model)
    if variant == COMPILED:
        compile_network(module)
    autocast = partial(torch.autocast, DEVICE, torch.bfloat16, enabled=variant != SINGLE)
    torch.manual_seed(0)
    stems = 0.1 * torch.randn(len(TARGETS), FAMILIES[family].batch, 2, round(duration * 44100), device=DEVICE)
    sources, mixture = dict(zip(TARGETS, stems, strict=True)), stems.sum(0)

    @torch.no_grad()
    def evaluate() -> Tensor:
        module.eval()
        with autocast():
            return forward(mixture, sources)

    def step() -> Tensor:
        module.train()
        module.zero_grad()
        with autocast():
            value = loss(mixture, sources)
        value.backward()
        return value.detach()

    return evaluate, step


def seconds(run: Callable[[], Tensor]) -> float:
    """Measure the time of a call, with the device's work."""
    started = time.perf_counter()
    run().sum().item()
    return time.perf_counter() - started


def peak_megabytes(family: str, name: str, part: str, variant: str, run: Callable[[], Tensor]) -> float:
    """Measure what a call adds to the memory of the GPU, or of a process that does this once: the median of three."""
    if DEVICE == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        return (torch.cuda.max_memory_allocated() - before) / 1e6
    command = [sys.executable, __file__, family, "--peak-of", name, part, "--variants", variant]
    runs = (subprocess.run(command, check=True, capture_output=True, text=True) for _ in range(3))
    return statistics.median(float(run.stdout.split()[-1]) for run in runs)


def measure_peak(family: str, name: str, part: str, variant: str) -> float:
    """Peak memory of this process, in MB, of what `part` allocates beyond model and batch."""
    index = ("forward", "step").index(part)
    first, run = (contender(family, name, duration, variant)[index] for duration in (0.5, SECONDS))
    first()  # loads libraries
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak until now
    before_kb = status("VmRSS")
    run()
    return (status("VmHWM") - before_kb) * 1024 / 1e6


def status(field: str) -> int:
    """A field of this process's status, in kB."""
    return int(re.findall(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())[0])


def row(family: str, variant: str) -> str:
    """Measure a family and format its row."""
    names = ("ours",) if variant != SINGLE and FAMILIES[family].peer == "msst" else ("theirs", "ours")
    runs = {name: contender(family, name, SECONDS, variant) for name in names}
    timings: dict[tuple[str, int], list[float]] = {}
    for _ in range(TURNS + 1):
        for part in (0, 1):
            for name, parts in runs.items():
                timings.setdefault((name, part), []).append(seconds(parts[part]))
    suffix = "" if variant == SINGLE else f", {variant}"
    cells = [f"{family} ({FAMILIES[family].peer} {version(FAMILIES[family].peer)}){suffix}"]
    for part in (0, 1):
        cells.append(beside({name: statistics.median(timings[name, part][1:]) for name in runs}, ".3f"))
    for part, part_name in enumerate(("forward", "step")):
        peaks = {name: peak_megabytes(family, name, part_name, variant, parts[part]) for name, parts in runs.items()}
        cells.append(beside(peaks, ".0f"))
    return "| " + " | ".join(cells) + " |"


def beside(values: dict[str, float], form: str) -> str:
    """Format our value, the peer's if there is one, and their ratio."""
    if "theirs" not in values:
        return f"{values['ours']:{form}} / -"
    return f"{values['ours']:{form}} / {values['theirs']:{form}} ({values['ours'] / values['theirs']:.2f})"


def main() -> None:
    """Print the table of some families."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*", default=list(FAMILIES), help=", ".join(FAMILIES))
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=VARIANTS if DEVICE == "cuda" else [SINGLE])
    parser.add_argument("--peak-of", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := [name for name in options.families if name not in FAMILIES]:
        parser.error(f"families: got {unknown[0]}, allowed {', '.join(FAMILIES)}")
    if options.peak_of:
        print(measure_peak(options.families[0], *options.peak_of, options.variants[0]))
        return
    keep_freed_memory()  # as the commands do; the peers gain from it too
    machine = torch.cuda.get_device_name() if DEVICE == "cuda" else platform.processor() or platform.machine()
    print(f"machine: {machine}, {torch.get_num_threads()} threads, torch {torch.__version__}; ", end="")
    print(f"{BATCH} x {SECONDS:g} s, RoFormers {ROFORMER_BATCH}, stereo; ours / theirs (ratio)\n")
    print(
        "| family | forward, s | training step, s | forward, peak MB | training step, peak MB |\n|---|---|---|---|---|"
    )
    for family in options.families:
        for variant in options.variants:
            print(row(family, variant), flush=True)


if __name__ == "__main__":
    main()
