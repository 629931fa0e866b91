"""Draw docs/images/front_page.svg: a song of the demo, and the stems that its networks estimate.

    python docs/figures/front_page.py outputs/runs/demo-*/eval/* 'Amber Lathe - After the Ferry'

after `python src/train.py -m experiment=demo target=vocals,drums,bass,other`. The picture is part of the page, so that
text has the colour of the page, light or dark.
"""

import json
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from unmix.reports.figures import COLORS

PATH = Path(__file__).parents[1] / "images" / "front_page.svg"
WIDTH, LEFT, TOP = 720, 104, 4
MIXTURE_HEIGHT, STEM_HEIGHT, GAP = 96, 62, 10
COLUMNS = 308  # bars of a waveform
MIXTURE_COLOR = "#8a8f98"


def peaks(path: Path) -> npt.NDArray[np.float64]:
    """Largest magnitude of each of `COLUMNS` parts of a file."""
    samples = np.abs(soundfile.read(path, always_2d=True)[0]).max(axis=1)
    return np.array([part.max() for part in np.array_split(samples, COLUMNS)])


def waveform(heights: npt.NDArray[np.float64], middle: float, color: str) -> str:
    """A path of vertical bars around a line, `heights` high in each direction."""
    step = (WIDTH - LEFT) / COLUMNS
    bars = " ".join(
        f"M{LEFT + (i + 0.5) * step:.1f} {middle - max(height, 0.6):.1f}v{2 * max(height, 0.6):.1f}"
        for i, height in enumerate(heights)
    )
    return f'<path d="{bars}" stroke="{color}" stroke-width="1.3" stroke-linecap="round"/>'


def label(name: str, middle: float) -> str:
    """Name of a row."""
    return f'<text x="0" y="{middle + 7:.0f}" font-size="21">{name}</text>'


def draw(evaluation: Path, track: str) -> str:
    """Draw the mixture, and below it the estimates of all sources, all on the same scale."""
    config = json.loads((evaluation / "inputs.json").read_text(encoding="utf-8"))["data"]
    mixture = peaks(Path(config["root"]) / "test" / track / "mixture.wav")
    scale, middle = MIXTURE_HEIGHT / 2 / mixture.max(), TOP + MIXTURE_HEIGHT / 2
    parts = [label("mixture", middle), waveform(mixture * scale, middle, MIXTURE_COLOR)]
    middle += (MIXTURE_HEIGHT - STEM_HEIGHT) / 2
    for name, color in COLORS.items():
        middle += STEM_HEIGHT + GAP
        heights = np.minimum(peaks(evaluation / "estimates" / track / f"{name}.wav") * scale, STEM_HEIGHT / 2)
        parts += [label(name, middle), waveform(heights, middle, color)]
    height = middle + STEM_HEIGHT / 2 + TOP
    described = "A waveform of a mixture, and below it those of its estimated stems: vocals, drums, bass and other."
    head = f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{described}" fill="currentColor">'
    return "\n".join([head, *parts, "</svg>\n"])


if __name__ == "__main__":
    PATH.write_text(draw(Path(sys.argv[1]), sys.argv[2]), encoding="utf-8")
