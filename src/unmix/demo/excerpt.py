"""Six seconds of real music: the excerpt of MUSDB18 that ships in the package stempeg, as a data set."""

from pathlib import Path

import soundfile

from unmix import extras
from unmix.data.cache import build_once

# Start and end in seconds of every track; the tracks do not overlap.
PARTS = {"train/Train": (0.0, 3.0), "train/Validation": (3.0, 4.0), "test/Test": (4.0, 6.08)}
STREAMS = ("mixture", "drums", "bass", "other", "vocals")  # order in a file of MUSDB18


def write_excerpt(root: Path) -> Path:
    """Write the excerpt in MUSDB18-HQ's layout: its first part to train on, its last part to test on.

    Does nothing when `root` exists. It needs FFmpeg, and no network.

    Args:
        root: folder to create, with its parents.
    Returns:
        The folder.
    Raises:
        ValueError: when the package stempeg is not installed.
    """
    return build_once(root, _write)


def _write(root: Path) -> None:
    extras.require("unmix.demo.excerpt", "stempeg", "museval")
    import stempeg

    audio, rate = stempeg.read_stems(stempeg.example_stem_path())
    for track, (start, stop) in PARTS.items():
        (root / track).mkdir(parents=True)
        for stem, samples in zip(STREAMS, audio, strict=True):
            cut = samples[int(start * rate) : int(stop * rate)]
            soundfile.write(root / track / f"{stem}.wav", cut, int(rate), subtype="PCM_16")
