"""What a command can be given: its groups and keys, for `--help`, completion and hints.

The texts have one source: the docstring of the entry point in src/ has examples, comments in conf/ explain keys.
"""

import ast
import math
import shutil
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import yaml
from hydra.core.config_store import ConfigStore
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from omegaconf import OmegaConf

from unmix.composition import CONF, compose

COLUMN = 34  # where explanations begin
EDITOR = "# yaml-language-server:"  # begins the line that names the JSON schema of a file
NOT_FOR_READERS = ("# @", EDITOR)  # lines at the head of a file for Hydra and for editors
FLAGS = (
    ("-m", "run every combination of the values that commas separate"),
    ("--cfg job", "print the configuration as YAML"),
    ("--config-dir DIR", "add a folder of your own groups, which looks like conf/"),
    ("-sc install=bash", "print a script that completes groups, keys and values on Tab; also zsh, fish"),
)


def options(group: str, config_dir: str | None = None) -> list[str]:
    """List the files that a group such as `model` or `hydra/launcher` offers; empty when there is no such group."""
    names = {path.stem for folder in folders(config_dir) for path in (folder / group).glob("*.yaml")}
    store = ConfigStore.instance()
    if group.startswith("hydra/"):
        Plugins.instance()  # has Hydra and the packages that are installed register their files
        names |= {Path(name).stem for name in store.list(group)} if store.get_type(group) == ObjectType.GROUP else set()
    return sorted(names)


