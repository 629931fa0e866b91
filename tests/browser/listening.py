"""Listening pages for the tests, made of noise."""

from collections.abc import Sequence
from pathlib import Path

import torch
from playwright.sync_api import Page
from torch import Tensor

from unmix.reports.listening_page import Excerpt, to_html

SOURCES = ("vocals", "drums", "bass", "other")


def noise(seed: int, seconds: float = 1.0, rate: int = 44100, channels: int = 2) -> Tensor:
    return 0.3 * torch.rand(channels, round(seconds * rate), generator=torch.Generator().manual_seed(seed)) - 0.15


def excerpt(
    track: str = "A Song",
    methods: Sequence[Sequence[str]] = (SOURCES, SOURCES),
    rate: int = 44100,
    channels: int = 2,
    seconds: float = 1.0,
) -> Excerpt:
    """An excerpt of noise; `methods` lists the sources of each. Estimates are the references and a little noise."""
    references = {name: noise(i, seconds, rate, channels) for i, name in enumerate(SOURCES)}
    stems = [
        {name: references[name] + 0.1 * (i + 1) * noise(99, seconds, rate, channels) for name in sources}
        for i, sources in enumerate(methods)
    ]
    return Excerpt(track, 10 * rate, rate, torch.stack([*references.values()]).sum(0), [references, *stems])


def write(
    path: Path, excerpts: Sequence[Excerpt] | None = None, names: Sequence[str] = ("umx", "oracle"), kind: str = "flac"
) -> Path:
    page = path / "listening.html"
    page.write_text(to_html(names, [excerpt()] if excerpts is None else excerpts, kind), encoding="utf-8")
    return page


def wait_for(page: Page, expression: str) -> None:
    """Wait until JavaScript is true; the page's policy forbids the `eval` of `page.wait_for_function`."""
    for _ in range(1500):
        if page.evaluate(f"Boolean({expression})"):
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"never true: {expression}")
