"""What one would type after a training or a sweep; does not import torch."""

from collections.abc import Sequence

from unmix import next_steps
from unmix.plans import Plan

MOST_COMPARED = 8  # methods that one still tells apart on a page of comparison


def print_next(plans: Sequence[Plan]) -> None:
    """Print the hint for runs that are done, given their plans; nothing while one is not, as errors say what to do."""
    if hint := next_step(plans):
        print(hint)  # noqa: T201


def next_step(plans: Sequence[Plan]) -> str:
    """Format the hint: the next target of an experiment, its scores, or a song; for several, how they compare."""
    first = plans[0]
    is_ours = first.run.parent.name == first.experiment  # not a run_dir chosen by the user, or by debug=...
    if not is_ours or any(each.state != "done" for each in plans):
        return ""
    experiments = list(dict.fromkeys(str(each.run.parent) for each in plans))
    if len(experiments) > 1:
        arguments = next_steps.from_command_line("paths")
        if len(experiments) <= MOST_COMPARED and _have_scores_to_compare(plans):
            return next_steps.script("evaluate", f"ckpt=[{','.join(experiments)}]", *arguments)
        return next_steps.script("leaderboard", *arguments)
    if missing := [source for source in first.sources if source not in first.weights]:
        return f"next: the same command with target={missing[0]}"
    arguments = [f"ckpt={first.run.parent}", *next_steps.from_command_line()]
    if first.has_test_tracks and first.evaluation is None:
        return next_steps.script("evaluate", *arguments)
    return next_steps.script("separate", *arguments, "input=song.wav")


def _have_scores_to_compare(plans: Sequence[Plan]) -> bool:
    """Whether all experiments of the plans are evaluated, on one data set."""
    return len({str(each.cfg.data.root) for each in plans}) == 1 and all(each.evaluation for each in plans)
