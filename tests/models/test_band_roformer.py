"""Band RoFormers give msst's numbers with msst's weights, and keep their promises beside them."""

import warnings

import librosa
import numpy as np
import pytest
import soundfile
import torch
from msst.models.bs_roformer import BSRoformer, MelBandRoformer

from unmix.composition import compose
from unmix.dsp.stft import Stft
from unmix.models import contract
from unmix.models.band_roformer import BandRoformer
from unmix.models.frequency_bands import MelBands, Overlap, WidthBands
from unmix.models.rotary_transformer import Layers, RmsNorm, linear
from unmix.runs.build import make

SOURCES = ("vocals", "drums", "bass", "other")
WIDTHS = (2, 2, 2, 2, 4, 4, 12, 12, 25)  # of a transform of 128 samples
RECIPES = ("bs_roformer", "mel_band_roformer")
SMALL = {"features": 24, "depth": 2, "num_heads": 3, "head_size": 8}


class Fixed:
    """A model whose estimates are given."""

    def __init__(self, estimates, targets):
        self.estimates, self.targets = estimates, targets

    def __call__(self, mixture):
        return self.estimates


def bands_of(family):
    return WidthBands(WIDTHS) if family == "bs" else MelBands(12)


def build(family="bs", targets=SOURCES[:2], num_channels=2, layers=None, **options):
    layers = Layers(**{**SMALL, "norm": "last" if family == "bs" else "each", **(layers or {})})
    stft = Stft(128, 32, center=True)
    return BandRoformer(targets, stft, bands_of(family), layers, sample_rate=8000, num_channels=num_channels, **options)


def reference(family, targets, num_channels, **options):
    torch.manual_seed(0)
    options = {
        **{"dim": 24, "depth": 2, "heads": 3, "dim_head": 8, "attn_dropout": 0.0, "ff_dropout": 0.0},
        **{"time_transformer_depth": 1, "freq_transformer_depth": 1, "mask_estimator_depth": 2},
        **{"stft_n_fft": 128, "stft_hop_length": 32, "stft_win_length": 128},
        **{"num_stems": len(targets), "stereo": num_channels == 2},
        **options,
    }
    if family == "bs":
        return BSRoformer(**options, freqs_per_bands=WIDTHS)
    return MelBandRoformer(**options, num_bands=12, sample_rate=8000, match_input_audio_length=True)


@pytest.mark.parametrize("num_channels", [1, 2])
@pytest.mark.parametrize(
    ("targets", "theirs", "layers", "ours"),
    [
        (SOURCES, {}, {}, {}),
        (("vocals",), {"depth": 1, "mlp_expansion_factor": 1}, {"depth": 1}, {"mask_expansion": 1}),
        (
            SOURCES[:2],
            {"dim": 16, "time_transformer_depth": 2, "freq_transformer_depth": 3, "dim_head": 6, "heads": 2},
            {"features": 16, "time_depth": 2, "frequency_depth": 3, "head_size": 6, "num_heads": 2},
            {},
        ),
        (SOURCES[:2], {"mask_estimator_depth": 3, "zero_dc": False}, {}, {"mask_layers": 3, "zero_dc": False}),
        (SOURCES[:1], {"mask_estimator_depth": 1, "stft_normalized": True}, {}, {"mask_layers": 1}),
    ],
    ids=["four", "one", "depths", "masks", "shallow masks"],
)
@pytest.mark.parametrize("family", ["bs", "mel"])
def test_estimates_and_gradients_are_msst_s_with_its_weights(family, targets, theirs, layers, ours, num_channels):
    other = reference(family, targets, num_channels, **theirs)
    ours = {"mask_layers": 2, **ours}
    ours["mask_layers"] += family == "mel"  # whose masks have a layer more than the option counts
    model = build(family, targets, num_channels, layers, **ours)
    model.stft.normalized = theirs.get("stft_normalized", False)
    model.load_state_dict(other.state_dict())
    other.load_state_dict(model.state_dict())
    generator = torch.Generator().manual_seed(1)
    mixture = torch.randn(2, num_channels, 1011, generator=generator)
    expected, estimates = other(mixture).reshape(2, len(targets), num_channels, -1), model(mixture)
    assert estimates.shape == expected.shape
    assert (estimates - expected).abs().max() < 1e-5 * expected.abs().max()
    direction = torch.randn(expected.shape, generator=generator)
    gradients = []
    for network, output in ((other, expected), (model, estimates)):
        (output * direction).sum().backward()
        gradients.append({name: w.grad for name, w in network.named_parameters() if w.requires_grad})
    first, second = gradients
    assert first.keys() == second.keys()
    total = torch.cat([gradient.flatten() for gradient in first.values()]).norm()
    for name, gradient in first.items():
        # where a sum cancels, rounding is a share of its terms, not of the sum
        assert (second[name] - gradient).norm() < 1e-4 * gradient.norm() + 1e-7 * total, name


