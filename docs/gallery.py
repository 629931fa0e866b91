"""Builds every page that Unmix makes, of synthetic music, into outputs/gallery: `make gallery`.

Two small experiments are trained and compared with an oracle, by the commands that a user types; each command is
printed. Pages that are there are not made again: remove outputs/gallery to begin anew.
"""

import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from unmix.data.cache import default_folder
from unmix.files import replacing
from unmix.reports import pages

ROOT = Path(__file__).parents[1]
OUT = Path("outputs/gallery")  # seen from ROOT
TRACKS, SECONDS = 28, 10  # of the data set
TRAINING = (
    "train.py -m experiment=demo target=vocals,drums,bass,other model.hidden_size=32,64 trainer.max_epochs=3",
    f"data.prepare.num_tracks={TRACKS} data.prepare.seconds={SECONDS} data.samples_per_track=16 paths.out={OUT}",
)

Samples = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Page:
    """A page of the gallery.

    Args:
        name: name of its picture in docs/images.
        question: what it answers.
        pattern: its path below OUT.
        command: returns the arguments of the command that makes it.
    """

    name: str
    question: str
    pattern: str
    command: Callable[[], Sequence[str]]

    @property
    def path(self) -> Path | None:
        """The page, seen from ROOT; None as long as it is not there."""
        paths = sorted((ROOT / OUT).glob(self.pattern))
        return paths[0].relative_to(ROOT) if paths else None


def experiments() -> list[str]:
    """Folders of the trained experiments, seen from ROOT."""
    return [str(path.relative_to(ROOT)) for path in sorted((ROOT / OUT / "runs").iterdir())]


def methods() -> str:
    """The trained experiments and an oracle, as a value of `ckpt`."""
    return f"ckpt=[{','.join([*experiments(), 'oracle:irm1'])}]"


def doctor() -> Sequence[str]:
    """Damage a copy of some tracks, so that there is something to find, and return the command that examines it."""
    damaged = OUT / "damaged"
    if not (ROOT / damaged).exists():
        write_damaged(ROOT / damaged, default_folder() / f"demo-{TRACKS}x{SECONDS}s-0")
    data = ("data=own", "data.name=damaged", f"data.root={damaged}")
    return ("check.py", *data, f"report={OUT / 'doctor'}", f"paths.out={OUT}")


PAGES = (
    Page(
        "report",
        "How well does my model separate, and on which tracks?",
        "runs/*/eval/*/report.html",
        lambda: ("evaluate.py", f"ckpt={experiments()[0]}", f"paths.out={OUT}"),
    ),
    Page(
        "comparison",
        "Which method is better, and is the difference real?",
        "evaluations/comparison-*/comparison.html",
        lambda: ("evaluate.py", methods(), f"paths.out={OUT}"),
    ),
    Page(
        "leaderboard",
        "Which of all my runs is the best, and which settings made it so?",
        "leaderboard.html",
        lambda: ("leaderboard.py", f"paths.out={OUT}"),
    ),
    Page(
        "listen",
        "What do the differences sound like?",
        "listening.html",
        lambda: (
            *("listen.py", methods(), "tracks=2", "seconds=8", "format=mp3"),
            *(f"out={OUT / 'listening.html'}", f"paths.out={OUT}"),
        ),
    ),
    Page("doctor", "What is wrong with my data?", "doctor/doctor.html", doctor),
)


def write_damaged(root: Path, source: Path) -> None:
    """Copy four training tracks and a test track of a tree, and damage four stems and a split.

    Args:
        root: folder to write.
        source: tree in MUSDB18-HQ's layout.
    """
    train, test = (sorted((source / split).iterdir()) for split in ("train", "test"))
    with replacing(root) as partial:
        for track in (*train[:4], test[0]):
            shutil.copytree(track, partial / track.parent.name / track.name)
        shutil.copytree(test[0], partial / "train" / "The Same Song - Under Another Name")
        first, second, third, fourth = (partial / "train" / track.name for track in train[:4])
        _change(first / "vocals.wav", lambda samples: -samples)
        _change(second / "drums.wav", lambda samples: np.roll(samples, 441, axis=0))
        _change(third / "bass.wav", _with_gap)
        _change(fourth / "other.wav", lambda samples: samples // 2)


def _with_gap(samples: Samples) -> Samples:
    """Silence 50 ms in the loudest second."""
    second = 44100
    levels = [float(np.abs(samples[start : start + second]).mean()) for start in range(0, len(samples), second)]
    start = int(np.argmax(levels)) * second + second // 2
    return np.concatenate([samples[:start], np.zeros_like(samples[: second // 20]), samples[start + second // 20 :]])


def _change(path: Path, change: Callable[[Samples], Samples]) -> None:
    samples, rate = soundfile.read(path, dtype="int16")
    soundfile.write(path, change(samples), rate, subtype="PCM_16")


def run(arguments: Sequence[str]) -> None:
    """Print and run a command; exit code 1 of check.py means that it has found something.

    Raises:
        SystemExit: with its exit code, when it fails.
    """
    print(f"\n$ python src/{shlex.join(arguments)}", flush=True)
    code = subprocess.run([sys.executable, f"src/{arguments[0]}", *arguments[1:]], cwd=ROOT, check=False).returncode
    if code and not (code == 1 and arguments[0] == "check.py"):
        raise SystemExit(code)


def index() -> str:
    """The page that leads to all others."""
    entries = (
        f"<dt><a href='{escape(page.path.relative_to(OUT).as_posix())}'>{escape(page.question)}</a></dt>"
        f"<dd><code>python src/{escape(shlex.join(page.command()))}</code></dd>"
        for page in PAGES
        if page.path is not None
    )
    style = (
        pages.asset("theme.css") + pages.asset("style.css") + "dd { margin: .2rem 0 1.2rem; overflow-wrap: anywhere }"
    )
    head = "<meta charset=utf-8><meta name=viewport content='width=device-width'><link rel=icon href='data:,'>"
    title = "Pages that Unmix makes"
    return (
        f"<!doctype html><html lang=en><head>{head}<title>{title}</title><style>{style}</style></head>"
        f"<body><h1>{title}</h1><main><dl>{''.join(entries)}</dl></main></body></html>\n"
    )


def main() -> None:
    """Train, which is quick when it has been done, and make the pages that are missing."""
    run(shlex.split(" ".join(TRAINING)))
    for page in PAGES:
        if page.path is None:
            run(page.command())
        if page.path is None:
            raise SystemExit(f"gallery: the command above wrote no {OUT / page.pattern}")
    path = ROOT / OUT / "index.html"
    path.write_text(index(), encoding="utf-8")
    print(f"\ngallery: {path}")


if __name__ == "__main__":
    main()
