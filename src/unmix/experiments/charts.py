"""Charts as SVG: small, sharp at any size, in the colours of the page they stand in."""

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 460, 260, 48, 14, 26, 34
# Okabe and Ito's, told apart by the colour-blind, on light and on dark.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999")
# Ends of a scale from worst to best, apart in lightness too.
WORST, BEST = (0x44, 0x66, 0xAA), (0xEE, 0xAA, 0x22)

Points = Sequence[tuple[float, float]]


def lines(title: str, series: Mapping[str, Points], *, x: str, y: str) -> str:
    """A line a name; the name is shown where the pointer rests."""
    points = [point for one in series.values() for point in one if math.isfinite(point[1])]
    if not points:
        return ""
    scale_x, scale_y = _scale([p[0] for p in points], LEFT, WIDTH - RIGHT), _y_scale([p[1] for p in points])
    drawn = []
    for i, (name, one) in enumerate(series.items()):
        path = " ".join(f"{scale_x(a):.1f},{scale_y(b):.1f}" for a, b in one if math.isfinite(b))
        drawn.append(
            f'<polyline points="{path}" stroke="{COLORS[i % len(COLORS)]}" class=line><title>{html.escape(name)}'
            "</title></polyline>"
        )
    ticks = _x_ticks([p[0] for p in points], scale_x) + _y_ticks([p[1] for p in points], scale_y)
    return _frame(title, "".join(drawn) + ticks, x, y, legend=list(series))


def groups(title: str, series: Mapping[str, Mapping[str, float]], *, x: str, y: str) -> str:
    """A mark of each name in every category, in the order of the categories' first appearance."""
    categories = list(dict.fromkeys(category for one in series.values() for category in one))
    values = [value for one in series.values() for value in one.values() if math.isfinite(value)]
    if not values:
        return ""
    scale_y, step = _y_scale(values), (WIDTH - LEFT - RIGHT) / len(categories)
    drawn = []
    for i, (name, one) in enumerate(series.items()):
        color, offset = COLORS[i % len(COLORS)], 14 * (i - (len(series) - 1) / 2)
        for category, value in one.items():
            if math.isfinite(value):
                at_x = LEFT + step * (categories.index(category) + 0.5) + offset
                drawn.append(_mark(at_x, scale_y(value), color, i, f"{name}, {category}: {value:.4g}"))
        if len(series) > 1:
            drawn.append(_mark(LEFT + 18 + 140 * i, 10, color, i, name))
            drawn.append(f'<text x="{LEFT + 28 + 140 * i}" y="14">{html.escape(name)}</text>')
    below = HEIGHT - BOTTOM + 14
    marks = "".join(
        f'<text x="{LEFT + step * (i + 0.5):.1f}" y="{below}" text-anchor=middle>{html.escape(one)}</text>'
        for i, one in enumerate(categories)
    )
    return _frame(title, "".join(drawn) + marks + _y_ticks(values, scale_y), x, y)


def parallel(title: str, rows: Sequence[Mapping[str, Any]], axes: Sequence[str]) -> str:
    """A line a row through one axis a column; the last column colours it, its lowest value the brightest."""
    rows = [row for row in rows if all(row.get(axis) is not None for axis in axes)]
    if len(rows) < 2 or len(axes) < 2:
        return ""
    step = (WIDTH - LEFT - RIGHT - 20) / (len(axes) - 1)
    scales = [_axis([row[axis] for row in rows]) for axis in axes]
    last = [float(row[axes[-1]]) for row in rows]
    drawn = []
    for row, value in sorted(zip(rows, last, strict=True), key=lambda pair: -pair[1]):
        share = 1 - (value - min(last)) / ((max(last) - min(last)) or 1)
        path = " ".join(
            f"{LEFT + step * i:.1f},{scale[row[axis]]:.1f}"
            for i, (axis, scale) in enumerate(zip(axes, scales, strict=True))
        )
        said = ", ".join(f"{axis} {_said(row[axis])}" for axis in axes)
        drawn.append(
            f'<polyline points="{path}" stroke="{_mixed(share)}" class=line><title>{html.escape(said)}</title>'
        )
        drawn.append("</polyline>")
    for i, (axis, scale) in enumerate(zip(axes, scales, strict=True)):
        at, anchor = LEFT + step * i, "start" if i == 0 else "end" if i == len(axes) - 1 else "middle"
        drawn.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" class=axis />')
        drawn.append(f'<text x="{at:.1f}" y="{HEIGHT - 8}" text-anchor={anchor}>{html.escape(axis)}</text>')
        shown = scale if len(scale) <= 6 else dict([min(scale.items(), key=_second), max(scale.items(), key=_second)])
        for value, y in shown.items():
            drawn.append(f'<text x="{at + 4:.1f}" y="{y + 4:.1f}" class=tick>{html.escape(_said(value))}</text>')
    return _frame(title, "".join(drawn), "", "", has_axes=False)


