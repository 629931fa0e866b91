"""What people look at: a table on the terminal, a box plot, a page."""

import base64
import html
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from unmix.evaluation import published, scores
from unmix.evaluation.scores import TrackScore
from unmix.evaluation.table import METRICS, shown
from unmix.experiments import folder

# Okabe and Ito's colours, told apart by the colour-blind; one per target.
COLORS = {"vocals": "#0072B2", "drums": "#D55E00", "bass": "#009E73", "other": "#CC79A7"}
GREY = "#999999"


@dataclass(frozen=True)
class Summary:
    """The scores of one evaluation: of `method`, and of `baseline` on the same tracks."""

    method: str
    baseline: str
    rows: Sequence[TrackScore]
    settings: dict[str, Any]
    windows: dict[str, tuple[int, int]] = field(default_factory=dict)  # by track: how many count, how many there are
    compared: str | None = None  # what was published of others, see `published.medians_of`

    @property
    def published(self) -> dict[str, dict[str, float]]:
        """Target -> metric -> dB of what is compared with."""
        return {} if self.compared is None else published.medians_of(self.compared)

    @property
    def medians(self) -> dict[str, dict[str, dict[str, float]]]:
        """Method -> target -> metric -> dB, medians over tracks."""
        return scores.summarize(self.rows)

    @property
    def targets(self) -> list[str]:
        return list(self.medians[self.method])

    @property
    def num_tracks(self) -> int:
        return len({row.track for row in self.rows})


def write(summary: Summary, where: Path) -> None:
    """scores.csv, summary.json, boxplot.png and report.html in the folder `where`."""
    folder.write_atomically(where / "scores.csv", scores.to_csv(summary.rows))
    content = {
        "num_tracks": summary.num_tracks,
        "medians": summary.medians,
        "means_of_medians": scores.means_of_medians(summary.rows),
        "windows_that_count": summary.windows,
        "published": {summary.compared: summary.published} if summary.compared else {},
        **summary.settings,
    }
    folder.write_json(where / "summary.json", content)
    picture = _png(box_plot(summary))
    (where / "boxplot.png").write_bytes(picture)
    folder.write_atomically(where / "report.html", page(summary, picture, where))


def box_plot(summary: Summary) -> Figure:
    """One panel a metric, one pair of boxes a target: ours in colour, the baseline in grey, a dot a track."""
    figure, panels = plt.subplots(1, len(METRICS), figsize=(13, 4.2), layout="constrained")
    for panel, metric in zip(panels, METRICS, strict=True):
        for i, target in enumerate(summary.targets):
            for method, offset, color in (
                (summary.method, -0.19, COLORS.get(target, "black")),
                (summary.baseline, 0.19, GREY),
            ):
                if (method, metric) != (summary.baseline, "SAR"):  # it has no artifacts: some 160 dB
                    _box(panel, _values(summary, method, target, metric), i + offset, color)
        panel.set_title(metric)
        panel.set_xticks(range(len(summary.targets)), summary.targets)
        panel.grid(axis="y", alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("dB, median over a track's windows")
    figure.suptitle(f"{summary.method} (colour) and the {summary.baseline} (grey), {summary.num_tracks} tracks")
    return figure


def _box(panel: Any, values: list[float], position: float, color: str) -> None:
    panel.boxplot(
        values,
        positions=[position],
        widths=0.32,
        manage_ticks=False,
        showfliers=False,
        patch_artist=True,
        boxprops={"facecolor": color, "alpha": 0.35, "edgecolor": color},
        whiskerprops={"color": color},
        capprops={"color": color},
        medianprops={"color": color, "linewidth": 2},
    )
    panel.plot([position] * len(values), values, "o", color=color, markersize=3, alpha=0.8)


def _values(summary: Summary, method: str, target: str, metric: str) -> list[float]:
    values = [row.metrics[metric] for row in summary.rows if (row.method, row.target) == (method, target)]
    return [value for value in values if value == value]  # without NaN, which matplotlib would show as no box


def _png(figure: Figure) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    plt.close(figure)
    return buffer.getvalue()


def page(summary: Summary, picture: bytes, where: Path) -> str:
    """One HTML page: medians, box plot, every track, its estimates where they were saved, and the settings."""
    tracks = list(dict.fromkeys(row.track for row in summary.rows))
    rows = [
        "<tr>"
        + _cell(track)
        + _windows_cell(summary, track)
        + "".join(_track_cells(summary, track, target, where) for target in summary.targets)
        for track in tracks
    ]
    heads = "".join(f"<th>{html.escape(target)}</th>" for target in summary.targets)
    methods = {**summary.medians, f"{summary.compared} as published": summary.published}
    medians = [
        f"<tr>{_cell(f'{target}, {method}')}"
        + "".join(f"<td>{html.escape(shown(methods[method][target][metric]))}</td>" for metric in METRICS)
        for target in summary.targets
        for method in methods
        if target in methods[method]
    ]
    return _PAGE.format(
        title=html.escape(f"{summary.method}: {summary.num_tracks} tracks"),
        metrics="".join(f"<th>{metric}</th>" for metric in METRICS),
        medians="\n".join(medians),
        picture=base64.b64encode(picture).decode(),
        heads=heads,
        rows="\n".join(rows),
        settings=html.escape(json.dumps(summary.settings, indent=2)),
    )


def _cell(text: str) -> str:
    return f"<th scope=row>{html.escape(text)}</th>"


def _windows_cell(summary: Summary, track: str) -> str:
    count, total = summary.windows.get(track, (0, 0))
    return f"<td>{count} of {total}</td>"


def _track_cells(summary: Summary, track: str, target: str, where: Path) -> str:
    sdr = next(
        row.metrics["SDR"]
        for row in summary.rows
        if (row.method, row.track, row.target) == (summary.method, track, target)
    )
    audio = Path("estimates") / track / f"{target}.wav"
    player = ""
    if (where / audio).is_file():
        player = f'<br><audio controls preload=none src="{quote(audio.as_posix())}"></audio>'
    return f"<td>{sdr:.2f}{player}</td>"


_PAGE = """<!doctype html>
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
pre {{ overflow-x: auto; background: #8881; padding: 1rem }}
</style>
<h1>{title}</h1>
<p>BSS Eval v4, dB: median over one-second windows, then over tracks. The mixture is scored as SiSEC's MIX: divided by
the number of sources and taken for every estimate.</p>
<table><tr><th></th>{metrics}</tr>
{medians}
</table>
<img alt="box plot of the scores per target and metric" src="data:image/png;base64,{picture}">
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
