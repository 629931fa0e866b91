"""Training without dropout, for `debug=overfit`."""

import torch
from pytorch_lightning import LightningModule
from torch import nn

from unmix.models.open_unmix.network import OpenUnmix
from unmix.training.dropout import NoDropout


class EveryKind(LightningModule):
    """A dropout layer, an LSTM and an attention, which drop nearly everything."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Dropout(0.9)
        self.lstm = nn.LSTM(8, 8, num_layers=2, dropout=0.9, batch_first=True)
        self.attention = nn.MultiheadAttention(8, 2, dropout=0.9, batch_first=True)

    def forward(self, x):
        x = self.lstm(self.layer(x))[0]
        return self.attention(x, x, x)[0]


def test_every_kind_of_dropout_is_off_while_the_model_trains():
    module = EveryKind().train()
    x = torch.rand(2, 5, 8)
    assert not torch.equal(module(x), module(x))
    NoDropout().on_fit_start(None, module)
    assert module.training
    assert torch.equal(module(x), module(x))


def test_the_lstm_of_open_unmix_loses_its_dropout():
    module = LightningModule()
    module.network = OpenUnmix(16, num_bins=33, dropout=0.9)
    NoDropout().on_fit_start(None, module)
    magnitude = torch.rand(2, 2, 33, 6)
    assert torch.equal(module.train().network(magnitude), module.network(magnitude))
