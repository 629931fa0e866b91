"""SCNet gives msst's numbers with msst's weights, and keeps its promises beside them."""

import signal
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from msst.models.scnet import SCNet as Msst

from tensors import as_bytes
from unmix.composition import compose
from unmix.dsp.stft import Stft
from unmix.models import contract, scnet
from unmix.models.scnet import SCNet
from unmix.models.sparse_bands import Bands
from unmix.runs.build import make

SMALL, LARGE = (0.175, 0.392, 0.433), (0.225, 0.372, 0.403)  # shares of the bands as published
TOY = Path(__file__).parents[1] / "toy"  # its callback kills a training
SOURCES = ("vocals", "drums", "bass", "other")


class Fixed:
    """A model whose estimates are given."""

    targets = SOURCES

    def __init__(self, estimates):
        self.estimates = estimates

    def __call__(self, mixture):
        return self.estimates


def build(shares=SMALL, widths=(8, 16, 32), targets=SOURCES, num_channels=2, fft_size=512, **options):
    stft = Stft(fft_size, fft_size // 4, center=True, window="rectangular", normalized=True)
    return SCNet(targets, stft, Bands(shares), widths=widths, num_channels=num_channels, **options)


def reference(shares, widths, targets, num_channels, fft_size=512):
    torch.manual_seed(0)
    return Msst(
        sources=list(targets),
        audio_channels=num_channels,
        dims=[2 * num_channels, *widths],
        nfft=fft_size,
        hop_size=fft_size // 4,
        win_size=fft_size,
        band_SR=list(shares),
    )


@pytest.mark.filterwarnings("ignore:.*window was not provided")
@pytest.mark.parametrize(
    ("shares", "widths", "targets", "num_channels", "num_samples"),
    [
        (SMALL, (8, 16, 32), SOURCES, 2, 6000),
        (SMALL, (8, 16, 32), ("vocals",), 1, 128 * 47),  # a whole number of hops
        (LARGE, (16, 32, 64), ("vocals", "other"), 2, 128 * 48 + 1),
    ],
    ids=["small", "mono", "large"],
)
@pytest.mark.parametrize("norm", ["_normalised", "_by_moments"], ids=["on a CPU", "as on a GPU"])
def test_estimates_and_gradients_are_msst_s_with_its_weights(
    shares, widths, targets, num_channels, num_samples, norm, monkeypatch
):
    monkeypatch.setattr(scnet, "_normalised", getattr(scnet, norm))
    theirs = reference(shares, widths, targets, num_channels)
    ours = build(shares, widths, targets, num_channels, standardize=False)
    ours.load_state_dict(theirs.state_dict())
    generator = torch.Generator().manual_seed(1)
    mixture = torch.randn(2, num_channels, num_samples, generator=generator)
    expected, estimates = theirs(mixture), ours(mixture)
    assert estimates.shape == expected.shape == (2, len(targets), num_channels, num_samples)
    assert (estimates - expected).abs().max() < 1e-5 * expected.abs().max()
    direction = torch.randn(expected.shape, generator=generator)
    gradients = []
    for model, output in ((theirs, expected), (ours, estimates)):
        (output * direction).sum().backward()
        gradients.append({name: weight.grad for name, weight in model.named_parameters()})
    first, second = gradients
    total = torch.cat([gradient.flatten() for gradient in first.values()]).norm()
    for name, gradient in first.items():
        # where a sum cancels, rounding is a share of its terms, not of the sum
        assert (second[name] - gradient).norm() < 1e-4 * gradient.norm() + 1e-7 * total, name


def test_published_sizes_have_the_published_numbers_of_parameters():
    with torch.device("meta"):
        stft = Stft(4096, 1024, center=True, window="rectangular", normalized=True)
        models = [SCNet(SOURCES, stft, Bands()), SCNet(SOURCES, stft, Bands(LARGE), widths=(64, 128, 256))]
        theirs = [Msst(), Msst(dims=[4, 64, 128, 256], band_SR=list(LARGE))]
    for model, other, millions in zip(models, theirs, (10.6, 42.2), strict=True):
        assert {name: value.shape for name, value in model.state_dict().items()} == {
            name: value.shape for name, value in other.state_dict().items()
        }
        assert round(sum(weight.numel() for weight in model.parameters()) / 1e6, 1) == millions


@pytest.mark.parametrize("num_samples", [1, 100, 256, 1000, 1024, 5001])
@pytest.mark.parametrize("num_channels", [1, 2])
def test_any_length_is_estimated_without_a_warning_or_a_change_of_the_mixture(num_samples, num_channels):
    model = build(num_channels=num_channels).eval()
    mixture = torch.rand(2, num_channels, num_samples) - 0.5
    copy = mixture.clone()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("error")
        estimates = contract.estimate(model, mixture)
        one_by_one = torch.cat([model(item[None]) for item in mixture])
    assert torch.equal(mixture, copy)
    assert bool(estimates.isfinite().all())
    assert (estimates - one_by_one).abs().max() < 1e-5


def test_silence_stays_finite_in_estimates_and_gradients():
    model = build()
    estimates = model(torch.zeros(1, 2, 3000))
    estimates.sum().backward()
    assert estimates.abs().max() < 1e-3
    assert all(bool(weight.grad.isfinite().all()) for weight in model.parameters())


def test_a_standardised_network_scales_its_estimates_with_the_mixture():
    mixture = torch.rand(1, 2, 3000, generator=torch.Generator().manual_seed(0)) - 0.5
    with torch.no_grad():
        model = build().eval()
        loud, quiet = model(mixture), model(0.1 * mixture)
        assert (0.1 * loud - quiet).abs().max() < 1e-3 * quiet.abs().max()
        plain = build(standardize=False)
        plain.load_state_dict(model.state_dict())
        assert (0.1 * plain(mixture) - plain(0.1 * mixture)).abs().max() > 0.1 * quiet.abs().max()


def test_double_precision_agrees_with_single():
    model = build().eval()
    mixture = torch.rand(1, 2, 3000, generator=torch.Generator().manual_seed(0)) - 0.5
    with torch.no_grad():
        single = model(mixture)
        assert (model.double()(mixture.double()) - single).abs().max() < 1e-5


def test_half_precision_is_used_between_the_transforms():
    model = build(widths=(8, 16))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        estimates = model(torch.rand(1, 2, 2000) - 0.5)
    assert estimates.dtype == torch.float32
    estimates.square().mean().backward()


@pytest.mark.filterwarnings("ignore:.*window was not provided")
def test_the_loss_of_the_recipe_is_the_published_one():
    """starrytong/SCNet, scnet/loss.py: one root per example and source, of real and imaginary parts."""
    estimates, sources = torch.randn(2, 2, 4, 2, 8192, generator=torch.Generator().manual_seed(0))
    spectra = [
        torch.view_as_real(
            torch.stft(waveforms.flatten(0, 2), 4096, 1024, center=True, normalized=True, return_complex=True)
        ).unflatten(0, (2, 4, 2))
        for waveforms in (estimates, sources)
    ]
    expected = (spectra[0] - spectra[1]).square().mean(dim=(2, 3, 4, 5)).sqrt().mean()
    objective = make(compose("train", ["experiment=scnet"]).objective, "objective")
    by_name = dict(zip(SOURCES, sources.unbind(1), strict=True))
    losses = objective(Fixed(estimates), torch.zeros(2, 2, 8192), by_name)
    assert losses["complex_rmse"].item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shares": (0.5, 0.4)}, "shares: got .*add up to 0.9, 1 is needed"),
        ({"strides": (1, 4)}, "strides: got .*one for each of 3 bands"),
        ({"kernels": (3, 2, 16)}, "kernels: got 2, allowed at least the stride, 4"),
        ({"kernel_size": 4}, "kernel_size: got 4, an odd number"),
        ({"depths": ()}, "depths: got"),
    ],
    ids=str,
)
def test_bands_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Bands(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_layers": 3}, "num_layers: got 3, an even number"),
        ({"widths": (8, 2)}, "widths: got 2, allowed 4 or more"),
        ({"shares": (0.9, 0.05, 0.05), "fft_size": 8}, "bands: got a band of 0 bins, .* take a larger stft.fft_size"),
        ({"targets": ("vocals", "vocals")}, "names vocals twice"),
    ],
    ids=str,
)
def test_networks_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_an_uncentred_stft_is_refused():
    with pytest.raises(ValueError, match=r"center: got false, .* stft.center=true"):
        SCNet(SOURCES, Stft(512, 128), Bands())


