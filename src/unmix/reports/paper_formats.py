"""The table of a paper as LaTeX, Markdown or CSV, and its caption."""

import csv
import math
import unicodedata
from collections.abc import Callable, Sequence
from io import StringIO

from unmix.errors import counted
from unmix.evaluation import metrics
from unmix.evaluation.bootstrap import LEVEL
from unmix.evaluation.metrics import Definition
from unmix.evaluation.statistics import ALPHA
from unmix.reports.comparable import named
from unmix.reports.paper import MEAN, Cell, Row, Table
from unmix.reports.tables import shown

LONGEST_NAME = 48  # characters of a name in a table; CSV has all of them
# Characters that TeX reads as commands, or that its default fonts show as others.
LATEX = {
    "\\": r"\textbackslash{}",
    **{character: f"\\{character}" for character in "{}$&#%_"},
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "`": r"\textasciigrave{}",
    "--": "-{}",  # the first of two hyphens or commas, which fonts would join to another character
    ",,": ",{}",
    "[": "{[}",  # these two, at the beginning of a row, would belong to the end of the row above
    "*": "{*}",
}
MARKDOWN = {character: f"\\{character}" for character in "\\`*_[]<>|~$#"}

# Heading, name in CSV, value of a row, text of the value.
Fact = tuple[str, str, Callable[[Row], object], Callable[[Row], str]]


def _facts(table: Table) -> list[Fact]:
    """Columns of facts that at least one row has."""
    columns: list[Fact] = [
        ("parameters", "parameters", lambda row: row.parameters, lambda row: _count(row.parameters)),
        ("s per s", "seconds_per_second", lambda row: row.pace, lambda row: f"{row.pace:.2g}"),
        ("training", "training_seconds", lambda row: row.training, lambda row: _duration(row.training)),
        ("trained on", "hardware", lambda row: row.hardware, lambda row: str(row.hardware)),
    ]
    return [column for column in columns if any(column[2](row) is not None for row in table.rows)]


def _count(number: int | None) -> str:
    """Format a number of parameters: `8.9 M`."""
    for unit, factor in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number is not None and number >= factor:
            return f"{number / factor:.3g} {unit}"
    return str(number)


def _duration(seconds: float | None) -> str:
    """Format a duration: `5.2 h`, `12 min`, `40 s`."""
    assert seconds is not None
    if seconds >= 3600:
        return f"{seconds / 3600:.3g} h"
    return f"{seconds / 60:.3g} min" if seconds >= 60 else f"{seconds:.0f} s"


def caption(table: Table) -> list[str]:
    """Sentences that say what the table shows: definition, scenario, seeds, bold, and what is left out."""
    sentences = [
        f"{table.test_set}, {counted(len(table.tracks), 'track')}",
        "; ".join(metrics.describe([table.metric], table.sources)),
    ]
    if table.metric.better == "low":
        sentences.append("Lower is better")
    if any(row.seeds for row in table.rows):
        seeds = "; ".join(f"{row.name}: {', '.join(row.seeds)}" for row in table.rows if row.seeds)
        sentences.append(f"Mean and standard deviation over seeds ({seeds})")
    pairs = next(iter(table.comparisons.values()))
    if pairs and len(table.tracks) > 1:
        sentences.append(
            f"Bold: best, and better than the second best with p < {ALPHA:.2g} (Wilcoxon's signed-rank test over "
            f"tracks, Holm's correction for {counted(len(pairs), 'pair')}) and a {100 * LEVEL:.0f} % bootstrap "
            f"interval of the {table.metric.over_tracks} difference without zero"
        )
    if pairs and not any(cell.is_best for row in table.rows for cell in row.cells.values()):
        too_few = "" if any(pair.can_be_shown for pair in pairs) else ": too few tracks"
        sentences.append(f"No difference between the best and the second best is shown{too_few}")
    if MEAN in table.columns:
        sentences.append(f"{MEAN}: over sources")
    if any(row.kind == "oracle" for row in table.rows) and any(row.kind == "method" for row in table.rows):
        sentences.append("Oracles know the true sources and are not compared")
    if any(row.kind == "published" for row in table.rows):
        sentences.append("Published scores are not compared, as they are known as medians only")
    if table.left_out:
        sentences.append(f"Left out, as not all methods have them: {named(table.left_out)}")
    sentences += _without_score(table)
    return [f"{sentence}." for sentence in sentences]


def _without_score(table: Table) -> list[str]:
    """Say how many tracks have no score, by source: windows in which a source is silent have none."""
    counts = {
        source: len(
            {track for runs in table.scores.values() for track, value in runs[source].items() if value != value}
        )
        for source in table.sources
    }
    missing = [f"{source} {count}" for source, count in counts.items() if count]
    return [f"Tracks without a score (silence in all windows), left out: {', '.join(missing)}"] if missing else []


def to_markdown(table: Table) -> str:
    """Format as a table in Markdown, with the caption below."""
    facts, names = _facts(table), short_names(table)
    lines = [
        ["method", *table.columns, *(heading for heading, *_ in facts)],
        ["---", *["---:"] * (len(table.columns) + len(facts))],
    ]
    for row in table.rows:
        cells = [_text(row.cells[column], table.metric, "**{}**", " ± ") for column in table.columns]
        lines.append([_escaped(names[row.name], MARKDOWN), *cells, *_fact_cells(row, facts, MARKDOWN)])
    text = "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
    return f"{text}\n{_escaped(' '.join(caption(table)), MARKDOWN)}\n"


