"""The picture of `benchmarks.cost_curves`."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot
from matplotlib.axes import Axes

_OURS, _NAIVE = "#1f5fa8", "#b8611b"
_STEP = "GFLOP per image of a training step"


def draw(report: dict[str, Any], path: Path) -> None:
    """Draw the curves over classes, tokens, experts and records, with logarithmic axes."""
    with pyplot.rc_context({"font.size": 9, "svg.fonttype": "none", "svg.hashsalt": "lctr_jax"}):
        figure, axes = pyplot.subplots(2, 2, figsize=(8.4, 6.2), layout="constrained")
        _draw_step(axes[0, 0], report["classes"], "classes", "number of classes")
        _draw_step(axes[0, 1], report["tokens"], "tokens", "number of tokens")
        _draw_step(axes[1, 0], report["experts"], "experts", "number of experts")
        _draw_records(axes[1, 1], report["records"])
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
        pyplot.close(figure)


def _draw_step(axis: Axes, rows: list[dict[str, float]], key: str, label: str) -> None:
    places = [row[key] for row in rows]
    for field, color, name in (("naive_gflop", _NAIVE, "line-by-line port"), ("gflop", _OURS, "lctr_jax")):
        axis.plot(places, [row[field] for row in rows], "o-", color=color, markersize=4, label=name)
    _finish(axis, label, _STEP, places)
    low, high = axis.get_ylim()
    axis.set_ylim(min(low, 10), max(high, 1000))


def _draw_records(axis: Axes, rows: list[dict[str, float]]) -> None:
    places = [row["records"] for row in rows]
    axis.plot(
        places,
        [row["microseconds"] for row in rows],
        "o-",
        color=_OURS,
        markersize=4,
        label="a read in random order, CPU µs",
    )
    sizes = [row["index_megabytes"] for row in rows]
    axis.plot(places, sizes, "s--", color=_OURS, markersize=4, label="index, MB")
    _finish(axis, "number of records", "CPU µs, MB", places)
    axis.set_ylim(1e-4, 1e3)


def _finish(axis: Axes, x_label: str, y_label: str, places: list[float]) -> None:
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xticks(places, [f"{place:,.0f}" for place in places], rotation=20)
    axis.minorticks_off()
    axis.set_xlabel(x_label)
    axis.set_ylabel(y_label)
    axis.grid(alpha=0.3)
    axis.legend(frameon=False)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
