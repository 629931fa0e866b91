"""Run the commands of pages, each page in a fresh folder, and write what they print beside the pages.

    python docs/tutorial_output.py                              docs/tutorial.md
    python docs/tutorial_output.py docs/first_ten_minutes.md    another page
    python docs/tutorial_output.py --time [PAGE...]             and a table of what each command took

A comment above a block of a page says what it is: `commands`, one a line; `commands, exit code 2`, which are refused;
`commands, Ctrl-C after "epoch 2"`, interrupted once that is printed (`kill -9 after` kills); `file NAME`, a file that
the reader writes. Other blocks are not run.
"""

import argparse
import os
import platform
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).resolve().parent
GENERATED = DOCS / "generated"
BLOCK = re.compile(r"^<!-- ([^\n]*) -->\n```[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = re.compile(r'commands(?:, (?:exit code (?P<code>\d+)|(?P<signal>Ctrl-C|kill -9) after "(?P<cue>[^"]+)"))?')
BUSY = re.compile("other processes keep .* CPUs busy")  # see unmix.machine
SIGNALS = {"Ctrl-C": (signal.SIGINT, 130), "kill -9": (signal.SIGKILL, -signal.SIGKILL)}


@dataclass(frozen=True)
class Command:
    """A command of a page.

    Args:
        number: of the commands of the page, from 1 on.
        text: as the reader types it.
        exit_code: that it ends with; negative for a signal that kills it.
        signum, cue: the signal that it is sent once its output contains the text `cue`; None, empty: it is sent none.
    """

    number: int
    text: str
    exit_code: int = 0
    signum: int | None = None
    cue: str = ""


@dataclass(frozen=True)
class Ran:
    """A command that was run: what it printed, its seconds, and those that the processors worked for it."""

    command: Command
    printed: str
    seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class File:
    """A file that the reader writes: its path in the reader's folder, and its content."""

    name: str
    content: str


def steps(page: Path) -> Iterator[Command | File]:
    """Yield the commands of a page, and the files that the reader writes, in order."""
    number = 0
    for mark, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        if mark.startswith("file "):
            yield File(mark.removeprefix("file "), text)
        elif match := MARK.fullmatch(mark):
            signum, code = SIGNALS.get(match["signal"], (None, int(match["code"] or 0)))
            for line in text.splitlines():
                number += 1
                yield Command(number, line, code, signum, match["cue"] or "")


def run(command: Command, folder: Path) -> str:
    """Run a command in a folder; returns what it printed.

    Raises:
        RuntimeError: when it ends with another exit code than the page says.
    """
    process = subprocess.Popen(
        ["bash", "-c", command.text],
        cwd=folder,
        env=_environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # a signal reaches the command and what it started, as Ctrl-C does
    )
    assert process.stdout is not None
    printed, is_signalled = "", False
    for line in process.stdout:
        printed += line
        if command.signum is not None and command.cue in line and not is_signalled:
            os.killpg(process.pid, command.signum)
            is_signalled = True
    if (code := process.wait()) != command.exit_code:
        unsaid = f", and {command.cue!r} was not printed" if command.cue not in printed else ""
        raise RuntimeError(f"{command.text}: exit code {code}, the page says {command.exit_code}{unsaid}\n{printed}")
    return _without_paths(printed, folder)


def _environment(folder: Path) -> dict[str, str]:
    """Environment of a reader whose machine has no data yet."""
    outer = {name: value for name, value in os.environ.items() if not name.startswith(("UNMIX_", "MUSDB_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**outer, "PATH": path, "UNMIX_DATA": str(folder / ".cache" / "unmix"), "PYTHONUNBUFFERED": "1"}


def _without_paths(printed: str, folder: Path) -> str:
    """Replace the paths of this machine by those of the reader; leave out what is said of other work on it."""
    reader = printed.replace(str(folder / ".cache"), "~/.cache").replace(f"{folder}/", "").replace(str(folder), ".")
    return "".join(f"{line.rstrip()}\n" for line in reader.splitlines() if not BUSY.match(line))


def make_folder(page: Path, folder: Path) -> None:
    """Make the reader's folder: a checkout without outputs, and the audio that the page says the reader has."""
    folder.mkdir(parents=True)
    for name in ("src", "conf"):
        (folder / name).symlink_to(DOCS.parent / name)
    if page.stem == "own_data":
        write_songs(folder / "songs")
    else:
        write_song(folder / "song.mp3")


def write_song(path: Path) -> None:
    """Write six seconds of a real song: the mixture of the excerpt of MUSDB18 that the package stempeg holds."""
    import soundfile
    import stempeg

    stems, rate = stempeg.read_stems(stempeg.example_stem_path(), stem_id=0)
    soundfile.write(path, stems, int(rate), format="MP3")


def write_songs(root: Path) -> None:
    """Write ten synthetic songs as loose mono files at 48 kHz, named as a mixing desk does."""
    import soundfile
    import soxr

    from unmix.demo.tree import write_tree

    titles = "Copper Wire,Glass Hour,Kite Season,Low Tide,Northbound,Paper Lanterns,Quiet Hours,River,Second Sun,Wren"
    files = {"vocals": "01 Lead Vox.wav", "drums": "Kit.wav", "bass": "Bass DI.wav", "other": "Gtr + Keys.wav"}
    with tempfile.TemporaryDirectory() as name:
        write_tree(Path(name, "tree"), num_tracks=10, seconds=20)
        for title, mixture in zip(titles.split(","), sorted(Path(name).rglob("mixture.wav")), strict=True):
            (root / title).mkdir(parents=True)
            for source, file in files.items():
                samples, rate = soundfile.read(mixture.with_name(f"{source}.wav"))
                converted = soxr.resample(samples.mean(axis=1), rate, 48000)
                if source == "vocals":  # recorded on two tracks
                    soundfile.write(root / title / "02 Backing VOX.flac", 0.5 * converted, 48000)
                    converted = 0.5 * converted
                soundfile.write(root / title / file, converted, 48000)


def main() -> None:
    """Run the pages that the command line names, and write their output."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", type=Path, default=[DOCS / "tutorial.md"])
    parser.add_argument("--time", action="store_true", help="write times.txt, too: run it on an idle machine")
    arguments = parser.parse_args()
    for page in arguments.pages:
        load = os.getloadavg()[0]
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name).resolve() / "unmix"
            make_folder(page, folder)
            ran = [each for step in steps(page) if (each := _take(step, folder))]
        generated = GENERATED / page.stem
        if any("literalinclude" in line for line in page.read_text(encoding="utf-8").splitlines()):
            shutil.rmtree(generated, ignore_errors=True)
            generated.mkdir(parents=True)
            for each in ran:
                text = f"$ {each.command.text}\n{each.printed}"
                (generated / f"{each.command.number:02d}.txt").write_text(text, encoding="utf-8")
        if arguments.time:
            generated.mkdir(parents=True, exist_ok=True)
            (generated / "times.txt").write_text(_table(ran, load), encoding="utf-8")


def _take(step: Command | File, folder: Path) -> Ran | None:
    """Take a step of a page in the reader's folder: run the command, or write the file."""
    if isinstance(step, File):
        path = folder / step.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(step.content, encoding="utf-8")
        return None
    print(f"$ {step.text}", flush=True)
    began, cpu_began = time.monotonic(), _cpu_seconds()
    printed = run(step, folder)
    ran = Ran(step, printed, time.monotonic() - began, _cpu_seconds() - cpu_began)
    print(f"{printed}({ran.seconds:.0f} s)", flush=True)
    return ran


def _cpu_seconds() -> float:
    """Seconds that processors worked for the commands so far, and for what these started."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _table(ran: Sequence[Ran], load: float) -> str:
    """Markdown table of the seconds of every command, under a line about the machine."""
    rows = [f"| `{each.command.text}` | {each.seconds:.0f} | {each.cpu_seconds:.0f} |" for each in ran]
    total = f"| all | {sum(each.seconds for each in ran):.0f} | {sum(each.cpu_seconds for each in ran):.0f} |"
    machine = f"{platform.machine()}, {os.cpu_count()} CPU cores, load average {load:.1f} at the beginning"
    head = [f"{time.strftime('%d %B %Y')}: {machine}.", "", "| command | seconds | CPU seconds |", "|---|---|---|"]
    return "\n".join([*head, *rows, total, ""])


if __name__ == "__main__":
    main()
