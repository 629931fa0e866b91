"""Open-Unmix's releases: names and files; importing this module does not import torch."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Release:
    """Published set of networks of Open-Unmix's authors (openunmix/__init__.py).

    Args:
        record: number of the record on zenodo.org.
        files: file name per target; the eight hex digits before `.pth` are the first of the file's SHA-256.
        signal: fft_size, hop_size, sample_rate.
        licence: licence to warn about when the release is used; None is MIT.
    """

    record: int
    files: Mapping[str, str]
    signal: tuple[int, int, int] = (4096, 1024, 44100)
    licence: str | None = None


def _music(vocals: str, drums: str, bass: str, other: str) -> dict[str, str]:
    prefixes = {"vocals": vocals, "drums": drums, "bass": bass, "other": other}
    return {target: f"{target}-{prefix}.pth" for target, prefix in prefixes.items()}


RELEASES = {
    "umx": Release(3370486, _music("c8df74a5", "5a48008b", "646024d3", "f8e132cc")),
    "umxhq": Release(3370489, _music("b62c91ce", "9619578f", "8d85a5bd", "b52fbbf7")),
    "umxl": Release(
        5069601,
        _music("bccbd9aa", "69e0ebd4", "2ca1ce51", "c8c5b3e6"),
        licence="CC BY-NC-SA 4.0: not for commercial use",
    ),
    "umxse": Release(
        3786908, {"speech": "speech_f5e0d9f9.pth", "noise": "noise_04a6fc2d.pth"}, signal=(1024, 512, 16000)
    ),
}
