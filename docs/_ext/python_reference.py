"""Sphinx extension: docstrings and signatures as they are read here, in fewer signs than Sphinx writes."""

import re
from typing import Any

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

ITEM_OF_ARRAY = re.compile(r"(ndarray)\[tuple\[[\w~.]*Any, \.\.\.\], [\w~.]*dtype\[[^\]]*\]\]")


def shorten_signature(
    app: Sphinx, what: str, name: str, item: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Write the type of any NumPy array as `ndarray`."""
    short, short_returns = (text and ITEM_OF_ARRAY.sub(r"\1", text) for text in (signature, returns))
    return short, short_returns


def separate_by_colons(app: Sphinx, what: str, name: str, item: Any, options: Any, lines: list[str]) -> None:
    """Write a colon between a parameter and its meaning."""
    lines[:] = [line.replace("** -- ", "**: ", 1) for line in lines]


def setup(app: Sphinx) -> ExtensionMetadata:
    """Change what autodoc makes, after napoleon."""
    app.connect("autodoc-process-signature", shorten_signature)
    app.connect("autodoc-process-docstring", separate_by_colons, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