@pytest.mark.parametrize("num_bands", [2, 20, 60, 80])
@pytest.mark.parametrize("fft_size", [1000, 1024, 2048])
@pytest.mark.parametrize("sample_rate", [16000, 44100, 48000])
def test_mel_bands_are_the_bins_that_librosa_s_filters_weight(sample_rate, fft_size, num_bands):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of filters without a bin
        expected = librosa.filters.mel(sr=sample_rate, n_fft=fft_size, n_mels=num_bands) > 0
    expected[0, 0] = expected[-1, -1] = True
    if not expected.any(axis=1).all():
        with pytest.raises(ValueError, match=f"num_bands: got {num_bands}, .*take fewer bands, or a larger stft"):
            MelBands(num_bands).ranges(fft_size // 2 + 1, sample_rate)
        return
    bands = np.zeros_like(expected)
    for row, band in zip(bands, MelBands(num_bands).ranges(fft_size // 2 + 1, sample_rate), strict=True):
        row[band.start : band.stop] = True
    assert np.array_equal(bands, expected)


def test_overlapping_bands_are_averaged_and_gaps_are_counted():
    overlap = Overlap([range(3), range(2, 5), range(3, 6)], 6)
    values = [torch.full((1, 6), number) for number in (1.0, 3.0, 5.0)]
    assert overlap.average(values, 2)[0, ::2].tolist() == [1, 1, 2, 4, 4, 5]


@pytest.mark.parametrize("num_samples", [1, 64, 65, 1000, 1024])
@pytest.mark.parametrize("family", ["bs", "mel"])
def test_any_length_is_estimated_without_a_warning_or_a_change_of_the_mixture(family, num_samples):
    model = build(family, num_channels=1).eval()
    mixture = torch.rand(2, 1, num_samples) - 0.5
    copy = mixture.clone()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("error")
        estimates = contract.estimate(model, mixture)
        one_by_one = torch.cat([model(item[None]) for item in mixture])
    assert torch.equal(mixture, copy)
    assert bool(estimates.isfinite().all())
    assert (estimates - one_by_one).abs().max() < 1e-5


@pytest.mark.parametrize("family", ["bs", "mel"])
def test_silence_gives_silence_and_finite_gradients(family):
    model = build(family)
    estimates = model(torch.zeros(1, 2, 1000))
    estimates.sum().backward()
    assert torch.equal(estimates, torch.zeros_like(estimates))
    assert all(bool(weight.grad.isfinite().all()) for weight in model.parameters())


def test_the_norm_s_gradient_is_that_of_its_definition():
    norm = RmsNorm(6).double()
    x = torch.randn(3, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(norm, x)
    assert torch.equal(norm(torch.zeros(2, 6).double()), torch.zeros(2, 6))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])  # a convolution, and torch's own layer
@pytest.mark.parametrize("shape", [(1, 7, 6), (62, 301, 6), (20, 1, 6)])
def test_a_linear_layer_and_its_gradients_are_torch_s_and_their_features_last_in_memory(dtype, shape):
    torch.manual_seed(0)
    ours = [torch.randn(*size, dtype=dtype, requires_grad=True) for size in (shape, (5, 6), (5,))]
    theirs = [tensor.detach().clone().requires_grad_() for tensor in ours]
    results = linear(*ours), torch.nn.functional.linear(*theirs)
    assert results[0].is_contiguous()
    torch.testing.assert_close(*results)
    direction = torch.randn_like(results[0])
    for result in results:
        result.backward(direction)
    for mine, torch_s in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine.grad, torch_s.grad, rtol=1e-4, atol=1e-4)


def test_double_precision_agrees_with_single():
    model = build("mel").eval()
    mixture = torch.rand(1, 2, 1000, generator=torch.Generator().manual_seed(0)) - 0.5
    with torch.no_grad():
        single = model(mixture)
        assert (model.double()(mixture.double()) - single).abs().max() < 1e-5


@pytest.mark.parametrize("family", ["bs", "mel"])
def test_half_precision_is_used_between_the_transforms(family):
    model = build(family)
    mixture = torch.rand(1, 2, 1000) - 0.5
    with torch.autocast("cpu", dtype=torch.bfloat16):
        estimates = model(mixture)
    assert estimates.dtype == torch.float32
    estimates.square().mean().backward()
    assert (estimates - model(mixture)).abs().max() < 0.05 * estimates.abs().max()


def test_dropout_leaves_out_values_in_training_only():
    model = build(layers={"attention_dropout": 0.5, "dropout": 0.5})
    mixture = torch.rand(1, 2, 1000) - 0.5
    with torch.no_grad():
        assert not torch.equal(model(mixture), model(mixture))
        model.eval()
        assert torch.equal(model(mixture), model(mixture))


def test_the_loss_of_the_recipe_is_msst_s():
    """The loss that msst's network returns when it is given the true sources."""
    torch.manual_seed(0)
    options = {"depth": 1, "heads": 1, "dim_head": 4, "num_stems": 4, "stereo": True, "mask_estimator_depth": 1}
    theirs = BSRoformer(8, **options, freqs_per_bands=(512, 513))
    sources = 0.1 * torch.randn(2, 4, 2, 9000)
    mixture = sources.sum(1)
    expected, (waveforms, spectra) = theirs(mixture, target=sources, return_loss_breakdown=True)
    objective = make(compose("train", ["experiment=bs_roformer"]).objective, "objective")
    by_name = dict(zip(SOURCES, sources.unbind(1), strict=True))
    losses = objective(Fixed(theirs(mixture), SOURCES), mixture, by_name)
    assert losses["waveform_l1"].item() == pytest.approx(waveforms.item(), rel=1e-5)
    assert losses["spectral_l1"].item() == pytest.approx(spectra.item(), rel=1e-5)
    assert sum(losses.values()).item() == pytest.approx(expected.item(), rel=1e-5)


def test_published_sizes_have_the_weights_of_msst_s():
    composed = [compose("train", [f"model={name}", "model.layers.depth=1"]).model for name in RECIPES]
    options = {"depth": 1, "stereo": True, "time_transformer_depth": 1, "freq_transformer_depth": 1}
    theirs = [network(384, mlp_expansion_factor=2, **options) for network in (BSRoformer, MelBandRoformer)]
    with torch.device("meta"):
        ours = [make(node, "model") for node in composed]
        full = make(compose("train", ["model=bs_roformer", "target=all"]).model, "model")
    for model, other in zip(ours, theirs, strict=True):
        assert {name: value.shape for name, value in model.state_dict().items()} == {
            name: value.shape for name, value in other.state_dict().items()
        }
    assert round(sum(weight.numel() for weight in full.parameters()) / 1e6) == 132


@pytest.mark.parametrize(
    ("make_it", "message"),
    [
        (lambda: WidthBands([3, 0]), "widths: got 0, allowed 1 or more"),
        (lambda: WidthBands([3, 4]).ranges(8, 8000), "widths: got widths that add up to 7, the 8 bins of the STFT"),
        (lambda: MelBands(1), "num_bands: got 1, allowed 2 or more"),
        (lambda: Layers(head_size=7), "head_size: got 7, an even number"),
        (lambda: Layers(dropout=1.0), "dropout: got 1.0, allowed 0 below 1"),
        (lambda: Layers(norm="first"), "norm: got 'first', allowed last, each"),
        (lambda: build(targets=("vocals", "vocals")), "names vocals twice"),
        (lambda: build(mask_layers=0), "mask_layers: got 0, allowed 1 or more"),
        (lambda: BandRoformer(SOURCES, Stft(128, 32), bands_of("bs"), Layers()), "center: got false, .*center=true"),
    ],
    ids=lambda value: value if isinstance(value, str) else "refused",
)
def test_what_cannot_be_is_refused(make_it, message):
    with pytest.raises(ValueError, match=message):
        make_it()


@pytest.fixture(scope="module", params=RECIPES)
def run(request, musdb_tree, cli, tmp_path_factory):
    """Folder of a finished run of four targets by a small recipe, made smaller. Read only."""
    out = tmp_path_factory.mktemp(request.param)
    bands = "widths=[8,25]" if request.param == "bs_roformer" else "num_bands=8"
    command = [
        *(f"experiment={request.param}_demo", "data=musdb18hq", f"data.root={musdb_tree}", f"paths.out={out}"),
        *("data.validation_tracks=[Actions - One Minute Smile]", "data.samples_per_track=2", "data.batch_size=2"),
        *("data.segment_seconds=0.2", "model.stft.fft_size=64", "model.stft.hop_size=32", f"model.bands.{bands}"),
        *("model.layers.features=8", "model.chunk_seconds=0.5", "objective.fft_sizes=[512]", "trainer.gpus=0"),
        *("model.layers.dropout=0.1", "trainer.max_epochs=1", "evaluation.after_training=false"),
    ]
    assert cli("train", *command) == 0
    (folder,) = out.glob("runs/*/all-s42")
    return folder


@pytest.mark.slow
@pytest.mark.usefixtures("short_filters")
def test_a_run_is_evaluated_exported_and_separates_alike(run, cli, tmp_path):
    assert cli("evaluate", f"ckpt={run}", f"paths.out={tmp_path}", "evaluation.gpus=0") == 0
    assert list(run.glob("eval/*/scores.csv"))
    song, exported = tmp_path / "song.wav", tmp_path / "model.safetensors"
    soundfile.write(song, np.random.default_rng(0).uniform(-0.3, 0.3, (30_000, 2)), 44100)
    assert cli("export", f"ckpt={run}", "format=safetensors", f"out={exported}") == 0
    stems = []
    for number, ckpt in enumerate((run, exported)):
        out = tmp_path / str(number)
        options = [f"out={out}", "residual=true", "bits=float", "gpus=0"]
        assert cli("separate", f"ckpt={ckpt}", f"input={song}", *options) == 0
        stems.append([soundfile.read(out / f"song.{name}.wav")[0] for name in (*SOURCES, "residual")])
    assert np.array_equal(*stems)
    assert np.abs(sum(stems[0]) - soundfile.read(song)[0]).max() < 1e-5
