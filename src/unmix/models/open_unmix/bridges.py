"""Bridges between the networks of several targets: X-UMX averages what they compute before and after their LSTMs.

A single network has nothing to average and is Open-Unmix itself.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import reduce
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from unmix.models.open_unmix.network import OpenUnmix


def estimate(networks: Mapping[str, nn.Module], magnitude: Tensor, targets: Collection[str]) -> dict[str, Tensor]:
    """Estimate magnitudes of some targets by bridged networks.

    Args:
        networks: networks by target, all of the same sizes; a single one may be any magnitude network.
        magnitude: of the mixture, (batch, channels, bins, frames).
        targets: those to estimate.
    Returns:
        Magnitudes by target, each (batch, channels, bins, frames).
    """
    if len(networks) == 1:
        return {target: network(magnitude) for target, network in networks.items()}
    bridged = {target: cast(OpenUnmix, network) for target, network in networks.items()}
    hidden = encode(list(bridged.values()), magnitude)
    recurrent = mean((network.lstm(hidden)[0] for network in bridged.values()), len(bridged))
    return {
        target: network.decode(network.combine(hidden, recurrent), magnitude)
        for target, network in bridged.items()
        if target in targets
    }


def encode(networks: Sequence[OpenUnmix], magnitude: Tensor) -> Tensor:
    """Compute the input of all LSTMs: (batch, channels, bins, frames) -> (frames, batch, hidden)."""
    first, *others = networks
    if not others:
        return first.encode(magnitude)
    batch, channels, _, frames = magnitude.shape
    cropped = magnitude[:, :, : first.num_input_bins]
    rows = cropped.permute(3, 0, 1, 2).reshape(frames * batch, -1)  # frames first, for the LSTM
    # (x + mean) * scale is part of the weights here: one product for all networks, and no shifted copies of the input.
    weights = [network.fc1.weight * network.input_scale.repeat(channels) for network in networks]
    biases = [weight @ network.input_mean.repeat(channels) for weight, network in zip(weights, networks, strict=True)]
    features = functional.linear(rows, torch.cat(weights), torch.cat(biases)).split(first.hidden_size, dim=-1)
    squashed = (torch.tanh(network.bn1(part)) for network, part in zip(networks, features, strict=True))
    return mean(squashed, len(networks)).reshape(frames, batch, first.hidden_size)


def mean(values: Iterable[Tensor], count: int) -> Tensor:
    """Average the features of all networks, of which no more than two are kept at a time."""
    total = reduce(torch.add, values)
    return total / count if count > 1 else total