def _axis(values: Sequence[Any]) -> dict[Any, float]:
    """Where each value stands: numbers in proportion, others in equal steps."""
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in values)
    different = sorted(set(values), key=lambda one: one if numbers else str(one))
    if numbers:
        scale = _scale(different, HEIGHT - BOTTOM, TOP + 8)
        return {one: scale(one) for one in different}
    step = (HEIGHT - BOTTOM - TOP - 8) / max(1, len(different) - 1)
    return {one: HEIGHT - BOTTOM - step * i for i, one in enumerate(different)}


def _second(pair: tuple[Any, float]) -> float:
    return pair[1]


def _mixed(share: float) -> str:
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(WORST, BEST, strict=True))


def _mark(x: float, y: float, color: str, kind: int, said: str) -> str:
    """Shapes tell apart what colours may not."""
    title = f"<title>{html.escape(said)}</title>"
    if kind % 2:
        return f'<rect x="{x - 5:.1f}" y="{y - 5:.1f}" width=10 height=10 fill="{color}">{title}</rect>'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r=5.5 fill="{color}">{title}</circle>'


def _scale(values: Sequence[float], first: float, last: float) -> Any:
    low, high = min(values), max(values)
    return lambda value: first + (value - low) / ((high - low) or 1) * (last - first)


def _y_scale(values: Sequence[float]) -> Any:
    return _scale(values, HEIGHT - BOTTOM - 6, TOP + 6)


def _y_ticks(values: Sequence[float], scale: Any) -> str:
    return "".join(
        f'<text x="{LEFT - 6}" y="{scale(one) + 4:.1f}" text-anchor=end>{_said(one)}</text>'
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{scale(one):.1f}" y2="{scale(one):.1f}" class=grid />'
        for one in _nice(min(values), max(values))
    )


def _x_ticks(values: Sequence[float], scale: Any) -> str:
    return "".join(
        f'<text x="{scale(one):.1f}" y="{HEIGHT - BOTTOM + 14}" text-anchor=middle>{_said(one)}</text>'
        for one in _nice(min(values), max(values))
    )


def _nice(low: float, high: float) -> list[float]:
    """A handful of round numbers."""
    if high <= low:
        return [low]
    step = 10 ** math.floor(math.log10((high - low) / 3))
    step = next((step * factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= 5), step * 10)
    first = math.ceil(low / step)
    return [i * step for i in range(first, math.floor(high / step) + 1)]


def _said(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _frame(title: str, content: str, x: str, y: str, *, has_axes: bool = True, legend: Sequence[str] = ()) -> str:
    bottom = HEIGHT - BOTTOM
    axes = f'<path d="M{LEFT} {TOP}V{bottom}H{WIDTH - RIGHT}" class=axis />' if has_axes else ""
    names = "".join(
        f'<span><i style="background:{COLORS[i % len(COLORS)]}"></i> {html.escape(name)}</span>'
        for i, name in enumerate(legend[: len(COLORS)])
    )
    more = f"<span>and {len(legend) - len(COLORS)} more</span>" if len(legend) > len(COLORS) else ""
    return (
        f'<figure><figcaption>{html.escape(title)}</figcaption><svg viewBox="0 0 {WIDTH} {HEIGHT}" role=img>'
        f"{axes}{content}"
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 4}" text-anchor=end>{html.escape(x)}</text>'
        f'<text x="2" y="{TOP - 14}">{html.escape(y)}</text></svg>'
        f"{f'<div class=legend>{names}{more}</div>' if legend else ''}</figure>"
    )
