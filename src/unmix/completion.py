"""Completion of values on Tab, where Hydra offers only the present one: targets, files of groups, true and false."""

import re
from collections.abc import Sequence
from typing import Any

from hydra._internal.utils import get_args_parser  # Hydra has no public parser of its own flags
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from unmix import checks
from unmix.config_checks import COMMANDS
from unmix.hints import base
from unmix.identity import ALL
from unmix.settings import TABLES
from unmix.usage import options


def words(config_name: str, line: str) -> list[str] | None:
    """Complete the last word of a command line, also behind a comma of a list; None leaves it to Hydra.

    Args:
        config_name: name of the command.
        line: the command line up to the cursor, as in the variable COMP_LINE of bash.
    """
    *before, word = line.split(" ")
    key, equals, value = word.partition("=")
    names = _values(config_name, key, before) if equals else []
    if not names:
        return None
    begun = re.split(r"[\[,]", value)[-1]
    given = value.removesuffix(begun)  # what a list already has
    left = [name for name in names if name not in re.split(r"[\[,]", given)]
    return [f"{key}={given}{name}" for name in left if name.startswith(begun)]


def _values(config_name: str, key: str, before: Sequence[str]) -> list[str]:
    """List the values of a key, given the words before it; empty when they are not known."""
    scripts = [i for i, word in enumerate(before) if word.endswith(".py")]
    arguments = list(filter(None, before[scripts[0] + 1 :] if scripts else before))
    if files := options(key, get_args_parser().parse_intermixed_args(arguments).config_dir):
        return files
    try:
        cfg: Any = base(config_name, arguments)
    except (HydraException, OmegaConfBaseException):
        return []  # the words before are not complete, or wrong: the command itself will say so
    if key == "target" and config_name == "train":
        return [*cfg.data.sources, ALL]
    if isinstance(OmegaConf.select(cfg, key), bool):
        return ["true", "false"]
    node, _, name = key.rpartition(".")
    table = TABLES.get(node, {}) if node else {**TABLES[""], **COMMANDS.get(config_name, {})}
    return checks.words(table.get(name, checks.flag))
