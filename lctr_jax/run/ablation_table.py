"""A table of methods, one per row, with mean and standard deviation over seeds."""

from collections.abc import Mapping
from typing import Any

TABLE_COLUMNS = {
    "top1_cls": "top-1 class",
    "gt_known_loc": "GT-known Loc",
    "top1_loc": "Top-1 Loc",
    "max_box_acc_v2": "MaxBoxAccV2",
    "baseline before_training": "GT-known Loc before training",
    "baseline untrained": "GT-known Loc at random weights",
}
"""Metrics shown in the table, if available; the last two are at their best threshold."""

_CONTENT_FREE = {"full_image": "full image", "centered_box": "best centered square"}
_FACTS = {"protocol": "protocol", "split": "split", "num_images": "images", "threshold_source": "threshold"}


def markdown_table(summaries: Mapping[str, dict[str, Any]]) -> str:
    """Format the summaries (`seed_summary.summarize_runs`) as a table, with a line on common settings."""
    first = next(iter(summaries.values()))
    shown = [key for key in TABLE_COLUMNS if all(key in summary["metrics"] for summary in summaries.values())]
    rows = [["method", *(TABLE_COLUMNS[key] for key in shown)], ["---"] * (1 + len(shown))]
    for method, summary in summaries.items():
        rows.append([f"`{method}`", *(_spread(summary["metrics"][key]) for key in shown)])
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*lines, "", _shared(first)])


def _spread(metric: dict[str, Any]) -> str:
    return f"{metric['mean']:.1f}" + ("" if metric["std"] is None else f" ± {metric['std']:.1f}")


def _shared(summary: dict[str, Any]) -> str:
    seeds = len(summary["runs"])
    over = "one seed" if seeds == 1 else f"mean ± standard deviation of {seeds} seeds"
    facts = ", ".join(f"{name} {summary[key]}" for key, name in _FACTS.items() if key in summary)
    baselines = [
        f"{name} {summary['metrics'][f'baseline {key}']['mean']:.1f}"
        for key, name in _CONTENT_FREE.items()
        if f"baseline {key}" in summary["metrics"]
    ]
    content_free = f" GT-known Loc of content-free baselines: {', '.join(baselines)}." if baselines else ""
    return f"Percent, {over}; {facts}.{content_free}"
