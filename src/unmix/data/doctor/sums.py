"""Detector of mixtures that are not the sum of their sources: by how much, since when, and which file is wrong."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from unmix.data.doctor import stem_fit
from unmix.data.doctor.alignment import Alignment, Defect, align
from unmix.data.doctor.clicks import WIDTH
from unmix.data.doctor.excerpt import read_all
from unmix.data.doctor.finding import Finding, decibels
from unmix.data.doctor.measuring import FRAME, Measurement
from unmix.data.tracks import Track

NOT_THE_SUM_DB = -20.0  # residuals above this are examined: the mixture was mastered separately, or is wrong
# Scores of a perfect estimate of all sources would not exceed 10 dB: they would measure the mixture, not the model.
WRONG_DB = -10.0
HEARD = 8  # int16 steps RMS, -72 dBFS: a smaller residual is rounding
LOCAL_DB = -50.0  # of the mixture: a defect of a passage, which the sum over the track hides
LOUD_PART = 0.01  # of the residual's loudest energy, -20 dB: from there on it begins
DIFFUSE = 0.5  # share of a track: a residual that lasts this long, and that nothing explains, is mastering or coding
# Inner product of the residual with a file, over the residual's energy: -1 for what the file holds in excess, about 0
# for all other files.
ITS_OWN, FOREIGN = (-1.3, -0.7), 0.3
# Defects that a look at a file alone finds, and that explain a residual when the mixture does not share them.
SUSPECT = (
    *("silent", "truncated", "dropout", "dead_channel", "dual_mono"),
    *("low_pass", "clipped", "dc_offset", "few_bits", "click"),
)
OF_SOURCES = ("silent", "dead_channel", "dual_mono", "low_pass")  # a mixture shares these with its sources
_BETTER_DB = 3.0  # an explanation by the mixture is preferred unless that by one source leaves this much less
_SUM = "write its mixture as the sum of its sources, or remove the track"


@dataclass(frozen=True)
class Residual:
    """Energy of mixture minus sources, over a track.

    Args:
        level_db: relative to the mixture; -inf when it is exactly zero.
        first: sample from which mixture and sources disagree.
        loudest: sample at which they disagree most.
        share: of the track in which they disagree by more than rounding.
    """

    level_db: float
    first: int = 0
    loudest: int = 0
    share: float = 0.0


def residual_of(measured: Measurement) -> Residual:
    """Residual of a track."""
    if "mixture" not in measured.stems:
        return Residual(-math.inf)
    frames = measured.residual.sum(axis=0, dtype=np.float64)
    mixture = measured.energy[measured.rows("mixture")].sum(axis=0, dtype=np.float64)
    level = decibels(float(frames.sum()), float(mixture.sum()))
    reference = np.maximum(mixture, 1e-3 * mixture.mean())
    is_heard = frames > np.maximum(10 ** (LOCAL_DB / 10) * reference, HEARD**2 * FRAME)
    if not is_heard.any():
        return Residual(level)
    plays = mixture > HEARD**2 * FRAME
    share = float(is_heard[plays].mean()) if plays.any() else 1.0
    is_loud = is_heard & (frames >= LOUD_PART * frames.max())
    return Residual(level, int(is_loud.argmax()) * FRAME, int(frames.argmax()) * FRAME, share)


def explain(track: Track, measured: Measurement, findings: Sequence[Finding]) -> list[Finding]:
    """Add what is wrong with the sum to the findings of a track; those that explain it become errors if it is large.

    Args:
        track: the track.
        measured: its measurements.
        findings: what a look at each file alone has found.
    """
    residual = residual_of(measured)
    if not residual.share or any(finding.defect == "copy" for finding in findings):
        return list(findings)
    alignment = align(track) if residual.level_db > NOT_THE_SUM_DB else None
    if residual.level_db > NOT_THE_SUM_DB and alignment is None:
        return [*findings, *_of_silence(track, residual)]
    if attributed := _attribute(track, measured, findings, residual):
        return attributed
    fit = stem_fit.fit(track, measured.stems, max(0, residual.loudest - stem_fit.LENGTH // 4))
    aligned = [] if alignment is None else list(_aligned(track, alignment, residual))
    left_db = math.inf if alignment is None else alignment.left_db - residual.level_db
    if aligned and (fit is None or left_db < fit.left_db + _BETTER_DB):
        return [*findings, *aligned]
    if fit is not None and _is_bleed(fit.defect, findings):
        return list(findings)
    if fit is not None:
        return [*findings, _finding(track, fit.defect, residual, measured)]
    return [*findings, *_unexplained(track, measured, residual)]


def _is_bleed(defect: Defect, findings: Sequence[Finding]) -> bool:
    """Whether a source only seems quieter in the mixture, as the file of another holds some of it, too."""
    return defect.kind == "gain" and any(
        finding.defect == "bleed" and finding.values["of"] == defect.stem for finding in findings
    )


def _aligned(track: Track, alignment: Alignment, residual: Residual) -> Iterator[Finding]:
    is_wrong = residual.level_db > WRONG_DB or alignment.is_exact or alignment.shift
    explains = alignment.left_db - residual.level_db <= WRONG_DB
    for defect in alignment.defects() if is_wrong else ():
        if defect.kind == "missing" and not explains:
            continue
        yield Finding(
            "error", defect.kind, track.name, str(track.path(defect.stem)), defect.what, _SUM, values=defect.values
        )


def _finding(track: Track, defect: Defect, residual: Residual, measured: Measurement) -> Finding:
    remedy = f"export {defect.stem} again, aligned with the mixture" if defect.kind != "gain" else _SUM
    energy = measured.energy[measured.rows(defect.stem)].sum(axis=0)
    sounds = int((energy >= LOUD_PART * energy.max()).argmax()) * FRAME
    position = residual.first / track.sample_rate if residual.first > sounds + track.sample_rate else None
    severity = "error" if defect.kind != "gain" else _severity(track, measured, defect.stem)
    path = str(track.path(defect.stem))
    return Finding(severity, defect.kind, track.name, path, defect.what, remedy, position, "", defect.values)


def _severity(track: Track, measured: Measurement, stem: str) -> str:
    """`error` when scores of the stem are limited to `-NOT_THE_SUM_DB`, as what it holds differs from the mixture."""
    own = float(measured.energy[measured.rows(stem)].sum(dtype=np.float64))
    return "error" if decibels(float(measured.residual.sum(dtype=np.float64)), own) > NOT_THE_SUM_DB else "warning"


def _of_silence(track: Track, residual: Residual) -> Iterator[Finding]:
    """An error for silence on one side: of the mixture, or of all sources."""
    what, detail = "mixture is not the sum of its sources", _amount(residual)
    if residual.level_db == np.inf:
        what, detail = "mixture is silent, but its sources are not", ""
    yield Finding("error", "not_a_sum", track.name, str(track.path("mixture")), what, _SUM, detail=detail)


def _amount(residual: Residual) -> str:
    return f"mixture minus sum is at {residual.level_db:+.1f} dB of the mixture"


def _attribute(
    track: Track, measured: Measurement, findings: Sequence[Finding], residual: Residual
) -> list[Finding] | None:
    """Attribute the residual to a file with a defect of its own that fits it; None when there is none."""
    window = residual.loudest - stem_fit.LENGTH // 4
    rows = read_all(track, measured.stems, window, window + stem_fit.LENGTH)
    rest = rows[0] - rows[1:].sum(axis=0)
    for finding in findings:
        stem = next((name for name in measured.stems if str(track.path(name)) == finding.file), None)
        if stem is not None and finding.defect in SUSPECT and _fits(finding, measured, stem, rest, rows):
            worse = "error" if finding.severity != "error" and residual.level_db > NOT_THE_SUM_DB else "warning"
            remedy = finding.remedy or f"export {stem} again as it is in the mixture"
            worse = "error" if finding.defect == "silent" else worse
            detail = ", ".join(filter(None, [finding.detail, _amount(residual)]))
            changed = replace(finding, severity=worse, remedy=remedy, detail=detail)
            return [changed if other is finding else other for other in findings]
    return None


def _fits(finding: Finding, measured: Measurement, stem: str, rest: np.ndarray, rows: np.ndarray) -> bool:
    """Whether the residual of a passage is what a defective file lacks, or holds in excess."""
    energy = max(float(np.square(rest).sum()), 1e-9)
    own = rows[measured.stems.index(stem)]
    if finding.defect in OF_SOURCES and stem == "mixture":
        return False
    if finding.defect == "silent":
        return not np.square(own).sum() > energy * 1e-3
    if finding.defect in ("truncated", "dropout"):
        broken = np.abs(own).max(axis=0) == 0
        return float(np.square(rest[:, broken]).sum()) > 0.5 * energy
    if finding.defect == "dual_mono" and len(rest) == 2:
        return float(np.square(rest.sum(axis=0)).sum()) < 0.1 * energy
    if finding.defect == "dead_channel":
        dead = int(np.square(own).sum(axis=1).argmin())
        return float(np.square(rest[dead]).sum()) > 0.9 * energy
    if finding.defect == "low_pass":
        power = np.square(np.abs(np.fft.rfft(rest))).sum(axis=0)
        first = float(finding.values["cutoff_hz"]) * 0.95 / measured.sample_rate * rest.shape[-1]
        return float(power[round(first) :].sum()) > 0.8 * power.sum()
    if finding.defect == "clipped":
        peaks = np.abs(own) >= 0.98 * np.abs(own).max()
        return float(np.square(rest[peaks]).sum()) > 0.5 * energy
    if finding.defect == "dc_offset":
        return float(np.square(rest.mean(axis=1)).sum()) * rest.shape[-1] > 0.5 * energy
    return _is_own(_excess(-rest if stem == "mixture" else rest, own))


def _excess(rest: np.ndarray, own: np.ndarray) -> float:
    """Inner product of a residual with a file, over the residual's energy; of second differences, as music is dark."""
    bend, of_file = np.diff(rest, n=2), np.diff(own, n=2)
    return float((bend * of_file).sum() / max(np.square(bend).sum(), 1e-9))


