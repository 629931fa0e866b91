"""The page of a report; braces are of `str.format`."""

PAGE = """<!doctype html>
<html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 15px/1.45 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }}
table {{ border-collapse: collapse; margin: 1rem 0 }}
th, td {{ padding: .3rem .7rem; border-bottom: 1px solid #8886; text-align: right; font-variant-numeric: tabular-nums }}
th[scope=row] {{ text-align: left; font-weight: 500 }}
img {{ max-width: 100%; background: white }}
.wide {{ overflow-x: auto }}
.sortable th {{ cursor: pointer }}
audio {{ height: 1.8rem; width: 9rem }}
h3 {{ margin: 1.5rem 0 0 }}
.players {{ display: flex; flex-wrap: wrap; gap: .3rem 1.5rem }}
.players label {{ display: flex; align-items: center; gap: .5rem }}
pre {{ overflow-x: auto; background: #8881; padding: 1rem }}
</style>
<h1>{title}</h1>
<p>BSS Eval v4, dB: median over one-second windows, then over tracks. The mixture is scored as SiSEC's MIX: divided by
the number of sources and taken for every estimate. The last column is the Music Demixing Challenge 2021's: all samples
of a track at once, mean over tracks.</p>
<div class=wide><table><tr><th></th>{metrics}<th>SDR, whole tracks</th></tr>
{medians}
</table></div>
<img alt="box plot of the scores per target and metric" src="data:image/png;base64,{picture}">
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
document.querySelectorAll(".sortable th").forEach((head) => head.addEventListener("click", () => {{
  const body = head.closest("table").tBodies[0], column = head.cellIndex, up = head.dataset.up !== "1";
  const key = (row) => row.cells[column].innerText, number = (row) => parseFloat(key(row));
  const compare = column ? (a, b) => number(a) - number(b) : (a, b) => key(a).localeCompare(key(b));
  body.append(...[...body.rows].sort((a, b) => (up ? 1 : -1) * compare(a, b)));
  head.dataset.up = up ? "1" : "0";
}}));
</script>
</html>
"""
