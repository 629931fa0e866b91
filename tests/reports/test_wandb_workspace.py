import json

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from unmix.evaluation.metrics import METRICS
from unmix.reports import wandb_workspace


def test_every_metric_of_every_target_has_a_panel():
    text = json.dumps(wandb_workspace.build("me", "mine", "Open-Unmix")._spec)
    for metric in METRICS:
        assert f'"test/vocals/{metric.lower()}"' in text
    assert '"groupBy": "group"' in text
    assert '"groupBy": "group.value"' not in text, "a key of the configuration"


def test_hyperparameters_stand_against_the_mean_test_sdr():
    workspace = wandb_workspace.build("me", "mine", "Open-Unmix")
    (chart,) = [panel for panel in workspace.sections[1].panels if type(panel).__name__ == "ScatterPlot"]
    assert (chart.x.name, chart.y.name) == ("model.hidden_size", "test/sdr")
    assert json.dumps(workspace._spec).count('"summary:test/sdr"') >= 2, "the parallel coordinates and a column"


def test_every_curve_is_of_a_value_that_training_logs(cli, train_arguments, tmp_path):
    arguments = [*train_arguments, f"paths.out={tmp_path}", "target=vocals", "trainer.log_every_n_steps=1"]
    assert cli("train", *arguments, "logger=tensorboard") == 0
    logged = set()
    for path in tmp_path.rglob("events.out.tfevents.*"):
        events = EventAccumulator(str(path))
        events.Reload()
        logged |= set(events.Tags()["scalars"])
    shown = {*wandb_workspace.OVERVIEW, *wandb_workspace.SYSTEM}
    assert shown - logged == {"system.gpu.0.gpu"}, "which W&B logs itself"
