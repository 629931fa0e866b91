"""Transfer of one large file by HTTP that goes on where it broke off, in this process or a later one."""

import logging
import re
import time
from dataclasses import dataclass
from http.client import IncompleteRead
from pathlib import Path
from typing import Any

import pooch
import requests

from unmix import errors
from unmix.data.byte_progress import ByteProgress
from unmix.errors import human_size
from unmix.files import remove

CHUNK = 2**18  # bytes, the most that a broken connection loses
PAUSES = (1, 2, 4, 8)  # seconds before each further attempt
TIMEOUTS = (15, 60)  # seconds to connect, and between two packets
TEMPORARY = (408, 425, 429, 500, 502, 503, 504)  # HTTP status codes of answers that another attempt may change
HEADERS = {"User-Agent": "unmix", "Accept-Encoding": "identity"}  # Zenodo refuses requests without a user agent


class Refused(OSError):
    """The server does not have the file, or has another one: another attempt changes nothing."""


@dataclass(frozen=True)
class Transfer:
    """Downloader for `pooch.retrieve`, which has none that resumes.

    Args:
        part: file that keeps what has arrived; an existing one is continued.
        num_bytes: size of the complete file.
        progress: shows how many bytes have arrived, and what is wrong with the connection.
    """

    part: Path
    num_bytes: int
    progress: ByteProgress

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        """Download a file, and rename `part` to it when it is complete.

        Raises:
            Refused: when the server's answer is final, or does not have `num_bytes` bytes.
            requests.RequestException: when the connection broke more often than there are `PAUSES`.
        """
        num_failures, largest = 0, self.arrived
        self.progress.update(largest)
        while (arrived := self.arrived) < self.num_bytes:
            try:
                self._receive(url, arrived)
            except requests.RequestException as error:
                is_progress = self.arrived > largest + CHUNK
                num_failures = 1 if is_progress else num_failures + 1
                largest = max(largest, self.arrived)
                if num_failures > len(PAUSES):
                    raise
                self.progress.say(f"{reason(error)}; trying again in {PAUSES[num_failures - 1]} s")
                time.sleep(PAUSES[num_failures - 1])
        if arrived > self.num_bytes:
            self.part.unlink()
            raise Refused(f"the server has sent more than the {self.num_bytes} bytes of the published file")
        self.progress.say("computing the checksum")
        self.part.replace(output_file)

    @property
    def arrived(self) -> int:
        """Number of bytes that have arrived."""
        return self.part.stat().st_size if self.part.exists() else 0

    def _receive(self, url: str, start: int) -> None:
        """Request the bytes from `start` on, and append them to `part`; begins anew if the server does not resume."""
        headers = {**HEADERS, "Range": f"bytes={start}-"} if start else HEADERS
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUTS) as answer:
            if start and not self._fits(answer, start):
                self.part.unlink()
                raise requests.HTTPError("the server has another file than before: starting anew")
            self._check(answer)
            is_continued = start > 0 and answer.status_code == 206
            if start and not is_continued:
                self.progress.say("the server does not resume downloads: starting anew")
            with self.part.open("ab" if is_continued else "wb") as file:
                for chunk in answer.iter_content(CHUNK):
                    file.write(chunk)
                    self.progress.update(file.tell())
                    if file.tell() > self.num_bytes:
                        return
        if self.arrived < self.num_bytes:  # requests does not notice it without Content-Length
            raise requests.ConnectionError(f"the connection ended after {self.arrived} of {self.num_bytes} bytes")

    def _fits(self, answer: requests.Response, start: int) -> bool:
        """Whether a partial answer has the bytes from `start` on of a file of the right size; True for full answers."""
        content = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
        if answer.status_code != 206:
            return answer.status_code != 416  # Range Not Satisfiable
        return content is not None and int(content[1]) == start and content[2] in ("*", str(self.num_bytes))

    def _check(self, answer: requests.Response) -> None:
        """Check status and length of an answer; raises Refused, or HTTPError when another attempt may succeed."""
        status = f"the server answers {answer.status_code} {answer.reason}".strip()
        if answer.status_code in TEMPORARY:
            raise requests.HTTPError(status)
        if answer.status_code not in (200, 206):
            raise Refused(status)
        length = answer.headers.get("Content-Length", "")
        if answer.status_code == 200 and length.isdecimal() and int(length) != self.num_bytes:
            raise Refused(f"the server has a file of {length} bytes, the published one has {self.num_bytes}")


def download(url: str, file: Path, num_bytes: int, checksum: str, progress: ByteProgress) -> Path:
    """Download a file, unless it is there, and check it; what has arrived stays beside it when the connection breaks.

    Args:
        url: address.
        file: path of the file, in a folder of its own.
        num_bytes: size of the file.
        checksum: `<algorithm>:<hex digits>`.
        progress: where progress is shown.
    Returns:
        `file`.
    Raises:
        OSError: when the file cannot be fetched, with what to do.
        ValueError: when it is not the published file; it is removed.
    """
    pooch.get_logger().setLevel(logging.WARNING)
    transfer = Transfer(file.with_suffix(".part"), num_bytes, progress)
    for left_over in file.parent.glob("tmp*"):  # complete, if pooch was killed while it computed the checksum
        if left_over.stat().st_size == num_bytes:
            left_over.replace(transfer.part)
        remove(left_over)
    try:
        pooch.retrieve(url, checksum, fname=file.name, path=file.parent, downloader=transfer)
    except (Refused, requests.RequestException) as error:
        there = f"{human_size(transfer.arrived)} of {human_size(num_bytes)} are there"
        raise OSError(
            f"data.download: {url} cannot be fetched ({reason(error)}); {there}, the same command goes on; "
            "or fetch and unpack it by hand and set data.root"
        ) from error
    except ValueError as error:
        message = errors.one_line(error).partition(". Deleted")[0]
        raise ValueError(f"data.download: {message}; removed it, the same command fetches it again") from error
    return file


def reason(error: BaseException) -> str:
    """Format the cause of a failed request in a few words: the innermost error, without the names of classes."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    if isinstance(error, IncompleteRead):
        return "the connection ended early"
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
