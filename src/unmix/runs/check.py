"""python src/check.py: names the defects of a data set, describes it, and gives the size of an epoch."""

import json
import logging
import sys
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from unmix import next_steps
from unmix.data.datamodule import SeparationDataModule
from unmix.data.doctor import names
from unmix.data.doctor.errata import known, without_known
from unmix.data.doctor.examination import Examined, examine
from unmix.data.doctor.finding import Finding, order
from unmix.data.doctor.headers import refused
from unmix.data.tracks import Track
from unmix.errors import Reported, counted
from unmix.plans import no_test
from unmix.reports import diagnosis
from unmix.runs.build import fetch, make_datamodule

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class CheckJob:
    """A prepared check of a data set."""

    cfg: DictConfig
    datamodule: SeparationDataModule

    def run(self) -> None:
        """Print tracks and findings of the data set, and the size of an epoch; write a page if `report` is given.

        Raises:
            Reported: when training or scores would be wrong.
            ValueError: when there is no data set.
            OSError: when the page or the cache cannot be written.
        """
        is_json = self.cfg.format == "json"  # which standard output is for; what is said on the way goes to stderr
        with redirect_stdout(sys.stderr) if is_json else nullcontext():
            fetch(self.datamodule)
            self.datamodule.library.make()
            findings, examined = _diagnose(self.datamodule, f"{self.cfg.paths.out}/runs/<experiment>", self.cfg.listen)
        if self.cfg.report is not None:
            from unmix.reports import diagnosis_page  # matplotlib takes a while to import

            folder = Path(self.cfg.report).expanduser()
            folder.mkdir(parents=True, exist_ok=True)
            page = diagnosis_page.write(findings, examined, str(self.datamodule.name), folder)
            Console(stderr=True, soft_wrap=True, highlight=False).print(f"report: {page}", markup=False)
        if is_json:
            content = _content(self.datamodule, findings)
            print(json.dumps(content, indent=2))  # noqa: T201 - for machines, without rich's wrapping
        else:
            _print(self.datamodule, findings, examined)
        if result := _result(self.datamodule, findings):
            raise Reported(result)
        if not is_json:
            print(next_steps.script("train", *next_steps.from_command_line("data", "paths")))  # noqa: T201


def prepare(cfg: DictConfig) -> CheckJob:
    """Build the data module.

    Raises:
        ValueError: when `data.root` is not given.
    """
    if cfg.format == "json":
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stdout:
                handler.setStream(sys.stderr)
    return CheckJob(cfg, make_datamodule(cfg.data))


def _diagnose(datamodule: SeparationDataModule, experiment: str, listen: bool) -> tuple[list[Finding], list[Examined]]:
    """Findings in order of severity, and the tracks that were listened to."""
    library = datamodule.library
    tracks = [track for _, split in _splits(datamodule) for track in split]
    errors, warnings = datamodule.training_errors(), list(library.scan.warnings)
    if not errors and not any(entry.split == "test" for entry in library.entries):
        warnings.append(no_test(datamodule.root, f"ckpt={experiment}"))
    findings = list(refused(library.entries, errors, ("mixture", *library.sources)))
    findings += [Finding("note", "scan", "", "", warning) for warning in warnings]
    findings += [*names.collisions(library.entries), *known(tracks)]
    examined: list[Examined] = []
    if listen:
        of_sound, examined = examine(datamodule.splits, library.cache)
        findings += [*without_known(of_sound), *names.tags(tracks)]
    return sorted(findings, key=order), examined


def _content(datamodule: SeparationDataModule, findings: Sequence[Finding]) -> dict[str, Any]:
    """All findings, for machines."""
    return {
        "data": datamodule.name,
        "root": str(datamodule.root),
        "tracks": {name: len(tracks) for name, tracks in _splits(datamodule)},
        "fingerprint": datamodule.splits.fingerprint(),
        "findings": [finding.content() for finding in findings],
    }


def _print(datamodule: SeparationDataModule, findings: Sequence[Finding], examined: Sequence[Examined]) -> None:
    library = datamodule.library
    console = Console(highlight=False, soft_wrap=True)
    shape = library.layout.shape(library.sources)
    console.print(
        f"{datamodule.name} in {datamodule.root}: {counted(len(library.entries), 'track')} of the shape {shape}\n"
    )
    console.print(_table(datamodule))
    for line in [*diagnosis.lines(findings), *diagnosis.sums(examined)]:
        console.print(line, markup=False)
    console.print(f"\n{_result(datamodule, findings) or _epoch(datamodule)}")


def _result(datamodule: SeparationDataModule, findings: Sequence[Finding]) -> str:
    """Say what the errors lead to; empty when there are none."""
    errors = sum(finding.severity == "error" for finding in findings)
    is_refused = bool(datamodule.training_errors())
    consequence = "training is refused" if is_refused else "training or its scores would be wrong"
    return f"{counted(errors, 'error')}: {consequence}" if errors else ""


def _splits(datamodule: SeparationDataModule) -> list[tuple[str, Sequence[Track]]]:
    return [(name, getattr(datamodule.splits, name)) for name in SPLITS]


def _table(datamodule: SeparationDataModule) -> Table:
    table = Table("split", "tracks", "audio", "shortest", "longest", "rate", "channels", "size")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, tracks in _splits(datamodule):
        seconds = [track.num_samples / track.sample_rate for track in tracks]
        if not tracks:
            table.add_row(name, "0", *[""] * 6)
            continue
        size = sum(track.bytes_on_disk for track in tracks) / 1e9
        channels = "/".join(sorted({str(track.num_channels) for track in tracks}))
        times = (_time(sum(seconds)), _time(min(seconds)), _time(max(seconds)))
        table.add_row(name, str(len(tracks)), *times, f"{datamodule.sample_rate} Hz", channels, f"{size:.2f} GB")
    return table


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _epoch(datamodule: SeparationDataModule) -> str:
    num_tracks = datamodule.samples_per_epoch // datamodule.samples_per_track
    samples = counted(datamodule.samples_per_epoch, "sample")
    steps = counted(datamodule.steps_per_epoch, "step")
    return (
        f"an epoch is {counted(num_tracks, 'track')} x {datamodule.samples_per_track} = {samples} "
        f"of {datamodule.recipe.segment / datamodule.sample_rate:g} s, {steps} of {datamodule.batch_size}; "
        f"data fingerprint {datamodule.splits.fingerprint()}"
    )
