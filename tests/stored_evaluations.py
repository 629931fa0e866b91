"""Folders of finished evaluations, as evaluate.py leaves them, for tests of tables."""

import json
from pathlib import Path

from unmix.evaluation import scores
from unmix.evaluation.metrics import BSS_EVAL, to_json
from unmix.evaluation.scores import TrackScore

TARGETS = ("vocals", "bass")
TRACKS = tuple(f"Song {number}" for number in range(1, 13))


def values(level, alternating=0.0, tracks=TRACKS):
    """Scores of tracks, each 1 dB above the one before it, with a median of `level` + 5.5: track -> dB."""
    return {track: level + i + alternating * (-1) ** i for i, track in enumerate(tracks)}


def store(out, method, by_target, *, place=None, name="hq-test-0a1b2c", runs=(), further=None, **facts):
    """Write the folder of an evaluation; returns it.

    Args:
        out: folder of all results.
        method: its name.
        by_target: target -> track -> SDR.
        place: folder below `out` to write it to; None is that of the experiment of `runs`, or `evaluations`.
        name: name of the folder.
        runs: `<experiment>/<run>` of every target.
        further: definition of a metric beside BSS Eval's -> function from the SDR of a track to its value.
        facts: further content of summary.json.
    """
    if place is None:
        place = f"runs/{runs[0].partition('/')[0]}/eval" if runs else "evaluations"
    path = Path(out) / place / name
    path.mkdir(parents=True)
    rows = [
        TrackScore(
            each,
            track,
            target,
            {"SDR": sdr, "SIR": sdr + 5, "ISR": sdr + 5, "SAR": sdr + 1}
            | {metric.name: value_of(sdr) for metric, value_of in (further or {}).items()},
        )
        for each in (method, "mixture")
        for target, of_target in by_target.items()
        for track, sdr in of_target.items()
    ]
    tracks = {row.track for row in rows}
    summary = {
        "num_tracks": len(tracks),
        "medians": scores.summarize(rows),
        "windows_that_count": {track: [20, 30] for track in sorted(tracks)},
        "format": 2,
        "weights": {},
        "separator": {"niter": 1},
        "checkpoints": {
            target: f"/elsewhere/{run}/checkpoints/best.ckpt" for target, run in zip(by_target, runs, strict=False)
        },
    }
    definitions = (*BSS_EVAL, *(further or ()))
    if further:
        summary |= {"definitions": to_json(definitions), "means": scores.summarize(rows, list(further))}
    (path / "scores.csv").write_text(scores.to_csv(rows, definitions))
    (path / "summary.json").write_text(json.dumps(summary | facts))
    return path


def store_run(out, run, *, hours=1.0, gpus=(), epochs=3, earlier=0.0):
    """Write the folder of a done run, `<experiment>/<run>`; returns it."""
    from unmix.experiments import status
    from unmix.experiments.status import Status

    path = Path(out) / "runs" / run
    path.mkdir(parents=True)
    status.write(path, Status(run.partition("/")[0], "done", started=0.0, heartbeat=3600.0 * hours, earlier=earlier))
    lines = [f"{epoch},{epoch * 10},{1 / (epoch + 1)},{epoch + 0.5}" for epoch in range(epochs)]
    (path / "metrics.csv").write_text("\n".join(["epoch,step,val/loss,val/sdr", *lines]) + "\n")
    (path / "env.json").write_text(json.dumps({"gpus": list(gpus), "cpu_count": 4}))
    return path


def seeds(out, experiment, level, numbers=(1, 2), **facts):
    """Write one evaluation per seed of an experiment, each a little better than the one before."""
    return [
        store(
            out,
            experiment,
            {target: values(level + 0.2 * i) for target in TARGETS},
            name=f"hq-test-{i:06x}",
            runs=[f"{experiment}/{target}-s{number}" for target in TARGETS],
            **facts,
        )
        for i, number in enumerate(numbers)
    ]
