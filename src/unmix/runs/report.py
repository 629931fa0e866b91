"""python src/report.py: the table and the figures of a paper, from stored evaluations."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from unmix import finished, next_steps
from unmix.evaluation import published
from unmix.experiments import folder
from unmix.experiments.curves import epochs
from unmix.experiments.hold import check_writable
from unmix.reports import methods, paper, paper_formats, stored
from unmix.reports.methods import Method
from unmix.reports.paper import Table

WANDB = "wandb"


@dataclass(frozen=True)
class ReportJob:
    """A table that was computed, the methods behind it, and where it is written.

    Args:
        table: the table.
        methods: its methods.
        runs: folder of all runs.
        path: folder to write into.
        form: `latex`, `markdown` or `csv`.
        figures: `pdf`, `svg`, or None for no figures.
        can_be_heard: whether listen.py takes the same `ckpt`, which names no folder of an evaluation.
    """

    table: Table
    methods: Sequence[Method]
    runs: Path
    path: Path
    form: str
    figures: str | None
    can_be_heard: bool

    def run(self) -> None:
        """Write table, comparisons and figures; print the table and what decides about the best of each column."""
        ending, to_text = paper_formats.FORMATS[self.form]
        text = to_text(self.table)
        folder.write_atomically(self.path / f"table.{ending}", text)
        folder.write_atomically(self.path / "comparisons.csv", paper_formats.comparisons_to_csv(self.table))
        names = [f"table.{ending}", "comparisons.csv"]
        if self.figures is not None:
            names += self._draw(self.figures)
        print(text)  # noqa: T201
        for column, (_, pair) in paper.deciding(self.table).items():
            print(f"{column}: {pair.in_words()}")  # noqa: T201
        print(f"written to {self.path}: {', '.join(names)}")  # noqa: T201
        if self.can_be_heard:
            print(next_steps.script("listen", *next_steps.from_command_line("ckpt", "paths")))  # noqa: T201

    def _draw(self, kind: str) -> list[str]:
        from unmix.reports import paper_figures  # matplotlib takes a second

        drawn = paper_figures.draw(self.table, _curves(self.methods, self.runs), kind)
        for name, content in drawn.items():
            (self.path / f"{name}.{kind}").write_bytes(content)
        return [f"{name}.{kind}" for name in drawn]


@dataclass(frozen=True)
class WandbReportJob:
    """A table that was computed, to print or save as a W&B report."""

    table: Table
    cfg: DictConfig

    def run(self) -> None:
        """Print the specification, or save the report and print its address; raises as `print_or_save`."""
        from unmix.reports import wandb_report  # W&B takes a second
        from unmix.runs import wandb_views

        cfg = self.cfg
        report = wandb_report.build(self.table, entity=cfg.entity or "entity", project=cfg.project, title=cfg.title)
        wandb_views.print_or_save(report, wandb_report.specification(report), cfg)


def prepare(cfg: DictConfig) -> ReportJob | WandbReportJob:
    """Find the evaluations that `ckpt` names, and compare them.

    Raises:
        FileNotFoundError: when one does not exist.
        OSError: when the folder to write into cannot be written.
        ValueError: when they do not compare, a file is damaged, or nobody is logged in to W&B to save a report.
    """
    out = Path(cfg.paths.out)
    if cfg.format == WANDB:
        from unmix.runs import wandb_views

        wandb_views.check_can_save(cfg)
    elif cfg.save:
        raise ValueError(f"save: got true, but format={cfg.format} writes files: only format=wandb saves to W&B")
    compare = _listed(cfg.compare)
    for name in compare:
        published.medians_of(name, "compare")
    every = {entry: stored.select(entry, out) for entry in _listed(cfg.ckpt)}
    entries = methods.on_test_set(every, cfg.test_set)
    metric = cfg.metric or methods.first_metric(entries)
    rows = methods.group(entries, metric, finished.is_current)
    table = paper.build(rows, metric=metric, tracks=cfg.tracks, compare=compare, out=out)
    if cfg.format == WANDB:
        return WandbReportJob(table, cfg)
    code = hashlib.sha256(
        " ".join(sorted(str(each.path.resolve()) for row in rows for each in row.evaluations)).encode()
    )
    path = out / "reports" / f"{table.test_set}-{code.hexdigest()[:6]}" if cfg.out is None else Path(cfg.out)
    check_writable(path, "paths.out" if cfg.out is None else "out")
    can_be_heard = not any(Path(entry, "summary.json").is_file() for entry in every)
    return ReportJob(table, rows, out / "runs", path, cfg.format, cfg.figures, can_be_heard)


def _listed(value: Any) -> list[str]:
    """The different texts of a list, of a single text, or of None."""
    items: Any = OmegaConf.to_container(value) if OmegaConf.is_list(value) else [] if value is None else [value]
    return list(dict.fromkeys(map(str, items)))


def _curves(rows: Sequence[Method], runs: Path) -> Mapping[str, Mapping[str, Sequence[Any]]]:
    """Validation SDR by epoch: what is trained -> name of the method -> one curve per run."""
    curves: dict[str, dict[str, list[Any]]] = {}
    for row in rows:
        for run in dict.fromkeys(run for each in row.evaluations for run in each.runs):
            target = run.partition("/")[2].rpartition("-s")[0]
            curves.setdefault(target, {}).setdefault(row.name, []).append(list(_curve(runs / run)))
    return curves


def _curve(run: Path) -> Iterator[tuple[int, float]]:
    for epoch, _, sdr in epochs(run / "metrics.csv"):
        if sdr is not None:
            yield epoch + 1, sdr  # the first epoch is number 1, as on every page