@pytest.fixture(scope="module")
def command(musdb_tree):
    """The published recipe with a tiny network: two epochs of two steps."""
    return [
        *("experiment=scnet", f"data.root={musdb_tree}", "data.validation_tracks=[Actions - One Minute Smile]"),
        *("data.segment_seconds=0.2", "data.samples_per_track=2", "data.batch_size=2", "callbacks.ema.decay=0.9"),
        *("model.stft.fft_size=512", "model.stft.hop_size=256", "model.widths=[4,4]", "model.num_layers=2"),
        *("model.chunk_seconds=0.5", "objective.fft_size=512", "objective.hop_size=256", "scheduler.step_size=1"),
        *("trainer.gpus=0", "trainer.max_epochs=2", "evaluation.after_training=false", "plugins=[my_package]"),
    ]


@pytest.fixture(scope="module")
def run(command, cli, tmp_path_factory):
    """Folder of a finished run of four targets. Read only."""
    out = tmp_path_factory.mktemp("scnet")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(TOY)
        assert cli("train", *command, f"paths.out={out}") == 0
    (folder,) = out.glob("runs/*/all-s42")
    return folder


def state_of(run, name):
    """Weights, optimiser and schedule of a checkpoint, as bytes."""
    content = torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)
    return as_bytes([content[key] for key in ("state_dict", "optimizer_states", "lr_schedulers")])


