"""Write figures as SVG that follow the light or dark theme of the page; the same figure gives the same bytes."""

from io import StringIO
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

INK, PAPER, SOFT = "#1f2328", "#ffffff", "#eef1f4"
DARK = {INK: "#d9dde1", PAPER: "#131416", SOFT: "#24282d"}  # colours of a dark page
STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "figure.facecolor": PAPER,
    "svg.hashsalt": "unmix",  # fixed ids
    **dict.fromkeys(["text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"], INK),
}


def save(figure: Figure, path: Path) -> None:
    """Write a figure, drawn with `STYLE`, as SVG whose ink and paper change with the theme of the page.

    The background is part of the picture, so text is readable wherever a viewer ignores the theme.
    """
    text = StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    rules = " ".join(
        f'[style*="{kind}: {light}"] {{ {kind}: {dark} !important }}'
        for light, dark in DARK.items()
        for kind in ("fill", "stroke")
    )
    themed = text.getvalue().replace("</style>", f"@media (prefers-color-scheme: dark) {{ {rules} }}</style>", 1)
    path.write_text("\n".join(line.rstrip() for line in themed.splitlines()) + "\n", encoding="utf-8")
