from math import sqrt

import pytest
import torch
from torch import nn

from unmix.dsp.stft import Stft
from unmix.training import objectives
from unmix.training.objectives import ComplexRmse, MagnitudeMse, MultiResolutionStft, WaveformL1, check_losses

SOURCES = ("vocals", "drums", "bass")
FOR_ANY_MODEL = [WaveformL1(), ComplexRmse(256, 64), MultiResolutionStft((256, 128), 32)]


class Gains(nn.Module):
    """Model of two targets, the mixture times a gain each."""

    targets, sample_rate, num_channels = ("bass", "vocals"), 8000, 2

    def __init__(self, *gains):
        super().__init__()
        self.gains = nn.Parameter(torch.tensor(gains or (0.5, 0.25)))

    def forward(self, mixture):
        return mixture.unsqueeze(1) * self.gains[:, None, None]


class GainsOfMagnitudes(Gains):
    """Model of magnitude spectrograms, like Open-Unmix: the mixture's times a gain each."""

    def __init__(self, *gains):
        super().__init__(*gains)
        self.stft = Stft(256, 64)

    def magnitudes(self, spectrogram):
        return spectrogram.abs().unsqueeze(1) * self.gains[:, None, None, None]


def mix(samples=2048, batch=2):
    generator = torch.Generator().manual_seed(0)
    stems = {name: torch.rand(batch, 2, samples, generator=generator) - 0.5 for name in SOURCES}
    return sum(stems.values()), stems


def test_references_are_in_the_order_of_the_targets():
    _, stems = mix()
    assert torch.equal(
        objectives.references(stems, ("bass", "vocals")), torch.stack([stems["bass"], stems["vocals"]], 1)
    )
    assert torch.equal(objectives.references(stems, ["drums"])[:, 0], stems["drums"])


@pytest.mark.parametrize("objective", FOR_ANY_MODEL, ids=lambda value: type(value).__name__)
def test_an_exact_estimate_has_zero_loss_and_a_finite_gradient(objective):
    mixture, _ = mix()
    model, stems = Gains(0.5, 0.25), {"bass": 0.5 * mixture, "vocals": 0.25 * mixture, "drums": 0.25 * mixture}
    losses = objective(model, mixture, stems)
    loss = sum(losses.values())
    loss.backward()
    assert all(value.ndim == 0 for value in losses.values())
    assert loss.item() == pytest.approx(0, abs=1e-5)
    assert model.gains.grad.isfinite().all()


