"""Which Slurm job runs a run: a small file beside the run's folder, which the next command and the leaderboard read.

The submitting command writes it once, before it submits; from then on only the job itself does.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from unmix.experiments import folder

SUFFIX = ".slurm.json"


@dataclass(frozen=True)
class Record:
    """Submission of a run.

    Args:
        array: name of the Slurm job array; no other has it.
        index: index of the run's job in the array.
        log: file that receives stdout and stderr of the command.
        job: id of the Slurm job, such as `12_3`, once it has started.
        attempt: number of times that Slurm has requeued the job; -1 before it has started.
        host: name of the machine that the command runs or ran on.
        pid: id of its process there.
        exit_code: exit code of the command; None until it has ended for good.
    """

    array: str
    index: int
    log: str
    job: str = ""
    attempt: int = -1
    host: str = ""
    pid: int = 0
    exit_code: int | None = None

    @property
    def key(self) -> tuple[str, int]:
        """What identifies the job in Slurm's queue: see `queue.read`."""
        return self.array, self.index


def path_of(run: Path) -> Path:
    """Path of the record; beside the folder of the run, because `fresh` moves that."""
    return run.with_name(run.name + SUFFIX)


def read(run: Path) -> Record | None:
    """Read the record of a run; None when it was never submitted.

    Raises:
        ValueError: when the file is damaged.
    """
    path = path_of(run)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Record(**{field.name: content[field.name] for field in fields(Record)})
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: damaged ({type(error).__name__}); remove it to submit the run again") from error


def write(run: Path, record: Record) -> None:
    """Write the record of a run."""
    folder.write_json(path_of(run), asdict(record))


def runs(out: Path) -> Iterator[Path]:
    """Yield the folders of all runs below `out` that were submitted; a folder may not exist yet."""
    for path in sorted(out.glob(f"runs/*/*{SUFFIX}")):
        yield path.with_name(path.name.removesuffix(SUFFIX))
