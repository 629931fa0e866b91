"""Quoting of arguments whose values are file names or free text, which Hydra's grammar would otherwise parse."""

import os

from unmix.composition import quoted

# Keys whose values are free text or file names, which Hydra's grammar would otherwise parse.
TEXT_KEYS = ("licence", "attribution", *(f"hydra.launcher.{name}" for name in ("constraint", "extra", "setup")))
LITERAL_KEYS = (
    "input",
    "ckpt",
    "data.root",
    "paths.out",
    "paths.data",
    "data.cache",
    "init_from",
    "out",
    "tracks",
    *TEXT_KEYS,
)
OPEN_GROUPS = ("aggregate.", "data.rename.")  # where the user invents the keys, which Hydra allows only with a +


def quote_literal(argument: str) -> str:
    """Quote file names in an argument for Hydra's grammar, and prefix keys that the user invents with ++.

    Quoting a quoted argument changes nothing. Values that begin with `[` or a quote are Hydra syntax, and those that
    contain `${` are interpolations: both are returned unchanged.
    """
    key, equals, value = argument.partition("=")
    if key.startswith(OPEN_GROUPS):
        return f"++{argument}"
    if key.lstrip("+") not in LITERAL_KEYS or not value or value[0] in "['\"" or "${" in value or value == "null":
        return argument
    return f"{key}{equals}{quoted(os.path.expanduser(value))}"  # noqa: PTH111 - a Path would change `./a` and `a/`
