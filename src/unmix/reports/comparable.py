"""Whether methods compare: the same metric, sources, format of scores and tracks."""

from collections.abc import Sequence

from unmix.errors import counted
from unmix.evaluation import metrics
from unmix.reports.methods import Method
from unmix.reports.stored import Evaluation

ALL, COMMON = "all", "common"  # which tracks are compared
MOST_NAMED = 3  # tracks in a message


def check_scores(methods: Sequence[Method], metric: str) -> None:
    """Check that all evaluations have the metric, and scored the same sources together.

    Raises:
        ValueError: naming the folders that differ.
    """
    evaluations = _evaluations(methods)
    for each in evaluations:
        if metric not in (names := list(each.rows[0].metrics)):
            raise ValueError(f"metric: got {metric!r}, but {each.path} has {', '.join(names)}")
        if (definition := each.definition(metric)).over_tracks != "median" or definition.better != "high":
            raise ValueError(f"metric: got {metric!r}, which is {definition}; tables are of medians of ratios, as SDR")
    for each in evaluations[1:]:
        _check_alike("on", each, evaluations[0], each.targets, evaluations[0].targets)
        _check_alike("in format", each, evaluations[0], _format(each), _format(evaluations[0]))
        if difference := metrics.difference([each.definition(metric)], [evaluations[0].definition(metric)]):
            raise ValueError(
                f"ckpt: {each.path} was scored by {difference} of {evaluations[0].path}, which do not compare; "
                "evaluate both alike"
            )


def _format(evaluation: Evaluation) -> list[str]:
    return [str(evaluation.summary.get("format", "unknown"))]


def _check_alike(how: str, one: Evaluation, other: Evaluation, ours: Sequence[str], theirs: Sequence[str]) -> None:
    if sorted(ours) != sorted(theirs):
        raise ValueError(
            f"ckpt: {one.path} was scored {how} {', '.join(ours)} and {other.path} {how} {', '.join(theirs)}, which do "
            "not compare; evaluate both alike"
        )


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
