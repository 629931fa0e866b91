"""The pages of reports; braces of `PAGE` and `COMPARISON` are of `str.format`."""

import base64
import html
from urllib.parse import quote

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

_HEAD = """<!doctype html>
<html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}</style>
"""

PAGE = (
    _HEAD
    + """<h1>{title}</h1>
<p>BSS Eval v4, dB: median over one-second windows, then over tracks. The mixture is scored as SiSEC's MIX: divided by
the number of sources and taken for every estimate. The last column is the Music Demixing Challenge 2021's: all samples
of a track at once, mean over tracks.</p>
<div class=wide><table><tr><th></th>{metrics}<th>SDR, whole tracks</th></tr>
{medians}
</table></div>
{picture}
{participants}
<h2>Worst and best</h2>
<p>Of every target the tracks with the lowest and the highest SDR: five seconds around the window whose score is nearest
to the track's median.</p>
{extremes}
<h2>SDR per track</h2>
<p>A window counts if no reference and no estimate is silent in it. A click on a heading sorts.</p>
<div class=wide><table class=sortable><thead><tr><th scope=row>track</th><th>windows that count</th>{heads}</tr></thead>
<tbody>
{rows}
</tbody></table></div>
<h2>Settings</h2>
<pre>{settings}</pre>
<script>
{script}</script>
</html>
"""
)

COMPARISON = (
    _HEAD
    + """<h1>{title}</h1>
<p>BSS Eval v4, dB: median over one-second windows, then over tracks. The mixture is scored as SiSEC's MIX: divided by
the number of sources and taken for every estimate. Names lead to reports; a click on a heading sorts.</p>
<div class=wide><table class=sortable><thead><tr><th scope=row>target</th><th scope=row>method</th>{metrics}</tr>
</thead>
<tbody>
{medians}
</tbody></table></div>
{picture}
<h2>SDR per track</h2>
<div class=wide><table class=sortable><thead><tr><th scope=row>track</th><th scope=row>target</th>{heads}</tr></thead>
<tbody>
{rows}
</tbody></table></div>
<h2>Settings</h2>
<pre>{settings}</pre>
<script>
{script}</script>
</html>
"""
)


def row_head(text: str, address: str | None = None) -> str:
    """A cell that names its row, and leads somewhere."""
    content = html.escape(text)
    if address is not None:
        content = f'<a href="{quote(address)}">{content}</a>'
    return f"<th scope=row>{content}</th>"


def image(picture: bytes, alt: str) -> str:
    """A PNG within the page."""
    return f'<img alt="{html.escape(alt)}" src="data:image/png;base64,{base64.b64encode(picture).decode()}">'


def player(address: str) -> str:
    return f'<audio controls preload=none src="{address}"></audio>'
