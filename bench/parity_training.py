"""Parity of our training with openunmix's, from the same weights on the same batches: `make bench-parity_training`.

The reference is the step of open-unmix-pytorch v1.3.0 (scripts/train.py): its model, its STFT, Adam, MSE. Ours is
`SeparationModule` under Lightning's Trainer. Hidden size 512; dropout is 0, because its random numbers would differ.
"""

import platform
from collections.abc import Iterator
from functools import partial
from importlib.metadata import version
from typing import Any

import torch
from openunmix import model as theirs
from openunmix.transforms import ComplexNorm, make_filterbanks
from pytorch_lightning import Callback, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from unmix.dsp.stft import Stft
from unmix.models.open_unmix import UMX
from unmix.training.module import SeparationModule
from unmix.training.objectives import MagnitudeMse

STEPS, BATCH, SAMPLES, TARGET = 50, 4, 2 * 44100, "vocals"


def draw(num_batches: int, batch: int, num_samples: int, seed: int) -> list[dict[str, Tensor]]:
    """Draw batches of mixtures of two noises with random levels, of which the first is the target."""
    generator = torch.Generator().manual_seed(seed)
    batches = []
    for _ in range(num_batches):
        stems = torch.randn(2, batch, 2, num_samples, generator=generator)
        stems *= 0.2 * torch.rand(2, batch, 1, 1, generator=generator)
        batches.append({"mixture": stems.sum(dim=0), TARGET: stems[0]})
    return batches


def make_models() -> tuple[UMX, nn.Module]:
    """Make our model and the reference's with the same weights and input statistics."""
    torch.manual_seed(0)
    ours = UMX((TARGET,), Stft(), dropout=0.0)
    ours.network.input_mean.data.uniform_(-1, 0)
    ours.network.input_scale.data.uniform_(0.5, 1)
    reference = theirs.OpenUnmix(2049, 2, hidden_size=512, max_bin=ours.network.num_input_bins)
    reference.load_state_dict(ours.network.state_dict())
    reference.lstm.dropout = 0.0
    return ours, reference


class Losses(Callback):
    """Callback that records the loss of every training step."""

    def __init__(self) -> None:
        self.steps: list[float] = []

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.steps.append(outputs["loss"].item())


def train_ours(model: UMX, batches: list[dict[str, Tensor]], tracks: list[dict[str, Tensor]]) -> list[float]:
    """Train our model; returns the loss of each step, then the validation loss."""
    module = SeparationModule(
        model,
        MagnitudeMse(),
        optimizer=partial(torch.optim.Adam, lr=1e-3, weight_decay=1e-5),
        scheduler=partial(torch.optim.lr_scheduler.ReduceLROnPlateau, factor=0.3, patience=80),
    )
    losses = Losses()
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        callbacks=[losses],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    loaders = [DataLoader(data, batch_size=None) for data in (batches, tracks)]  # type: ignore[arg-type]
    trainer.fit(module, *loaders)
    return [*losses.steps, trainer.callback_metrics["val/loss"].item()]


def train_reference(
    model: nn.Module, batches: list[dict[str, Tensor]], tracks: list[dict[str, Tensor]]
) -> Iterator[float]:
    """Train the reference's model; yields the loss of each step, then the validation loss."""
    stft, _ = make_filterbanks(n_fft=4096, n_hop=1024, center=False)
    encoder = nn.Sequential(stft, ComplexNorm(mono=False))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-5)
    model.train()
    for batch in batches:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(encoder(batch["mixture"])), encoder(batch[TARGET]))
        loss.backward()
        optimizer.step()
        yield loss.item()
    model.eval()
    with torch.no_grad():
        values = [
            nn.functional.mse_loss(model(encoder(track["mixture"])), encoder(track[TARGET])).item() for track in tracks
        ]
    yield sum(values) / len(values)


def main() -> None:
    """Print the table."""
    print(f"machine: {platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, ", end="")
    print(f"torch {torch.__version__}, openunmix {version('openunmix')}, {STEPS} steps of {BATCH} x 2 s\n")
    batches = draw(STEPS, BATCH, SAMPLES, seed=0)
    tracks = [draw(1, 1, seconds * 44100 + 17, seed=seconds)[0] for seconds in (8, 13)]
    ours, reference = make_models()
    our_losses = train_ours(ours, batches, tracks)
    their_losses = list(train_reference(reference, batches, tracks))
    relative = [abs(a - b) / b for a, b in zip(our_losses, their_losses, strict=True)]
    weights = reference.state_dict()
    differences = [
        float((value - weights[name]).abs().max())
        for name, value in ours.network.state_dict().items()
        if value.is_floating_point()
    ]
    print("| largest difference | |\n|---|---|")
    print(f"| training loss of a step, relative | {max(relative[:-1]):.1e} |")
    print(f"| validation loss over whole tracks, relative | {relative[-1]:.1e} |")
    print(f"| weights and buffers after {STEPS} steps | {max(differences):.1e} |")
    print(f"\nour loss in the first step: {our_losses[0]:.4f}, in the last: {our_losses[-2]:.4f}")


if __name__ == "__main__":
    main()
