"""An ablation's table: methods, baselines and metrics, with mean and standard deviation over seeds."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lctr_jax.localization.metrics import METRICS, Metric
from lctr_jax.run.ablation_rows import Row

TRAINED = "trained"
_NETWORKS = {"before_training": "before training", "untrained": "random weights"}
_CONTENT_FREE = {
    "centered_box": "best centered square",
    "centered_gaussian": "best centered Gaussian",
    "full_image": "full image",
}
_FACTS = {"protocol": "protocol", "split": "split", "num_images": "images", "threshold_source": "threshold"}


class TableRow(NamedTuple):
    """A row of the table.

    Attributes:
        backbone: value of `model.name`; empty for baselines without a network.
        name: method, or baseline without a network.
        training: `TRAINED`, or why there is none: "before training", "random weights" or "none".
        values: `mean`, `std` and `values` of each metric, in percent, by name.
    """

    backbone: str
    name: str
    training: str
    values: Mapping[str, Mapping[str, Any]]

    @property
    def is_network(self) -> bool:
        """Whether `name` is a method's."""
        return self.training != "none"


class AblationTable(NamedTuple):
    """The table's content.

    Attributes:
        metrics: columns: all metrics that a trained method has.
        rows: trained methods first, then the same networks without training, then baselines without one.
        notes: sentences on how to read it.
        several_backbones: whether rows have to state theirs.
        seeds: number of seeds.
    """

    metrics: Sequence[Metric]
    rows: Sequence[TableRow]
    notes: Sequence[str]
    several_backbones: bool
    seeds: int

    def best(self, metric: Metric) -> str | None:
        """Return the column's highest mean as shown; None if there is nothing to compare."""
        means = [row.values[metric.name]["mean"] for row in self.rows if metric.name in row.values]
        return f"{max(means):.1f}" if len(means) > 1 else None


def tabulate(summaries: Sequence[tuple[Row, Mapping[str, Any]]]) -> AblationTable:
    """Build the table from the summary (`seed_summary.summarize_runs`) of every row."""
    first = summaries[0][1]
    metrics = [metric for metric in METRICS if any(metric.name in each["metrics"] for _, each in summaries)]
    rows = [TableRow(row.backbone, row.method, TRAINED, each["metrics"]) for row, each in summaries]
    for name, training in _NETWORKS.items():
        rows += [
            TableRow(row.backbone, row.method, training, each["baselines"][name])
            for row, each in summaries
            if name in each["baselines"]
        ]
    rows += [
        TableRow("", title, "none", first["baselines"][name])
        for name, title in _CONTENT_FREE.items()
        if name in first["baselines"]
    ]
    seeds = len(first["runs"])
    return AblationTable(
        metrics=metrics,
        rows=rows,
        notes=_notes(first, metrics, seeds),
        several_backbones=len({row.backbone for row, _ in summaries}) > 1,
        seeds=seeds,
    )


def _notes(summary: Mapping[str, Any], metrics: Sequence[Metric], seeds: int) -> list[str]:
    over = "one seed" if seeds == 1 else f"mean ± standard deviation of {seeds} seeds"
    facts = ", ".join(f"{name} {summary[key]}" for key, name in _FACTS.items() if key in summary)
    notes = [f"Percent, {over}; {facts}."]
    if oracles := [metric.title for metric in metrics if metric.threshold == "oracle"]:
        notes.append(f"At the best threshold for the evaluated images (oracle): {'; '.join(oracles)}.")
    if summary["baselines"]:
        notes.append(
            "Rows without training use the best threshold or size for the evaluated images in every column."
        )
    return notes
