"""X-UMX: parity with asteroid, its loss by the published formula, and everything that a command does with it."""

import json
import signal
from itertools import combinations
from pathlib import Path

import asteroid.models
import pytest
import soundfile
import torch

from tensors import as_bytes
from unmix import load_separator
from unmix.dsp.stft import Stft
from unmix.models.joined import join
from unmix.models.x_umx import XUMX
from unmix.training.multi_domain import MultiDomain, combined_mse, combined_weighted_sdr

TARGETS = ("bass", "drums", "vocals", "other")  # asteroid's order
FFT, HOP, RATE = 256, 64, 8000
# Modules of a network of ours -> those of asteroid's, per source.
NAMES = {
    "fc1": "layer_enc.{}.enc.0",
    "bn1": "layer_enc.{}.enc.1",
    "lstm": "layer_lstm.{}",
    "fc2": "layer_dec.{}.dec.0",
    "bn2": "layer_dec.{}.dec.1",
    "fc3": "layer_dec.{}.dec.3",
    "bn3": "layer_dec.{}.dec.4",
}


def theirs_by_ours(model):
    """Names of asteroid's parameters and buffers by ours."""
    names = {}
    for name in model.state_dict():
        _, index, module, *rest = name.split(".")
        target = model.targets[int(index)]
        names[name] = ".".join([NAMES[module].format(target), *rest]) if rest else f"mean_scale.{module}_{target}"
    return names


def make(targets=TARGETS, channels=2, **arguments):
    """A small model with random statistics, BatchNorm included: constants would hide an exchange."""
    torch.manual_seed(1)
    sizes = {"hidden_size": 16, "num_layers": 2, "bandwidth_hz": 3000.0, "dropout": 0.0, **arguments}
    model = XUMX(targets, Stft(FFT, HOP), sample_rate=RATE, num_channels=channels, **sizes)
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            value += 0.1 * torch.rand_like(value) * (1 if "bn" in name or "put" in name else 0.1)
    return model


def reference_of(model, channels):
    """asteroid's model with the same weights."""
    bins = model.networks[0].num_input_bins
    theirs = asteroid.models.XUMX(list(model.targets), FFT, FFT, HOP, 16, channels, RATE, 2, max_bin=bins)
    for lstm in theirs.layer_lstm.values():
        lstm.dropout = 0.0
    names, state = theirs_by_ours(model), theirs.state_dict()
    assert set(names.values()) | {"encoder.0.window", "decoder.window"} == set(state)
    theirs.load_state_dict({**state, **{names[name]: value for name, value in model.state_dict().items()}})
    return theirs


def waveforms_of(theirs, mixture, masked):
    """What asteroid's decoder computes, which calls `torch.istft` as it was before torch 2."""
    angles = theirs.encoder(mixture)[1]  # (batch, channels, bins, frames)
    magnitudes = masked.permute(0, 2, 3, 4, 1)
    spectrograms = torch.polar(magnitudes, angles.expand_as(magnitudes))
    waveforms = torch.istft(spectrograms.flatten(end_dim=2), FFT, HOP, window=theirs.decoder.window, center=True)
    return waveforms.unflatten(0, magnitudes.shape[:3])


def audio(*shape):
    return 0.3 * torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def cosine(first, second):
    norms = [(values.square().sum(-1) + 1e-10).sqrt() for values in (first, second)]
    return (first * second).sum(-1) / (norms[0] * norms[1] + 1e-10)


def plain_loss(mixture, estimates, true, magnitudes, true_magnitudes):
    """The loss as the paper has it, combination by combination; the first axis is targets.

    asteroid's losses are in its recipe, which is not in the package; its formula and constants are written out here.
    """
    losses = []
    for size in range(1, len(true)):
        for chosen in map(list, combinations(range(len(true)), size)):
            source, estimate = true[chosen].sum(0), estimates[chosen].sum(0)
            energy, rest = source.square().sum(-1), (mixture - source).square().sum(-1)
            share = energy / (energy + rest + 1e-10)
            weighted = share * cosine(estimate, source)
            weighted = weighted + (1 - share) * cosine(mixture - estimate, mixture - source)
            squared = (magnitudes[chosen].sum(0) - true_magnitudes[chosen].sum(0)).square().mean()
            losses.append(10 * (1 - weighted.mean()) + squared)
    return sum(losses) / len(losses), len(losses)


