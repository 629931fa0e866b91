import norbert
import numpy as np
import openunmix.filtering
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unmix.dsp.norbert_wiener import norbert_wiener
from unmix.dsp.wiener import wiener


def draw(shape=(1, 4, 2, 33, 20), seed=0, scale=1.0, dtype=torch.complex128):
    """Noisy magnitudes of random sources, (batch, sources, channels, bins, frames), and the mixture of the sources."""
    generator = torch.Generator().manual_seed(seed)
    sources = torch.randn(shape, dtype=torch.complex128, generator=generator) * scale
    noise = 0.5 + torch.rand(shape, dtype=torch.float64, generator=generator)
    mixture = sources.sum(dim=1)
    return (sources.abs() * noise).to(torch.empty(0, dtype=dtype).real.dtype), mixture.to(dtype)


def package_wiener(magnitudes, mixture, iterations, use_softmask):
    """Call `norbert.wiener`, whose axes are (frames, bins, channels, sources) and which overwrites its input."""
    v = magnitudes[0].permute(3, 2, 1, 0).numpy().copy()
    x = mixture[0].permute(2, 1, 0).numpy().copy()
    return torch.from_numpy(norbert.wiener(v, x, iterations, use_softmask=use_softmask)).permute(3, 2, 1, 0)[None]


@pytest.mark.parametrize("iterations", [0, 1, 2])
@pytest.mark.parametrize("initial", ["mixture_phase", "softmask"])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("scale", [0.01, 1.0, 200.0])
def test_wiener_equals_norbert_in_double_precision(iterations, initial, channels, scale):
    magnitudes, mixture = draw((1, 4, channels, 70, 20), scale=scale)
    ours = wiener(magnitudes, mixture, iterations=iterations, initial=initial)
    theirs = package_wiener(magnitudes, mixture, iterations, use_softmask=initial == "softmask")
    assert (ours - theirs).abs().max() <= 1e-6 * theirs.abs().max()


def test_wiener_of_three_channels_equals_norbert():
    magnitudes, mixture = draw((1, 3, 3, 9, 12))
    ours = wiener(magnitudes, mixture, iterations=2)
    theirs = package_wiener(magnitudes, mixture, 2, use_softmask=False)
    assert (ours - theirs).abs().max() <= 1e-6 * theirs.abs().max()


def test_zero_iterations_return_the_magnitudes_with_the_phase_of_the_mixture():
    magnitudes, mixture = draw()
    estimates = wiener(magnitudes, mixture, iterations=0)
    assert torch.allclose(estimates.abs(), magnitudes)
    assert torch.allclose(estimates / magnitudes, (mixture / mixture.abs()).unsqueeze(1).expand_as(estimates))


@pytest.mark.parametrize("iterations", [0, 1, 2])
@pytest.mark.parametrize("initial", ["mixture_phase", "softmask"])
@pytest.mark.parametrize("residual", [False, True])
def test_norbert_wiener_gives_the_same_result_as_wiener(iterations, initial, residual):
    magnitudes, mixture = draw((2, 3, 2, 40, 20), scale=30.0)
    arguments = {"iterations": iterations, "initial": initial, "residual": residual}
    ours, theirs = wiener(magnitudes, mixture, **arguments), norbert_wiener(magnitudes, mixture, **arguments)
    assert (ours - theirs).abs().max() <= 1e-6 * theirs.abs().max()


@pytest.mark.parametrize("iterations", [0, 1, 2])
@pytest.mark.parametrize("softmask", [False, True])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_wiener_equals_openunmix_in_single_precision(iterations, softmask, residual, scale):
    magnitudes, mixture = draw((1, 4, 2, 40, 30), scale=scale, dtype=torch.complex64)
    arguments = {"iterations": iterations, "residual": residual}
    ours = wiener(magnitudes, mixture, initial="softmask" if softmask else "mixture_phase", **arguments)
    # openunmix's axes: magnitudes (frames, bins, channels, sources), mixture (frames, bins, channels, 2)
    v, x = magnitudes[0].permute(3, 2, 1, 0), torch.view_as_real(mixture[0].permute(2, 1, 0).contiguous())
    theirs = openunmix.filtering.wiener(v, x, softmask=softmask, eps=torch.finfo(torch.float32).eps, **arguments)
    theirs = torch.view_as_complex(theirs.movedim(3, -1).contiguous()).permute(3, 2, 1, 0)[None]
    assert (ours - theirs).abs().max() <= 1e-4 * theirs.abs().max()


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), iterations=st.integers(1, 3), scale=st.sampled_from([0.1, 1.0, 50.0]))
def test_refined_estimates_sum_to_the_mixture(seed, iterations, scale):
    magnitudes, mixture = draw((2, 3, 2, 5, 30), seed=seed, scale=scale)
    estimates = wiener(magnitudes, mixture, iterations=iterations)
    tolerance = 1e-6 * max(1.0, scale**-2)  # the regularisation weighs more against the powers of a quiet mixture
    assert (estimates.sum(dim=1) - mixture).abs().max() < tolerance * mixture.abs().max()


