"""Transformers with rotary position embedding, for tokens on a grid of which one axis is the sequence.

Tokens are (first, second, features); `axis` says which of both axes is the sequence, so that neither attention along
bands nor along frames needs a copy. Modules and weights have the names of the released checkpoints of band-split
RoFormer.

Source:
    W.-T. Lu et al., "Music source separation with band-split RoPE transformer", arXiv 2309.02612; names and details
    from the package msst, `models/bs_roformer`. Differs in speed, not in numbers: see `_Unit`, `normalised_linear`,
    and `Rotary`.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from unmix import checks


class Layers:
    """Sizes of band-split RoFormer's transformers.

    Args:
        features: of each token.
        depth: pairs of a transformer along time and one along frequency.
        time_depth: layers of a transformer along time.
        frequency_depth: layers of a transformer along frequency.
        num_heads: attention heads.
        head_size: features of a head, an even number.
        expansion: hidden features of the feed-forward networks, as a multiple of `features`.
        attention_dropout: share of attention weights, and of an attention's outputs, that a training step leaves out.
        dropout: share of values of the feed-forward networks that a training step leaves out.
        norm: `last` normalises after the last transformer, as BS-RoFormer does; `each` after each of them, as Mel-band
            RoFormer does.

    Raises:
        ValueError: on a value out of range.
    """

    def __init__(
        self,
        features: int = 384,
        depth: int = 8,
        *,
        time_depth: int = 1,
        frequency_depth: int = 1,
        num_heads: int = 8,
        head_size: int = 64,
        expansion: int = 4,
        attention_dropout: float = 0.0,
        dropout: float = 0.0,
        norm: str = "last",
    ) -> None:
        checks.counts(features=features, depth=depth, time_depth=time_depth, frequency_depth=frequency_depth)
        checks.counts(num_heads=num_heads, head_size=head_size, expansion=expansion)
        if head_size % 2:
            raise ValueError(f"head_size: got {head_size}, an even number is needed")
        checks.number("attention_dropout", attention_dropout, least=0, below=1)
        checks.number("dropout", dropout, least=0, below=1)
        checks.word("norm", norm, ("last", "each"))
        self.features, self.depth = features, depth
        self.time_depth, self.frequency_depth = time_depth, frequency_depth
        self.num_heads, self.head_size, self.expansion = num_heads, head_size, expansion
        self.attention_dropout, self.dropout, self.norm = attention_dropout, dropout, norm


class _Unit(torch.autograd.Function):
    """Scale vectors to length 1: the composite of torch's functions takes twice the time, and keeps its input."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        single = torch.promote_types(x.dtype, torch.float32)
        scale = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=single).clamp_min_(1e-12).reciprocal_()
        unit = (x * scale).to(x.dtype)
        ctx.save_for_backward(unit, scale)
        return unit

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        unit, scale = ctx.saved_tensors
        along = torch.linalg.vecdot(gradients[0], unit).unsqueeze(-1)
        return torch.addcmul(gradients[0], unit, along, value=-1).mul_(scale)


class RmsNorm(nn.Module):
    """Root mean square normalisation of the last axis, with a gain per feature."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(features))

    @property
    def gains(self) -> Tensor:
        """Gains of a vector of length 1."""
        return self.gamma * self.gamma.numel() ** 0.5

    def unit(self, x: Tensor) -> Tensor:
        """Normalise without the gains."""
        unit: Tensor = _Unit.apply(x)
        return unit

    def forward(self, x: Tensor) -> Tensor:
        return self.unit(x) * self.gains


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Apply a linear layer to (first, second, features).

    On a CPU it is a convolution of single points, which torch gives to oneDNN: its matrix products take a tenth to a
    third less time than MKL's on a processor of AMD. The features come last in memory for either.
    """
    if not x.is_cpu or x.dtype != torch.float32:
        return functional.linear(x, weight, bias)
    points = x.unsqueeze(1).permute(0, 3, 1, 2)
    return functional.conv2d(points, weight[..., None, None], bias).permute(0, 2, 3, 1).squeeze(1)


def normalised_linear(unit: Tensor, norm: RmsNorm, layer: nn.Linear) -> Tensor:
    """Apply a linear layer after a norm's gains.

    The gains are applied to the weights, which are fewer than the tokens; their gradient needs no sum over tokens.

    Args:
        unit: the norm's input, normalised by `norm.unit`.
        norm, layer: the layers.
    """
    return linear(unit, layer.weight * norm.gains, layer.bias)


