"""The listening page: excerpts of tracks as every method separates them, with a player that switches between them."""

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import soundfile
from markupsafe import Markup
from torch import Tensor

from unmix.errors import counted
from unmix.evaluation import passages
from unmix.evaluation.energy_ratios import TrackSdr
from unmix.evaluation.stems import Stems
from unmix.reports import pages

MIXTURE, REFERENCE = "mixture", "reference"
FULL = 0.9999  # just below full scale


@dataclass(frozen=True)
class Excerpt:
    """Part of a track, as it is heard.

    Args:
        track: name of the track.
        start: first sample of the excerpt in it.
        sample_rate: Hz.
        mixture: (channels, samples).
        stems: source -> waveform, (channels, samples): first the references, then those of every method.
    """

    track: str
    start: int
    sample_rate: int
    mixture: Tensor
    stems: Sequence[Mapping[str, Tensor]]


@dataclass(frozen=True)
class Uploads:
    """What may be dropped on a served page.

    Args:
        max_upload_mb: size of a file, MB.
        seconds: length of the part that is separated.
    """

    max_upload_mb: float
    seconds: float


def to_html(
    methods: Sequence[str], excerpts: Sequence[Excerpt], audio_format: str = "flac", uploads: Uploads | None = None
) -> str:
    """Write the page, a single file that needs nothing else.

    Args:
        methods: names of the methods, in the order of `Excerpt.stems`.
        excerpts: at least one.
        audio_format: `flac` or `mp3`.
        uploads: what may be dropped on it, if a server takes that; None for a page that is a file.
    Raises:
        ValueError: when the format has no such sample rate or number of channels.
    """
    sources = sources_of(excerpts)
    clips = {
        f"{index}-{key}": Markup(clip)
        for index, excerpt in enumerate(excerpts)
        for key, clip in encoded_clips(excerpt, sources, audio_format)
    }
    content = {
        "methods": [MIXTURE, REFERENCE, *methods],
        "sources": sources,
        "tracks": [facts(excerpt, sources) for excerpt in excerpts],
        "format": audio_format.upper(),
        "max_upload_mb": uploads.max_upload_mb if uploads else 0,
    }
    title = f"Listening to {', '.join(methods)}"
    return pages.render("listen.html", title=title, content=content, clips=clips, uploads=uploads)


def sources_of(excerpts: Sequence[Excerpt]) -> list[str]:
    """List the sources of all stems: the columns of the page."""
    return list(dict.fromkeys(name for excerpt in excerpts for stems in excerpt.stems for name in stems))


def encoded_clips(excerpt: Excerpt, sources: Sequence[str], audio_format: str) -> Iterator[tuple[str, str]]:
    """Yield every clip as `<method>-<source>` and Base64; method 0 is the mixture, 1 the reference.

    A factor keeps all of them below full scale, the same for all, so that their levels stay comparable.
    """
    waveforms = {"0-0": excerpt.mixture}
    for method, stems in enumerate(excerpt.stems, start=1):
        waveforms |= {f"{method}-{sources.index(name)}": waveform for name, waveform in stems.items()}
    scale = min(1.0, FULL / max(FULL, *(float(waveform.abs().max()) for waveform in waveforms.values())))
    for key, waveform in waveforms.items():
        yield key, b64encode(encode(waveform * scale, excerpt.sample_rate, audio_format)).decode()


def encode(waveform: Tensor, sample_rate: int, audio_format: str) -> bytes:
    """Encode a waveform, (channels, samples), as a file.

    Args:
        waveform: the waveform.
        sample_rate: Hz.
        audio_format: `flac` or `mp3`.
    Raises:
        ValueError: when the format has no such sample rate or number of channels.
    """
    try:
        return (passages.mp3 if audio_format == "mp3" else passages.flac)(waveform, sample_rate)
    except soundfile.LibsndfileError as error:
        kind = f"{sample_rate} Hz and {counted(waveform.shape[0], 'channel')}"
        raise ValueError(f"format: got {audio_format}, which has no audio of {kind}: {error.error_string}") from error


def facts(excerpt: Excerpt, sources: Sequence[str]) -> dict[str, Any]:
    """Describe an excerpt; `sdr` has a row per method, null where it has no such stem or there is no reference."""
    references, *estimates = excerpt.stems
    channels, num_samples = excerpt.mixture.shape
    return {
        "name": excerpt.track,
        "start": excerpt.start / excerpt.sample_rate,
        "seconds": num_samples / excerpt.sample_rate,
        "rate": excerpt.sample_rate,
        "channels": channels,
        "sdr": [
            [_sdr(references.get(name), stems.get(name), excerpt.sample_rate) for name in sources]
            for stems in estimates
        ],
    }


def _sdr(reference: Tensor | None, estimate: Tensor | None, sample_rate: int) -> float | None:
    """SDR of the whole excerpt, dB; None without a reference or an estimate, or when the reference is silent."""
    if reference is None or estimate is None or not bool(reference.any()):
        return None
    return round(float(TrackSdr()(Stems.of(reference[None], estimate[None], sample_rate))["uSDR"]), 2)
