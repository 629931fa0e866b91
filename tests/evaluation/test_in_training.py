import csv

import pytest
import torch

from unmix.evaluation.in_training import MusevalInTraining

pytestmark = pytest.mark.slow


def rows(run):
    with (run / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def test_scores_are_logged_per_epoch_and_change_no_other_value_and_no_weight(cli, train_arguments, tmp_path, trained):
    arguments = [*train_arguments, f"paths.out={tmp_path}", "target=drums", "trainer.max_epochs=2"]
    assert cli("train", *arguments, "callbacks.museval.every_n_epochs=1", "callbacks.museval.num_tracks=1") == 0
    (run,) = tmp_path.glob("runs/*/drums-s42")
    assert run.parent.name == trained.name, "the same experiment"
    scored = rows(run)
    assert all(-40 < float(row[f"museval/{name}"]) < 40 for row in scored for name in ("sdr", "sir", "isr", "sar"))
    plain = rows(trained / "drums-s42")
    assert [{key: row[key] for key in plain[0]} for row in scored] == plain
    weights = [torch.load(folder / "checkpoints" / "last.ckpt") for folder in (run, trained / "drums-s42")]
    assert all(
        torch.equal(weights[0]["state_dict"][key], weights[1]["state_dict"][key]) for key in weights[0]["state_dict"]
    )


def test_epochs_between_two_scorings_have_no_score(cli, train_arguments, tmp_path):
    arguments = [*train_arguments, f"paths.out={tmp_path}", "target=drums", "trainer.max_epochs=3"]
    assert cli("train", *arguments, "callbacks.museval.every_n_epochs=2") == 0
    (run,) = tmp_path.glob("runs/*/drums-s42")
    assert [bool(row["museval/sdr"]) for row in rows(run)] == [True, False, True]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"every_n_epochs": -1}, "every_n_epochs: got -1"), ({"num_tracks": 0}, "num_tracks: got 0")],
)
def test_too_small_numbers_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        MusevalInTraining(**arguments)