def settings(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted key and the value of every setting of a configuration of plain containers.

    Names that begin with `_` are left out; a mapping without other names is a setting itself.
    """
    for name, value in node.items():
        if not str(name).startswith("_"):
            inner = list(settings(value, f"{prefix}{name}.")) if isinstance(value, dict) else []
            yield from inner or [(f"{prefix}{name}", value)]


def help_text(config_name: str, overrides: Sequence[str], config_dir: str | None = None) -> str:
    """Format the answer to `--help`: description, examples, groups, keys and flags, as wide as the terminal.

    Args:
        config_name: name of the command.
        overrides: overrides of the command line; the groups chosen there decide which keys are listed.
        config_dir: see `composition.compose`.
    """
    cfg = compose(config_name, overrides, with_hydra=True, config_dir=config_dir)
    composed: Any = OmegaConf.to_container(cfg, resolve=False)
    del composed["hydra"]
    file = read_file(CONF / f"{config_name}.yaml")
    # Hydra records no choice where several files of a group are chosen, which are named after their keys
    choices: dict[str, Any] = {entry.group: list(composed[entry.group]) for entry in file.defaults if entry.is_list}
    choices |= {str(group): name for group, name in cfg.hydra.runtime.choices.items()}
    notes: dict[str, str] = {}
    for group, names in choices.items():
        for name in names if isinstance(names, list) else [names]:
            notes |= comments_of_group(group, name, config_dir)
    notes |= file.comments
    keys = [(shown(key, value), notes.get(key, "")) for key, value in settings(composed) if key not in choices]
    groups = list(_groups(config_name, choices, config_dir))
    sentence, examples = description(config_name)
    sections = [
        sentence,
        textwrap.indent(examples, "  "),
        _section("Groups, as group=file; --help lists the keys of the files that are given", groups),
        _section("Keys, as key=value", keys),
        _section("Flags", FLAGS),
    ]
    return "\n\n".join(filter(None, sections))


def folders(config_dir: str | None) -> list[Path]:
    """Folders of configurations, the user's first."""
    return [*([Path(config_dir).expanduser()] if config_dir else []), CONF]


def description(config_name: str) -> tuple[str, str]:
    """Read the docstring of a command's entry point: what it does, and examples."""
    source = (CONF.parent / "src" / f"{config_name}.py").read_text(encoding="utf-8")
    sentence, _, examples = (ast.get_docstring(ast.parse(source)) or "").partition("\n\n")
    return sentence, examples


def _groups(config_name: str, choices: dict[str, Any], config_dir: str | None) -> Iterator[tuple[str, str]]:
    """Yield `group=file` and the files to choose from, for every group of a command that has a choice."""
    for entry in read_file(CONF / f"{config_name}.yaml").defaults:
        group = entry.group.removeprefix("override ")
        names = options(group, config_dir) if group else []
        if len(names) > 1:
            choice = choices.get(group) or "null"
            given = f"[{','.join(choice)}]" if isinstance(choice, list) else choice
            yield f"{group}={given}", "; ".join(filter(None, [", ".join(names), entry.comment]))


def comments_of_group(group: str, name: Any, config_dir: str | None = None) -> dict[str, str]:
    """Comments on the keys of a group's file, and of the files of the group that it is based on."""
    paths = [path for folder in folders(config_dir) if (path := folder / group / f"{name}.yaml").is_file()]
    if not paths:
        return {}  # nothing is chosen, or what a package of Hydra provides
    file = read_file(paths[0])
    comments: dict[str, str] = {}
    for entry in file.defaults:
        comments |= comments_of_group(group, entry.file, config_dir)
    if not file.is_recipe:  # a recipe's comments are on its values, not on the keys
        comments |= {f"{group}.{key}": comment for key, comment in file.comments.items()}
    return comments


@dataclass(frozen=True)
class Default:
    """Entry of a defaults list: a group with the comment on it, or another file of the same group.

    `is_list` is true where several files of the group are chosen.
    """

    group: str = ""
    file: str = ""
    comment: str = ""
    is_list: bool = False


@dataclass(frozen=True)
class ConfigFile:
    """What a configuration file says to its reader.

    Args:
        defaults: its defaults list.
        comments: comments by key.
        description: lines of the comment at its top, without those for Hydra and editors.
        is_recipe: whether it changes keys of several groups.
    """

    defaults: list[Default]
    comments: dict[str, str]
    description: list[str]
    is_recipe: bool


def read_file(path: Path) -> ConfigFile:
    """Read the defaults list of a file, and the comment on every setting; on a line of several, it is on the first."""
    text = path.read_text(encoding="utf-8")
    notes = _comments_by_line(text)
    root: Any = yaml.compose(text)
    defaults = []
    for item in next((value.value for key, value in root.value if key.value == "defaults"), []):
        if isinstance(item, yaml.MappingNode):
            ((group, choice),) = item.value
            is_list = isinstance(choice, yaml.SequenceNode)
            defaults.append(Default(group.value, comment=notes.get(item.start_mark.line, ""), is_list=is_list))
        else:
            defaults.append(Default(file=item.value.partition("@")[0]))
    lines = {key: line for key, line in settings(_lines(root)) if isinstance(line, int)}
    comments = {key: notes.pop(line) for key, line in lines.items() if line in notes}
    top = takewhile(lambda line: line.startswith("#"), text.splitlines())
    description = [line.removeprefix("#")[1:] for line in top if not line.startswith(NOT_FOR_READERS)]
    return ConfigFile(defaults, comments, description, text.startswith("# @package _global_"))


def _lines(node: Any) -> Any:
    """Replace the values of a YAML mapping by the numbers of the lines of their keys."""
    return {
        key.value: _lines(value)
        if isinstance(value, yaml.MappingNode) and _has_settings(value)
        else key.start_mark.line
        for key, value in node.value
    }


def _has_settings(node: Any) -> bool:
    return any(not key.value.startswith("_") for key, _ in node.value)


def _comments_by_line(text: str) -> dict[int, str]:
    """Comments that follow something on their line, by the index of the line."""
    lines, ends = text.splitlines(), Counter[int]()
    for token in yaml.scan(text):
        ends[token.end_mark.line] = max(ends[token.end_mark.line], token.end_mark.column)
    rests = {i: line[ends[i] :].strip() for i, line in enumerate(lines) if ends[i]}
    return {i: rest.removeprefix("#").strip() for i, rest in rests.items() if rest.startswith("#")}


def shown(key: str, value: Any) -> str:
    """Format `key=value` as it is written on a command line; only the key, for settings that have no value."""
    if isinstance(value, dict) and value:
        return key
    if not isinstance(value, str):
        value = yaml.safe_dump(value, default_flow_style=True, width=math.inf).removesuffix("...\n").strip()
    return f"{key}={value}"


def _section(title: str, rows: Sequence[tuple[str, str]]) -> str:
    """Format rows in two columns below a title; empty without rows."""
    width = shutil.get_terminal_size().columns
    lines = [line for left, right in rows for line in _row(f"  {left}", right, width)]
    return "\n".join([title, "", *lines]) if lines else ""


def _row(left: str, right: str, width: int) -> list[str]:
    if len(left) > width:
        left = f"{left[: width - 3]}..."
    wrapped = textwrap.wrap(right, max(width - COLUMN, 20), break_on_hyphens=False)
    first = f"{left:<{COLUMN - 2}}  {wrapped.pop(0)}" if wrapped and len(left) <= COLUMN - 2 else left
    return [first, *(f"{'':<{COLUMN}}{line}" for line in wrapped)]