@pytest.mark.slow
def test_killed_within_an_epoch_the_same_command_ends_bit_for_bit_as_an_unbroken_one(
    command, run, start, cli, tmp_path, monkeypatch
):
    monkeypatch.chdir(TOY)
    marker, log = tmp_path / "killed", tmp_path / "log"
    killer = f"+callbacks.kill={{_target_: my_package.callback.KillOnce, step: 3, marker: {marker}}}"
    options = [*command, killer, "checkpoint.every_minutes=0", f"paths.out={tmp_path}"]
    assert start("train", *options, log=log).wait() == -signal.SIGKILL, log.read_text()
    (resumed,) = tmp_path.glob("runs/*/all-s42")
    assert marker.exists()
    assert resumed.parent.name == run.parent.name
    assert cli("train", *options) == 0
    assert state_of(resumed, "last") == state_of(run, "last")
    assert (resumed / "metrics.csv").read_bytes() == (run / "metrics.csv").read_bytes()


@pytest.mark.slow
@pytest.mark.usefixtures("short_filters")
def test_it_is_evaluated_and_separates_a_file_of_another_rate(run, cli, tmp_path, monkeypatch):
    monkeypatch.chdir(TOY)
    assert cli("evaluate", f"ckpt={run}", f"paths.out={tmp_path}", "evaluation.gpus=0") == 0
    assert list(run.glob("eval/*/scores.csv"))
    song = tmp_path / "song.wav"
    soundfile.write(song, np.random.default_rng(0).uniform(-0.3, 0.3, (12_000, 1)), 16_000)  # mono
    assert cli("separate", f"ckpt={run}", f"input={song}", "residual=true", "bits=float", "gpus=0") == 0
    stems = [soundfile.read(song.with_suffix(f".{name}.wav"))[0] for name in (*SOURCES, "residual")]
    assert np.abs(sum(stems) - soundfile.read(song)[0]).max() < 1e-5
