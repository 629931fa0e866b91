"""Whether methods compare: the same definition of the metric, scenario, format of scores and tracks."""

from collections.abc import Sequence

from unmix.errors import counted
from unmix.evaluation import metrics
from unmix.evaluation.metrics import Definition
from unmix.reports.methods import Method
from unmix.reports.stored import Evaluation

ALL, COMMON = "all", "common"  # which tracks are compared
MOST_NAMED = 3  # tracks in a message


def check_scores(methods: Sequence[Method], metric: str) -> Definition:
    """Check that all evaluations have the metric, by one definition, and scored the same sources together.

    Args:
        methods: what is compared.
        metric: its name.
    Returns:
        The definition of the metric.
    Raises:
        ValueError: naming the folders that differ.
    """
    first, *others = _evaluations(methods)
    for each in (first, *others):
        if metric not in each.rows[0].metrics:
            raise ValueError(f"metric: got {metric!r}, but {each.path} has {', '.join(each.rows[0].metrics)}")
    for each in others:
        scenarios = [metrics.scenario(evaluation.targets) for evaluation in (each, first)]
        if set(each.targets) != set(first.targets):
            raise ValueError(_unlike(each, "in the scenario " + scenarios[0], first, scenarios[1]))
        if unlike := metrics.difference([each.definitions[metric]], [first.definitions[metric]]):
            raise ValueError(_unlike(each, "by " + unlike, first))
        formats = [str(evaluation.summary.get("format", "unknown")) for evaluation in (each, first)]
        if formats[0] != formats[1]:
            raise ValueError(_unlike(each, f"in format {formats[0]}", first, formats[1]))
    return first.definitions[metric]


def _unlike(evaluation: Evaluation, how: str, other: Evaluation, its_own: str = "") -> str:
    theirs = f"{other.path} in {its_own}" if its_own else str(other.path)
    return f"ckpt: {evaluation.path} was scored {how}, unlike {theirs}; these do not compare: evaluate both alike"


def tracks(methods: Sequence[Method], rule: str) -> tuple[list[str], list[str]]:
    """Choose the tracks to compare.

    Args:
        methods: what is compared.
        rule: `all`, or `common` for only the tracks that all methods have.
    Returns:
        Names of the tracks to compare, and of those that only some methods have.
    Raises:
        ValueError: when a method lacks a track and the rule is `all`, they have none in common, or audio differs.
    """
    evaluations = _evaluations(methods)
    every = list(dict.fromkeys(name for each in evaluations for name in each.tracks))
    common = [name for name in every if all(name in each.tracks for each in evaluations)]
    for each in evaluations:
        missing = [name for name in every if name not in each.tracks]
        if missing and rule == ALL:
            rest = (
                f"tracks=common compares the {counted(len(common), 'track')} that all have" if common else "no common"
            )
            raise ValueError(f"tracks: {each.path} lacks {named(missing)}, which others have; {rest}")
    if not common:
        raise ValueError("tracks: no track was scored by all methods; evaluate them on the same data")
    for each in evaluations[1:]:
        _check_lengths(common, each, evaluations[0])
    return common, [name for name in every if name not in common]


def _check_lengths(tracks: Sequence[str], one: Evaluation, other: Evaluation) -> None:
    """Check that tracks of the same name are of the same length."""
    for track in tracks:
        ours, theirs = one.lengths.get(track), other.lengths.get(track)
        if ours is not None and theirs is not None and ours != theirs:
            raise ValueError(
                f"ckpt: {track!r} has {counted(ours, 'window')} in {one.path} and {theirs} in {other.path}: other "
                "audio of the same name; evaluate both on the same data"
            )


def named(names: Sequence[str]) -> str:
    """List the first few names, and how many more there are."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(map(repr, names[:MOST_NAMED])) + more


def _evaluations(methods: Sequence[Method]) -> list[Evaluation]:
    return [each for method in methods for each in method.evaluations]
