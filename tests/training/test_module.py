from functools import partial

import openunmix.model
import openunmix.transforms
import pytest
import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau, StepLR

from unmix.dsp.stft import Stft
from unmix.models.open_unmix import OpenUnmix
from unmix.training.module import SeparationModule

SCHEDULES = [partial(ReduceLROnPlateau, patience=0, factor=0.1), partial(StepLR, step_size=1)]


def make_module(scheduler=SCHEDULES[1], hidden_size=8, **arguments):
    torch.manual_seed(0)
    model = OpenUnmix(hidden_size, num_bins=257, dropout=0.0, **arguments)
    return SeparationModule(
        model, Stft(512, 128), target="bass", optimizer=partial(torch.optim.Adam, lr=1e-2), scheduler=scheduler
    )


def make_batch(samples=8192):
    generator = torch.Generator().manual_seed(1)
    bass, rest = torch.rand(2, 2, 2, samples, generator=generator) - 0.5
    return {"mixture": bass + rest, "bass": bass}


def log_nowhere(module):
    logged = {}
    module.log = lambda name, value, **_: logged.update({name: value})
    module.log_dict = lambda values, **_: logged.update(values)
    return logged


def test_forward_takes_a_waveform_to_the_magnitude_of_the_target():
    assert make_module()(torch.randn(3, 2, 4096)).shape == (3, 2, 257, 29)


def test_loss_is_the_reference_s_on_the_same_weights():
    module, batch = make_module(), make_batch()
    log_nowhere(module)
    theirs = openunmix.model.OpenUnmix(nb_bins=257, hidden_size=8, max_bin=module.model.num_input_bins)
    theirs.load_state_dict(module.model.state_dict())
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


def test_validation_reports_the_mean_over_tracks_and_the_sdr_of_those_that_sound():
    module = make_module().eval()
    logged = log_nowhere(module)
    first, second = make_batch(4096), make_batch(9000)
    silent = {"mixture": first["mixture"], "bass": torch.zeros_like(first["bass"])}
    losses = []
    for batch in (first, second, silent):
        module.validation_step(batch, 0)
        losses.append((module(batch["mixture"]) - module.stft(batch["bass"]).abs()).square().mean())
    module.on_validation_epoch_end()
    assert logged["val/loss"].item() == pytest.approx(torch.stack(losses).mean().item(), rel=1e-5)
    assert logged["val/sdr_tracks"] == 2
    module.validation_step(silent, 0)
    logged.clear()
    module.on_validation_epoch_end()
    assert logged["val/sdr_tracks"] == 0
    assert "val/sdr" not in logged


def test_sdr_of_an_estimate_that_is_the_mixture_is_that_of_the_mixture():
    module = make_module().eval()
    logged = log_nowhere(module)

    class Identity(torch.nn.Module):
        def forward(self, magnitude):
            return magnitude

    module.model = Identity()
    batch = make_batch(9000)
    module.validation_step(batch, 0)
    module.on_validation_epoch_end()
    inner = slice(512, 128 * (module.stft(batch["bass"]).shape[-1] - 1))
    bass, mixture = batch["bass"][..., inner], batch["mixture"][..., inner]
    expected = 10 * torch.log10(bass.square().sum() / (bass - mixture).square().sum())
    assert logged["val/sdr"].item() == pytest.approx(expected.item(), abs=1e-3)


def test_model_and_stft_must_agree_in_bins():
    with pytest.raises(ValueError, match=r"model.num_bins: got 257, stft.fft_size=1024 has 513 bins"):
        SeparationModule(OpenUnmix(8, num_bins=257), Stft(1024, 256), target="bass", optimizer=None, scheduler=None)


@pytest.mark.parametrize("scheduler", SCHEDULES)
def test_schedules_step_once_an_epoch(scheduler, monkeypatch):
    module = make_module(scheduler)
    log_nowhere(module)
    optimizer = module.configure_optimizers()["optimizer"]
    schedule = scheduler(optimizer)

    class Trainer:
        optimizers = [optimizer]  # noqa: RUF012
        callback_metrics = {"val/loss": torch.tensor(1.0)}  # noqa: RUF012

    module._trainer = Trainer()
    module.lr_schedulers = lambda: schedule
    before = optimizer.param_groups[0]["lr"]
    monkeypatch.setattr("unmix.training.module.is_within_epoch", lambda trainer: True)
    module.on_train_epoch_end()
    assert optimizer.param_groups[0]["lr"] == before, "an epoch that was cut is none"
    monkeypatch.setattr("unmix.training.module.is_within_epoch", lambda trainer: False)
    for _ in range(3):
        optimizer.step()
        module.on_train_epoch_end()
    assert optimizer.param_groups[0]["lr"] < 1e-3
