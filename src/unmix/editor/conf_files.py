"""The files of conf/: which schema each has, which classes they name, and how they explain their keys."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from unmix import usage
from unmix.composition import CONF

SCHEMAS = CONF.parent / "docs" / "schemas"


def files() -> list[Path]:
    """List the files of conf/."""
    return sorted(CONF.rglob("*.yaml"))


def name_of(path: Path) -> str:
    """Name of the schema of a file of conf/: its command or group; recipes have that of train.py."""
    if usage.read_file(path).is_recipe:
        return "train"
    return path.stem if path.parent == CONF else group_of(path).replace(".", "_")


def group_of(path: Path) -> str:
    """Dotted name of the group of a file of conf/; empty for a command."""
    return ".".join(path.parent.relative_to(CONF).parts)


def line_of(path: Path) -> str:
    """The line at the head of a file of conf/ by which editors find its schema."""
    up = "../" * len(path.relative_to(CONF.parent).parents[:-1])
    return f"{usage.EDITOR} $schema={up}{SCHEMAS.relative_to(CONF.parent).as_posix()}/{name_of(path)}.json"


def with_line(path: Path) -> str:
    """Text of a file of conf/ with the line by which editors find its schema, behind Hydra's lines."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith(usage.EDITOR)]
    place = sum(line.startswith("# @") for line in lines[:1])
    return "\n".join([*lines[:place], line_of(path), *lines[place:]]) + "\n"


class ConfFiles:
    """What the files of conf/ say about keys.

    Attributes:
        targets: dotted key -> classes that stand there.
        keys: class -> its keys in these files, with explanations.
        comments: dotted key -> explanation.
    """

    def __init__(self) -> None:
        self.targets: dict[str, list[str]] = {}
        self.keys: dict[str, dict[str, str]] = {}
        self.comments: dict[str, str] = {}
        for path in files():
            file = usage.read_file(path)
            group = "" if file.is_recipe else group_of(path)
            prefix = f"{group}." if group else ""
            # a recipe's comments are on its values, not on the keys
            comments = {} if file.is_recipe else {f"{prefix}{key}": text for key, text in file.comments.items()}
            self._collect(group, yaml.safe_load(path.read_text(encoding="utf-8")), comments)

    def _collect(self, path: str, node: Any, comments: Mapping[str, str]) -> None:
        if not isinstance(node, dict):
            return
        target = node.get("_target_", "")  # none, in files that are based on others
        if target:
            self.targets[path] = list(dict.fromkeys([*self.targets.get(path, []), target]))
        known = self.keys.setdefault(target, {})
        for key, value in node.items():
            inner = f"{path}.{key}" if path else str(key)
            comment = comments.get(inner, "")
            self.comments[inner] = self.comments.get(inner) or comment
            known[key] = known.get(key) or comment
            self._collect(inner, value, comments)

    def within(self, target: str, key: str) -> list[str]:
        """Classes that stand at a key of a class."""
        paths = [f"{path}.{key}" for path, targets in self.targets.items() if target in targets]
        return sorted({inner for path in paths for inner in self.targets.get(path, ())})

    def children(self, path: str) -> list[str]:
        """Keys directly below a key that classes stand at."""
        below = [inner.removeprefix(f"{path}.") for inner in self.targets if inner.startswith(f"{path}.")]
        return sorted(key for key in below if "." not in key)
