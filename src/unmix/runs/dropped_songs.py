"""Songs that are dropped on the served listening page: separated by every method, one at a time, and not kept."""

import json
import logging
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from unmix import checks, errors
from unmix.evaluation import passages
from unmix.reports import listening_page
from unmix.reports.listening_page import Excerpt, Uploads
from unmix.reports.serving import Refused, Request, Response
from unmix.runs import songs
from unmix.runs.listening_methods import Method
from unmix.runs.songs import Audio, Song

log = logging.getLogger(__name__)

MOST_MINUTES = 60  # of a song, so that one that FFmpeg decodes fits on the disk
BUSY = "busy: another song is being separated; drop yours again when it is done"
_PIECE = 1 << 20  # bytes of an upload that are read at a time


@dataclass(frozen=True)
class Drop:
    """What a request asks for: the name of the song, and the start of the part in seconds; None is the loudest."""

    name: str
    start: float | None


class DroppedSongs:
    """Answers uploads with lines of JSON, as the song is separated; a context, after which no file is left.

    Lines are `{"share", "method"}` while a method separates, `{"clip", "audio"}` for each clip, see
    `listening_page.encoded_clips`, and at last `{"track"}`, or `{"error"}`.

    Args:
        methods: the methods of the page; those that cannot separate songs have no stems.
        sources: the columns of the page.
        uploads: what may be dropped.
        audio_format: `flac` or `mp3`.
    """

    def __init__(self, methods: Sequence[Method], sources: Sequence[str], uploads: Uploads, audio_format: str) -> None:
        self.methods, self.sources, self.uploads, self.audio_format = methods, sources, uploads, audio_format
        self._is_free, self._computing, self._is_ended = threading.Lock(), threading.Lock(), False
        self._files = ExitStack()

    def __enter__(self) -> "DroppedSongs":
        self.folder = Path(self._files.enter_context(TemporaryDirectory(prefix="unmix-", ignore_cleanup_errors=True)))
        return self

    def __exit__(self, *_: object) -> None:
        self._is_ended = True
        with self._computing:  # a thread that is in torch, or frees its tensors, would crash the interpreter at its end
            self._files.close()

    def answer(self, request: Request) -> Response:
        """Receive a song and separate it; the file is gone as soon as it is open.

        Raises:
            Refused: when a song is being separated, or the upload is empty, too large or ends early.
        """
        lines = self._lines(request)
        try:
            next(lines)  # from here on a mistake is a status
        except (ValueError, OSError) as error:
            return Response(f"{errors.one_line(error)}\n".encode(), "text/plain; charset=utf-8", 422)
        return Response(lines, "application/x-ndjson")

    def _lines(self, request: Request) -> Iterator[bytes]:
        """Yield nothing once the song is open, then the lines of the answer."""
        if not self._is_free.acquire(blocking=False):
            raise Refused(HTTPStatus.CONFLICT, BUSY)
        try:
            drop, path = self._drop(request), self.folder / f"song{_ending(request.query.get('name', ''))}"
            try:
                self._receive(request, path)
                song, audio = self._open(path, drop.start)
            except (ValueError, OSError) as error:
                raise ValueError(songs.reason(error, path)) from error
            finally:
                path.unlink(missing_ok=True)
            with closing(audio), self._computing:
                yield b""
                yield from self._explained(self._separate(drop, song, audio), path)
        finally:
            self._is_free.release()

    def _drop(self, request: Request) -> Drop:
        """Read what is asked for, and check the size of the upload."""
        text, most = request.query.get("start"), self.uploads.max_upload_mb
        try:
            start = None if text is None else checks.number("start", float(text), least=0)
        except ValueError:
            raise Refused(
                HTTPStatus.BAD_REQUEST, f"start: got {text!r}, seconds from the start of the song are needed"
            ) from None
        if not request.length:
            raise Refused(HTTPStatus.BAD_REQUEST, "the file is empty")
        if request.length > most * 1e6:
            size = errors.human_size(request.length)
            remedy = "start listen.py with a larger max_upload_mb"
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"got {size}, at most {most:g} MB: {remedy}")
        return Drop(" ".join(request.query.get("name", "").split()) or "song", start)

    def _receive(self, request: Request, path: Path) -> None:
        left = request.length
        with path.open("wb") as file:
            while left:
                try:
                    piece = request.body.read(min(left, _PIECE))
                except (ConnectionError, TimeoutError):
                    piece = b""
                if not piece:
                    raise Refused(HTTPStatus.BAD_REQUEST, f"the upload ended {errors.human_size(left)} early")
                left -= file.write(piece)

    def _open(self, path: Path, start: float | None) -> tuple[Song, Audio]:
        song = songs.probe(path, start or 0)
        audio = song.open(self.folder)
        try:
            minutes = audio.num_samples / song.rate / 60
            if minutes > MOST_MINUTES:
                raise ValueError(f"got {minutes:.3g} min, at most {MOST_MINUTES} min: cut it, or use separate.py")
            songs.part(path, audio.num_samples, song.rate, start or 0, None)
            listening_page.encode(torch.zeros(song.channels, 1), song.rate, self.audio_format)
        except ValueError:
            audio.close()
            raise
        return song, audio

    def _explained(self, lines: Iterator[dict[str, Any]], path: Path) -> Iterator[bytes]:
        """Encode the lines; an error is the last one, as the status is sent already."""
        try:
            for line in lines:
                if self._is_ended:
                    yield _encoded({"error": "listen.py was ended"})
                    return
                yield _encoded(line)
        except (ValueError, OSError) as error:
            yield _encoded({"error": songs.reason(error, path)})
        except Exception as error:  # other songs go on
            log.exception("a dropped song")
            yield _encoded({"error": errors.one_line(error)})

    def _separate(self, drop: Drop, song: Song, audio: Audio) -> Iterator[dict[str, Any]]:
        samples = self._part(drop, song, audio)
        active = sum(method.can_separate_songs for method in self.methods)
        stems: list[dict[str, Tensor]] = [{}]  # of the reference
        num_done = 0
        for method in self.methods:
            blocks: list[Tensor] = []
            stream = method.separate(song, audio, samples) if method.can_separate_songs else iter(())
            yield {"share": num_done / (active * len(samples)), "method": method.name}
            for block in stream:
                blocks.append(block.cpu().clone())
                num_done += block.shape[-1]
                yield {"share": num_done / (active * len(samples)), "method": method.name}
            stems.append(dict(zip(method.targets, torch.cat(blocks, -1), strict=True)) if blocks else {})
        mixture = torch.from_numpy(audio(samples.start, samples.stop))
        excerpt = Excerpt(drop.name, samples.start, song.rate, mixture, stems)
        for key, clip in listening_page.encoded_clips(excerpt, self.sources, self.audio_format):
            yield {"clip": key, "audio": clip}
        yield {"track": listening_page.facts(excerpt, self.sources)}

    def _part(self, drop: Drop, song: Song, audio: Audio) -> range:
        """Samples that are separated: from the start that is asked for, or else the loudest."""
        start = drop.start
        if start is None:
            length = min(audio.num_samples, round(self.uploads.seconds * song.rate))
            first = passages.busiest(lambda *span: _as_source(audio(*span)), audio.num_samples, length, song.rate)
            start = first / song.rate
        return songs.part(Path(drop.name), audio.num_samples, song.rate, start, self.uploads.seconds)


def _as_source(samples: npt.NDArray[np.float32]) -> Tensor:
    """Turn (channels, samples) into those of a single source, (sources, channels, samples)."""
    return torch.from_numpy(samples)[None]


def _ending(name: str) -> str:
    """Ending of a file name, which says what FFmpeg decodes; nothing if it is no plain one."""
    match = re.search(r"\.[A-Za-z0-9]{1,5}$", name)
    return match[0] if match else ""


def _encoded(line: dict[str, Any]) -> bytes:
    return json.dumps(line, allow_nan=False).encode() + b"\n"
