"""Open-Unmix: a bidirectional LSTM that masks the magnitude spectrogram of a mixture, one network per target."""

import torch
from torch import Tensor, nn

from unmix import checks, settings


class OpenUnmix(nn.Module):
    """The network of Open-Unmix; it can load the released weights.

    Open-Unmix's paper describes a sigmoid mask; its code and weights use a ReLU, which does not bound the mask by 1,
    and so does this class by default. `output_mean` is initialised to one: training starts from a mask near one.

    Args:
        hidden_size: width of the bottleneck; each LSTM direction has half of it when bidirectional.
        bidirectional: False uses past frames only; with equal `hidden_size`, that has MORE parameters, not fewer.
        num_layers: stacked LSTM layers.
        num_channels: audio channels.
        num_bins: frequency bins of the spectrograms, fft_size // 2 + 1.
        bandwidth_hz: the input is cropped to the bins up to this frequency; the output always has all bins.
        sample_rate: Hz, to turn `bandwidth_hz` into bins.
        dropout: between LSTM layers.
        trainable_statistics: whether the input's mean and scale are trained, as in UMX.
        mask: `relu`, or `sigmoid`, which bounds the mask by 1.

    Raises:
        ValueError: on a value of the wrong type or out of range, as an odd `hidden_size` with bidirectional=True or a
            bandwidth outside the spectrum.

    Source:
        F.-R. Stoeter, S. Uhlich, A. Liutkus, Y. Mitsufuji, "Open-Unmix", JOSS 2019; sigsep/open-unmix-pytorch v1.3.0,
        openunmix/model.py. Parameter names are UMX's, so that its state dicts load strictly.
    """

    def __init__(
        self,
        hidden_size: int = 512,
        bidirectional: bool = True,
        *,
        num_layers: int = 3,
        num_channels: int = 2,
        num_bins: int = 2049,
        bandwidth_hz: float = 16000.0,
        sample_rate: int = 44100,
        dropout: float = 0.4,
        trainable_statistics: bool = True,
        mask: str = "relu",
    ) -> None:
        given = {name: value for name, value in locals().items() if name in settings.OPEN_UNMIX}
        super().__init__()
        settings.check_arguments(settings.OPEN_UNMIX, **given)
        checks.hidden_size("hidden_size", hidden_size, bidirectional)
        self.hidden_size, self.num_channels, self.num_bins = hidden_size, num_channels, num_bins
        self.num_input_bins = bandwidth_to_bins(bandwidth_hz, num_bins=num_bins, sample_rate=sample_rate)
        self.input_mean = nn.Parameter(torch.zeros(self.num_input_bins), requires_grad=trainable_statistics)
        self.input_scale = nn.Parameter(torch.ones(self.num_input_bins), requires_grad=trainable_statistics)
        self.fc1 = nn.Linear(self.num_input_bins * num_channels, hidden_size, bias=False)
        self.bn1 = nn.BatchNorm1d(hidden_size)
        self.lstm = nn.LSTM(
            hidden_size,
            hidden_size // 2 if bidirectional else hidden_size,
            num_layers,
            bidirectional=bidirectional,
            dropout=dropout if num_layers > 1 else 0.0,
        )
        self.fc2 = nn.Linear(2 * hidden_size, hidden_size, bias=False)
        self.bn2 = nn.BatchNorm1d(hidden_size)
        self.fc3 = nn.Linear(hidden_size, num_bins * num_channels, bias=False)
        self.bn3 = nn.BatchNorm1d(num_bins * num_channels)
        self.output_scale = nn.Parameter(torch.ones(num_bins))
        self.output_mean = nn.Parameter(torch.ones(num_bins))
        self.mask = nn.ReLU() if mask == "relu" else nn.Sigmoid()

    @torch.no_grad()
    def set_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Initialise the input normalisation with the training data's mean and standard deviation, both (bins,).

        Raises:
            ValueError: when either does not have one value per bin, or a deviation is not positive.
        """
        for name, statistic in (("mean", mean), ("std", std)):
            if statistic.shape != (self.num_bins,):
                raise ValueError(f"{name}: got shape {tuple(statistic.shape)}, ({self.num_bins},) needed")
        if not (std > 0).all():
            raise ValueError(f"std: got a minimum of {std.min().item():g}, every bin needs a positive number")
        self.input_mean.copy_(-mean[: self.num_input_bins])
        self.input_scale.copy_(1 / std[: self.num_input_bins])

    def forward(self, magnitude: Tensor) -> Tensor:
        """Estimate the target's magnitude spectrogram from the mixture's.

        Shape:
            (batch, channels, bins, frames) -> the same; real, >= 0.
        """
        hidden = self.encode(magnitude)
        return self.decode(self.combine(hidden, self.lstm(hidden)[0]), magnitude)

    # The three stages around the LSTM process each frame independently, see `blockwise`.

    def encode(self, magnitude: Tensor) -> Tensor:
        """Compute the LSTM's input: (batch, channels, bins, frames) -> (frames, batch, hidden)."""
        batch, _, _, frames = magnitude.shape
        mixture = magnitude.permute(3, 0, 1, 2)  # frames first, for the LSTM; frames * batch are BatchNorm's rows
        hidden = (mixture[..., : self.num_input_bins] + self.input_mean) * self.input_scale
        hidden = self.bn1(self.fc1(hidden.reshape(frames * batch, -1)))
        return torch.tanh(hidden).reshape(frames, batch, self.hidden_size)

    def combine(self, hidden: Tensor, recurrent: Tensor) -> Tensor:
        """Combine input and output of the LSTM into the code that `decode` takes, all (frames, batch, hidden)."""
        skipped = torch.cat([hidden, recurrent], dim=-1)
        return torch.relu(self.bn2(self.fc2(skipped.flatten(end_dim=1)))).reshape(hidden.shape)

    def decode(self, code: Tensor, magnitude: Tensor) -> Tensor:
        """Multiply the mixture's magnitude with the mask computed from a code (frames, batch, hidden)."""
        batch, channels, _, frames = magnitude.shape
        mask = self.bn3(self.fc3(code.flatten(end_dim=1))).reshape(frames, batch, channels, self.num_bins)
        mask = mask * self.output_scale  # one by one: each frees what it reads, if nothing else keeps it
        mask = mask + self.output_mean
        mask = self.mask(mask)
        return mask.permute(1, 2, 3, 0) * magnitude


def bandwidth_to_bins(bandwidth_hz: float, *, num_bins: int, sample_rate: int) -> int:
    """Count the bins up to a frequency: 1487 of 2049 for 16 kHz at a sample rate of 44.1 kHz.

    Raises:
        ValueError: when the bandwidth is not between 0 and half the sample rate, or another number is below 1.
    """
    checks.counts(num_bins=num_bins, sample_rate=sample_rate)
    nyquist_hz = sample_rate / 2
    if not 0 < bandwidth_hz <= nyquist_hz:
        raise ValueError(f"bandwidth_hz: got {bandwidth_hz:g}, allowed above 0 up to {nyquist_hz:g}")
    return int(bandwidth_hz * (num_bins - 1) / nyquist_hz) + 1