class Rotary(nn.Module):
    """Rotary position embedding: turns pairs of features by an angle in proportion to their position.

    As complex numbers, the pairs are turned by one multiplication.
    """

    freqs: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("freqs", 10_000.0 ** (-torch.arange(0, size, 2) / size))  # radians per position

    def forward(self, x: Tensor, axis: int) -> Tensor:
        """Turn the last axis of (first, second, ..., features) by the positions along `axis`, 0 or 1."""
        positions = torch.arange(x.shape[axis], device=x.device, dtype=self.freqs.dtype)
        angles = positions.unsqueeze(-1) * self.freqs
        shape = [1] * (x.ndim - 1)
        shape[axis] = len(positions)
        turns = torch.polar(torch.ones_like(angles), angles).view(*shape, -1)
        pairs = torch.view_as_complex(x.to(self.freqs.dtype).unflatten(-1, (-1, 2)))
        return torch.view_as_real(pairs * turns).flatten(-2).to(x.dtype)


class Attention(nn.Module):
    """Self-attention along one axis, with a gate per head: (first, second, features) -> the same."""

    def __init__(self, layers: Layers) -> None:
        super().__init__()
        inner = layers.num_heads * layers.head_size
        self.num_heads, self.dropout = layers.num_heads, layers.attention_dropout
        self.rotary_embed = Rotary(layers.head_size)
        self.norm = RmsNorm(layers.features)
        self.to_qkv = nn.Linear(layers.features, 3 * inner, bias=False)
        self.to_gates = nn.Linear(layers.features, layers.num_heads)
        self.to_out = nn.Sequential(nn.Linear(inner, layers.features, bias=False), nn.Dropout(layers.attention_dropout))

    def forward(self, x: Tensor, axis: int) -> Tensor:
        unit = self.norm.unit(x)
        projected = normalised_linear(unit, self.norm, self.to_qkv).unflatten(-1, (3, self.num_heads, -1))
        turned, value = projected.split((2, 1), dim=2)
        gates = normalised_linear(unit, self.norm, self.to_gates).sigmoid()
        query, key = self.rotary_embed(turned, axis).unbind(2)
        order = (1, 2, 0, 3) if axis == 0 else (0, 2, 1, 3)  # (sequences, heads, length, size)
        query, key, value = (tensor.permute(order) for tensor in (query, key, value.squeeze(2)))
        dropout = self.dropout if self.training else 0.0
        heads = functional.scaled_dot_product_attention(query, key, value, dropout_p=dropout).transpose(1, 2)
        heads = heads * (gates.transpose(0, 1) if axis == 0 else gates).unsqueeze(-1)
        layers: Any = self.to_out
        project, drop = layers
        out: Tensor = drop(linear(heads.flatten(2), project.weight))
        return out.transpose(0, 1) if axis == 0 else out


class FeedForward(nn.Module):
    """Feed-forward network of each token."""

    def __init__(self, layers: Layers) -> None:
        super().__init__()
        hidden = layers.expansion * layers.features
        self.net = nn.Sequential(
            RmsNorm(layers.features),
            nn.Linear(layers.features, hidden),
            nn.GELU(),
            nn.Dropout(layers.dropout),
            nn.Linear(hidden, layers.features),
            nn.Dropout(layers.dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        layers: Any = self.net
        norm, widen, gelu, drop, narrow, drop_output = layers
        x = drop(gelu(normalised_linear(norm.unit(x), norm, widen)))
        out: Tensor = drop_output(linear(x, narrow.weight, narrow.bias))
        return out


class Transformer(nn.Module):
    """Pre-norm transformer along one axis: (first, second, features) -> the same."""

    def __init__(self, layers: Layers, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.ModuleList([Attention(layers), FeedForward(layers)]) for _ in range(depth))
        self.norm = RmsNorm(layers.features) if layers.norm == "each" else nn.Identity()

    def forward(self, x: Tensor, axis: int) -> Tensor:
        layers: Any = self.layers
        for attention, feed_forward in layers:
            x = x + attention(x, axis)
            x = x + feed_forward(x)
        normalised: Tensor = self.norm(x)
        return normalised
