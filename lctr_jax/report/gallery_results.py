"""What is kept of a result when its batch is gone."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from lctr_jax.evaluation.stream import Result
from lctr_jax.localization.measurement import Measurement, Sample, measure
from lctr_jax.localization.settings import Settings


@dataclass(frozen=True, kw_only=True, eq=False)
class Kept:
    """What a picture needs of a result, in arrays of its own: a result's are parts of whole batches."""

    id: str
    label: int
    top5: list[int]
    probability: list[float]
    image: np.ndarray
    relation_map: np.ndarray
    class_map: np.ndarray
    sample: Sample
    box_xyxy: np.ndarray
    true_xyxy: np.ndarray
    iou: float | None
    error: str | None


def keep(result: Result) -> Kept:
    """What a picture needs of the result."""
    sample = result.sample
    return Kept(
        id=sample.id,
        label=sample.label,
        top5=sample.top5.tolist(),
        probability=result.probability.tolist(),
        image=result.image.copy(),
        relation_map=result.relation_map.copy(),
        class_map=result.class_map.copy(),
        sample=dataclasses.replace(sample, top5=sample.top5.copy()),
        true_xyxy=sample.boxes_xyxy.copy(),
        **_judged(result.measurement),
    )


def rebox(kept: Kept, settings: Settings) -> Kept:
    """The same image boxed under other settings, at another threshold."""
    return dataclasses.replace(kept, **_judged(measure(kept.sample, settings)))


def _judged(measurement: Measurement) -> dict[str, Any]:
    scores = measurement.scores
    return {
        "box_xyxy": measurement.box_xyxy.copy(),
        "iou": None if scores is None else scores.iou,
        "error": None if scores is None else scores.error,
    }
