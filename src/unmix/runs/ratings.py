"""python src/ratings.py: summarises the results of a listening test."""

import logging
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from unmix import next_steps
from unmix.evaluation import ratings
from unmix.experiments import folder
from unmix.experiments.hold import check_writable
from unmix.reports import rated, webmushra
from unmix.reports.rated import Results

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RatingsJob:
    """Results that were read, and the folder to write into."""

    results: Results
    out: Path

    def run(self) -> None:
        """Write both tables and print them."""
        folder.write_atomically(self.out / "ratings.csv", rated.means_csv(self.results))
        folder.write_atomically(self.out / "correlations.csv", rated.correlations_csv(self.results))
        rated.print_tables(self.results)
        log.info("tables: %s, %s", self.out / "ratings.csv", self.out / "correlations.csv")
        log.info("%s", next_steps.script("report", "ckpt=[...]"))  # of the methods, which the key knows by name only


def prepare(cfg: DictConfig) -> RatingsJob:
    """Read the ratings and their key.

    Raises:
        ValueError: when a file is corrupt, or both are not of the same test.
        OSError: when a file cannot be read, or the folder cannot be written.
    """
    files = {name: Path(cfg[name]).expanduser() for name in ("results", "key")}
    for name, path in files.items():
        if not path.is_file():
            raise FileNotFoundError(f"{name}: there is no file {path}")
    out = files["key"].parent if cfg.out is None else Path(cfg.out).expanduser()
    results = rated.results(ratings.read(files["results"]), webmushra.read_key(files["key"]))
    check_writable(out, "out")
    return RatingsJob(results, out)
