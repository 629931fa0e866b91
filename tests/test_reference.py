"""The reference of the configuration: each key of each command and file has a type, a default and a meaning."""

import importlib
import sys
from pathlib import Path

import pytest

from unmix.composition import CONF
from unmix.schema import SCHEMAS
from unmix.usage import options, read_file

EXTENSIONS = Path(__file__).parents[1] / "docs" / "_ext"


@pytest.fixture(scope="module")
def pages():
    """The module of docs/_ext that writes the pages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXTENSIONS))
        yield importlib.import_module("reference_pages")
    for name in ("reference_pages", "config_reference"):
        sys.modules.pop(name)


@pytest.fixture(scope="module")
def reference(pages):
    return pages.reference


@pytest.fixture(scope="module")
def rows(reference):
    """All rows, by what they belong to: a command, or a file of a group that is no recipe."""
    all_rows = {command: list(reference.command_rows(command)) for command in SCHEMAS}
    for group in reference.groups():
        for name in options(group):
            path = CONF / group / f"{name}.yaml"
            if path.is_file() and not read_file(path).is_recipe:
                all_rows[f"{group}={name}"] = list(reference.file_rows(group, name))
    return all_rows


def test_every_key_of_every_command_and_file_has_a_meaning(rows):
    without = [f"{owner}: {row.key}" for owner, listed in rows.items() for row in listed if not row.meaning]
    assert without == []


def test_every_key_of_a_schema_is_a_row_or_a_group(reference):
    for command, schema in SCHEMAS.items():
        listed = {row.key.partition(".")[0] for row in reference.command_rows(command)}
        assert set(schema.__dataclass_fields__) <= listed | set(reference.choices(command)), command


@pytest.mark.parametrize(
    ("owner", "key", "kind", "default"),
    [
        ("train", "retry", "true or false", "false"),
        ("train", "on_busy", "`wait`, `skip`, `fail`", "wait"),
        ("train", "slots", "`auto` or whole number", "auto"),
        ("evaluate", "ckpt", "text or list of names", None),
        ("separate", "duration", "number or `null`", "null"),
        ("data=musdb18hq", "data.gain", "list of numbers", "[0.25, 1.25]"),
        ("data=musdb18hq", "data.augmentations", "list of names", "[gain, swap]"),
        ("trainer=default", "trainer.max_time", "DD:HH:MM:SS or `null`", "null"),
        ("trainer=ddp_cpu", "trainer.cpu_processes", "whole number", "2"),
        ("model=umx", "model.stft.fft_size", "whole number", "4096"),
        ("model=umx_small", "model.hidden_size", "whole number", "128"),
        ("callbacks=default", "callbacks.gradients", "a class", "unmix.training.callbacks.GradientNorm"),
        ("hydra/launcher=slurm", "hydra.launcher.max_parallel", "whole number or `null`", "null"),
    ],
)
def test_a_type_is_what_the_checks_accept_and_a_default_is_as_typed(rows, owner, key, kind, default):
    (row,) = (row for row in rows[owner] if row.key == key)
    assert (row.kind, row.default) == (kind, default)


def test_a_type_is_never_left_open(rows):
    classes = {row.key for listed in rows.values() for row in listed if row.kind == "a class"}
    assert {key.partition(".")[0] for key in classes} == {"callbacks", "logger", "metrics"}
    assert not [row for listed in rows.values() for row in listed if row.kind == "any"]


def test_texts_of_conf_are_shown_as_they_are_written(pages):
    assert pages.escape("a | b, `c_*` and *vox*") == r"a \| b, `c_*` and \*vox\*"
    assert pages.escape("see docs/how_to/own_data.md.") == r"see [docs/how\_to/own\_data.md](../how_to/own_data.md)."
