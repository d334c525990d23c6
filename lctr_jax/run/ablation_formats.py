"""An ablation's table as Markdown, LaTeX and CSV."""

import csv
import io
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from lctr_jax.localization.metrics import Metric
from lctr_jax.run.ablation_table import TRAINED, AblationTable, TableRow


class _Markup(NamedTuple):
    """How a format writes a method's name, the best of a column, a missing value, and other text."""

    code: Callable[[str], str]
    bold: Callable[[str], str]
    missing: str
    text: Callable[[str], str]


_LATEX_CHARACTERS = str.maketrans(
    {
        **{char: f"\\{char}" for char in "&%$#_{}"},
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "\\": r"\textbackslash{}",
        "±": r"$\pm$",
        "≥": r"$\geq$",
    }
)
_MARKDOWN = _Markup(lambda text: f"`{text}`", lambda text: f"**{text}**", "–", str)
_LATEX = _Markup(
    lambda text: rf"\texttt{{{_escape(text)}}}",
    lambda text: rf"\textbf{{{text}}}",
    "--",
    lambda text: _escape(text),
)


def markdown_table(table: AblationTable) -> str:
    """Format the table as Markdown, the best of each column bold, with its notes."""
    header, *body = [f"| {' | '.join(cells)} |" for cells in _cells(table, _MARKDOWN)]
    columns = 1 + table.several_backbones + len(table.metrics)
    return "\n".join([header, f"|{' --- |' * columns}", *body, "", " ".join(table.notes)])


def latex_table(table: AblationTable, *, command: str) -> str:
    """Format the table for LaTeX's booktabs, the best of each column bold, with its notes as the caption."""
    header, *body = [f"{' & '.join(cells)} \\\\" for cells in _cells(table, _LATEX)]
    trained = sum(row.training == TRAINED for row in table.rows)
    columns = "l" * (1 + table.several_backbones) + "r" * len(table.metrics)
    lines = [
        f"% {command}",
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        rf"\caption{{{_escape(' '.join(table.notes))}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        header,
        r"\midrule",
        *body[:trained],
        *([r"\midrule", *body[trained:]] if body[trained:] else []),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def csv_table(table: AblationTable) -> str:
    """Format the table as CSV, with columns `NAME` and `NAME_std` for each metric, in percent."""
    file, names = io.StringIO(), [metric.name for metric in table.metrics]
    writer = csv.writer(file, lineterminator="\n")
    columns = [column for name in names for column in (name, f"{name}_std")]
    writer.writerow(["backbone", "method", "training", "seeds", *columns])
    for row in table.rows:
        spreads = [row.values.get(name, {}) for name in names]
        values = [_rounded(spread.get(key)) for spread in spreads for key in ("mean", "std")]
        writer.writerow([row.backbone, row.name, row.training, table.seeds, *values])
    return file.getvalue()


def _cells(table: AblationTable, markup: _Markup) -> list[list[str]]:
    """Return the header and all rows as text."""
    titles = ["backbone"] * table.several_backbones + ["method"] + [each.title for each in table.metrics]
    rows = [[markup.text(title) for title in titles]]
    for row in table.rows:
        backbone = [markup.text(row.backbone) or markup.missing] * table.several_backbones
        values = [_value(table, row, metric, markup) for metric in table.metrics]
        rows.append([*backbone, _label(row, markup), *values])
    return rows


def _label(row: TableRow, markup: _Markup) -> str:
    if row.training == TRAINED:
        return markup.code(row.name)
    return f"{markup.code(row.name)}, {row.training}" if row.is_network else markup.text(row.name)


def _value(table: AblationTable, row: TableRow, metric: Metric, markup: _Markup) -> str:
    spread: Mapping[str, Any] | None = row.values.get(metric.name)
    if spread is None:
        return markup.missing
    mean = f"{spread['mean']:.1f}"
    shown = markup.bold(mean) if mean == table.best(metric) else mean
    varies = row.is_network and spread["std"] is not None
    return f"{shown} {markup.text('±')} {spread['std']:.1f}" if varies else shown


def _rounded(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _escape(text: str) -> str:
    return text.translate(_LATEX_CHARACTERS)