@pytest.mark.filterwarnings("ignore:stft with return_complex=False")
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("num_samples", [FFT, 1000, 20 * HOP])
def test_estimates_equal_asteroid_s_with_the_same_weights(channels, training, num_samples):
    model = make(channels=channels).train(training)
    theirs, mixture = reference_of(model, channels).train(training), audio(3, channels, num_samples)
    masked, _ = theirs(mixture)
    waveforms = waveforms_of(theirs, mixture, masked)
    magnitudes = model.magnitudes(Stft(FFT, HOP, center=True)(mixture))
    expected = masked.permute(2, 0, 3, 4, 1)  # from (sources, frames, batch, channels, bins)
    assert (magnitudes - expected).abs().max() < 1e-5 * expected.abs().max()
    for name, name_of_theirs in theirs_by_ours(model).items():  # BatchNorm's running statistics too
        torch.testing.assert_close(model.state_dict()[name], theirs.state_dict()[name_of_theirs], rtol=1e-5, atol=1e-6)
    with torch.no_grad():
        estimates = model(mixture)
    assert estimates.shape == (3, 4, channels, num_samples)
    difference = estimates[..., : waveforms.shape[-1]] - waveforms.transpose(0, 1)
    assert difference.abs().max() < 1e-5 * waveforms.abs().max()


