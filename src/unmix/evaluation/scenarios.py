"""Scenarios: which sources are scored together, every one, or one beside the sum of all others; imports no torch."""

from collections.abc import Iterable, Sequence

from unmix import errors

ACCOMPANIMENT = "accompaniment"  # name of the sum of all sources but one, as in SiSEC 2018
KEY = "evaluation.scenario"


def check(source: str | None, sources: Sequence[str]) -> None:
    """Check that a source can be scored beside the sum of all others.

    Args:
        source: value of `evaluation.scenario`; None scores every source, which is always possible.
        sources: names of all sources.
    Raises:
        ValueError: when it is no source, the only one, or the name of the sum is that of another source.
    """
    if source is None:
        return
    names = [name for name in sources if name != ACCOMPANIMENT]
    if source not in names:
        raise ValueError(errors.unknown(KEY, source, names))
    if len(sources) < 2:
        raise ValueError(f"{KEY}: got {source!r}, which is the only source, so nothing accompanies it: leave it null")
    if ACCOMPANIMENT in sources and len(names) > 1:
        raise ValueError(
            f"{KEY}: got {source!r}, but {ACCOMPANIMENT!r}, the name of the sum of all others, is one of the sources "
            f"{', '.join(sources)}: leave it null"
        )


def check_published(key: str, method: str, targets: Iterable[str], scored: Sequence[str]) -> None:
    """Check that published scores are not put beside ours of vocals and accompaniment when they are of four stems.

    Args:
        key: setting that names the published method.
        method: its name.
        targets: the sources that it has scores of.
        scored: the sources that we score together.
    Raises:
        ValueError: when we score an accompaniment, and it is not published beside the same source.
    """
    if ACCOMPANIMENT in scored and (set(scored) != {"vocals", ACCOMPANIMENT} or ACCOMPANIMENT not in targets):
        raise ValueError(
            f"{key}: got {method!r}, which was not published in the scenario {', '.join(scored)}; most submissions to "
            f"SiSEC 2018 were in vocals, {ACCOMPANIMENT}, as sisec18:TAK1"
        )
