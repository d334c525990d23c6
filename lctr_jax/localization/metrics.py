"""The table of metrics: name, meaning, kind of threshold and computation of each.

Everything that shows metrics reads this table: `summarize` (metrics.json with intervals), the report, the
terminal summary and `python -m lctr_jax.summarize`. A new metric is one entry and its function
(`metric_values`), and a field of `Counts` if it counts something new about an image.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from lctr_jax.localization import metric_values
from lctr_jax.localization.bootstrap import percentile_interval
from lctr_jax.localization.counts import Counts
from lctr_jax.localization.settings import Settings
from lctr_jax.localization.sums import Sums

ThresholdKind = Literal["none", "reported", "held-out", "oracle", "all"]
"""No threshold; the reported one; wsoleval's thresholds, chosen on a held-out split; the best on the
evaluated images; or all thresholds at once.
"""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric in percent.

    Attributes:
        name: key in `metrics.json`.
        title: name shown to readers.
        meaning: one sentence on what it measures.
        threshold: the threshold at which it is computed.
        needs: what an image must have to be counted.
        from_counts: computes it from counts, including those of many replicates at once, which gives its
            interval; returns None if the thresholds it needs were not chosen.
        from_sums: computes it from sums, without an interval; returns None if nothing was counted.
        on_terminal: whether the terminal summary shows it.
        compared: whether it is shown next to content-free and untrained baselines.
    """

    name: str
    title: str
    meaning: str
    threshold: ThresholdKind
    needs: Literal["images", "boxes", "masks"]
    from_counts: Callable[[Counts, Settings], Float[np.ndarray, "*batch"] | None] | None = None
    from_sums: Callable[[Sums, Settings], float | None] | None = None
    on_terminal: bool = False
    compared: bool = False

    def value(self, sums: Sums, settings: Settings) -> float | None:
        """Return the value in percent, or None if it is not available."""
        if self.needs == "boxes" and not sums.counts.boxed:
            return None
        value = self._compute(sums.counts, sums, settings)
        return None if value is None else float(value)

    def interval(self, sums: Sums, settings: Settings) -> tuple[float, float] | None:
        """Return the 95% bootstrap interval, or None; oracles choose their threshold in every replicate."""
        if self.from_counts is None or self.value(sums, settings) is None:
            return None
        replicates = self.from_counts(sums.replicates, settings)
        return None if replicates is None else percentile_interval(replicates)

    def _compute(self, counts: Counts, sums: Sums, settings: Settings) -> Any:
        if self.from_counts is not None:
            return self.from_counts(counts, settings)
        return None if self.from_sums is None else self.from_sums(sums, settings)


METRICS = (
    Metric(
        name="top1_cls",
        title="Top-1 classification",
        meaning="The class with the highest score is the right one.",
        threshold="none",
        needs="images",
        from_counts=lambda counts, settings: metric_values.percent(counts.top1, counts.images),
        on_terminal=True,
    ),
    Metric(
        name="top5_cls",
        title="Top-5 classification",
        meaning="The right class is among the five with the highest scores.",
        threshold="none",
        needs="images",
        from_counts=lambda counts, settings: metric_values.percent(counts.top5, counts.images),
        on_terminal=True,
    ),
    Metric(
        name="gt_known_loc",
        title="GT-known Loc",
        meaning="The box has IoU ≥ 0.5 with a true box, regardless of the class.",
        threshold="reported",
        needs="boxes",
        from_counts=metric_values.at_threshold(lambda counts: counts.located),
        on_terminal=True,
        compared=True,
    ),
    Metric(
        name="top1_loc",
        title="Top-1 Loc",
        meaning="The same, and the class is right.",
        threshold="reported",
        needs="boxes",
        from_counts=metric_values.at_threshold(lambda counts: counts.top1_located),
        on_terminal=True,
    ),
    Metric(
        name="top5_loc",
        title="Top-5 Loc",
        meaning="The same, and the right class is among the first five.",
        threshold="reported",
        needs="boxes",
        from_counts=metric_values.at_threshold(lambda counts: counts.top5_located),
        on_terminal=True,
    ),
    Metric(
        name="label_gt_known_loc",
        title="GT-known Loc, true class",
        meaning="GT-known Loc of the box from the true class's map, as if the class were given.",
        threshold="reported",
        needs="boxes",
        from_counts=metric_values.at_threshold(lambda counts: counts.label_located),
    ),
    Metric(
        name="mean_iou",
        title="Mean IoU",
        meaning="Mean intersection over union of the predicted box and the best-matching true box.",
        threshold="reported",
        needs="boxes",
        from_sums=metric_values.mean_iou,
    ),
    Metric(
        name="box_acc",
        title="BoxAcc",
        meaning="MaxBoxAcc at a threshold chosen on other images.",
        threshold="held-out",
        needs="boxes",
        from_counts=metric_values.box_acc,
    ),
    Metric(
        name="box_acc_v2",
        title="BoxAccV2",
        meaning="MaxBoxAccV2 at thresholds chosen on other images.",
        threshold="held-out",
        needs="boxes",
        from_counts=metric_values.box_acc_v2,
    ),
    Metric(
        name="oracle_gt_known_loc",
        title="GT-known Loc, oracle",
        meaning="GT-known Loc at the threshold that is best on the evaluated images.",
        threshold="oracle",
        needs="boxes",
        from_counts=metric_values.oracle_gt_known_loc,
    ),
    Metric(
        name="max_box_acc",
        title="MaxBoxAcc",
        meaning="wsoleval: the box of the true class's largest region has IoU ≥ 0.5 with a true box.",
        threshold="oracle",
        needs="boxes",
        from_counts=metric_values.max_box_acc,
        on_terminal=True,
    ),
    Metric(
        name="max_box_acc_v2",
        title="MaxBoxAccV2",
        meaning="wsoleval: the best box of all regions of that map; mean over IoU ≥ 0.3, 0.5 and 0.7.",
        threshold="oracle",
        needs="boxes",
        from_counts=metric_values.max_box_acc_v2,
        on_terminal=True,
    ),
    Metric(
        name="pxap",
        title="PxAP",
        meaning="Average precision over pixels of the true class's map, compared with the masks.",
        threshold="all",
        needs="masks",
        from_sums=metric_values.pxap,
        on_terminal=True,
        compared=True,
    ),
    Metric(
        name="pixel_iou",
        title="Pixel IoU",
        meaning="IoU of foreground and object over the pixels of all images, from the true class's map.",
        threshold="reported",
        needs="masks",
        from_sums=metric_values.pixel_iou,
        on_terminal=True,
    ),
    Metric(
        name="peak_pixel_iou",
        title="Peak pixel IoU",
        meaning="Pixel IoU at the threshold that is best on the evaluated images.",
        threshold="oracle",
        needs="masks",
        from_sums=metric_values.peak_pixel_iou,
        on_terminal=True,
    ),
)
"""Every metric, in reading order."""
