import openunmix.model
import openunmix.utils
import pytest
import torch

from unmix.models.open_unmix import OpenUnmix, bandwidth_to_bins

# (hidden_size, bidirectional) -> count, calculated from UMX's layer sizes at 2049 bins, 16 kHz of bandwidth, stereo.
PARAMETERS = {
    (128, True): 1_251_748,
    (256, True): 3_143_588,
    (512, True): 8_893_348,
    (1024, True): 28_257_188,
    (128, False): 1_350_052,
    (256, False): 3_536_804,
    (512, False): 10_466_212,
    (1024, False): 34_548_644,
}


@pytest.mark.parametrize(("shape", "expected"), PARAMETERS.items())
def test_parameter_counts_equal_umx_s(shape, expected):
    with torch.device("meta"):
        model = OpenUnmix(*shape)
    assert sum(parameter.numel() for parameter in model.parameters()) == expected


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("channels", [1, 2])
def test_output_equals_openunmix_s_with_the_same_weights(bidirectional, training, channels):
    torch.manual_seed(3)
    theirs = openunmix.model.OpenUnmix(
        nb_bins=257, nb_channels=channels, hidden_size=32, unidirectional=not bidirectional, max_bin=186
    )
    for parameter in theirs.parameters():  # statistics and output scale start at constants that would hide a swap
        parameter.data += 0.1 * torch.randn_like(parameter)
    theirs.lstm.dropout = 0.0
    ours = OpenUnmix(32, bidirectional, num_channels=channels, num_bins=257, dropout=0.0)
    ours.load_state_dict(theirs.state_dict())
    magnitude = torch.rand(3, channels, 257, 20) * 10
    expected = theirs.train(training)(magnitude)
    output = ours.train(training)(magnitude)
    assert (output - expected).abs().max() <= 1e-6 * expected.abs().max()
    for name, value in theirs.state_dict().items():  # BatchNorm's running statistics too
        assert torch.allclose(ours.state_dict()[name], value, rtol=1e-6, atol=1e-7), name


def test_state_dict_of_a_full_size_openunmix_network_loads_strictly():
    with torch.device("meta"):
        theirs = openunmix.model.OpenUnmix(nb_bins=2049, max_bin=1487)
        ours = OpenUnmix()
    shapes = {name: value.shape for name, value in theirs.state_dict().items()}
    assert {name: value.shape for name, value in ours.state_dict().items()} == shapes


BANDWIDTHS = [(16000, 44100, 4096), (8000, 16000, 1024), (15000, 48000, 2048)]


@pytest.mark.parametrize(("bandwidth_hz", "rate", "fft_size"), BANDWIDTHS)
def test_bandwidth_in_bins_equals_umx_s(bandwidth_hz, rate, fft_size):
    expected = openunmix.utils.bandwidth_to_max_bin(rate, fft_size, bandwidth_hz)
    assert bandwidth_to_bins(bandwidth_hz, num_bins=fft_size // 2 + 1, sample_rate=rate) == expected


def test_statistics_normalise_the_input():
    model = OpenUnmix(8, num_bins=65)
    mean, std = torch.rand(65), 1 + torch.rand(65)
    model.set_statistics(mean, std)
    bins = model.num_input_bins
    assert torch.equal(model.input_mean, -mean[:bins])
    assert torch.equal(model.input_scale, 1 / std[:bins])


def test_silence_in_is_silence_out():
    model = OpenUnmix(8, num_bins=65).eval()
    assert model(torch.zeros(1, 2, 65, 9)).abs().max() == 0


def test_input_is_not_changed():
    magnitude = torch.rand(1, 2, 65, 9)
    before = magnitude.clone()
    OpenUnmix(8, num_bins=65)(magnitude)
    assert torch.equal(magnitude, before)


def test_unidirectional_output_ignores_the_future():
    model = OpenUnmix(8, bidirectional=False, num_bins=65).eval()
    magnitude = torch.rand(1, 2, 65, 20)
    assert torch.allclose(model(magnitude)[..., :12], model(magnitude[..., :12]), atol=1e-6)


def test_bad_sizes_are_refused():
    with pytest.raises(ValueError, match="hidden_size: got 7, an even number"):
        OpenUnmix(7)
    assert OpenUnmix(7, bidirectional=False, num_bins=65).hidden_size == 7
    with pytest.raises(ValueError, match="bandwidth_hz: got 30000, allowed above 0 up to 22050"):
        OpenUnmix(8, bandwidth_hz=30000)
    with pytest.raises(ValueError, match=r"mean: got shape \(64,\), \(65,\) needed"):
        OpenUnmix(8, num_bins=65).set_statistics(torch.ones(64), torch.ones(65))
    with pytest.raises(ValueError, match="std: got a minimum of 0"):
        OpenUnmix(8, num_bins=65).set_statistics(torch.ones(65), torch.zeros(65))


def test_a_sigmoid_mask_is_bounded_by_one_and_a_relu_mask_is_not():
    torch.manual_seed(0)
    relu, sigmoid = (OpenUnmix(8, num_bins=65, mask=mask).eval() for mask in ("relu", "sigmoid"))
    sigmoid.load_state_dict(relu.state_dict())
    magnitude = torch.rand(1, 2, 65, 20) + 0.1
    with torch.no_grad():
        masks = relu(magnitude) / magnitude, sigmoid(magnitude) / magnitude
    assert masks[0].max() > 1 > masks[1].max()
    code = torch.rand(20, 1, 8)
    before = relu.bn3(relu.fc3(code[:, 0])).reshape(20, 1, 2, 65).permute(1, 2, 3, 0)
    expected = 1 / (1 + torch.exp(-(before * relu.output_scale[:, None] + relu.output_mean[:, None])))
    torch.testing.assert_close(sigmoid.decode(code, magnitude), expected * magnitude)


def test_an_unknown_mask_is_refused():
    with pytest.raises(ValueError, match=r"^mask: got 'tanh', allowed relu, sigmoid$"):
        OpenUnmix(8, mask="tanh")
