"""Debian's headless Chromium, driven by Playwright, for the tests of pages."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = shutil.which("chromium")
# Sound without a device and without a click; --no-sandbox because containers run tests as root.
FLAGS = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required", "--disable-dev-shm-usage"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder slow; skip them without Chromium."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="chromium is not installed: make chromium"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """`open_page(url, width=1280, dark=False, script="")`; `script` runs before the page's own.

    The test fails on a console error or a request to another host; an upload may be refused.
    """
    complaints: list[str] = []
    contexts = []

    def open_(url: str | Path, width: int = 1280, dark: bool = False, script: str = "") -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme="dark" if dark else "light", reduced_motion="reduce"
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.extend(errors(message.type, message.text)))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.extend(external(request.url)))
        page.add_init_script(script)
        page.goto(url.resolve().as_uri() if isinstance(url, Path) else url)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not complaints


def errors(kind: str, text: str) -> list[str]:
    """Return the text of a console error, unless it is the browser's about the status 422, which the page explains."""
    return [text] if kind == "error" and "the server responded with a status of 422" not in text else []


def external(url: str) -> list[str]:
    """Return the address as a complaint, unless it is local."""
    local = url.startswith(("file:", "data:", "blob:", "http://127.0.0.1:", "http://localhost:"))
    return [] if local else [f"request to {url}"]
