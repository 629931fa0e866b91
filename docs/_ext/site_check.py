"""Sphinx extension: warns of links that lead nowhere and of what a page would fetch from the network.

It reads the built HTML with the standard library, so nothing has to be online; `-W` makes its warnings errors.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.typing import ExtensionMetadata

logger = logging.getLogger(__name__)

# What a browser loads with the page, by tag; an <a> is followed only by a click.
LOADED = {
    "audio": ("src",),
    "embed": ("src",),
    "iframe": ("src",),
    "img": ("src", "srcset"),
    "link": ("href",),
    "object": ("data",),
    "script": ("src",),
    "source": ("src", "srcset"),
    "track": ("src",),
    "video": ("src", "poster"),
}
# Values of `rel` with which a <link> loads nothing.
LINKED_ONLY = {"canonical", "next", "prev", "search", "index", "author", "license"}
IN_STYLES = re.compile(r"""(?:url\(|@import)\s*["']?([^"')\s]+)""")


@dataclass
class Page(HTMLParser):
    """What a page links to, loads, and can be linked at."""

    links: set[str] = field(default_factory=set)
    loads: set[str] = field(default_factory=set)
    anchors: set[str] = field(default_factory=set)
    in_style: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the addresses and the anchor of a tag."""
        values = {name: value for name, value in attrs if value}
        self.anchors.update(values[name] for name in ("id", "name") if name in values)
        self.in_style = tag == "style"
        self.loads.update(IN_STYLES.findall(values.get("style", "")))
        if tag == "a" and "href" in values:
            self.links.add(values["href"])
        loaded = {address for name in LOADED.get(tag, ()) for address in addresses(name, values.get(name, ""))}
        is_linked_only = tag == "link" and set(values.get("rel", "").split()) <= LINKED_ONLY
        (self.links if is_linked_only else self.loads).update(loaded)

    def handle_data(self, data: str) -> None:
        """Note the addresses in a style sheet within the page."""
        if self.in_style:
            self.loads.update(IN_STYLES.findall(data))

    def handle_endtag(self, tag: str) -> None:
        """Leave a style sheet."""
        self.in_style = False


def addresses(attribute: str, value: str) -> list[str]:
    """Split a `srcset` into its addresses; any other attribute is one address, or none."""
    parts = value.split(", ") if attribute == "srcset" else [value]
    return [part.split()[0] for part in parts if part.strip()]


def problems(site: Path) -> Iterator[str]:
    """Yield a line for every link of a built site that leads nowhere, and for everything that is not part of it."""

    @cache
    def read(path: Path) -> Page:
        page = Page()
        page.feed(path.read_text(encoding="utf-8"))
        return page

    for path in sorted(site.rglob("*.html")):
        page, name = read(path), path.relative_to(site)
        for address in sorted(filter(is_external, page.loads)):
            yield f"{name}: loads {address} from the network"
        for address in sorted(page.links | page.loads):
            if is_external(address) or (parts := urlsplit(address)).scheme:
                continue
            file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not file.is_file():
                yield f"{name}: links to {address}, and there is no such file"
            elif parts.fragment and file.suffix == ".html" and unquote(parts.fragment) not in read(file).anchors:
                yield f"{name}: links to {address}, and the page has no such anchor"
    for path in sorted(site.rglob("*.css")):
        for address in filter(is_external, IN_STYLES.findall(path.read_text(encoding="utf-8"))):
            yield f"{path.relative_to(site)}: loads {address} from the network"


def is_external(address: str) -> bool:
    """Tell whether an address names a host."""
    return bool(urlsplit(address).netloc)


def check(app: Sphinx, error: Exception | None) -> None:
    """Warn of each problem of a site that was built."""
    if error is None and app.builder.format == "html":
        for problem in problems(app.outdir):
            logger.warning(problem)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Check each site after it is built."""
    app.connect("build-finished", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
