"""Answer words without a key on the command line, such as `separate.py umxhq song.wav`, with what to write instead."""

import re
import shlex
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

# Keys that bare words of a command stand for, in this order; further words belong to the last.
KEYS = {
    "separate": ("ckpt", "input"),
    "evaluate": ("ckpt",),
    "listen": ("ckpt",),
    "export": ("ckpt",),
    "prepare": ("input", "out"),
}
# Groups of configurations of which a bare word of a command may name a file.
GROUPS = {"train": ("experiment", "data", "model", "sweep"), "check": ("data",)}
SONGS = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".aac", ".aif", ".aiff", ".mp4", ".mkv", ".mov", ".webm")


def check(command: str, arguments: Sequence[str], folders: Sequence[Path]) -> None:
    """Refuse arguments that lack a key.

    Args:
        command: name of the command.
        arguments: overrides of its command line.
        folders: folders of configuration groups.
    Raises:
        ValueError: on a value without a key, and on words that are neither `key=value` nor `~key`, with the arguments
            to write in their place.
    """
    for argument in arguments:
        if argument.lstrip("+~ ").startswith("="):
            raise ValueError(f"{argument}: no key before =; settings are written key=value, --help lists the keys")
    words = [argument for argument in arguments if "=" not in argument and not argument.startswith("~")]
    if not words:
        return
    given = {argument.partition("=")[0].lstrip("+") for argument in arguments if "=" in argument}
    values: dict[str, list[str]] = {key: [] for key in KEYS.get(command, ()) if key not in given}
    for word in words:
        key = _group_of(command, word, given | set(values), folders) or _key_of(word, values)
        if key is None:
            remedy = _rejoined(arguments, word) or "settings are written key=value, --help lists the keys"
            raise ValueError(f"{word}: a bare word; {remedy}")
        values.setdefault(key, []).append(word)
    kind = "a bare word" if len(words) == 1 else "bare words"
    raise ValueError(f"{' '.join(words)}: {kind}; write {' '.join(map(_argument, values, values.values()))}")


def _rejoined(arguments: Sequence[str], word: str) -> str:
    """Format the argument that a space has cut before a word: a list, or the name of a file; empty if none was cut."""
    index = arguments.index(word)
    before = arguments[index - 1].replace("'", "") if index else ""  # file names are quoted for Hydra by now
    argument = " ".join([before, *takewhile(lambda each: "=" not in each, arguments[index:])])
    if "=" in before and before.endswith(","):
        return f"write {argument.replace(' ', '')}, without spaces"
    is_file = "=" in before and Path(argument.partition("=")[2]).expanduser().exists()
    return f"a name with spaces is quoted: {shlex.quote(argument)}" if is_file else ""


def _group_of(command: str, word: str, taken: set[str], folders: Sequence[Path]) -> str | None:
    """Find the first group of configurations, without those taken, that has a file of this name."""
    groups = [group for group in GROUPS.get(command, ()) if group not in taken]
    return next((group for group in groups if any((at / group / f"{word}.yaml").is_file() for at in folders)), None)


def _key_of(word: str, values: dict[str, list[str]]) -> str | None:
    """Choose the key that a word stands for: by its ending, else the first without a value, else the last."""
    if "input" in values and Path(word).suffix.lower() in SONGS:
        return "input"
    return next((key for key in values if not values[key]), next(reversed(values), None))


def _argument(key: str, values: Sequence[str]) -> str:
    """Format an argument as it is typed in a shell; `...` stands for a value that is still needed."""
    if len(values) < 2:
        return shlex.quote(f"{key}={values[0]}") if values else f"{key}=..."
    listed = (value if re.fullmatch(r"[\w./~-]+", value) else f'"{value}"' for value in values)
    return shlex.quote(f"{key}=[{','.join(listed)}]")
