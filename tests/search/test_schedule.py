"""Which trials are chosen, promoted and pruned."""

import pytest

from unmix.search.schedule import Brackets, Seen, Verdict, Window, make_schedule
from unmix.search.settings import SearchSettings


def seen(*values, trained=0, **options):
    """Trial with a value after each epoch, trained for some."""
    return Seen(
        dict(enumerate(values, start=1)), lambda epochs: trained >= (99 if epochs is None else epochs), **options
    )


def complete(*values):
    return seen(*values, trained=99, is_complete=True)


def make(pruner, max_epochs=9, parallel=2, **settings):
    return make_schedule(SearchSettings(pruner=pruner, **settings), max_epochs, parallel)


def test_a_trial_knows_those_that_ended_when_as_many_as_run_at_once_were_begun():
    assert [Window(3, None, 9, is_better_high=False).known(number) for number in range(6)] == [0, 0, 0, 1, 2, 3]


def test_without_a_pruner_a_trial_is_trained_to_its_end():
    schedule = make("none")
    assert schedule.verdict(0, [seen(5.0)], 1) == Verdict("train")
    assert schedule.verdict(0, [complete(5.0)], 1) == Verdict("complete")


@pytest.mark.parametrize(
    ("objective", "value", "kind"),
    [("val/loss", 3.1, "pruned"), ("val/loss", 2.9, "train"), ("val/sdr", 3.1, "train"), ("val/sdr", 2.9, "pruned")],
)
def test_a_trial_worse_than_the_median_is_pruned(objective, value, kind):
    schedule = make("median", objective=objective, parallel=1)
    others = [complete(float(number)) for number in range(1, 6)]
    assert schedule.verdict(5, [*others, seen(value)], 1).kind == kind


def test_the_median_counts_neither_too_few_trials_nor_unknown_ones_nor_the_last_epoch():
    others = [complete(1.0) for _ in range(5)]
    assert make("median", parallel=1).verdict(4, [*others[:4], seen(9.0)], 1).kind == "train"
    assert make("median", parallel=2).verdict(5, [*others, seen(9.0)], 1).kind == "train"
    assert make("median", parallel=1, min_epochs=2).verdict(5, [*others, seen(9.0)], 1).kind == "train"
    assert make("median", parallel=1, max_epochs=1).verdict(5, [*others, seen(9.0)], 1).kind == "train"


def test_a_rung_is_decided_when_all_of_its_trials_are_trained():
    schedule = make("halving")
    waiting = [seen(float(number), trained=1) for number in range(8)]
    assert schedule.verdict(0, waiting, 1) == Verdict("train", 1)  # the ninth is not chosen yet
    assert schedule.verdict(0, [*waiting, seen()], 1) == Verdict("train", 1)
    trials = [*waiting, seen(-1.0, trained=1)]
    verdicts = [schedule.verdict(number, trials, 1) for number in range(9)]
    assert verdicts == [Verdict("train", 3)] * 2 + [Verdict("pruned", 1)] * 6 + [Verdict("train", 3)]


def test_equal_values_are_decided_by_number_and_failed_trials_take_no_place():
    schedule = make("halving")
    trials = [seen(has_failed=True), *(seen(1.0, trained=1) for _ in range(8))]
    kinds = [schedule.verdict(number, trials, 1).kind for number in range(1, 9)]
    assert kinds == ["train"] * 3 + ["pruned"] * 5


def test_a_rung_without_validation_says_so():
    trials = [Seen({}, lambda _: True)] * 9
    with pytest.raises(ValueError, match="was not validated in its first 1 epochs"):
        make("halving").verdict(0, trials, 0)


def test_the_brackets_of_hyperband_are_those_of_its_authors():
    """Table 1 of Li et al. for 81 epochs and a reduction of 3: trials and first epochs of each bracket."""
    brackets = make("hyperband", max_epochs=81, min_epochs=1).brackets()
    first = [next(brackets) for _ in range(6)]
    assert [(len(bracket.trials), bracket.rungs[0]) for bracket in first] == [
        (81, 1), (34, 3), (15, 9), (8, 27), (5, 81), (81, 1)
    ]  # fmt: skip
    assert [bracket.trials.start for bracket in first] == [0, 81, 115, 130, 138, 143]


def test_halving_has_brackets_of_one_kind_and_trials_know_the_brackets_before():
    schedule = make("halving", max_epochs=1000)
    assert isinstance(schedule, Brackets)
    assert schedule.rungs == (111, 333, 1000)
    assert [schedule.known(number) for number in (0, 8, 9, 17, 18)] == [0, 0, 9, 9, 18]
    schedule.check(18)
    with pytest.raises(ValueError, match="got 20, allowed 18 or 27"):
        schedule.check(20)
