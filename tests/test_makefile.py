"""The recipes of the Makefile that train: they compose, and cover what they promise."""

import re
import shlex
from pathlib import Path

import pytest

from unmix.composition import parse

ROOT = Path(__file__).parents[1]


def commands_of(target):
    """Arguments of the commands of one of the Makefile's targets, by name of the script."""
    (recipe,) = re.findall(rf"^{target}:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    lines = [shlex.split(line) for line in recipe.splitlines()]
    assert all(line[0] == "$(BIN)/python" for line in lines)
    return [(Path(line[1]).stem, line[2:]) for line in lines]


def jobs_of(arguments):
    command = parse("train", [word for word in arguments if word != "-m"], multirun="-m" in arguments)
    return list(command.compose_jobs())


def test_make_demo_trains_the_quick_recipe_on_music_that_it_makes():
    ((script, arguments),) = commands_of("demo")
    assert script == "train"
    cfgs = jobs_of(arguments)
    assert {(cfg.name, cfg.data.name) for cfg in cfgs} == {("quick", "demo")}
    assert [cfg.target for cfg in cfgs] == ["vocals", "drums", "bass", "other"]


@pytest.mark.slow
def test_make_families_trains_a_model_of_each_family_on_one_data_set_and_compares_all():
    *trainings, (script, arguments) = commands_of("families")
    assert {name for name, _ in trainings} == {"train"}
    cfgs = [cfg for _, words in trainings for cfg in jobs_of(words)]
    families = {cfg.model._target_.rpartition(".")[-1] for cfg in cfgs}
    assert families == {"UMX", "XUMX", "SCNet", "BandRoformer"}
    assert {cfg.model.bands._target_ for cfg in cfgs if "Roformer" in cfg.model._target_} == {
        "unmix.models.frequency_bands.WidthBands",
        "unmix.models.frequency_bands.MelBands",
    }
    assert len({(cfg.data.root, cfg.seed) for cfg in cfgs}) == 1
    assert script == "evaluate"
    (value,) = arguments
    patterns = re.findall(r'"outputs/runs/([^"]+)-\*"', value)
    assert patterns == list(dict.fromkeys(cfg.name for cfg in cfgs))
