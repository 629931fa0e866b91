"""Explanations of refused command lines: one line that names the key, what is allowed, and what to write instead."""

import argparse
import shlex
from collections.abc import Sequence
from typing import Any, NoReturn

from hydra._internal.utils import get_args_parser  # Hydra has no public parser of its own flags
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import (
    ConfigCompositionException,
    InstantiationException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf import DictConfig, OmegaConf

from unmix import errors
from unmix.checks import texts
from unmix.composition import compose
from unmix.usage import options, settings

# Command -> the settings that choose its devices.
DEVICES = {
    "train": ("trainer.gpus", "evaluation.gpus"),
    "evaluate": ("evaluation.gpus",),
    **dict.fromkeys(("listen", "separate"), ("gpus",)),
}
# Lightning's words, and torch's -> values of these settings.
GPUS = {
    "accelerator": {"cpu": "0", "gpu": "1", "cuda": "1", "auto": "null"},
    "device": {"cpu": "0", "cuda": "1"},
    "devices": {"auto": "-1"},
    "strategy": {},
}
# Names of files that other projects have -> what to write here.
FOREIGN_FILES = {"logger/csv": "metrics.csv is written in any case: leave csv out"}
SYNONYMS = {"learning_rate": "lr"}  # word of other projects -> last part of our key
MOST_SUGGESTIONS = 3
SWEPT = ("BasicSweeper does not support sweep type", "Sweep parameters '")  # how messages on interval(...) begin
AMBIGUOUS, UNMERGED = "Ambiguous value for argument '", "Error merging override "  # how messages of Hydra begin


def arguments_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse Hydra's flags and the overrides of a command line, which may be mixed; None is this process's.

    Raises:
        ValueError: on an unknown flag, such as `--target=vocals`; flags cannot be abbreviated.
    """
    parser = get_args_parser()
    parser.allow_abbrev = False  # --experiment=umxhq would be --experimental-rerun
    parser.error = _unknown_flag  # type: ignore[method-assign]  # argparse prints its usage
    return parser.parse_intermixed_args(words if words is None else list(words))


def _unknown_flag(message: str) -> NoReturn:
    """Raise the ValueError for flags that argparse refuses."""
    flags = message.removeprefix("unrecognized arguments: ")
    if flags == message:
        raise ValueError(message)
    word = flags.lstrip("-")
    instead = f"write {word}" if "=" in word and " " not in word else "settings are written key=value, without dashes"
    raise ValueError(f"{flags}: no such flag; {instead}, --help lists keys and flags")


def check(config_name: str, overrides: Sequence[str], config_dir: str | None = None) -> None:
    """Refuse overrides that Hydra or Lightning would understand, but that mean nothing here.

    Args:
        config_name: name of the command.
        overrides: overrides of its command line.
        config_dir: see `composition.compose`.
    Raises:
        ValueError: saying what to write instead.
    """
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        key, files = override.key_or_group, options(override.key_or_group, config_dir)
        if override.is_delete():
            if files:
                instead = f"{key}=none" if "none" in files else f"{key}=... with one of {', '.join(files)}"
                raise ValueError(f"~{key}: a group cannot be deleted; write {instead}")
            continue
        chosen = override.value()
        if files and isinstance(chosen, list):
            texts(key, list(map(str, chosen)), may_be_empty=True)
        value = str(override.input_line).partition("=")[2]
        if message := _devices(config_name, key, value):
            raise ValueError(message)
        group = key.replace(".", "/")
        if key.startswith("hydra.") and (files := options(group, config_dir)):
            known = f"={value}, with a slash"
            written = known if value in files else f"=... with a slash; allowed {_with_packages(group, files)}"
            raise ValueError(f"{key}: got {value}, write {group}{written}")


def _devices(config_name: str, key: str, value: str) -> str | None:
    """Format what to write for a word that chooses devices in Lightning or torch; None for any other key."""
    section, _, word = key.rpartition(".")
    allowed = DEVICES.get(config_name, ())
    if word not in GPUS or not allowed or section not in ("", "trainer", "evaluation"):
        return None
    setting = f"{section}.gpus" if f"{section}.gpus" in allowed else allowed[0]
    number = GPUS[word].get(value.strip("'\""))
    if number is None and word == "devices" and value.lstrip("-").isdecimal():
        number = value
    return f"{key}: no such key; write {setting}={number or '0 (the CPU), N or [i,j] (GPUs), or -1 (all GPUs)'}"


def _with_packages(group: str, files: Sequence[str]) -> str:
    """List the files of one of Hydra's groups, and say where others come from."""
    example = {"hydra/launcher": "hydra-submitit-launcher"}.get(group)
    return ", ".join(files) + (f"; installing a package such as {example} adds others" if example else "")


def explain(error: BaseException, config_name: str, arguments: Sequence[str] = ()) -> str:
    """Format an error as one line, with a suggestion for a mistyped key or group.

    Args:
        error: the error that ended the command.
        config_name: name of the command.
        arguments: its command line; the groups chosen there decide which keys exist.
    """
    text = str(error)
    if isinstance(error, InstantiationException) and error.__cause__ is not None:
        return errors.one_line(error.__cause__)
    if isinstance(error, MissingConfigException) and "/" in str(error.missing_cfg_file):
        return _unknown_file(str(error.missing_cfg_file), arguments)
    if text.startswith("Config group override must be"):
        return _nothing_chosen(arguments)
    if isinstance(error, OverrideParseException):
        return _unreadable(str(error.override))
    if text.startswith(AMBIGUOUS):
        return _commas(text.removeprefix(AMBIGUOUS).partition("'\n")[0])
    if text.startswith(SWEPT):
        return _searched(arguments)
    if text.startswith(UNMERGED):
        key, _, value = text.removeprefix(UNMERGED).partition("=")
        return f"{key.lstrip('+')}: got {value}, a mapping is needed, written {key.lstrip('+')}.<key>=<value>"
    if isinstance(error, ConfigCompositionException):
        for beginning in ("Could not override '", "Could not append to config. ", "Could not delete from config. '"):
            if text.startswith(beginning) and "'" in text:
                return _unknown_key(text.split("'")[1], base(config_name, arguments))
    return errors.one_line(error)


def _unreadable(override: str) -> str:
    """Format the message for an argument that Hydra's grammar does not know."""
    key, _, value = override.partition("=")
    if key != key.strip():
        return f"{override}: got spaces around =; write {key.strip()}={value.strip()}"
    quoted = shlex.quote(f'{key}="{value.strip(chr(39) + chr(34))}"')
    return (
        f"{key}: got {value}, which cannot be read: a bracket or quote is left open, or a value is missing beside a "
        f"comma; a text with such characters is written {quoted}"
    )


def _commas(override: str) -> str:
    """Format the message for a list of values without -m."""
    key, _, value = override.partition("=")
    text = shlex.quote(f'{key}="{value}"')
    return f"{key}: got {value}; several jobs need -m, a list is written {key}=[{value}], a text with a comma {text}"


def _searched(arguments: Sequence[str]) -> str:
    """Format the message for a value of Hydra's grammar that makes several jobs, such as `interval(0,1)`."""
    parsed = OverridesParser.create().parse_overrides(arguments_of(arguments).overrides)
    override = next(each for each in parsed if each.is_sweep_override())
    key, _, value = str(override.input_line).partition("=")
    reason = "; several jobs need -m, and" if override.is_discrete_sweep() else ", which a sweep cannot list;"
    return f"{key}: got {value}{reason} hydra/sweeper=optuna sweep_name=mystudy searches it"


def _unknown_file(name: str, arguments: Sequence[str]) -> str:
    """Format the message for a choice such as `model/umy` that is no file of its group."""
    group, _, file = name.rpartition("/")
    config_dir = arguments_of(arguments).config_dir
    files = options(group, config_dir)
    message = errors.unknown(group, file, files)
    if name in FOREIGN_FILES:
        return f"{message}; {FOREIGN_FILES[name]}"
    if "did you mean" in message or config_dir is not None:
        return message
    if group.startswith("hydra/"):
        return f"{group}: got {file!r}, allowed {_with_packages(group, files)}"
    return f"{message}; --config-dir=... adds a folder of your own"


def _nothing_chosen(arguments: Sequence[str]) -> str:
    """Format the message for a group set to null, such as `logger=null`, which Hydra does not allow."""
    given = arguments_of(arguments)
    group = next(group for group, value in _choices(given) if value == "null")
    files = ", ".join(options(group, given.config_dir))
    return f"{group}: got null, allowed {files}; one entry of a group is left out as {group}.<entry>=null"


def base(config_name: str, arguments: Sequence[str]) -> DictConfig:
    """Compose the configuration with the groups that a command line chooses (the first of a sweep), nothing else."""
    given = arguments_of(arguments)
    groups = compose(config_name, [], with_hydra=True, config_dir=given.config_dir).hydra.runtime.choices
    chosen = [(group, value) for group, value in _choices(given) if group in groups]
    choices = [f"{group}={value.partition(',')[0]}" for group, value in chosen if value != "null" and value[:1] != "{"]
    return compose(config_name, choices, with_hydra=True, config_dir=given.config_dir)


def _choices(given: argparse.Namespace) -> list[tuple[str, str]]:
    """Overrides that choose a file of a group, as pairs (group, file)."""
    pairs = [override.partition("=")[::2] for override in given.overrides]
    return [(group, value) for group, value in pairs if options(group, given.config_dir)]


def _unknown_key(key: str, base: DictConfig) -> str:
    """Format the message for an unknown key, with the key that was meant, or the names allowed in place of a part."""
    node: Any = base
    parts = key.split(".")
    for i, part in enumerate(parts):
        if node is None:
            group = ".".join(parts[:i])
            return f"{key}: {group} is empty here; choose what it is first, as {group}=..., then its keys"
        if not OmegaConf.is_dict(node) or part not in node:
            names = [str(name) for name in node if name != "hydra"] if OmegaConf.is_dict(node) else []
            names = [name for name in names if not name.startswith("_")]
            return _elsewhere(key, base, names, part) or errors.unknown(key, part, names)
        node = node[part]
    return f"{key}: it is empty here; choose what it is first, as {key}=..., then its keys"


def _elsewhere(key: str, base: DictConfig, names: Sequence[str], part: str) -> str | None:
    """Format the message for a key whose last part is, or resembles, that of a key elsewhere; None if none does.

    Args:
        key: the unknown key.
        base: the configuration.
        names: names that are allowed in place of `part`.
        part: first part of the key that is wrong.
    """
    configuration: Any = OmegaConf.to_container(base, resolve=False)
    keys = [known for known, _ in settings(configuration) if not known.startswith("hydra.")]
    last = key.rpartition(".")[2]
    same = [known for known in keys if known.endswith(f".{key}")]
    if not (near := errors.similar(part, names)) and not same:
        lasts = {known: known.rpartition(".")[2] for known in keys}
        ends = errors.similar(SYNONYMS.get(last, last), lasts.values()) if part == key else [last]
        same = [known for known in keys if lasts[known] in ends]
    same = [*near, *same] if same and part == key else same
    is_clear = 1 <= len(same) <= MOST_SUGGESTIONS and not key.startswith("hydra.")
    return f"{key}: no such key; did you mean {' or '.join(map(repr, same))}?" if is_clear else None
