"""Conversion of a configuration to plain containers: what OmegaConf returns, in a fraction of its time.

Most interpolations are references such as `${data.sample_rate}` or resolvers of ours such as `${targets:}`. They are
looked up here, everything else is left to OmegaConf. When anything is unusual, OmegaConf resolves the whole, and raises
its own errors.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from omegaconf import MISSING, Container, DictConfig, ListConfig, OmegaConf, ValueNode
from omegaconf.errors import OmegaConfBaseException

_SIMPLE = re.compile(r"\$\{([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(:?)\}")
Path = tuple[str | int, ...]


class Unusual(Exception):
    """Raised for what only OmegaConf can resolve."""


def written(node: Any) -> Any:
    """Convert a configuration to plain containers with the interpolations as they are written.

    Returns the same as `OmegaConf.to_container(node, resolve=False)`.
    """
    content = node._content if type(node) in (DictConfig, ListConfig) else None
    if isinstance(content, dict):
        return {key: written(child) for key, child in content.items()}
    if isinstance(content, list):
        return [written(child) for child in content]
    return node._val if isinstance(node, ValueNode) else OmegaConf.to_container(node, resolve=False)


# What `Resolution` raises: OmegaConf then resolves the whole, and wraps the errors of resolvers as it always does.
UNRESOLVED = (Unusual, OmegaConfBaseException, ValueError, TypeError, KeyError, RecursionError)


class Resolution:
    """Values of plain containers with interpolations.

    Args:
        content: the containers.
        resolvers: functions by the name of the resolver without arguments that they stand for; they take this object.
        other: resolves any other interpolation, given its path and text; may raise `Unusual`.
    """

    def __init__(
        self,
        content: dict[str, Any],
        resolvers: Mapping[str, "Callable[[Resolution], Any]"],
        other: Callable[[Path, str], Any],
    ) -> None:
        self.content, self.resolvers, self.other = content, resolvers, other
        self._values: dict[str | Path, Any] = {}

    def everything(self) -> dict[str, Any]:
        """Resolve all values.

        Raises:
            UNRESOLVED: for what only OmegaConf can resolve, and what a resolver refuses.
        """
        return {key: self._resolve(child, (key,)) for key, child in self.content.items()}

    def get(self, key: str) -> Any:
        """Resolve the value at a dotted key; raises as `everything`."""
        if key in self._values:
            return self._values[key]
        node: Any = self.content
        for part in key.split("."):
            if not isinstance(node, dict) or part not in node:
                raise Unusual
            node = node[part]
        if node == MISSING:
            raise Unusual
        value = self._resolve(node, tuple(key.split(".")))
        if not isinstance(value, dict | list):  # of which each reference gets a copy
            self._values[key] = value
        return value

    def _resolve(self, value: Any, path: Path) -> Any:
        if isinstance(value, dict):
            return {key: self._resolve(child, (*path, key)) for key, child in value.items()}
        if isinstance(value, list):
            return [self._resolve(child, (*path, index)) for index, child in enumerate(value)]
        if not isinstance(value, str) or "${" not in value:
            return value
        if match := _SIMPLE.fullmatch(value):
            if match[2] != ":":
                return self.get(match[1])
            if match[1] in self.resolvers:
                return self.resolvers[match[1]](self)
        joined = value if "\\" in value else _SIMPLE.sub(self._as_text, value)
        if "${" not in joined:
            return joined
        if path not in self._values:
            self._values[path] = self.other(path, value)
        return self._values[path]

    def _as_text(self, match: re.Match[str]) -> str:
        """Text in place of an interpolation within a text; the interpolation itself if OmegaConf is to convert it."""
        if match[2] == ":" and match[1] not in self.resolvers:
            return match[0]
        value = self.resolvers[match[1]](self) if match[2] == ":" else self.get(match[1])
        return value if isinstance(value, str) else match[0]


def resolution(cfg: DictConfig, resolvers: Mapping[str, Callable[[Resolution], Any]]) -> Resolution:
    """Make the resolution of a configuration, whose other interpolations OmegaConf resolves."""

    def by_omegaconf(path: Path, _: str) -> Any:
        node: Any = cfg
        for part in path:
            node = node[part]
        return OmegaConf.to_container(node, resolve=True) if isinstance(node, Container) else node

    return Resolution(written(cfg), resolvers, by_omegaconf)
