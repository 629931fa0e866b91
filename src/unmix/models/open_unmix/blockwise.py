"""Run Open-Unmix's network in blocks of frames, layer by layer, with the same result as in one piece.

All stages but the LSTM are applied frame by frame. One direction of an LSTM layer only needs the state after
the previous block; a bidirectional layer is two such directions, one of which runs backwards from the last block.
Between two layers, (frames, hidden) values are kept: 53 MB for ten minutes at hidden size 512.
"""

from collections.abc import Collection, Iterator, Mapping

import torch
from torch import Tensor, nn

from unmix.models.open_unmix import bridges
from unmix.models.open_unmix.network import OpenUnmix

FRAMES = 1024  # per block


@torch.no_grad()
def codes_of(networks: Mapping[str, OpenUnmix], hidden: Tensor, targets: Collection[str]) -> dict[str, Tensor]:
    """Turn the output of `bridges.encode` into the inputs of `OpenUnmix.decode`; the last one takes its place.

    Args:
        networks: bridged networks by target.
        hidden: (frames, batch, hidden), overwritten.
        targets: those to compute.
    Returns:
        Codes by target, (frames, batch, hidden) each.
    """
    recurrent = bridges.mean((_recurrent(network.lstm, hidden) for network in networks.values()), len(networks))
    needed = [target for target in networks if target in targets]
    codes = {target: torch.empty_like(hidden) for target in needed[:-1]} | {needed[-1]: hidden}
    for block in _blocks(len(hidden)):
        for target in needed:  # the last one overwrites what the others read
            codes[target][block] = networks[target].combine(hidden[block], recurrent[block])
    return codes


def _recurrent(lstm: nn.LSTM, hidden: Tensor) -> Tensor:
    """Run all layers of an LSTM over all frames: (frames, batch, hidden) -> the same."""
    for layer in range(lstm.num_layers):
        hidden = _layer(lstm, layer, hidden)
    return hidden


def _layer(lstm: nn.LSTM, layer: int, inputs: Tensor) -> Tensor:
    """Run one layer of a stacked LSTM over all frames: (frames, batch, input) -> (frames, batch, output)."""
    directions = ("", "_reverse") if lstm.bidirectional else ("",)
    frames, batch, _ = inputs.shape
    outputs = inputs.new_empty(frames, batch, lstm.hidden_size * len(directions))
    for suffix, out in zip(directions, outputs.chunk(len(directions), dim=-1), strict=True):
        single, state = _single(lstm, layer, suffix), None
        blocks = list(_blocks(frames))
        for block in reversed(blocks) if suffix else blocks:
            values = inputs[block].flip(0) if suffix else inputs[block]
            values, state = single(values, state)
            out[block] = values.flip(0) if suffix else values
    return outputs


def _single(lstm: nn.LSTM, layer: int, suffix: str) -> nn.LSTM:
    """Copy one direction of one layer to an LSTM of its own; `suffix` is empty, or `_reverse` for the backward one."""
    weights = {
        name: getattr(lstm, f"{name}_l{layer}{suffix}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    }
    # weights are copied, as cuDNN needs those of a module to be contiguous; `meta` draws no random numbers
    first = weights["weight_ih"]
    single = nn.LSTM(first.shape[1], lstm.hidden_size, device="meta", dtype=first.dtype).to_empty(device=first.device)
    for name, weight in weights.items():
        getattr(single, f"{name}_l0").copy_(weight)
    return single


def _blocks(frames: int) -> Iterator[slice]:
    return (slice(first, min(first + FRAMES, frames)) for first in range(0, frames, FRAMES))
