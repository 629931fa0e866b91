"""The callbacks beside the optimisation, one by one."""

from types import SimpleNamespace

import pytest
import torch

from unmix.training import callbacks


def trainer(**attributes):
    return SimpleNamespace(**{"global_step": 0, "global_rank": 0, "world_size": 1, "loggers": [object()], **attributes})


def draw(seed, step, rank):
    callbacks.ReseedEveryStep(seed).on_train_batch_start(trainer(global_step=step, global_rank=rank), None, None, 0)
    return tuple(torch.rand(3).tolist())


def test_random_numbers_depend_on_seed_step_and_rank_alone():
    assert draw(1, 2, 3) == draw(1, 2, 3)
    drawn = {draw(seed, step, rank) for seed in range(4) for step in range(4) for rank in range(4)}
    assert len(drawn) == 64


@pytest.mark.parametrize(
    ("step", "loggers", "is_logged"), [(9, [object()], True), (8, [object()], False), (9, [], False)]
)
def test_the_norm_of_all_gradients_is_logged_at_the_steps_that_loggers_record(step, loggers, is_logged):
    module, logged = torch.nn.Linear(2, 1), {}
    module.log = logged.__setitem__
    module.weight.grad, module.bias.grad = torch.tensor([[2.0, 3.0]]), torch.tensor([6.0])
    state = trainer(global_step=step, log_every_n_steps=10, loggers=loggers)
    callbacks.GradientNorm().on_before_optimizer_step(state, module, None)
    assert {name: float(value) for name, value in logged.items()} == (
        {"train/gradient_norm_step": 7.0} if is_logged else {}
    )


def test_weights_without_a_gradient_do_not_count():
    module, logged = torch.nn.Linear(2, 1), {}
    module.log = logged.__setitem__
    module.bias.grad = torch.tensor([6.0])
    callbacks.GradientNorm().on_before_optimizer_step(trainer(global_step=0, log_every_n_steps=1), module, None)
    assert float(logged["train/gradient_norm_step"]) == 6.0


def test_throughput_counts_audio_of_all_ranks_and_the_time_between_steps(monkeypatch):
    """Two batches on a clock that is set by hand: 1 s of waiting and 3 s of computing each."""
    now, logged = [100.0], {}
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: now[0])
    module = SimpleNamespace(log=lambda name, value, **_: logged.update({name: value}))
    state = trainer(world_size=2, datamodule=SimpleNamespace(sample_rate=1000))
    throughput = callbacks.Throughput()
    throughput.on_train_epoch_start(state, module)
    batch = {"mixture": torch.zeros(4, 2, 6000)}
    for _ in range(2):
        now[0] += 1
        throughput.on_train_batch_start(state, module, batch, 0)
        now[0] += 3
        throughput.on_train_batch_end(state, module, None, batch, 0)
    now[0] += 2  # validation
    throughput.on_train_epoch_end(state, module)
    assert logged == {
        "time/epoch": 10,
        "time/audio_seconds_per_second": 2 * 2 * 4 * 6 / 8,
        "time/waiting_for_data": 2 / 8,
    }


def test_an_epoch_without_a_step_logs_its_duration_only():
    logged = {}
    module = SimpleNamespace(log=lambda name, value, **_: logged.update({name: value}))
    throughput = callbacks.Throughput()
    throughput.on_train_start(trainer(), module)
    throughput.on_train_epoch_end(trainer(datamodule=SimpleNamespace(sample_rate=1000)), module)
    assert list(logged) == ["time/epoch"]


@pytest.mark.parametrize(("is_terminal", "kind"), [(True, "TQDMProgressBar"), (False, "EpochLines")])
def test_a_bar_is_for_terminals_and_a_line_per_epoch_for_everything_else(monkeypatch, is_terminal, kind):
    monkeypatch.setattr("sys.stderr", SimpleNamespace(isatty=lambda: is_terminal))
    assert type(callbacks.progress()).__name__ == kind


def lines_of_epochs(monkeypatch, caplog, limits, resumed=0):
    """Log two epochs of four batches, on a clock that is set by hand: 100 s for a batch, 50 s to validate."""
    now = [0.0]
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(callbacks.EpochLines, "SECONDS", 250.0)
    batches, epochs = SimpleNamespace(processed=4 if resumed else 0), SimpleNamespace(processed=resumed)
    loop = SimpleNamespace(
        epoch_progress=SimpleNamespace(current=epochs),
        epoch_loop=SimpleNamespace(batch_progress=SimpleNamespace(current=batches)),
    )
    state = trainer(
        global_step=4 * resumed,
        is_global_zero=True,
        num_training_batches=4,
        fit_loop=loop,
        callback_metrics={"train/loss": 0.5},
        **limits,
    )
    lines = callbacks.EpochLines()
    with caplog.at_level("INFO"):
        lines.on_train_start(state, None)
        for _ in range(2):
            for batches.processed in range(1, 5):
                now[0] += 100
                state.global_step += 1
                lines.on_train_batch_end(state, None, None, None, batches.processed - 1)
            now[0] += 50
            epochs.processed += 1
            lines.on_train_epoch_end(state, None)
    return caplog.messages


def test_a_log_has_a_line_per_epoch_and_some_within_a_long_one_with_the_time_left(monkeypatch, caplog):
    assert lines_of_epochs(monkeypatch, caplog, {"max_epochs": 10, "max_steps": -1}) == [
        "epoch 1 of 10, batch 3 of 4, 62 min left",
        "epoch 1 of 10, 68 min left  train/loss 0.5",
        "epoch 2 of 10, batch 3 of 4, 59 min left",
        "epoch 2 of 10, 60 min left  train/loss 0.5",
    ]


@pytest.mark.parametrize(
    ("limits", "resumed", "last"),
    [
        ({"max_epochs": None, "max_steps": -1}, 0, "epoch 2  train/loss 0.5"),
        ({"max_epochs": -1, "max_steps": 16}, 0, "epoch 2, 15 min left  train/loss 0.5"),
        ({"max_epochs": 10, "max_steps": 8}, 0, "epoch 2 of 10  train/loss 0.5"),
        ({"max_epochs": 10, "max_steps": -1}, 6, "epoch 8 of 10, 15 min left  train/loss 0.5"),
    ],
)
def test_the_time_left_is_that_to_the_first_limit_at_the_pace_of_this_attempt(
    monkeypatch, caplog, limits, resumed, last
):
    assert lines_of_epochs(monkeypatch, caplog, limits, resumed)[-1] == last


def test_the_status_is_reported_at_most_every_two_seconds_within_an_epoch(monkeypatch):
    now, reports = [10.0], []
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(callbacks, "finished_epochs", lambda _: 4)
    status = callbacks.StatusUpdates(lambda **facts: reports.append(facts), SimpleNamespace(best_score=0.5))
    state = trainer(global_step=7, num_training_batches=9)
    for seconds in (0.0, 1.5, 0.6):
        now[0] += seconds
        status.on_train_batch_end(state, None, None, None, 2)
    assert reports == [{"epoch": 4, "step": 7, "best": 0.5, "activity": "batch 3/9"}] * 2
    status.on_validation_start(state, None)
    status.on_train_epoch_end(state, None)
    assert [report["activity"] for report in reports[2:]] == ["validating", ""]
