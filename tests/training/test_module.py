from functools import partial

import openunmix.model
import openunmix.transforms
import pytest
import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau, StepLR

from unmix.dsp.stft import Stft
from unmix.models.open_unmix import UMX
from unmix.training.module import SeparationModule
from unmix.training.objectives import MagnitudeMse, WaveformL1

SCHEDULES = [partial(ReduceLROnPlateau, patience=0, factor=0.1), partial(StepLR, step_size=1)]


def make_module(scheduler=SCHEDULES[1], objective=None, **arguments):
    torch.manual_seed(0)
    model = UMX(("bass",), Stft(512, 128), hidden_size=8, dropout=0.0, **arguments)
    optimizer = partial(torch.optim.Adam, lr=1e-2)
    return SeparationModule(model, objective or MagnitudeMse(), optimizer=optimizer, scheduler=scheduler)


def make_batch(samples=8192):
    generator = torch.Generator().manual_seed(1)
    bass, rest = torch.rand(2, 2, 2, samples, generator=generator) - 0.5
    return {"mixture": bass + rest, "bass": bass}


def log_nowhere(module):
    logged = {}
    module.log = lambda name, value, **_: logged.update({name: value})
    module.log_dict = lambda values, **_: logged.update(values)
    return logged


def test_forward_turns_a_mixture_into_the_waveform_of_the_target():
    assert make_module()(torch.randn(3, 2, 4096)).shape == (3, 1, 2, 4096)


def test_loss_equals_openunmix_s_with_the_same_weights():
    module, batch = make_module(), make_batch()
    log_nowhere(module)
    theirs = openunmix.model.OpenUnmix(nb_bins=257, hidden_size=8, max_bin=module.model.network.num_input_bins)
    theirs.load_state_dict(module.model.network.state_dict())
    theirs.lstm.dropout = 0.0
    stft, _ = openunmix.transforms.make_filterbanks(n_fft=512, n_hop=128)
    encoder = torch.nn.Sequential(stft, openunmix.transforms.ComplexNorm(mono=False))
    expected = torch.nn.functional.mse_loss(theirs(encoder(batch["mixture"])), encoder(batch["bass"]))
    assert module.training_step(batch, 0).item() == pytest.approx(expected.item(), rel=1e-5)


def test_loss_falls_on_one_batch():
    module, batch = make_module(), make_batch()
    log_nowhere(module)
    optimizer = module.configure_optimizers()["optimizer"]
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = module.training_step(batch, 0)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_validation_reports_the_mean_loss_and_the_sdr_of_tracks_that_are_not_silent():
    module = make_module().eval()
    logged = log_nowhere(module)
    first, second = make_batch(4096), make_batch(9000)
    silent = {"mixture": first["mixture"], "bass": torch.zeros_like(first["bass"])}
    losses = []
    for batch in (first, second, silent):
        module.validation_step(batch, 0)
        estimates = module.model.network(module.model.stft(batch["mixture"]).abs())
        losses.append((estimates - module.model.stft(batch["bass"]).abs()).square().mean())
    module.on_validation_epoch_end()
    assert logged["val/loss"].item() == pytest.approx(torch.stack(losses).mean().item(), rel=1e-5)
    assert logged["val/sdr_tracks"] == 2
    module.validation_step(silent, 0)
    logged.clear()
    module.on_validation_epoch_end()
    assert logged["val/sdr_tracks"] == 0
    assert "val/sdr" not in logged


def test_val_sdr_of_an_estimate_equal_to_the_mixture_is_the_sdr_of_the_mixture():
    module = make_module().eval()
    logged = log_nowhere(module)

    class Identity(torch.nn.Module):
        def forward(self, magnitude):
            return magnitude

    module.model.network = Identity()
    batch = make_batch(9000)
    module.validation_step(batch, 0)
    module.on_validation_epoch_end()
    inner = slice(512, 128 * (module.model.stft(batch["bass"]).shape[-1] - 1))
    bass, mixture = batch["bass"][..., inner], batch["mixture"][..., inner]
    expected = 10 * torch.log10(bass.square().sum() / (bass - mixture).square().sum())
    assert logged["val/sdr"].item() == pytest.approx(expected.item(), abs=1e-3)


@pytest.mark.parametrize("num_samples", [3000, 8192, 12288, 20000])
def test_an_objective_without_its_own_validation_is_averaged_over_pieces(num_samples, monkeypatch):
    """The pieces are as long as the model's chunks and the last takes the rest, so none is shorter than a chunk."""
    module = make_module(objective=WaveformL1()).eval()
    module.model.chunk_seconds = 4096 / 44100
    logged, batch = log_nowhere(module), make_batch(num_samples)
    module.validation_step(batch, 0)
    module.on_validation_epoch_end()
    starts = list(range(0, max(1, num_samples // 4096) * 4096, 4096))
    pieces = list(zip(starts, [*starts[1:], num_samples], strict=True))
    estimates = torch.cat([module(batch["mixture"][..., start:end]) for start, end in pieces], dim=-1)[:, 0]
    expected = (estimates - batch["bass"]).abs().mean()
    assert logged["val/loss"].item() == pytest.approx(expected.item(), rel=1e-5)
    error = (estimates - batch["bass"]).square().sum()
    assert logged["val/sdr"].item() == pytest.approx(
        (10 * torch.log10(batch["bass"].square().sum() / error)).item(), abs=1e-3
    )


def test_losses_of_an_objective_are_added_up_and_logged_separately():
    module, batch = make_module(objective=lambda *_: {"a": torch.tensor(1.0), "b": torch.tensor(2.0)}), make_batch()
    logged = log_nowhere(module)
    assert module.training_step(batch, 0) == 3.0
    assert (logged["train/loss_step"], logged["train/a_step"], logged["train/b_step"]) == (3.0, 1.0, 2.0)


def test_an_object_that_is_no_model_is_refused():
    with pytest.raises(ValueError, match=r"model: torch.nn.modules.linear.Linear is not a model"):
        SeparationModule(torch.nn.Linear(1, 1), WaveformL1(), optimizer=None, scheduler=None)


@pytest.mark.parametrize(
    ("scheduler", "expected"),
    [  # of 4 epochs with the same validation loss
        (SCHEDULES[1], [1e-3, 1e-4, 1e-5, 1e-6]),
        (SCHEDULES[0], [1e-2, 1e-3, 1e-4, 1e-5]),  # the first is the best so far
    ],
)
def test_schedules_step_once_an_epoch(scheduler, expected, monkeypatch):
    module = make_module(scheduler)
    log_nowhere(module)
    optimizer = module.configure_optimizers()["optimizer"]
    schedule = scheduler(optimizer)

    class Trainer:
        optimizers = [optimizer]  # noqa: RUF012
        callback_metrics = {"val/loss": torch.tensor(1.0)}  # noqa: RUF012

    module._trainer = Trainer()
    module.lr_schedulers = lambda: schedule
    monkeypatch.setattr("unmix.training.module.is_within_epoch", lambda trainer: True)
    module.on_train_epoch_end()
    assert optimizer.param_groups[0]["lr"] == 1e-2, "nothing is stepped within an epoch"
    monkeypatch.setattr("unmix.training.module.is_within_epoch", lambda trainer: False)
    rates = []
    for _ in range(4):
        optimizer.step()
        module.on_train_epoch_end()
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx(expected)
