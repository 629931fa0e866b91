"""The cosine schedule has the learning rates of its formula, also when it is resumed."""

import itertools
import math
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau, StepLR

from unmix.training.module import SeparationModule
from unmix.training.schedules import cosine, migrated_state

HIGHEST = 2.0


def share(epoch, num_epochs, warmup_epochs=0, final=0.0):
    """Share of the highest rate in an epoch, as the schedule is defined."""
    if epoch < warmup_epochs:
        return (epoch + 1) / warmup_epochs
    progress = min(1.0, (epoch - warmup_epochs) / (num_epochs - warmup_epochs))
    return final + (1 - final) * (1 + math.cos(math.pi * progress)) / 2


def make_optimizer(rate=HIGHEST):
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(()))], lr=rate)


def steps(optimizer, schedule, num_epochs):
    """Rates of the next epochs."""
    found = []
    for _ in range(num_epochs):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def rates(num_epochs_run, **options):
    optimizer = make_optimizer()
    return steps(optimizer, cosine(optimizer, **options), num_epochs_run)


@st.composite
def options_of_a_schedule(draw):
    num_epochs = draw(st.integers(1, 50))
    return {
        "num_epochs": num_epochs,
        "warmup_epochs": draw(st.integers(0, num_epochs - 1)),
        "final": draw(st.sampled_from([0.0, 1.0, 0.1]) | st.floats(0, 1)),
    }


def test_up_in_equal_steps_and_down_along_half_a_cosine():
    expected = [0.5, 1.0, 1.5, 2.0] + [2 * (0.1 + 0.9 * (1 + math.cos(math.pi * i / 6)) / 2) for i in range(6)]
    assert rates(10, num_epochs=10, warmup_epochs=4, final=0.1) == pytest.approx(expected, abs=1e-12)
    assert rates(12, num_epochs=10, warmup_epochs=4, final=0.1)[10:] == pytest.approx([0.2, 0.2], abs=1e-12)


@settings(deadline=None)
@given(options_of_a_schedule())
def test_rates_are_those_of_the_formula_also_after_the_last_epoch(options):
    num_epochs = options["num_epochs"] + 5
    expected = [HIGHEST * share(epoch, **options) for epoch in range(num_epochs)]
    assert rates(num_epochs, **options) == pytest.approx(expected, abs=1e-12)


@settings(deadline=None)
@given(options_of_a_schedule())
def test_no_rate_is_above_the_highest_or_below_the_final(options):
    warmup, final = options["warmup_epochs"], options["final"]
    found = rates(options["num_epochs"], **options)
    assert max(found) == pytest.approx(HIGHEST)
    assert min(found[warmup:]) >= HIGHEST * final - 1e-9
    assert found[:warmup] == sorted(found[:warmup])
    falling = found[warmup:]
    assert all(later <= earlier + 1e-12 for earlier, later in itertools.pairwise(falling))


@settings(deadline=None, max_examples=30)
@given(options_of_a_schedule(), st.integers(0, 30), st.booleans())
def test_a_resumed_schedule_goes_on_also_from_the_state_of_the_one_before(options, num_before, is_old):
    """Checkpoints hold the state of torch's SequentialLR, or of the LambdaLR that `cosine` returned earlier."""
    optimizer = make_optimizer()
    old = LambdaLR(optimizer, lambda epoch: share(epoch, **options)) if is_old else cosine(optimizer, **options)
    steps(optimizer, old, num_before)
    saved = optimizer.state_dict(), old.state_dict()

    make_schedule = partial(cosine, **options)
    resumed = make_optimizer()
    schedule = make_schedule(resumed)
    state = migrated_state(saved[1], make_schedule)
    resumed.load_state_dict(saved[0])
    schedule.load_state_dict(state)
    expected = [HIGHEST * share(epoch, **options) for epoch in range(num_before, num_before + 8)]
    assert steps(resumed, schedule, 8) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    "make_schedule",
    [partial(LambdaLR, lr_lambda=lambda epoch: 0.5**epoch), partial(StepLR, step_size=1), ReduceLROnPlateau],
)
def test_states_of_other_schedules_are_left_as_they_are(make_schedule):
    state = make_schedule(make_optimizer()).state_dict()
    assert migrated_state(state, make_schedule) is state


def test_the_module_converts_the_states_of_a_checkpoint():
    options = {"num_epochs": 9, "warmup_epochs": 2, "final": 0.1}
    optimizer = make_optimizer()
    old = LambdaLR(optimizer, lambda epoch: share(epoch, **options))
    steps(optimizer, old, 4)
    content = {"lr_schedulers": [old.state_dict()], "unmix": {"position": [4, 0]}}
    module = SimpleNamespace(make_scheduler=partial(cosine, **options), global_rank=0)
    SeparationModule.on_load_checkpoint(module, content)
    (state,) = content["lr_schedulers"]
    schedule = cosine(make_optimizer(), **options)
    schedule.load_state_dict(state)
    assert schedule.last_epoch == 4
    assert schedule.get_last_lr() == pytest.approx([HIGHEST * share(4, **options)], abs=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"num_epochs": 5, "warmup_epochs": 5},
            r"warmup_epochs: got 5, scheduler.num_epochs \(trainer.max_epochs\) is 5: allowed 0",
        ),
        ({"num_epochs": -1}, "got 0, .* is -1"),
        ({"num_epochs": None}, "is None: allowed"),
        ({"num_epochs": 5, "final": 1.5}, "scheduler.final: got 1.5"),
    ],
)
def test_what_leaves_no_epoch_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        rates(1, **options)


def test_parameters_of_several_learning_rates_are_refused():
    groups = [{"params": [torch.nn.Parameter(torch.zeros(()))], "lr": rate} for rate in (0.1, 0.2)]
    with pytest.raises(
        ValueError, match=r"scheduler: cosine needs one learning rate for all parameters, got \[0.1, 0.2\]"
    ):
        cosine(torch.optim.SGD(groups), num_epochs=5)
