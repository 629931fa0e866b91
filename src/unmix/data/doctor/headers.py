"""Detector of headers that are wrong or contradict each other, in the tracks that a scan has refused."""

import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

from unmix.data import pcm
from unmix.data.doctor.finding import Finding
from unmix.data.layouts.entry import Entry
from unmix.data.pcm import Header


def refused(entries: Sequence[Entry], errors: Sequence[str], stems: Sequence[str]) -> Iterator[Finding]:
    """Turn the errors of a scan into findings; wrong rates are told from files of another rate.

    Args:
        entries: all tracks that are on disk.
        errors: those of the scan, one line each.
        stems: names of the files of a track.
    """
    for error in errors:
        entry = next((entry for entry in entries if f"{entry.path}/" in error or f"{entry.path} " in error), None)
        if entry is None:
            yield Finding("error", "unreadable", "", "", error)
            continue
        wrong = list(_declared(entry, stems))
        yield from wrong
        if not wrong:
            what, _, remedy = error.removeprefix("data.root: ").partition(": ")
            yield Finding("error", "unreadable", entry.name, _file(entry, stems, error), what, remedy)


def _declared(entry: Entry, stems: Sequence[str]) -> Iterator[Finding]:
    """Find files whose header declares another rate than the others', though they have as many samples."""
    headers = {path: header for path in _paths(entry, stems) if (header := _header(path)) is not None}
    if len({header.sample_rate for header in headers.values()}) < 2:
        return
    usual = statistics.mode(header.sample_rate for header in headers.values())
    lengths = [header.num_samples for header in headers.values() if header.sample_rate == usual]
    for path, header in headers.items():
        if header.sample_rate != usual and header.num_samples == statistics.mode(lengths):
            yield Finding(
                "error",
                "rate",
                entry.name,
                str(path),
                f"{path.stem} declares {header.sample_rate} Hz, but has as many samples as the files at {usual} Hz",
                f"write {usual} Hz into its header, or resample it if it sounds too slow or fast then",
                values={"declared": header.sample_rate, "usual": usual},
            )


def _paths(entry: Entry, stems: Sequence[str]) -> Iterator[Path]:
    for stem in stems:
        yield from (part.path for part in entry.files.get(stem, ()) if part.is_whole)


def _header(path: Path) -> Header | None:
    try:
        return pcm.read_header(path)
    except (ValueError, OSError):  # the scan has reported it
        return None


def _file(entry: Entry, stems: Sequence[str], error: str) -> str:
    return next((str(path) for path in _paths(entry, stems) if str(path) in error), str(entry.path))
