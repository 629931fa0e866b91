"""A comparison of methods as a W&B report: table and differences in words, beside charts and clips of their runs."""

from typing import Any

from wandb_workspaces import expr
from wandb_workspaces.reports.v2 import interface as wandb

from unmix.errors import counted
from unmix.reports import paper, paper_formats
from unmix.reports.paper import MEAN, Table


def build(table: Table, *, entity: str, project: str, title: str | None) -> wandb.Report:
    """Build the report; its charts are of the runs that logged the evaluations to the same project.

    Args:
        table: see `paper.build`.
        entity: W&B user or team.
        project: project of the report.
        title: title of the report; None names methods and test set.
    """
    num_methods = counted(sum(row.kind != "published" for row in table.rows), "method")
    blocks: list[Any] = [
        wandb.MarkdownBlock(paper_formats.to_markdown(table)),
        *_differences(table),
        wandb.H2(f"Which method has the best {table.metric.name} of each source?"),
        _grid(table, [_bars(table, column) for column in table.columns]),
        wandb.H2("How do the best and the worst track sound?"),
        _grid(table, [_clips(source, which) for source in table.sources for which in ("best", "worst")]),
    ]
    title = title or f"Comparison of {num_methods} on {table.test_set}"
    return wandb.Report(project=project, entity=entity, title=title, blocks=blocks, width="fluid")


def specification(report: wandb.Report) -> dict[str, Any]:
    """Title, description and blocks of the report in plain containers, as W&B stores them."""
    model = report._to_model()
    content = model.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {"displayName": model.display_name, "spec": content}


def _differences(table: Table) -> list[Any]:
    """Headings and sentences: what decides about the best of each column, and, collapsed, all pairs."""
    deciding: list[Any] = [f"{column}: {pair.in_words()}" for column, (_, pair) in paper.deciding(table).items()]
    if not deciding:
        return []
    pairs: list[Any] = [f"{column}: {pair.in_words()}" for column, own in table.comparisons.items() for pair in own]
    return [
        wandb.H2("Which differences are shown?"),
        wandb.UnorderedList(items=deciding),
        wandb.H2("All pairs, with intervals", collapsed_blocks=[wandb.UnorderedList(items=pairs)]),
    ]


def _grid(table: Table, panels: list[Any]) -> wandb.PanelGrid:
    """Panels of the runs of the evaluations, which are named like their folders; of the report's own project."""
    names = [name for row in table.rows for name in row.evaluations]
    runs = wandb.Runset(name="evaluations", filters=[expr.Metric("Name").isin(names)])
    return wandb.PanelGrid(runsets=[runs], panels=panels)


def _bars(table: Table, column: str) -> wandb.BarPlot:
    """One bar per method, the mean over its seeds."""
    key = f"test/{table.metric.key}" if column == MEAN else f"test/{column}/{table.metric.key}"
    note = " (low is better)" if table.metric.better == "low" else ""
    return wandb.BarPlot(title=f"{column}: {table.metric.label}{note}", metrics=[key], groupby="Group")


def _clips(source: str, which: str) -> wandb.MediaBrowser:
    stems = [f"test/{source}/{which}/{stem}" for stem in ("mixture", "reference", "estimate")]
    return wandb.MediaBrowser(title=f"{source}: {which} track", media_keys=stems)
