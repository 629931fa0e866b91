"""Takes the pictures of pages in docs/images, from outputs/gallery: `make screenshots`.

`python docs/screenshots.py all FOLDER` writes every page as a whole into a folder, at both widths, light and dark, to
look at.
"""

import io
import sys
from dataclasses import dataclass
from pathlib import Path

import gallery
from PIL import Image, ImageOps
from playwright.sync_api import Browser, Page, sync_playwright

IMAGES = Path(__file__).parent / "images"
WIDE, NARROW = 1280, 390  # pixels
HEIGHTS = {WIDE: 960, NARROW: 844}
UNLIKE = {"report": 880, "comparison": 1290, "leaderboard": 890, "doctor": 1180}  # where a wide picture ends well
LARGEST = 250_000  # bytes
COLOURS = 128
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage"]
# What each kind of page has done when it can be looked at.
DRAWN = """document.getElementById("wave")
  ? picture.done !== undefined && picture.done === picture.drawn
  : [...document.querySelectorAll("figure.chart")].every((figure) => figure.view)"""
PREPARED = {  # JavaScript before the picture is taken
    "listen": "chooseCell(3, 0); setRegion([2.5, 4.5]); player.seek(3.2); tick()",
}


@dataclass(frozen=True)
class Shot:
    """A picture: the name of the page, its width in pixels, and whether its scheme is dark."""

    page: str
    width: int = WIDE
    is_dark: bool = False

    @property
    def height(self) -> int:
        """Height in pixels, unless the whole page is taken."""
        return UNLIKE.get(self.page, HEIGHTS[WIDE]) if self.width == WIDE else HEIGHTS[self.width]

    @property
    def name(self) -> str:
        """Name of the file, without its ending."""
        return "-".join(filter(None, [self.page, "phone" * (self.width == NARROW), "dark" * self.is_dark]))


SHOTS = (
    *(Shot(page.name) for page in gallery.PAGES),
    Shot("listen", NARROW, is_dark=True),
    Shot("comparison", NARROW),
)


def take(browser: Browser, shot: Shot, *, is_whole: bool = False) -> bytes:
    """Take a picture of the top of a page, or of all of it, as PNG.

    Raises:
        SystemExit: when the page is not in the gallery.
    """
    path = next(page.path for page in gallery.PAGES if page.name == shot.page)
    if path is None:
        raise SystemExit(f"screenshots: the gallery has no page {shot.page}: make gallery")
    context = browser.new_context(
        viewport={"width": shot.width, "height": shot.height},
        color_scheme="dark" if shot.is_dark else "light",
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.goto((gallery.ROOT / path).as_uri())
    _wait(page)
    if script := PREPARED.get(shot.page):
        page.evaluate(script)
        _wait(page)
    png = page.screenshot(full_page=is_whole)
    context.close()
    return png


def _wait(page: Page) -> None:
    """Wait until everything is drawn; a page's policy may forbid the `eval` of `page.wait_for_function`."""
    for _ in range(1200):
        if page.evaluate(f"Boolean({DRAWN})"):
            return
        page.wait_for_timeout(50)
    raise SystemExit(f"screenshots: {page.url} was not drawn within a minute")


def small(png: bytes) -> bytes:
    """Frame a picture and reduce it to a palette, a third of its size; nobody sees that on a page of text and lines."""
    image = ImageOps.expand(Image.open(io.BytesIO(png)).convert("RGB"), border=1, fill="#808080")
    reduced = image.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    out = io.BytesIO()
    reduced.save(out, "PNG", optimize=True)
    return out.getvalue()


def main(arguments: list[str]) -> None:
    """Take all pictures of docs/images, or `all FOLDER`."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        if arguments[:1] == ["all"]:
            folder = Path(arguments[1])
            folder.mkdir(parents=True, exist_ok=True)
            every = (
                Shot(page.name, width, is_dark) for page in gallery.PAGES for width in HEIGHTS for is_dark in (0, 1)
            )
            for shot in every:
                (folder / f"{shot.name}.png").write_bytes(take(browser, shot, is_whole=True))
            return
        for shot in SHOTS:
            png = small(take(browser, shot))
            if len(png) > LARGEST:
                raise SystemExit(f"screenshots: {shot.name}.png has {len(png)} bytes, {LARGEST} are allowed")
            (IMAGES / f"{shot.name}.png").write_bytes(png)
            print(f"{shot.name}.png: {len(png) / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
