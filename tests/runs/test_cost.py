"""dry_run=true says what a training costs: bounded in time and memory, and honest about what was not measured."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from unmix.composition import compose
from unmix.experiments.status import Status
from unmix.plans import Plan
from unmix.runs import cost, preview
from unmix.runs.build import make_datamodule
from unmix.runs.cost import Cost, measure
from unmix.runs.duration import Length, length_of, limited, time_text

SMALL = ["data=demo", "model.hidden_size=16", "data.segment_seconds=1.5", "data.batch_size=3", "trainer.gpus=0"]
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    monkeypatch.setattr(cost, "MOST_STEPS", 2)


def small(*overrides):
    return compose("train", [*SMALL, *overrides])


@pytest.fixture
def dry_run(train_arguments, cli, capfd, tmp_path):
    """What dry_run=true prints, by the first word of a line."""

    def run(*arguments):
        several = [argument for argument in arguments if argument == "-m"]
        options = [argument for argument in arguments if argument != "-m"]
        assert cli("train", *several, *train_arguments, f"paths.out={tmp_path}", "dry_run=true", *options) == 0
        printed = capfd.readouterr().out
        assert not (tmp_path / "runs").exists()
        return {line.partition(":")[0].strip(): line for line in printed.splitlines() if ":" in line}

    return run


def test_a_job_has_its_work_memory_and_time(dry_run):
    lines = dry_run("callbacks.early_stopping=null")
    assert re.search(r"work: 0.01\d* GFLOP \(2 per multiplication", lines["work"])
    assert re.search(r"memory: \d+\.\d MB of tensors at the peak of a step, of .* GB free", lines["memory"])
    assert re.search(r"time: [\d.]+ \w+ for 2 epochs of 2 steps: .* a step \(\d+ steps? .* timed, after", lines["time"])
    (note,) = [line for name, line in lines.items() if name.startswith("these are times of this machine (CPU, ")]
    assert note.endswith("not counted: reading data, checkpoints, the evaluation after training")


@pytest.mark.parametrize(
    ("ranks", "nodes", "threads"), [(1, 1, 4), (2, 1, 2), (3, 1, 1), (8, 1, 1), (4, 2, 2), (2, 2, 4)]
)
def test_a_step_is_timed_with_the_samples_and_threads_of_a_rank(monkeypatch, ranks, nodes, threads):
    seen = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    monkeypatch.setattr(torch, "set_num_threads", seen.append)
    monkeypatch.setattr(preview, "_content", lambda _: "the same")
    monkeypatch.setattr(preview, "measure", lambda cfg, recipe, batch, *_: seen.append(f"{batch} samples"))
    arguments = {"accelerator": "cpu", "num_nodes": nodes}
    plan = SimpleNamespace(cfg=small("data.batch_size=24"))
    job = SimpleNamespace(plan=plan, num_ranks=ranks, arguments=arguments, recipe=None, num_parameters=1)
    preview._measure_all([job])
    assert seen == [threads, f"{24 // ranks} samples", 4]


def test_early_stopping_makes_it_a_limit_and_no_limit_makes_it_an_epoch(dry_run, monkeypatch):
    monkeypatch.setattr(preview, "measure", lambda *_: Cost(10, 100, 1, 10.0, 0.0, "1 step is timed"))
    assert dry_run()["time"].startswith("time: at most ")
    assert " for 1 epoch of 2 steps: " in dry_run("trainer.max_epochs=1")["time"]
    assert re.search(r"an epoch of 2 steps, without end: ", dry_run("trainer.max_epochs=-1")["time"])


def test_jobs_have_a_total_and_what_costs_the_same_is_measured_once(dry_run, monkeypatch):
    measured = []
    monkeypatch.setattr(preview, "measure", lambda cfg, *_: measured.append(cfg.target) or Cost(10, 100, 1, 10.0, 0.0))
    lines = dry_run("-m", "target=drums,bass", "optimizer.lr=0.1,0.2", "seed=1,2", "model.num_layers=1,2")
    assert len(measured) == 2
    assert lines["total"] == "total: 11 min for 16 jobs, one after the other"


def test_what_there_is_no_time_for_is_taken_as_the_mean(dry_run, monkeypatch):
    monkeypatch.setattr(preview, "MOST_SECONDS", -1.0)
    assert "total" not in dry_run("-m", "model.num_layers=1,2")
    monkeypatch.setattr(preview, "MOST_SECONDS", 20.0)
    monkeypatch.setattr(preview, "measure", lambda *_: setattr(preview, "MOST_SECONDS", -1.0) or Cost(1, 9, 1, 30.0))
    lines = dry_run("-m", "model.num_layers=1,2")
    assert lines["total"].endswith(
        "2 jobs, one after the other, 1 of them not measured and taken as the mean of the others"
    )
    assert lines["total"].startswith("total: 4 min ")


def test_memory_and_time_of_a_batch_are_extrapolated_from_a_part_of_it(monkeypatch):
    monkeypatch.setattr(cost, "SECONDS", 600.0)  # however busy the machine is
    full = measure(small(), None, 3, CPU, 1000)
    assert full.basis == "2 steps are timed, after others that are left out"
    monkeypatch.setattr(cost, "SECONDS", 0.0)
    part = measure(small(), None, 3, CPU, 1000)
    assert part.basis == "1 step is timed, of 1 x 1 s in place of 3 x 1.5 s"
    assert part.flops == full.flops
    assert part.memory == pytest.approx(full.memory, rel=0.5)


def test_only_what_fits_into_half_of_the_free_memory_is_run(monkeypatch):
    monkeypatch.setattr(cost, "SECONDS", 600.0)  # however busy the machine is
    full = measure(small(), None, 3, CPU, 1000)
    ran = []
    weighed = cost.Steps.weighed
    monkeypatch.setattr(cost.Steps, "weighed", lambda *given: ran.append(given[1:]) or weighed(*given))
    monkeypatch.setattr(cost, "_free_bytes", lambda _: round(1.1 * full.memory))
    part = measure(small(), None, 3, CPU, 1000)
    assert re.search(r"of [12] x 1.5 s in place of 3 x 1.5 s", part.basis)
    assert not part.is_too_large
    assert len(ran) == 2
    assert (3, 66150) not in ran
    monkeypatch.setattr(cost, "_free_bytes", lambda _: full.memory // 2)
    short = measure(small(), None, 3, CPU, 1000)
    assert short.is_too_large
    assert re.fullmatch(r"[\d.]+ MB, but only [\d.]+ MB are free here: reduce data.batch_size", short.memory_text)


def test_weights_that_fill_the_memory_are_not_even_made(monkeypatch):
    monkeypatch.setattr(cost, "_free_bytes", lambda _: 10**9)
    monkeypatch.setattr(cost, "Steps", None)
    huge = measure(small(), None, 3, CPU, 10**8)
    assert (huge.memory, huge.step, huge.is_too_large) == (16 * 10**8, None, True)
    assert time_text(small(), None, huge) == "not measured, for lack of memory"


def test_measuring_keeps_the_random_numbers_and_takes_every_augmentation_and_precision():
    augmentations = "data.augmentations=[gain,activity,{speed:{}},mixup,tilt]"
    cfg = small(augmentations, "trainer.precision=16-mixed", "data.root=/nowhere")
    before = torch.get_rng_state()
    assert measure(cfg, make_datamodule(cfg.data).recipe, 2, CPU, 1000).step > 0
    assert torch.equal(torch.get_rng_state(), before)


class Tracks:
    """What `length_of` reads of a data module: 10 steps an epoch, and two validation tracks of 30 seconds."""

    steps_per_epoch = 10
    splits = SimpleNamespace(valid=[SimpleNamespace(num_samples=30 * 44100, sample_rate=44100)] * 2)


@pytest.mark.parametrize(
    ("overrides", "previous", "steps", "epochs"),
    [
        (["trainer.max_epochs=5"], None, 50, 5),
        (["trainer.max_epochs=5"], Status("", state="interrupted", epoch=2, step=20), 30, 3),
        (["trainer.max_epochs=5"], Status("", state="done", epoch=5, step=50, length={"max_epochs": 5}), 0, 0),
        (["trainer.max_epochs=5", "fresh=true"], Status("", state="done", epoch=5, step=50), 50, 5),
        (["trainer.max_epochs=-1"], None, None, 0),
        (["trainer.max_epochs=-1", "trainer.max_steps=25"], None, 25, 2),
        (["trainer.max_epochs=1", "trainer.max_steps=25"], None, 10, 1),
        (["trainer.max_epochs=9", "trainer.max_steps=25", "trainer.accumulate_grad_batches=2"], None, 50, 5),
        (["trainer.max_epochs=5", "trainer.limit_train_batches=0.5"], None, 25, 5),
    ],
)
def test_the_length_is_what_is_left_of_the_run(overrides, previous, steps, epochs):
    length = length_of(Plan(small(*overrides), "", Path("/nowhere"), previous), Tracks())
    assert (length.steps, length.epochs, length.valid_seconds) == (steps, epochs, 60.0)


def test_a_time_limit_ends_the_run():
    cfg = small("trainer.max_epochs=5", "trainer.max_time='00:01:00:05'", "trainer.limit_val_batches=1")
    length = length_of(Plan(cfg, "", Path("/nowhere"), None), Tracks())
    assert length == Length(50, 5, 10, 30.0, 3605.0)
    assert length.seconds(Cost(1, 2, 1, step=2.0, validation=0.1)) == 50 * 2 + 5 * 30 * 0.1
    assert length.seconds(Cost(1, 2, 1, step=2000.0)) == 3605.0


@pytest.mark.parametrize(("limit", "expected"), [(None, 10), (3, 3), (30, 10), (0.25, 2), (1.0, 10)])
def test_limits_of_batches_are_numbers_or_shares(limit, expected):
    assert limited(limit, 10) == expected


def test_a_training_elsewhere_has_the_time_of_this_machine(cli, capfd, tmp_path, monkeypatch):
    monkeypatch.setattr(preview, "measure", lambda *_: Cost(10**9, 2 * 10**9, 10**9, 0.5, 0.1, "1 step is timed"))
    options = [f"paths.out={tmp_path}", "hydra/launcher=slurm", "dry_run=true", "trainer.gpus=2", "data.root=/nowhere"]
    assert cli("train", *options) == 0
    printed = capfd.readouterr().out
    assert "time: 0.5 s a step (1 step is timed); the number of steps is known once the data are there" in printed
    assert re.search(r"these are times of this machine \(.*\), the training runs on another; not counted:", printed)
    assert "communication between ranks" in printed
