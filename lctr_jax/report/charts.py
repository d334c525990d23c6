"""Charts as inline SVG in the page's colors and fonts, which follow its light or dark theme."""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Placeholder colors for Matplotlib; in the finished SVG each is replaced by the CSS variable of that name.
_PAPER, _INK, _MUTED, _RULE, _ACCENT, _CORRECT, _PART, _OTHER, _MORE, _SEVERAL = (
    f"#0{i:x}0{i:x}0{i:x}" for i in range(1, 11)
)
_VARIABLES = {
    _PAPER: "paper",
    _INK: "ink",
    _MUTED: "muted",
    _RULE: "rule",
    _ACCENT: "accent",
    _CORRECT: "correct",
    _PART: "part",
    _OTHER: "other",
    _MORE: "more",
    _SEVERAL: "multi_instance",
}
_STYLE = {
    "svg.fonttype": "none",  # text remains text: it uses the page's font and can be searched and read aloud
    "figure.figsize": (4.6, 3.1),  # inches of 72 units: legible on a phone
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "axes.edgecolor": _MUTED,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _RULE,
    "grid.linewidth": 0.7,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "text.color": _INK,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "legend.fontsize": 8.5,
}
_RUN_COLORS = (_ACCENT, _PART, _CORRECT, _MORE, _SEVERAL, _OTHER)
_RUN_LINES = ("solid", "dashed", "dotted")
_LINES = {
    "gt_known_loc": {"label": "GT-known Loc", "color": _ACCENT, "linewidth": 2.4},
    "top1_loc": {"label": "Top-1 Loc", "color": _CORRECT, "linewidth": 1.8},
    "max_box_acc_30": {"label": "BoxAcc, IoU 0.3", "color": _MUTED, "linewidth": 1.2, "linestyle": ":"},
    "max_box_acc_50": {"label": "BoxAcc, IoU 0.5", "color": _MUTED, "linewidth": 1.2},
    "max_box_acc_70": {"label": "BoxAcc, IoU 0.7", "color": _MUTED, "linewidth": 1.2, "linestyle": "--"},
}


def threshold_chart(points: Sequence[Mapping[str, str]], metrics: Mapping[str, Any]) -> Markup:
    """Plot the accuracy at every threshold, with the chosen threshold and the best baseline.

    Args:
        points: rows of `eval/curves.csv`: `threshold`, and accuracies in percent by name.
        metrics: content of `metrics.json`.
    """

    def draw(axes: "Axes") -> None:
        thresholds = [float(point["threshold"]) for point in points]
        for name, style in _LINES.items():
            axes.plot(thresholds, [float(point[name]) for point in points], **style)
        best = max(row["gt_known_loc"] for row in metrics["baselines"].values())
        axes.axhline(best, label="best baseline", color=_PART, linewidth=1.4, linestyle=(0, (6, 3)))
        axes.axvline(metrics["threshold"], color=_ACCENT, linewidth=0.8, linestyle=":")
        chosen = metrics["threshold"], metrics["gt_known_loc"]
        axes.plot(*chosen, "o", color=_ACCENT, markersize=7)
        label = {"facecolor": _PAPER, "edgecolor": "none", "pad": 1.5}
        axes.annotate(
            f"{chosen[1]:.1f}", chosen, (9, 5), textcoords="offset points", weight="bold", bbox=label
        )
        axes.set(xlim=(0, 1), ylim=(0, 100), xlabel="threshold (share of the map's maximum)")
        axes.set_ylabel("% of images")
        axes.legend(loc="lower center", bbox_to_anchor=(0.46, 1.0), ncols=3, columnspacing=1.2)

    return _draw("threshold", draw)


@dataclass(frozen=True, kw_only=True)
class RunCurve:
    """A run's GT-known Loc in percent at every threshold, and at its reported threshold."""

    thresholds: Sequence[float]
    accuracies: Sequence[float]
    chosen: tuple[float, float]


def run_line(index: int) -> tuple[str, str]:
    """Return the color of a run's line, as a CSS variable, and its `border-style`, for the page's legend."""
    return _VARIABLES[_run_color(index)], _RUN_LINES[_run_round(index)]


def runs_chart(curves: Mapping[int, RunCurve]) -> Markup:
    """Plot the GT-known Loc of several runs, by index, at every threshold; dots mark the reported ones."""

    def draw(axes: "Axes") -> None:
        for index, curve in curves.items():
            color, line = _run_color(index), _RUN_LINES[_run_round(index)]
            axes.plot(curve.thresholds, curve.accuracies, color=color, linestyle=line, linewidth=2)
            axes.plot(*curve.chosen, "o", color=color, markersize=6)
        axes.set(xlim=(0, 1), ylim=(0, 100), xlabel="threshold (share of the map's maximum)")
        axes.set_ylabel("GT-known Loc, % of images")

    return _draw("runs", draw)


def _run_color(index: int) -> str:
    return _RUN_COLORS[index % len(_RUN_COLORS)]


def _run_round(index: int) -> int:
    """Return how often all colors have been used before this run."""
    return index // len(_RUN_COLORS) % len(_RUN_LINES)


def iou_chart(metrics: Mapping[str, Any]) -> Markup:
    """Plot the histogram of IoU, with localized images highlighted."""
    edges, counts = metrics["iou_histogram_edges"], metrics["iou_histogram"]
    half = len(counts) // 2

    def draw(axes: "Axes") -> None:
        colors = [_OTHER] * half + [_CORRECT] * (len(counts) - half)
        axes.bar(edges[:-1], counts, width=edges[1], align="edge", color=colors)
        axes.axvline(0.5, color=_INK, linewidth=1)
        above = axes.get_xaxis_transform()
        axes.text(0.48, 1.03, f"{sum(counts[:half])} missed", ha="right", transform=above)
        axes.text(0.52, 1.03, f"{sum(counts[half:])} localized", ha="left", transform=above)
        axes.set(xlim=(0, 1), xlabel="IoU of predicted and true box", ylabel="images")

    return _draw("iou", draw)


def _draw(name: str, draw: Callable[["Axes"], None]) -> Markup:
    # Imported here, because it is slow and programs without charts do not need it.
    import matplotlib
    from matplotlib.figure import Figure

    style: Any = {**_STYLE, "svg.hashsalt": name}
    with matplotlib.rc_context(style):
        figure = Figure()
        draw(figure.subplots())
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return _inline(file.getvalue(), name)


def _inline(svg: str, name: str) -> Markup:
    """Convert a drawing to inline SVG: without prologue and fixed size, with unique ids and CSS colors."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' (?:width|height)="[\d.]+pt"', "", svg, count=2)
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", svg)
    for color, variable in _VARIABLES.items():
        svg = svg.replace(color, f"var(--{variable})")
    return Markup(svg.replace("<svg ", '<svg aria-hidden="true" ', 1))
