"""Known defects of MUSDB18 (sigsep.github.io, content/datasets/musdb.md), which are no errors of a copy of it."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from unmix.data.doctor.finding import Finding
from unmix.data.tracks import Track

WRONG_MIXTURE = "the left channel of the mixture is not the sum of the sources"
ERRATA = {
    "PR - Oh No": WRONG_MIXTURE,
    "Chris Durban - Celebrate": "other instruments in vocals",
    "Hop Along - Sister Cities": "other instruments in vocals",
    "Detsky Sad - Walkie Talkie": "other instruments in drums",
    "Leaf - Wicked": "guitar in drums and vocals at 2:20 and 3:02",
    "Enda Reilly - Cur An Long Ag Seol": "speech in other",
}
OF_SUMS = ("not_a_sum", "shifted", "gain", "inverted", "missing", "extra", "channels")


def known(tracks: Iterable[Track]) -> Iterator[Finding]:
    """A note for every track with a known defect."""
    for track in tracks:
        if track.name in ERRATA:
            what = f"{ERRATA[track.name]} (MUSDB18's errata)"
            yield Finding("note", "erratum", track.name, str(track.folder), what)


def without_known(findings: Iterable[Finding]) -> list[Finding]:
    """Findings in which what is wrong with a mixture of MUSDB18 as published is a note."""
    return [
        replace(finding, severity="note", remedy="")
        if ERRATA.get(finding.track) == WRONG_MIXTURE and finding.defect in OF_SUMS
        else finding
        for finding in findings
    ]