def to_latex(table: Table) -> str:
    """Format as a table in LaTeX, for the package booktabs."""
    facts, names = _facts(table), short_names(table)
    heads = ["method", *table.columns, *(heading for heading, *_ in facts)]
    lines = [
        r"% needs \usepackage{booktabs}, and LuaLaTeX or XeLaTeX for names that are not in Latin script",
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{_escaped(' '.join(caption(table)), LATEX)}}}",
        rf"  \begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}",
        r"    \toprule",
        f"    {' & '.join(_escaped(head, LATEX) for head in heads)} \\\\",
        r"    \midrule",
    ]
    for i, row in enumerate(table.rows):
        if i and row.kind != table.rows[i - 1].kind:
            lines.append(r"    \midrule")
        cells = [_text(row.cells[key], table.metric, r"\textbf{{{}}}", r" $\pm$ ", LATEX) for key in table.columns]
        texts = [_escaped(names[row.name], LATEX), *cells, *_fact_cells(row, facts, LATEX)]
        lines.append(f"    {' & '.join(texts)} \\\\")
    return "\n".join([*lines, r"    \bottomrule", r"  \end{tabular}", r"\end{table}", ""])


def to_csv(table: Table) -> str:
    """Format as CSV with all digits, full names, and columns that say what the scores are."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    facts = _facts(table)
    scores = [f"{column}{suffix}" for column in table.columns for suffix in ("", "_std", "_best")]
    heads = ["method", "kind", "seeds", *scores, *(name for _, name, *_ in facts)]
    scenario, definition = metrics.scenario(table.sources), str(table.metric)
    writer.writerow([*heads, "metric", "test_set", "num_tracks", "scenario", "definition", "evaluations"])
    for row in table.rows:
        values: list[object] = [row.name, row.kind, " ".join(row.seeds)]
        for cell in (row.cells[column] for column in table.columns):
            values += [_number(cell.value), _number(cell.deviation), str(cell.is_best).lower()]
        values += ["" if (known := value(row)) is None else known for _, _, value, _ in facts]
        num_tracks = "" if row.kind == "published" else len(table.tracks)
        meaning = [table.metric.name, table.test_set, num_tracks, scenario, definition]
        writer.writerow([*values, *meaning, "; ".join(row.evaluations)])
    return text.getvalue()


def comparisons_to_csv(table: Table) -> str:
    """Format the comparisons of all pairs of methods in all columns as CSV."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    heads = ("source", "first", "second", "difference", "low", "high", "p_value", "p_uncorrected", "tracks")
    writer.writerow([*heads, "is_shown", "left_out", "in_words", "metric", "better", "over_tracks"])
    definition = [table.metric.name, table.metric.better, table.metric.over_tracks]
    for column, pairs in table.comparisons.items():
        for pair in pairs:
            values = [pair.difference, *(pair.interval or (None, None)), pair.p_value, pair.uncorrected]
            numbers = [*(_number(value, ".6g") for value in values), pair.tracks]
            shown_or_not = [str(pair.is_shown).lower(), "; ".join(pair.left_out), pair.in_words()]
            writer.writerow([column, pair.first, pair.second, *numbers, *shown_or_not, *definition])
    return text.getvalue()


def _number(value: float | None, digits: str = ".5f") -> str:
    return "" if value is None or math.isnan(value) else format(value, digits)


def _text(cell: Cell, metric: Definition, bold: str, plus_minus: str, escapes: dict[str, str] = MARKDOWN) -> str:
    """Text of a score, in bold if it is the best, `-` for none."""
    if math.isnan(cell.value):
        return "-"
    value = _escaped(shown(cell.value, metric), escapes)
    deviation = "" if cell.deviation is None else f"{plus_minus}{cell.deviation:.{metric.decimals(cell.value)}f}"
    return f"{bold.format(value) if cell.is_best else value}{deviation}"


def _fact_cells(row: Row, facts: Sequence[Fact], escapes: dict[str, str]) -> list[str]:
    return ["-" if value(row) is None else _escaped(text(row), escapes) for _, _, value, text in facts]


def _escaped(text: str, escapes: dict[str, str]) -> str:
    """Escape markup, on one line, without characters that cannot be printed; accents become part of their letter."""
    composed = unicodedata.normalize("NFC", " ".join(text.split()))  # file names of macOS are not
    characters = [character for character in composed if character.isprintable()]
    pairs = zip(characters, [*characters[1:], ""], strict=True)
    return "".join(escapes.get(each + following) or escapes.get(each, each) for each, following in pairs)


def short_names(table: Table) -> dict[str, str]:
    """Shorten long names of methods in the middle, unless two would become the same."""
    half = (LONGEST_NAME - 3) // 2
    names = [row.name for row in table.rows]
    result = {name: name if len(name) <= LONGEST_NAME else f"{name[:half]}...{name[-half:]}" for name in names}
    return result if len(set(result.values())) == len(set(names)) else {name: name for name in names}


FORMATS: dict[str, tuple[str, Callable[[Table], str]]] = {
    "latex": ("tex", to_latex),
    "markdown": ("md", to_markdown),
    "csv": ("csv", to_csv),
}