@pytest.mark.filterwarnings("ignore:stft with return_complex=False")
@pytest.mark.parametrize("channels", [1, 2])
def test_loss_and_gradients_equal_those_of_asteroid_s_model_and_the_published_formula(channels):
    model = make(channels=channels)
    theirs, stft = reference_of(model, channels), Stft(FFT, HOP, center=True)
    true = audio(4, 2, channels, 16 * HOP)
    mixture = true.sum(0)
    masked, _ = theirs(mixture)
    waveforms = waveforms_of(theirs, mixture, masked)
    reference = stft(true).abs().permute(0, 4, 1, 2, 3)
    expected, count = plain_loss(mixture, waveforms, true, masked, reference)
    losses = MultiDomain()(model, mixture, dict(zip(TARGETS, true, strict=True)))
    loss = sum(losses.values())
    assert (count, set(losses)) == (14, {"weighted_sdr", "magnitude_mse"})
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=0)
    expected.backward()
    loss.backward()
    gradients, names = dict(theirs.named_parameters()), theirs_by_ours(model)
    for name, parameter in model.named_parameters():
        gradient = gradients[names[name]].grad
        # shifts before BatchNorm have no gradient but rounding errors
        scale = max(gradient.abs().max(), 1e-3)
        assert (parameter.grad - gradient).abs().max() < 1e-4 * scale, name


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_the_loss_is_the_mean_over_all_combinations(count):
    true, estimates = audio(2, count, 2, 500), audio(2, count, 2, 500).flip(-1)
    mixture = true.sum(1) + audio(2, 2, 500)  # with sources that are no target
    ours = 10 * (1 + combined_weighted_sdr(mixture, estimates, true)) + combined_mse(estimates, true)
    swapped = (estimates.transpose(0, 1), true.transpose(0, 1))
    expected, combinations_ = plain_loss(mixture, *swapped, *swapped)
    assert combinations_ == 2**count - 2
    torch.testing.assert_close(ours, expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("silent", [(), (1,), (0, 1, 2)])
def test_exact_estimates_have_the_lowest_loss_and_finite_gradients(silent):
    true = audio(1, 3, 2, 400)
    true[:, list(silent)] = 0
    estimates = true.clone().requires_grad_()
    loss = combined_weighted_sdr(true.sum(1), estimates, true)
    loss.backward()
    assert loss.item() == pytest.approx(0 if len(silent) == 3 else -1, abs=1e-6)
    assert estimates.grad.isfinite().all()


def test_the_loss_of_a_single_target_is_that_of_one_network():
    true = audio(1, 1, 2, 400)
    assert combined_mse(true + 1, true).item() == pytest.approx(1)
    assert combined_weighted_sdr(2 * true[:, 0], 3 * true, true).item() == pytest.approx(-0.5 + 0.5, abs=1e-6)


def test_the_full_size_model_has_four_times_the_parameters_of_open_unmix():
    with torch.device("meta"):
        model = XUMX(TARGETS, Stft())
    assert sum(parameter.numel() for parameter in model.parameters()) == 4 * 8_893_348


def test_silence_in_is_silence_out():
    assert make()(torch.zeros(1, 2, 100)).abs().max() == 0


def test_a_sigmoid_bounds_the_mask():
    magnitude = Stft(FFT, HOP, center=True)(audio(1, 2, 1000))
    relu, sigmoid = (make(mask=mask).eval() for mask in ("relu", "sigmoid"))
    for model in (relu, sigmoid):
        for network in model.networks:
            network.output_mean.data += 1
    with torch.no_grad():
        assert (relu.magnitudes(magnitude) / magnitude.abs().unsqueeze(1)).max() > 1
        assert (sigmoid.magnitudes(magnitude) / magnitude.abs().unsqueeze(1)).max() < 1


@pytest.mark.parametrize("targets", [("keys", "training"), TARGETS])
def test_sources_may_have_any_name(targets):
    assert make(targets)(audio(1, 2, 500)).shape == (1, len(targets), 2, 500)


@pytest.mark.parametrize("niter", [0, 1])
@pytest.mark.parametrize("targets", [None, ["other", "bass"]])
@pytest.mark.parametrize("num_samples", [100, 20_001])
def test_streaming_a_track_equals_separating_it_in_one_piece(monkeypatch, niter, targets, num_samples):
    monkeypatch.setattr("unmix.models.open_unmix.streaming.FRAMES", 32)
    monkeypatch.setattr("unmix.models.open_unmix.blockwise.FRAMES", 48)
    separator = join([make().eval()], targets=targets, niter=niter)
    assert separator.targets == tuple(targets or TARGETS)
    track = audio(2, num_samples)
    expected = separator(track)
    blocks = torch.cat(list(separator.stream(lambda start, stop: track[:, start:stop], num_samples)), dim=-1)
    assert (blocks - expected).abs().max() < 1e-5
    if niter:
        assert (expected.sum(0) - track).abs().max() < 1e-4


def test_without_a_filter_the_separator_is_the_model():
    model, mixture = make().eval(), audio(1, 2, 3000)
    with torch.no_grad():
        torch.testing.assert_close(join([model], niter=0)(mixture), model(mixture))
        torch.testing.assert_close(join([model], targets=["drums"])(mixture), model(mixture)[:, 1:2])


def test_several_models_of_the_same_sources_are_run_independently():
    first, second, mixture = make().eval(), make(TARGETS[:2]).eval(), audio(1, 2, 3000)
    separator = join([second, first], targets=["bass", "other"])
    with torch.no_grad():
        torch.testing.assert_close(separator(mixture)[:, :1], second(mixture)[:, :1])
        torch.testing.assert_close(separator(mixture)[:, 1:], first(mixture)[:, 3:])


SMALL = ["model=x_umx", "objective=multi_domain", "target=all", "model.hidden_size=16", "model.stft.fft_size=512"]
SMALL += ["model.stft.hop_size=256", "checkpoint.every_minutes=0"]


@pytest.fixture(scope="module")
def arguments(train_arguments):
    return [*train_arguments, *SMALL]


@pytest.fixture(scope="module")
def run(cli, arguments, tmp_path_factory):
    """Folder of a finished run of four targets."""
    out = tmp_path_factory.mktemp("x_umx")
    assert cli("train", *arguments, f"paths.out={out}") == 0
    (folder,) = out.glob("runs/*/all-s42")
    return folder


def state_of(folder):
    """Weights, optimiser, schedule and metrics of a run, as bytes."""
    content = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    kept = as_bytes([content[key] for key in ("state_dict", "optimizer_states", "lr_schedulers")])
    return kept, (folder / "metrics.csv").read_bytes()


@pytest.mark.slow
def test_killed_within_an_epoch_the_same_command_ends_bit_for_bit_as_an_unbroken_one(
    arguments, run, start, cli, tmp_path, monkeypatch
):
    monkeypatch.chdir(Path(__file__).parents[1] / "toy")
    kill = f"{{_target_: my_package.callback.KillOnce, step: 3, marker: {tmp_path / 'killed'}}}"
    command = [*arguments, "plugins=[my_package]", f"+callbacks.kill={kill}", f"paths.out={tmp_path}"]
    log = tmp_path / "log"
    assert start("train", *command, log=log).wait() == -signal.SIGKILL, log.read_text()
    (folder,) = tmp_path.glob("runs/*/all-s42")
    saved = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["unmix"]
    assert (folder.parent.name, saved["position"]) == (run.parent.name, [1, 1])
    assert cli("train", *command) == 0
    assert state_of(folder) == state_of(run)


@pytest.mark.slow
@pytest.mark.usefixtures("short_filters")
def test_a_trained_model_is_evaluated_separated_with_exported_and_listed(run, cli, tmp_path, capfd):
    assert cli("evaluate", f"ckpt={run}", "evaluation.workers=0") == 0
    (summary,) = run.glob("eval/*/summary.json")
    assert set(json.loads(summary.read_text())["checkpoints"]) == set(TARGETS)
    song = tmp_path / "song.wav"
    soundfile.write(song, audio(44100, 2).numpy(), 44100)
    separate = [f"input={song}", "gpus=0", "targets=[vocals,drums]", "residual=true"]
    assert cli("separate", f"ckpt={run}", *separate) == 0
    names = ("vocals", "drums", "residual")
    stems = {name: soundfile.read(song.with_suffix(f".{name}.wav"))[0] for name in names}
    assert abs(sum(stems.values()) - soundfile.read(song)[0]).max() < 1e-3
    capfd.readouterr()
    assert cli("export", f"ckpt={run}", "format=umx", f"out={tmp_path / 'umx'}") == 2
    assert "format: umx holds Open-Unmix networks only" in capfd.readouterr().err
    assert cli("export", f"ckpt={run}", "format=safetensors", f"out={tmp_path / 'x.safetensors'}") == 0
    exported = load_separator(tmp_path / "x.safetensors", "cpu", TARGETS)
    mixture = audio(2, 20_000)
    assert torch.equal(exported(mixture), load_separator(run, "cpu", TARGETS)(mixture))
    assert cli("leaderboard", f"paths.out={run.parents[2]}") == 0
    assert run.parent.name in capfd.readouterr().out


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["target=vocals"], "target: got vocals, but X-UMX bridges the networks of two or more targets"),
        (["model.num_channels=1"], "model.num_channels: got 1"),
        (["model.mask=tanh"], "model.mask: got 'tanh', allowed relu, sigmoid"),
        (["model.hidden_size=15"], "model.hidden_size: got 15, an even number is needed"),
        (["model.mask=sigmoid", "objective.time_weight=-1"], "objective.time_weight: got -1, allowed 0 or more"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(arguments, cli, tmp_path, capfd, options, expected):
    assert cli("train", *arguments, *options, f"paths.out={tmp_path}") == 2
    (line,) = capfd.readouterr().err.strip().splitlines()
    assert line.startswith(f"train: {expected}")
    assert not list(tmp_path.iterdir())


def test_models_without_magnitudes_are_refused_by_the_objective():
    with pytest.raises(ValueError, match="multi_domain needs a model with `stft` and `magnitudes"):
        MultiDomain().check(torch.nn.Linear(1, 1))
