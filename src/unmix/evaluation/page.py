"""The pages of reports; braces are of `str.format`."""

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
