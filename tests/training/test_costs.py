"""Work and memory are those of hand calculations."""

import pytest
import torch
from torch import nn

from unmix.training.costs import PeakMemory, bytes_of, forward_flops, lstm_flops


@pytest.mark.parametrize("bidirectional", [False, True])
def test_every_frame_of_an_lstm_meets_every_weight_once(bidirectional):
    model = nn.LSTM(7, 5, num_layers=2, bidirectional=bidirectional)
    directions = 2 if bidirectional else 1
    gates, frames = 4 * 5, 11 * 3
    by_hand = directions * 2 * frames * gates * ((7 + 5) + (directions * 5 + 5))
    assert forward_flops(model, torch.zeros(11, 3, 7)) == by_hand


def test_the_lstm_of_a_gpu_gives_the_weights_of_all_layers_in_a_list():
    weights = [(20, 7), (20, 5), (20,), (20,), (20, 5), (20, 5), (20,), (20,)]
    assert lstm_flops((11, 3, 7), weights, 4, None) == 2 * 33 * 20 * (7 + 5 + 5 + 5)


def test_products_and_convolutions_count_two_for_each_multiplication_and_modes_stay():
    model = nn.Sequential(nn.Conv1d(2, 3, 5), nn.Flatten(), nn.Linear(3 * 6, 4), nn.ReLU())
    assert forward_flops(model, torch.zeros(1, 2, 10)) == 2 * (6 * 3 * 2 * 5 + 18 * 4)
    assert model.training
    assert not any(layer.training for layer in _evaluated(model))


def _evaluated(model):
    forward_flops(model.eval(), torch.zeros(1, 2, 10))
    return model


def test_the_peak_counts_new_tensors_once_and_forgets_those_that_are_freed():
    given = torch.zeros(1000)
    with PeakMemory() as memory:
        given.add_(1)
        view = given[:10].t()
        assert (memory.now, memory.peak, len(view)) == (0, 0, 10)
        first = given * 2
        second = first + 1
        assert memory.now == 8000
        del first, second
        assert memory.now == 0
        kept = given.double()
    assert (memory.now, memory.peak) == (8000, 8000)
    assert bytes_of([given, kept, None]) == 12_000


def test_the_peak_of_a_step_holds_activations_and_gradients():
    first, second = nn.Linear(1000, 1000, bias=False), nn.Linear(1000, 1, bias=False)
    with PeakMemory() as memory:
        second(first(torch.zeros(500, 1000))).sum().backward()
    weights = 4 * (1000 * 1000 + 1000)
    assert memory.now == weights, "gradients"
    activations = 4 * 500 * 1000
    assert weights + 2 * activations <= memory.peak < weights + 3.1 * activations
