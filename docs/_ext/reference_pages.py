"""Sphinx extension: writes the parts of the reference that are made from the code, at the line `<!-- generated -->`."""

import os
import re
from collections.abc import Iterator
from itertools import dropwhile, groupby

import config_reference as reference
from config_reference import Row
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.typing import ExtensionMetadata

from unmix import usage
from unmix.composition import CONF

MARK = "<!-- generated -->"
HELP_COLUMNS = "88"  # as wide as a block of code
HYDRAS_OWN = (
    "Hydra's own, without keys here: the jobs of a sweep run one after the other, in the process of the command."
)


def configuration() -> Iterator[str]:
    """Yield the lines of the page of keys: commands first, then groups with their files."""
    yield "## Commands"
    for command in reference.commands():
        yield f"### `{command}.py`"
        yield _sentence(command)
        if choices := reference.choices(command):
            yield from _table(("group", "default", "files"), (_choice(*entry) for entry in choices.items()))
        yield from _keys(reference.command_rows(command))
    yield "## Groups"
    for group in reference.groups():
        yield f"### `{group}`"
        for name in usage.options(group):
            yield f"#### `{group}={name}`"
            yield from _file(group, name)


def commands() -> Iterator[str]:
    """Yield the lines of the page of commands: what each prints for --help."""
    width = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = HELP_COLUMNS
    for command in reference.commands():
        yield f"## `{command}.py`"
        yield f"```text\n$ python src/{command}.py --help\n\n{usage.help_text(command, [])}\n```"
    os.environ.pop("COLUMNS") if width is None else os.environ.update(COLUMNS=width)


PAGES = {"reference/configuration": configuration, "reference/commands": commands}


def _sentence(command: str) -> str:
    return escape(usage.description(command)[0])


def _choice(group: str, chosen: tuple[str, str]) -> tuple[str, ...]:
    default, comment = chosen
    files = ", ".join(_link(group, name) for name in usage.options(group))
    return f"`{group}`", _code(default), "; ".join(filter(None, [files, escape(comment)]))


def _keys(rows: Iterator[Row]) -> Iterator[str]:
    cells = (
        (f"`{row.key}`", row.kind, "needed" if row.default is None else _code(row.default), escape(row.meaning))
        for row in rows
    )
    for table in _table(("key", "type", "default", "meaning"), cells):
        yield f"::::{{container}} keys\n{table}\n::::"


def _file(group: str, name: str) -> Iterator[str]:
    path = CONF / group / f"{name}.yaml"
    if not path.is_file():
        yield HYDRAS_OWN
        return
    file = usage.read_file(path)
    for is_command, lines in groupby(file.description, lambda line: line.startswith("  ")):
        text = "\n".join(line.strip() if is_command else escape(line) for line in lines)
        yield f"```text\n{text}\n```" if is_command else text
    if file.is_recipe:
        content = dropwhile(lambda line: line.startswith("#"), path.read_text(encoding="utf-8").splitlines())
        yield "\n".join(["```yaml", *content, "```"])
        return
    if bases := reference.bases(group, name):
        yield f"As {', '.join(_link(group, base) for base in bases)}, with these changed:"
    yield from _keys(reference.file_rows(group, name))


def _link(group: str, name: str) -> str:
    """A link to the section of a file; MyST makes anchors of headings as GitHub does."""
    return f"[`{name}`](#{re.sub(r'[^a-z0-9_-]', '', f'{group}={name}')})"


def _table(heads: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    lines = [f"| {' | '.join(cells)} |" for cells in rows]
    if lines:
        yield "\n".join([f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}", *lines])


def _code(text: str) -> str:
    return f"`{text}`".replace("|", r"\|")


def escape(text: str) -> str:
    """Escape Markdown in a text of conf/; pages of docs/ that it names become links."""
    parts = re.split(r"(`[^`]*`)", text)  # code at every second place
    parts[::2] = [re.sub(r"([\\*_{}\[\]<>|$#])", r"\\\1", part) for part in parts[::2]]
    escaped = "".join(parts)
    return re.sub(
        r"docs/((?:how|reference|explanation)[\w\\/]+\.md)",
        lambda page: f"[{page[0]}](../{page[1].replace(chr(92), '')})",
        escaped,
    )


def write(app: Sphinx, name: str, source: list[str]) -> None:
    """Replace the mark in the text of a page."""
    if name in PAGES:
        source[0] = source[0].replace(MARK, "\n\n".join(PAGES[name]()))


def outdated(app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]) -> list[str]:
    """Name the pages to read again in each build, as what they are made of is not in docs/."""
    return [name for name in PAGES if name in env.found_docs]


def setup(app: Sphinx) -> ExtensionMetadata:
    """Write the pages when they are read."""
    app.connect("source-read", write)
    app.connect("env-get-outdated", outdated)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
