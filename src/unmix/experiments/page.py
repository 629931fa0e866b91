"""What our pages have in common; each is one file, light or dark as the reader's system is."""

import base64
import html

STYLE = """:root { color-scheme: light dark }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 }
th, td { padding: .3rem .7rem; border-bottom: 1px solid #8886; text-align: right; font-variant-numeric: tabular-nums }
th[scope=row] { text-align: left; font-weight: 500 }
img { max-width: 100%; background: white }
.wide { overflow-x: auto }
.sortable thead th { cursor: pointer }
audio { height: 1.8rem; width: 9rem }
h3 { margin: 1.5rem 0 0 }
.players { display: flex; flex-wrap: wrap; gap: .3rem 1.5rem }
.players label { display: flex; align-items: center; gap: .5rem }
pre { overflow-x: auto; background: #8881; padding: 1rem }
"""

# A click on a heading; columns of row heads hold text, others numbers.
SORT = """document.querySelectorAll(".sortable thead th").forEach((head) => head.addEventListener("click", () => {
  const body = head.closest("table").tBodies[0], column = head.cellIndex, up = head.dataset.up !== "1";
  const key = (row) => row.cells[column].innerText, number = (row) => parseFloat(key(row));
  const isText = body.rows[0].cells[column].tagName === "TH";
  const compare = isText ? (a, b) => key(a).localeCompare(key(b)) : (a, b) => number(a) - number(b);
  body.append(...[...body.rows].sort((a, b) => (up ? 1 : -1) * compare(a, b)));
  head.dataset.up = up ? "1" : "0";
}));
"""


def row_head(text: str, address: str | None = None) -> str:
    """A cell that names its row, and leads to an address."""
    content = html.escape(text)
    if address is not None:
        content = f'<a href="{address}">{content}</a>'
    return f"<th scope=row>{content}</th>"


def image(picture: bytes, alt: str) -> str:
    """A PNG within the page."""
    return f'<img alt="{html.escape(alt)}" src="data:image/png;base64,{base64.b64encode(picture).decode()}">'


def player(address: str) -> str:
    return f'<audio controls preload=none src="{address}"></audio>'


def sound(mp3: bytes) -> str:
    """An address that holds the sound itself."""
    return f"data:audio/mpeg;base64,{base64.b64encode(mp3).decode()}"
