import pytest
import torch
from torch import Tensor, nn

from unmix.models import contract


class Gain(nn.Module):
    """Model of two targets, the mixture times a gain each."""

    def __init__(self, targets=("vocals", "drums"), sample_rate=100, num_channels=2):
        super().__init__()
        self.targets, self.sample_rate, self.num_channels = targets, sample_rate, num_channels
        self.gains = nn.Parameter(torch.tensor([1.0, -2.0]))
        self.dropout = nn.Dropout(0.5)

    def forward(self, mixture: Tensor) -> Tensor:
        return self.dropout(mixture).unsqueeze(1) * self.gains[:, None, None]


class Returns(Gain):
    """Model that returns, or raises, the object it was made with."""

    def __init__(self, estimates):
        super().__init__()
        self.estimates = estimates

    def forward(self, mixture: Tensor) -> Tensor:
        if isinstance(self.estimates, Exception):
            raise self.estimates
        return self.estimates


def without(attribute):
    model = Gain()
    delattr(model, attribute)
    return model


def test_a_valid_model_passes_and_is_left_unchanged():
    model = Gain().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    generator = torch.get_rng_state()
    contract.check(model)
    contract.check_output(model)
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), generator)


def test_targets_may_be_a_list():
    contract.check(Gain(["vocals", "drums"]))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (object(), "model: builtins.object is not a model: it needs to be a torch.nn.Module with forward"),
        (nn.Module(), "torch.nn.modules.module.Module is not a model: it needs to be a torch.nn.Module with forward"),
        (nn.Identity(), "Identity is not a model: it has no attribute `targets`"),
        (without("targets"), "it has no attribute `targets` (a tuple of names)"),
        (without("sample_rate"), "it has no attribute `sample_rate` (Hz)"),
        (without("num_channels"), "it has no attribute `num_channels` (a number)"),
        (Gain("vocals"), ".Gain.targets is 'vocals', a tuple of names is needed"),
        (Gain(()), ".Gain.targets is (), a tuple of names is needed"),
        (Gain((1, 2)), ".Gain.targets is (1, 2), a tuple of names is needed"),
        (Gain(4), ".Gain.targets is 4, a tuple of names is needed"),
        (Gain(("bass", "bass")), ".Gain.targets names a source twice: bass, bass"),
        (Gain(sample_rate=44100.0), ".Gain.sample_rate is 44100.0, a whole number above 0 is needed"),
        (Gain(num_channels=0), ".Gain.num_channels is 0, a whole number above 0 is needed"),
        (Gain(num_channels=True), ".Gain.num_channels is True, a whole number above 0 is needed"),
    ],
)
def test_objects_that_are_not_models_are_refused(model, message):
    with pytest.raises(ValueError) as error:
        contract.check(model)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("estimates", "message"),
    [
        (torch.zeros(1, 2, 2, 99), "model: Returns returned (1, 2, 2, 99) for a mixture of (1, 2, 100)"),
        (torch.zeros(1, 1, 2, 100), "(1, 2, 2, 100) is needed, targets: vocals, drums"),
        (torch.zeros(2, 2, 100), "returned (2, 2, 100) for"),
        ({"vocals": torch.zeros(1, 2, 100)}, "returned dict for"),
        (torch.full((1, 2, 2, 100), torch.nan), "model: Returns returned NaN or infinity"),
        (torch.full((1, 2, 2, 100), torch.inf), "model: Returns returned NaN or infinity"),
        (RuntimeError("sizes differ"), "failed on a second of noise, (1, 2, 100): RuntimeError: sizes differ; HYDRA_"),
        (ValueError("mine: got 1"), "mine: got 1"),
    ],
    ids=str,
)
def test_an_output_that_breaks_the_contract_is_refused(estimates, message):
    model = Returns(estimates).train()
    with pytest.raises(ValueError) as error:
        contract.check_output(model)
    assert message in str(error.value)
    assert model.training


def test_estimate_returns_the_output_of_the_model():
    mixture = torch.randn(3, 2, 7)
    estimates = contract.estimate(Gain().eval(), mixture)
    assert torch.equal(estimates, torch.stack([mixture, -2 * mixture], dim=1))


def test_chunks_have_the_length_the_model_sets_or_ten_seconds():
    model = Gain()
    assert contract.chunk_samples(model) == 1000
    model.chunk_seconds = 0.25
    assert contract.chunk_samples(model) == 25


def test_models_that_differ_in_sample_rate_or_channels_are_refused():
    contract.check_alike([Gain(), Gain(("bass",))])
    for other in (Gain(("bass", "other"), sample_rate=200), Gain(("bass", "other"), num_channels=1)):
        described = f"vocals, drums: 100 Hz, 2 channels; bass, other: {other.sample_rate} Hz, {other.num_channels} ch"
        with pytest.raises(ValueError, match=f"differ in sample rate or channels and cannot be joined: {described}"):
            contract.check_alike([Gain(), other])
    with pytest.raises(ValueError, match="differ"):
        contract.check_alike([Gain(), Gain(sample_rate=200)])
