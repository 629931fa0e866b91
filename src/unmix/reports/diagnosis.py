"""The findings of the doctor as lines for the terminal."""

import math
import statistics
from collections.abc import Iterator, Sequence

from unmix.data.doctor.examination import Examined
from unmix.data.doctor.finding import Finding
from unmix.errors import counted

LISTED = 5  # tracks per line


def lines(findings: Sequence[Finding]) -> Iterator[str]:
    """Format errors one by one, and warnings and notes that are equal but for their tracks together."""
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for index, finding in enumerate(findings):
        apart = str(index) if finding.severity == "error" else finding.remedy
        groups.setdefault((finding.severity, finding.what, apart), []).append(finding)
    for (severity, what, _), group in groups.items():
        first = group[0]
        if severity == "error" or not first.track:
            text = f"{first.track}: {what}" if first.track else what
            text += f" ({first.amount})" if first.amount else ""
        else:
            text = f"{what} in {_tracks(group)}"
        yield f"{severity:<7} {text}{'; ' if first.remedy else ''}{first.remedy}"


def sums(examined: Sequence[Examined]) -> Iterator[str]:
    """Say how near the mixtures are to the sums of their sources."""
    residuals = [subject.examination.residual_db for subject in examined]
    if not residuals:
        return
    middle, worst = statistics.median(residuals), max(residuals)
    if worst == -math.inf:
        yield "note    mixture is exactly the sum of its sources in every track"
    else:
        yield f"note    mixture minus sum of sources: median {middle:.1f} dB of the mixture, worst {worst:.1f} dB"


def _tracks(findings: Sequence[Finding]) -> str:
    names = [finding.track + (f" ({finding.amount})" if finding.amount else "") for finding in findings]
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"{counted(len(names), 'track')}: {', '.join(names[:LISTED])}{more}"
