"""python src/check.py: reports the content and the errors of a data set, and the size of an epoch."""

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from unmix.data import audit
from unmix.data.audit import Sound
from unmix.data.datamodule import SeparationDataModule
from unmix.data.tracks import Track
from unmix.errors import Reported, counted
from unmix.plans import no_test
from unmix.runs.build import fetch, make_datamodule

_LISTED = 5  # names of tracks per line of the report


@dataclass(frozen=True)
class CheckJob:
    """A prepared check of a data set."""

    cfg: DictConfig
    datamodule: SeparationDataModule

    def run(self) -> None:
        """Print tracks, warnings and errors of the data set, and the size of an epoch.

        Raises:
            Reported: when the data set has errors.
            ValueError: when there is no data set.
        """
        _report(self.datamodule, f"{self.cfg.paths.out}/runs/<experiment>", listen=self.cfg.listen)


def prepare(cfg: DictConfig) -> CheckJob:
    """Build the data module; raises ValueError when `data.root` is not given."""
    return CheckJob(cfg, make_datamodule(cfg.data))


def _report(datamodule: SeparationDataModule, experiment: str, *, listen: bool) -> None:
    library = datamodule.library
    fetch(datamodule)
    library.make()
    console = Console(highlight=False, soft_wrap=True)
    shape = library.layout.shape(library.sources)
    console.print(
        f"{datamodule.name} in {datamodule.root}: {counted(len(library.entries), 'track')} of the shape {shape}\n"
    )
    console.print(_table(datamodule))
    tracks = [track for _, split in _splits(datamodule) for track in split]
    errors, warnings = datamodule.training_errors(), list(library.scan.warnings)
    consequence = "training is refused"
    if listen and not errors:
        sounds = audit.listen(tracks, library.cache)
        errors, warnings = _wrong(tracks, sounds), [*warnings, *_heard(tracks, sounds)]
        consequence = "training or its scores would be wrong"
    warnings += [
        f"{track.name}: {audit.ERRATA[track.name]} (MUSDB18's errata)" for track in tracks if track.name in audit.ERRATA
    ]
    if not errors and not any(entry.split == "test" for entry in library.entries):
        warnings.append(no_test(datamodule.root, f"ckpt={experiment}"))
    for line in warnings:
        console.print(f"note   {line}", markup=False)
    for line in errors:
        console.print(f"error  {line}", markup=False)
    if errors:
        result = f"{counted(len(errors), 'error')}: {consequence}"
        console.print(f"\n{result}")
        raise Reported(result)
    console.print(f"\n{_epoch(datamodule)}")


def _splits(datamodule: SeparationDataModule) -> list[tuple[str, Sequence[Track]]]:
    return [(name, getattr(datamodule.splits, name)) for name in ("train", "valid", "test")]


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


def _wrong(tracks: Sequence[Track], sounds: Sequence[Sound]) -> list[str]:
    """List an error for every track whose mixture trains a wrong model or gives wrong scores."""
    return [
        f"{track.name}: {reason}; write its mixture as the sum of its sources, or remove the track"
        for track, sound in zip(tracks, sounds, strict=True)
        if (reason := _error(track, sound))
    ]


def _error(track: Track, sound: Sound) -> str:
    """Say what is wrong with the mixture of a track; empty when nothing is, or it is a known erratum of MUSDB18."""
    return "" if audit.ERRATA.get(track.name) == audit.WRONG_MIXTURE else sound.error()


def _heard(tracks: Sequence[Track], sounds: Sequence[Sound]) -> Iterator[str]:
    pairs = list(zip(tracks, sounds, strict=True))
    for stem in dict.fromkeys(stem for sound in sounds for stem in sound.peaks):
        if silent := [track.name for track, sound in pairs if stem in sound.silent()]:
            yield f"{stem} is silent in {_names(silent)}"
        if clipped := [track.name for track, sound in pairs if sound.num_clipped.get(stem)]:
            most = max(sound.num_clipped.get(stem, 0) for sound in sounds)
            yield f"{stem} reaches full scale in {_names(clipped)}; at most {counted(most, 'sample')} of a track"
    residuals = [sound.residual_db for sound in sounds]
    middle, worst = statistics.median(residuals), max(residuals)
    if worst == -math.inf:
        yield "mixture is exactly the sum of its sources in every track"
        return
    yield f"mixture minus sum of sources: median {middle:.1f} dB of the mixture, worst {worst:.1f} dB"
    if far := [
        f"{track.name} ({sound.residual_db:.1f} dB)"
        for track, sound in pairs
        if sound.residual_db > audit.NOT_THE_SUM_DB and not _error(track, sound)
    ]:
        yield f"mixture is not the sum of its sources (above {audit.NOT_THE_SUM_DB:.0f} dB) in {_names(far)}"


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{counted(len(names), 'track')}: {', '.join(names[:_LISTED])}{more}"


def _epoch(datamodule: SeparationDataModule) -> str:
    num_tracks = datamodule.samples_per_epoch // datamodule.samples_per_track
    samples = counted(datamodule.samples_per_epoch, "sample")
    steps = counted(datamodule.steps_per_epoch, "step")
    return (
        f"an epoch is {counted(num_tracks, 'track')} x {datamodule.samples_per_track} = {samples} "
        f"of {datamodule.recipe.segment / datamodule.sample_rate:g} s, {steps} of {datamodule.batch_size}; "
        f"data fingerprint {datamodule.splits.fingerprint()}"
    )
