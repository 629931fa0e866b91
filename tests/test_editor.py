"""JSON Schemas of conf/: they are those of the code, accept every file of conf/, and refuse mistakes."""

import copy
import json

import pytest
import yaml
from jsonschema import Draft7Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

from unmix import config_checks, settings, usage
from unmix.editor.conf_files import SCHEMAS, files, name_of, with_line
from unmix.editor.values import of_annotation, of_check

LOADED = {path.name: json.loads(path.read_text()) for path in sorted(SCHEMAS.glob("*.json"))}
REGISTRY = Registry().with_resources((name, Resource(content, DRAFT7)) for name, content in LOADED.items())
UMX = "unmix.models.open_unmix.UMX"  # named where another model may allow what it refuses
NAMED = ("callbacks", "logger", "metrics")  # nodes whose keys are names that users choose
# Nodes whose content is not checked: search spaces, and what belongs to W&B and to Python's logging.
FREE = ("params", "parameters", "metric", "early_terminate", "formatters", "handlers", "root")


def is_valid(name, content):
    return Draft7Validator(LOADED[f"{name}.json"], registry=REGISTRY).is_valid(content)


def content_of(path):
    return yaml.safe_load(path.read_text())


def misspelt(node, is_named):
    """Yield the dotted name of every key that a schema knows, and a copy of the node in which it is misspelt."""
    for key, value in node.items():
        if not is_named and not key.startswith("_"):
            yield key, {(f"{key}x" if other == key else other): content for other, content in node.items()}
        if isinstance(value, dict) and key not in FREE:
            for inner, changed in misspelt(value, key in NAMED):
                yield f"{key}.{inner}", {**node, key: changed}


@pytest.mark.slow
def test_the_schemas_are_those_that_the_code_makes():
    from unmix.editor.__main__ import text_of
    from unmix.editor.schemas import build

    made = {f"{name}.json": text_of(schema) for name, schema in build().items()}
    kept = {path.name: path.read_text() for path in SCHEMAS.iterdir()}
    assert made.keys() == kept.keys(), "python -m unmix.editor writes them"
    assert [name for name in made if made[name] != kept[name]] == [], "python -m unmix.editor writes them"


@pytest.mark.parametrize("path", files(), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_file_names_its_schema_and_is_valid_and_a_misspelt_key_is_not(path):
    assert path.read_text() == with_line(path), "python -m unmix.editor writes the line"
    content = content_of(path)
    errors = Draft7Validator(LOADED[f"{name_of(path)}.json"], registry=REGISTRY).iter_errors(content)
    assert [f"{error.json_path}: {error.message}" for error in errors] == []
    changes = misspelt(content, path.parent.name in NAMED)
    assert [key for key, changed in changes if is_valid(name_of(path), changed)] == []


def test_the_line_for_editors_explains_nothing():
    for path in files():
        file = usage.read_file(path)
        assert "yaml-language-server" not in f"{file.description}{file.comments}"
    about = usage.read_file(files()[0].parents[1] / "evaluation" / "published.yaml").description
    assert about[0].startswith("The settings of UMX's published scores")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("model", {"hidden_size": "${data.batch_size}"}, True),
        ("model", {"hidden_size": "wide"}, False),
        ("model", {"_target_": UMX, "hidden_size": 0}, False),
        ("model", {"_target_": "my_package.MyModel", "width": 3}, True),
        ("model", {"_target_": UMX, "width": 3}, False),
        ("model", {"defaults": ["umx"], "mask": "sigmoid"}, True),
        ("model", {"_target_": UMX, "mask": "softplus"}, False),
        ("model", {"stft": {"fft_size": 2048}}, True),
        ("model", {"stft": {"fft_sizes": 2048}}, False),
        ("train", {"data": {"batch_size": 4}, "target": ["vocals", "drums"], "slots": "auto"}, True),
        ("train", {"data": {"batch_sizes": 4}}, False),
        ("train", {"slots": "many"}, False),
        ("train", {"callbacks": {"early_stopping": None, "mine": {"_target_": "mine.Note", "every": 2}}}, True),
        ("train", {"callbacks": {"early_stopping": {"patiense": 3}}}, False),
        ("train", {"trainer": {"precision": "bf16-mixed", "max_time": "00:12:00:00", "gpus": [0, 1]}}, True),
        ("train", {"trainer": {"accelerator": "cpu"}}, False),
        ("train", {"hydra": {"mode": "MULTIRUN", "sweeper": {"params": {"seed": "1,2"}}}}, True),
        ("train", {"hydra": {"sweeper": {"n_trails": 3}}}, False),
        ("data", {"augmentations": ["gain", {"shift": {"max_seconds": 1}}, {"_target_": "mine.Hiss"}]}, True),
        ("data", {"augmentations": ["gian"]}, False),
        ("data", {"augmentations": [{"shift": {"max_second": 1}}]}, False),
        ("data", {"rename": {"vocals": ["*vox*"]}, "root": None}, True),
        ("separate", {"bits": 24, "format": "flac"}, True),
        ("separate", {"bits": 32}, False),
        ("separate", {"input": "???"}, True),
        ("hydra_launcher", {"mem": "32GB", "time": "${oc.env:LIMIT}"}, True),
        ("hydra_launcher", {"memory": "32GB"}, False),
    ],
)
def test_values_are_accepted_as_the_commands_accept_them(name, content, expected):
    assert is_valid(name, copy.deepcopy(content)) is expected


def test_every_check_has_a_schema():
    tables = [*settings.TABLES.values(), *config_checks.COMMANDS.values(), *config_checks.CLASSES.values()]
    assert all(of_check(check) for table in tables for check in table.values())
    with pytest.raises(LookupError, match=r"has no JSON Schema: add one to unmix\.editor\.values"):
        of_check(lambda name, value: value)


def test_annotations_become_types():
    assert of_annotation(int | None) == {"anyOf": [{"type": "integer"}, {"type": "null"}]}
    assert of_annotation(list[float]) == {"type": "array", "items": {"type": "number"}}
    assert of_annotation(object) == {}


def test_keys_are_explained_by_the_comments_that_help_shows():
    data = LOADED["data.json"]["definitions"]["unmix.data.datamodule.SeparationDataModule"]["properties"]
    assert data["segment_seconds"]["description"] == "length of a training sample"
    assert LOADED["check.json"]["properties"]["format"]["description"].startswith("text | json")
    assert LOADED["export.json"]["properties"]["format"]["description"].startswith("umx: a folder")
