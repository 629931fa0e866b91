import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unmix.training.schedules import cosine


def rates(num_steps, **options):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(()))], lr=2.0)
    schedule = cosine(optimizer, **options)
    found = []
    for _ in range(num_steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def test_up_in_equal_steps_and_down_along_half_a_cosine():
    expected = [0.5, 1.0, 1.5, 2.0] + [2 * (0.1 + 0.9 * (1 + math.cos(math.pi * i / 6)) / 2) for i in range(6)]
    assert rates(10, num_epochs=10, warmup_epochs=4, final=0.1) == pytest.approx(expected)
    assert rates(12, num_epochs=10, warmup_epochs=4, final=0.1)[10:] == pytest.approx([0.2, 0.2])


@given(num_epochs=st.integers(1, 50), data=st.data())
def test_no_rate_is_above_the_highest_or_below_the_final(num_epochs, data):
    warmup, final = data.draw(st.integers(0, num_epochs - 1)), data.draw(st.floats(0, 1))
    found = rates(num_epochs, num_epochs=num_epochs, warmup_epochs=warmup, final=final)
    assert max(found) == pytest.approx(2.0)
    assert min(found[warmup:]) >= 2 * final - 1e-9
    assert found[:warmup] == sorted(found[:warmup])
    assert found[warmup:] == sorted(found[warmup:], reverse=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_epochs": 5, "warmup_epochs": 5}, "warmup_epochs: got 5 of trainer.max_epochs=5"),
        ({"num_epochs": -1}, "got 0 of trainer.max_epochs=-1"),
        ({"num_epochs": None}, "trainer.max_epochs=None"),
        ({"num_epochs": 5, "final": 1.5}, "scheduler.final: got 1.5"),
    ],
)
def test_what_leaves_no_epoch_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        rates(1, **options)