@pytest.mark.parametrize("peak", [1.0, 200.0, 3000.0])
@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_estimates_of_a_dual_mono_mixture_are_finite_and_sum_to_it(peak, dtype):
    magnitudes, mixture = draw((1, 4, 1, 17, 40), scale=peak, dtype=dtype)
    magnitudes, mixture = magnitudes.repeat(1, 1, 2, 1, 1), mixture.repeat(1, 2, 1, 1)
    estimates = wiener(magnitudes, mixture, iterations=1)
    assert torch.isfinite(torch.view_as_real(estimates)).all()
    assert (estimates.sum(dim=1) - mixture).abs().max() < 1e-2 * mixture.abs().max()
    assert (estimates[:, :, 0] - estimates[:, :, 1]).abs().max() < 1e-4 * mixture.abs().max()


def test_silence_is_separated_to_silence():
    estimates = wiener(torch.zeros(1, 4, 2, 9, 7), torch.zeros(1, 2, 9, 7, dtype=torch.complex64), iterations=2)
    assert estimates.abs().max() == 0


def test_a_source_without_magnitude_stays_silent():
    magnitudes, mixture = draw()
    magnitudes[:, 2] = 0
    assert wiener(magnitudes, mixture, iterations=1)[:, 2].abs().max() == 0


def test_tracks_of_a_batch_are_separated_independently():
    quiet, loud = draw(seed=1, scale=0.1), draw(seed=2, scale=300.0)
    both = wiener(torch.cat([quiet[0], loud[0]]), torch.cat([quiet[1], loud[1]]), iterations=1)
    assert torch.allclose(both[:1], wiener(*quiet, iterations=1))
    assert torch.allclose(both[1:], wiener(*loud, iterations=1))


def test_the_residual_is_the_mixture_minus_the_estimates():
    magnitudes, mixture = draw()
    initial = wiener(magnitudes[:, :1], mixture, iterations=0, residual=True)
    assert initial.shape[1] == 2
    assert torch.allclose(initial.sum(dim=1), mixture)
    assert torch.equal(initial[:, :1], wiener(magnitudes[:, :1], mixture, iterations=0))
    refined = wiener(magnitudes[:, :1], mixture, iterations=1, residual=True)
    assert torch.allclose(refined.sum(dim=1), mixture, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("bins", [3, 65])
def test_gradients_reach_the_magnitudes(channels, bins):
    magnitudes, mixture = draw((1, 2, channels, bins, 4))
    magnitudes.requires_grad_()
    wiener(magnitudes, mixture, eps=1e-2).abs().sum().backward()
    assert magnitudes.grad.isfinite().all()
    assert (magnitudes.grad != 0).any(dim=-1).all()
    if bins == 3:
        assert torch.autograd.gradcheck(
            lambda values: wiener(values, mixture, eps=1e-2), magnitudes.detach().requires_grad_()
        )


def test_inputs_are_not_changed():
    magnitudes, mixture = draw(scale=100.0)
    before = magnitudes.clone(), mixture.clone()
    wiener(magnitudes, mixture, iterations=2)
    assert torch.equal(magnitudes, before[0])
    assert torch.equal(mixture, before[1])


def test_single_precision_stays_close_to_double():
    magnitudes, mixture = draw(scale=5.0)
    single = wiener(magnitudes.float(), mixture.to(torch.complex64), eps=1e-10)
    double = wiener(magnitudes, mixture, eps=1e-10)
    assert single.dtype == torch.complex64
    assert np.abs(single.numpy() - double.numpy()).max() < 1e-4 * double.abs().max()


def test_wiener_refuses_bad_arguments():
    magnitudes, mixture = draw()
    with pytest.raises(ValueError, match="iterations: got -1"):
        wiener(magnitudes, mixture, iterations=-1)
    with pytest.raises(ValueError, match="initial: got 'phase', allowed mixture_phase, softmask"):
        wiener(magnitudes, mixture, initial="phase")
    with pytest.raises(ValueError, match=r"mixture: got shape \(1, 2, 33, 19\)"):
        wiener(magnitudes, mixture[..., :-1])
    with pytest.raises(ValueError, match="a complex spectrogram is needed"):
        wiener(magnitudes, mixture.abs())
