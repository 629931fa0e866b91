import openunmix.model
import pytest
import torch
from torch import nn

from unmix.dsp.stft import Stft
from unmix.models.open_unmix import OpenUnmix
from unmix.models.open_unmix.separator import Separator

TARGETS = ("vocals", "drums", "bass", "other")


def make_networks(targets=TARGETS):
    torch.manual_seed(0)
    return {target: OpenUnmix(8, num_bins=257).eval() for target in targets}


def make_separator(targets=TARGETS, **arguments):
    return Separator(make_networks(targets), Stft(512, 128, center=True), sample_rate=44100, **arguments)


def test_estimates_with_the_mixture_s_phase_equal_openunmix_s():
    networks = make_networks()
    theirs = {}
    for target, network in networks.items():
        theirs[target] = openunmix.model.OpenUnmix(nb_bins=257, hidden_size=8, max_bin=network.num_input_bins).eval()
        theirs[target].load_state_dict(network.state_dict())
    reference = openunmix.model.Separator(theirs, niter=0, n_fft=512, n_hop=128)
    mixture = torch.randn(1, 2, 20_000)
    with torch.no_grad():
        expected = reference(mixture)
    assert (make_separator(niter=0)(mixture) - expected).abs().max() < 1e-5


@pytest.mark.parametrize("num_samples", [1, 100, 511, 513, 10_001])
def test_estimates_are_as_long_as_the_mixture_and_add_up_to_it(num_samples):
    mixture = torch.randn(2, 2, num_samples)
    estimates = make_separator()(mixture)
    assert estimates.shape == (2, 4, 2, num_samples)
    assert (estimates.sum(dim=1) - mixture).abs().max() < 1e-4


def test_residual_is_an_additional_source():
    separator = make_separator(("bass",), residual=True)
    mixture = torch.randn(1, 2, 8000)
    assert separator.targets == ("bass", "residual")
    assert (separator(mixture).sum(dim=1) - mixture).abs().max() < 1e-4


def test_sources_are_in_the_order_of_the_networks():
    networks = make_networks()
    reordered = Separator(dict(reversed(networks.items())), Stft(512, 128, center=True), sample_rate=44100, niter=0)
    mixture = torch.randn(1, 2, 8000)
    assert reordered.targets == TARGETS[::-1]
    assert torch.allclose(reordered(mixture).flip(dims=[1]), make_separator(niter=0)(mixture))


def test_silence_in_is_silence_out():
    assert make_separator()(torch.zeros(1, 2, 4000)).abs().max() == 0


def test_no_networks_and_em_with_a_single_source_are_refused():
    with pytest.raises(ValueError, match="networks: got none"):
        make_separator(())
    with pytest.raises(ValueError, match=r"niter: got 1 with the single target.*residual=true.*separator.niter=0"):
        make_separator(("bass",))
    assert make_separator(("bass",), niter=0).targets == ("bass",)


def test_no_gradient_is_kept():
    assert isinstance(make_separator(), nn.Module)
    assert not make_separator()(torch.randn(1, 2, 2000)).requires_grad