def _is_own(excess: float) -> bool:
    return ITS_OWN[0] < excess < ITS_OWN[1]


def _unexplained(track: Track, measured: Measurement, residual: Residual) -> Iterator[Finding]:
    """Name the file that holds something in excess; without one, the mixture is not the sum."""
    start = max(0, residual.loudest - stem_fit.LENGTH // 4)
    rows = read_all(track, measured.stems, start, start + stem_fit.LENGTH)
    rest = rows[0] - rows[1:].sum(axis=0)
    shares = {stem: _excess(rest, own) for stem, own in zip(measured.sources, rows[1:], strict=True)}
    stem = min(shares, key=lambda name: abs(shares[name] + 1))
    position, detail = residual.first / track.sample_rate, _amount(residual)
    values = {"residual_db": residual.level_db}
    others = max((abs(share) for name, share in shares.items() if name != stem), default=0.0)
    if _is_own(shares[stem]) and others < FOREIGN:
        severity, remedy = _severity(track, measured, stem), f"export {stem} again"
        defect, what = "extra", f"{stem} holds something that the mixture lacks"
        if np.ptp(np.flatnonzero(np.abs(rest).max(axis=0) > 0.1 * np.abs(rest).max())) < WIDTH:
            defect, what, position = "click", f"{stem} has clicks", residual.loudest / track.sample_rate
        yield Finding(severity, defect, track.name, str(track.path(stem)), what, remedy, position, detail, values)
        return
    path, what = str(track.path("mixture")), "mixture is not the sum of its sources"
    if residual.level_db > WRONG_DB:
        yield Finding("error", "not_a_sum", track.name, path, what, _SUM, None, detail, values)
    elif residual.share < DIFFUSE:
        what = f"{what} in a passage"
        yield Finding("warning", "not_a_sum", track.name, path, what, _SUM, position, detail, values)
    elif residual.level_db > NOT_THE_SUM_DB:
        what, detail = f"{what} (above {NOT_THE_SUM_DB:.0f} dB)", f"{residual.level_db:.1f} dB"
        yield Finding("note", "not_a_sum", track.name, path, what, "", None, detail, values)