@pytest.mark.parametrize("objective", FOR_ANY_MODEL, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("scale", [0.0, 1e-4, 10.0])
def test_gradients_are_finite_at_any_level_and_arguments_are_not_changed(objective, scale):
    mixture, stems = mix()
    mixture, stems = scale * mixture, {name: scale * samples for name, samples in stems.items()}
    before, model = {name: samples.clone() for name, samples in stems.items()}, Gains()
    sum(objective(model, mixture, stems).values()).backward()
    assert model.gains.grad.isfinite().all()
    assert all(torch.equal(before[name], stems[name]) for name in stems)


@pytest.mark.parametrize("objective", FOR_ANY_MODEL, ids=lambda value: type(value).__name__)
def test_a_loss_is_proportional_to_the_level(objective):
    mixture, stems = mix()
    model, doubled = Gains(), {name: 2 * samples for name, samples in stems.items()}
    first, second = objective(model, mixture, stems), objective(model, 2 * mixture, doubled)
    assert all(second[name].item() == pytest.approx(2 * first[name].item(), rel=1e-4) for name in first)


def test_waveform_l1_is_the_mean_absolute_error():
    mixture, stems = torch.ones(3, 2, 100), {name: torch.full((3, 2, 100), 0.25) for name in SOURCES}
    losses = WaveformL1()(Gains(0.5, 1.0), mixture, stems)
    assert {name: loss.item() for name, loss in losses.items()} == {"waveform_l1": 0.5}  # (0.25 + 0.75) / 2


def test_complex_rmse_is_the_mean_of_one_root_per_example_and_source():
    mixture, stems = mix()
    errors = Gains()(mixture) - objectives.references(stems, ("bass", "vocals"))
    window = torch.hann_window(256)
    roots = []
    for example in errors:
        for target in example:
            spectrogram = torch.stft(target, 256, 64, window=window, center=True, return_complex=True)
            power = (spectrogram.real**2 + spectrogram.imag**2).sum() / (2 * spectrogram.numel())
            roots.append(sqrt(power.item()))
    loss = ComplexRmse(256, 64)(Gains(), mixture, stems)["complex_rmse"].item()
    assert loss == pytest.approx(sum(roots) / 4, rel=1e-5)


def test_multi_resolution_stft_sums_waveforms_and_all_spectrograms():
    mixture, stems = mix()
    errors = Gains()(mixture) - objectives.references(stems, ("bass", "vocals"))
    expected = 0.0
    for fft_size in (256, 128):
        flat = errors.flatten(0, 2)
        window = torch.hann_window(fft_size)
        expected += torch.stft(flat, fft_size, 32, window=window, center=True, return_complex=True).abs().mean().item()
    losses = MultiResolutionStft((256, 128), 32)(Gains(), mixture, stems)
    assert losses["waveform_l1"].item() == pytest.approx(errors.abs().mean().item(), rel=1e-5)
    assert losses["spectral_l1"].item() == pytest.approx(expected, rel=1e-4)


def test_magnitude_mse_is_the_mean_squared_error_of_magnitudes_and_has_finite_gradients():
    mixture, stems = mix()
    model = GainsOfMagnitudes()
    loss = MagnitudeMse()(model, mixture, stems)["magnitude_mse"]
    expected = [
        (gain * model.stft(mixture).abs() - model.stft(stems[name]).abs()).square().mean().item()
        for gain, name in zip((0.5, 0.25), model.targets, strict=True)
    ]
    assert loss.item() == pytest.approx(sum(expected) / 2, rel=1e-5)
    loss.backward()
    assert model.gains.grad.isfinite().all()


def test_magnitude_mse_validates_a_track_in_one_pass():
    mixture, stems = mix()
    model = GainsOfMagnitudes()
    losses, estimates, start = MagnitudeMse().validate(model, mixture, stems)
    assert losses["magnitude_mse"].item() == MagnitudeMse()(model, mixture, stems)["magnitude_mse"].item()
    expected = Gains()(mixture)[..., start : start + estimates.shape[-1]]
    assert (estimates - expected).abs().max() < 1e-5


def test_magnitude_mse_refuses_a_model_without_magnitudes():
    MagnitudeMse().check(GainsOfMagnitudes())
    with pytest.raises(ValueError, match=r"magnitude_mse needs a model with `stft` and .*, Gains lacks them"):
        MagnitudeMse().check(Gains())


def test_estimates_of_a_wrong_shape_are_refused_by_objectives_for_any_model():
    class Mono(Gains):
        def forward(self, mixture):
            return super().forward(mixture)[:, :, :1]

    for objective in FOR_ANY_MODEL:
        with pytest.raises(ValueError, match="Mono returned"):
            objective(Mono(), *mix())


def test_checking_losses_on_noise_leaves_the_model_unchanged():
    model = Gains().train()
    check_losses(WaveformL1(), model, SOURCES, 100, "mine")
    assert model.training
    assert model.gains.grad is None


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        (torch.tensor(1.0), "objective: mine returned Tensor, a dict of losses by name is needed"),
        ({}, "objective: mine returned dict, a dict of losses by name is needed"),
        ({"l1": 1.0}, "objective: mine returned float as the loss 'l1', a tensor without axes is needed"),
        (
            {"l1": torch.ones(1)},
            "objective: mine returned shape (1,) as the loss 'l1', a tensor without axes is",
        ),
        ({"l1": torch.tensor(float("nan"))}, "objective: mine returned nan as the loss 'l1' of noise"),
        (KeyError("guitar"), "objective: mine cannot serve Gains: KeyError: 'guitar'; HYDRA_FULL_ERROR=1 shows where"),
    ],
    ids=str,
)
def test_an_objective_that_returns_no_losses_is_refused(losses, message):
    def objective(model, mixture, sources):
        if isinstance(losses, Exception):
            raise losses
        return losses

    with pytest.raises(ValueError) as error:
        check_losses(objective, Gains(), SOURCES, 100, "mine")
    assert message in str(error.value)
