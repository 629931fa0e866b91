"""Folders of runs and evaluations, as commands leave them."""

import json
import re

import pytest

from unmix.experiments import status
from unmix.experiments.status import Status


def make_run(
    out,
    experiment,
    run,
    *,
    state="done",
    best=0.5,
    size=256,
    bidirectional=True,
    epochs=3,
    batch=0,
    reason="",
    objective=None,
):
    path = out / "runs" / experiment / run
    path.mkdir(parents=True)
    target = run.partition("-")[0]
    progress = {"epoch": epochs, "step": epochs * 10 + batch, "batch": batch, "best": best}
    status.write(path, Status(experiment, state, reason, pid=2**22 + 1, **progress))
    lines = [f"{i},{i * 10},{best + 0.1 * (epochs - 1 - i)},{i - 1.5}" for i in range(epochs)]
    (path / "metrics.csv").write_text("\n".join(["epoch,step,val/loss,val/sdr", *lines]) + "\n")
    config = {
        "target": run,
        "data": {"root": f"/{run}", "name": "hq", "target": target},
        "model": {"_target_": "a", "hidden_size": size, "bidirectional": bidirectional, "targets": [target]},
    }
    if objective is not None:
        config["objective"] = objective
    (path / "config.yaml").write_text(json.dumps(config))  # JSON is YAML
    return path


def make_evaluation(out, experiment, sdr, *, name="hq-test-c"):
    """Evaluation of vocals and bass, whose mean SDR is `sdr`."""
    path = out / "runs" / experiment / "eval" / name
    path.mkdir(parents=True)
    medians = {experiment: {"vocals": {"SDR": sdr + 1}, "bass": {"SDR": sdr - 1}}, "mixture": {}}
    (path / "summary.json").write_text(json.dumps({"num_tracks": 50, "medians": medians}))
    return path


def charts_of(page):
    """The charts of a page, as specifications by title, in their order."""
    charts = [json.loads(text) for text in re.findall(r'<script type="application/json">(.*?)</script>', page)]
    return {chart["usermeta"]["title"]: chart for chart in charts}


@pytest.fixture(name="charts_of")
def charts_of_fixture():
    """The function `charts_of(page)`; returns specifications by title."""
    return charts_of


def luminance(color):
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (((c + 0.055) / 1.055) ** 2.4 if c > 0.03928 else c / 12.92 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.fixture
def contrast():
    """The function `contrast(color, other)`: WCAG's ratio of two colours such as `#ffffff`."""

    def ratio(color, other):
        low, high = sorted((luminance(color), luminance(other)))
        return (high + 0.05) / (low + 0.05)

    return ratio


@pytest.fixture
def out(tmp_path):
    """Two runs, one of them killed; one run moved aside; two evaluations."""
    make_run(tmp_path, "umx-1", "vocals-s1")
    make_run(tmp_path, "umx-1", "drums-s1", state="running", best=0.25)
    (tmp_path / "runs" / "umx-1" / "old" / "vocals-s1-1").mkdir(parents=True)
    status.write(tmp_path / "runs" / "umx-1" / "old" / "vocals-s1-1", Status("umx-1", "done"))
    for where, sdr in (("runs/umx-1/eval/hq-test-a", 5.0), ("evaluations/hq-test-b", 7.0)):
        ours, base = ({"vocals": {"SDR": value}, "bass": {"SDR": value - 2}} for value in (sdr, 1.0))
        medians = {"m": ours, "mixture": base}
        (tmp_path / where).mkdir(parents=True)
        (tmp_path / where / "summary.json").write_text(json.dumps({"num_tracks": 50, "medians": medians}))
    return tmp_path


@pytest.fixture(name="make_run")
def make_run_fixture():
    """The function `make_run(out, experiment, run, ...)`; returns the folder of the run."""
    return make_run


@pytest.fixture(name="make_evaluation")
def make_evaluation_fixture():
    """The function `make_evaluation(out, experiment, sdr, name=...)`; returns the folder of the evaluation."""
    return make_evaluation
