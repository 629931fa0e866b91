"""A callback that trains any model without dropout."""

from pytorch_lightning import Callback, LightningModule, Trainer
from torch import nn

# Layers of torch with a dropout probability of their own, `dropout`; all others contain an nn.Dropout, with `p`.
HOLDERS = (nn.RNNBase, nn.MultiheadAttention)


class NoDropout(Callback):
    """Callback that sets every dropout layer of a model to a probability of zero, whatever the model calls it.

    A model that calls `torch.nn.functional.dropout` itself is not changed.
    """

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for layer in pl_module.modules():
            if isinstance(layer, nn.modules.dropout._DropoutNd):
                layer.p = 0.0
            elif isinstance(layer, HOLDERS):
                layer.dropout = 0.0
