"""Every key of the configuration with its type, default and meaning, from the files of conf/ and what checks them.

Keys, defaults and meanings are read from conf/ by `unmix.usage`, as `--help` does. A type is what the checks of a key
accept, which are asked with values of every kind, so that it cannot differ from what a command accepts.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, get_args

import yaml
from omegaconf import OmegaConf

from unmix import annotations, plugins, usage
from unmix.checks import Check, words
from unmix.composition import CONF
from unmix.config_checks import CLASSES, COMMANDS
from unmix.schema import SCHEMAS
from unmix.settings import TABLES

# Values of every kind, by the words for the kind; a type is named after all kinds of which it accepts a value.
KINDS: dict[str, list[Any]] = {
    "true or false": [True],
    "number": [0.001, 0.25, 1.5, 10.5, 100.5, -20.5],
    "whole number": [0, 1, 2, 60, 256, -1],
    "text": ["x"],
    "DD:HH:MM:SS": ["00:12:00:00"],
    "list of numbers": [[1, 2], [0.25, 1.25]],
    "list of names": [["a"], ["a", "b"]],
    "names with lists": [{"a": ["b"]}],
    "`null`": [None],
}
NARROWER = {"number": "whole number", "text": "DD:HH:MM:SS"}  # what needs no mention beside the wider kind
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
        yield Row(key, kind_of([check] if check else [], Any, value, meaning), _shown(value), meaning)


def file_rows(group: str, name: str) -> Iterator[Row]:
    """Yield the keys that a file of a group sets; those of the files that it is based on have their own rows."""
    content = _content(f"{group}/{name}.yaml")
    content.pop("defaults", None)
    whole = merged(group, name)
    comments = usage.comments_of_group(group, name)
    for key, value in usage.settings(content):
        full = f"{group}.{key}"
        default = value.get("_target_", "") if isinstance(value, dict) and value else value
        meaning = comments.get(full, "")
        kind = "a class" if default is not value else kind_of(*_checks(group, key, whole), value, meaning)
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
    whole = OmegaConf.merge(*(merged(group, base) for base in bases(group, name)), content)
    composed: Any = OmegaConf.to_container(whole, resolve=False)
    return dict(composed)


def kind_of(checks: list[Check], annotation: Any, default: Any, meaning: str) -> str:
    """Describe which values are accepted by all checks and an annotation.

    Where only some words are, these are among the words of the annotation, the checks, the default and the meaning.
    """

    def accepts(value: Any) -> bool:
        return annotations.accepts(annotation, value) and all(_passes(check, value) for check in checks)

    if accepts(object()):
        return "any"
    named = _words(checks, annotation, default, meaning)
    further = {"list of names": [[word] for word in named]}
    kinds = [kind for kind, values in KINDS.items() if any(map(accepts, [*values, *further.get(kind, [])]))]
    kinds = [kind for kind in kinds if not any(NARROWER.get(wider) == kind for wider in kinds)]
    if "text" not in kinds and (accepted := [f"`{word}`" for word in named if accepts(word)]):
        kinds.insert(0, ", ".join(accepted))
    return " or ".join(kinds) or "a class"


def _passes(check: Check, value: Any) -> bool:
    try:
        check("key", value)
    except ValueError:
        return False
    return True


def _words(checks: list[Check], annotation: Any, default: Any, meaning: str) -> list[str]:
    named = [word for check in checks for word in words(check)]
    literals = [word for part in (annotation, *get_args(annotation)) for word in get_args(part)]
    every = [*literals, *named, default, *re.findall(r"[\w-]+", meaning)]
    return list(dict.fromkeys(word for word in every if isinstance(word, str) and "${" not in word))


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
