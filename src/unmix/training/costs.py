"""Count the work and the memory of a model: FLOPs of a forward pass, and the peak of a training step's tensors."""

import weakref
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

Shape = Sequence[int]


def lstm_flops(frames: Shape, *arguments: Any, out_shape: Any = None, **options: Any) -> int:
    """Count the FLOPs of the fused LSTMs of oneDNN and cuDNN, which torch's counter does not know.

    Every frame of every sequence is multiplied by every matrix of weights once; gates and biases are not counted, as
    torch counts matrix products and convolutions only.

    Args:
        frames: shape of the input, whose first two axes are frames and batch in any order.
        arguments: shapes of the other arguments: the weights of a layer, or a list of those of all layers, come first.
        out_shape, options: as torch's counter passes them; not used.
    """
    layers = arguments[0] if arguments[0] and not isinstance(arguments[0][0], int) else arguments[:4]
    matrices = [shape for shape in layers if len(shape) == 2]
    return 2 * frames[0] * frames[1] * sum(map(prod, matrices))


FUSED_LSTMS = {torch.ops.aten.mkldnn_rnn_layer: lstm_flops, torch.ops.aten._cudnn_rnn: lstm_flops}


@torch.no_grad()
def forward_flops(model: nn.Module, mixture: Tensor) -> int:
    """Count the FLOPs of a forward pass: two for each multiplication in matrix products, convolutions and LSTMs.

    Args:
        model: any model; it is evaluated, and left in the mode that it was in.
        mixture: its input.
    """
    was_training = model.training
    try:
        with FlopCounterMode(display=False, custom_mapping=FUSED_LSTMS) as counter:
            model.eval()(mixture)
    finally:
        model.train(was_training)
    return int(counter.get_total_flops())


class PeakMemory(TorchDispatchMode):
    """Context in which the memory of new tensors is counted, on any device.

    What a library allocates within one operation, such as the scratch space of a convolution, is not seen.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = {storage._cdata for storage in _storages((args, kwargs))}
        result = func(*args, **(kwargs or {}))
        for storage in _storages(result):
            if storage._cdata not in given and storage._cdata not in self._sizes:  # not a view, nor changed in place
                self._sizes[storage._cdata] = storage.nbytes()
                weakref.finalize(storage, self._forget, storage._cdata)
                self.now += storage.nbytes()
                self.peak = max(self.peak, self.now)
        return result

    def _forget(self, key: int) -> None:
        self.now -= self._sizes.pop(key)


def _storages(values: Any) -> list[torch.UntypedStorage]:
    """Memory behind all tensors within nested containers."""
    return [value.untyped_storage() for value in tree_leaves(values) if isinstance(value, Tensor)]


def bytes_of(tensors: Any) -> int:
    """Add up the bytes of tensors, such as the weights of a module; anything else is left out."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors if isinstance(tensor, Tensor))
