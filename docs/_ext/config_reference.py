"""Every key of the configuration with its type, default and meaning, from the files of conf/ and what checks them.

Keys, defaults and meanings are read from conf/ by `unmix.usage`, as `--help` does. A type is that of the JSON Schemas,
which `unmix.editor` makes of the checks and annotations of a key.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import yaml
from omegaconf import OmegaConf

from unmix import annotations, plugins, usage
from unmix.checks import Check
from unmix.composition import CONF
from unmix.config_checks import CLASSES, COMMANDS
from unmix.editor.values import Schema, of_annotation, of_check
from unmix.schema import SCHEMAS
from unmix.settings import TABLES
from unmix.trainer_checks import time_limit

NULL = "`null`"
KINDS = {
    "boolean": "true or false",
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "object": "names with values",
    "null": NULL,
}
NOT_GROUPS = ("wandb", "hydra/job_logging")  # a file for W&B, and one that nobody chooses


@dataclass(frozen=True)
class Row:
    """What the reference says of a key; `default` is None where the key has no value of its own."""

    key: str
    kind: str
    default: str | None
    meaning: str


def commands() -> list[str]:
    """Names of the commands."""
    return list(SCHEMAS)


def groups() -> list[str]:
    """Groups of conf/, those that trainings choose from first, in the order of train.yaml."""
    folders = [path.parent.relative_to(CONF).as_posix() for path in CONF.rglob("*/*.yaml")]
    chosen = [entry.group.removeprefix("override ") for entry in usage.read_file(CONF / "train.yaml").defaults]
    return list(filter(_is_group, dict.fromkeys([*chosen, *sorted(folders)])))


def _is_group(name: str) -> bool:
    return bool(name) and name not in NOT_GROUPS


def choices(command: str) -> dict[str, tuple[str, str]]:
    """The groups of a command: the files that it chooses by default, and the comment on them."""
    content = _content(f"{command}.yaml")
    entries = [entry for entry in content["defaults"] if isinstance(entry, dict)]
    chosen = {group.removeprefix("override "): name for entry in entries for group, name in entry.items()}
    notes = {entry.group: entry.comment for entry in usage.read_file(CONF / f"{command}.yaml").defaults}
    return {group: (_shown(name) or "", notes.get(group, "")) for group, name in chosen.items() if _is_group(group)}


def command_rows(command: str) -> Iterator[Row]:
    """Yield the keys of a command that belong to none of its groups."""
    content = {key: value for key, value in _content(f"{command}.yaml").items() if key not in ("defaults", "hydra")}
    for field in fields(SCHEMAS[command]):
        if not (CONF / field.name).is_dir():
            content.setdefault(field.name, field.default)
    comments = usage.read_file(CONF / f"{command}.yaml").comments
    for key, value in usage.settings(content):
        node, _, name = key.rpartition(".")
        check = COMMANDS.get(command, {}).get(key) or TABLES.get(node, {}).get(name)
        meaning = comments.get(key, "")
        yield Row(key, kind_of([check] if check else [], Any), _shown(value), meaning)


def file_rows(group: str, name: str) -> Iterator[Row]:
    """Yield the keys that a file of a group sets; those of the files that it is based on have their own rows."""
    content = _content(f"{group}/{name}.yaml")
    content.pop("defaults", None)
    with_bases = merged(group, name)
    comments = usage.comments_of_group(group, name)
    for key, value in usage.settings(content):
        full = f"{group}.{key}"
        default = value.get("_target_", "") if isinstance(value, dict) and value else value
        meaning = comments.get(full, "")
        kind = "a class" if default is not value else kind_of(*_checks(group, key, with_bases))
        yield Row(full.replace("/", "."), kind, _shown(default), meaning)


def bases(group: str, name: str) -> list[str]:
    """Names of the files of the same group that a file is based on."""
    return [
        entry.file
        for entry in usage.read_file(CONF / group / f"{name}.yaml").defaults
        if entry.file not in ("", "_self_")
    ]


def merged(group: str, name: str) -> dict[str, Any]:
    """Content of a file with that of the files that it is based on."""
    content = _content(f"{group}/{name}.yaml")
    content.pop("defaults", None)
    merge = OmegaConf.merge(*(merged(group, base) for base in bases(group, name)), content)
    composed: Any = OmegaConf.to_container(merge, resolve=False)
    return dict(composed)


def kind_of(checks: list[Check], annotation: Any) -> str:
    """Describe which values a key accepts: by its checks if it has any, else by the annotation of the argument."""
    return in_words(of_check(checks[-1]) if checks else of_annotation(annotation))


def in_words(schema: Schema) -> str:
    """Describe a schema of a value: `whole number`, `list of names`, `` `wait`, `skip` ``."""
    if "anyOf" in schema:
        kinds = dict.fromkeys(map(in_words, schema["anyOf"]))  # null last, as it stands for "not set"
        return " or ".join(sorted(kinds, key=lambda kind: kind == NULL))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in dict.fromkeys(map(str, schema["enum"])))
    if schema == of_check(time_limit):
        return "DD:HH:MM:SS"
    if schema.get("type") == "array":
        return "list of numbers" if schema["items"].get("type") in ("integer", "number") else "list of names"
    return KINDS.get(schema.get("type", ""), "any")


def _checks(group: str, key: str, content: dict[str, Any]) -> tuple[list[Check], Any]:
    """The checks of a key of a group's file, and the annotation of the argument that it is."""
    *parents, name = key.split(".")
    node = content
    for parent in parents:
        node = node[parent]
    target = str(node.get("_target_", ""))
    tables = [TABLES.get(".".join([group, *parents]), {}), CLASSES.get(target, {})]
    hints = annotations.hints_of(plugins.locate(target, key, ())) if target else {}
    return [table[name] for table in tables if name in table], hints.get(name, hints.get("options", Any))


def _content(path: str) -> dict[str, Any]:
    return yaml.safe_load((CONF / path).read_text(encoding="utf-8"))


def _shown(value: Any) -> str | None:
    """Format a default as it is written on a command line; None for a value that has to be given."""
    if value == "???":
        return None
    return usage.shown("", value).removeprefix("=")
