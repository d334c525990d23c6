"""What is kept of a result when its batch is gone."""

from dataclasses import dataclass

import numpy as np

from lctr_jax.evaluation.stream import Result


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
    box_xyxy: np.ndarray
    true_xyxy: np.ndarray
    iou: float | None
    error: str | None


def keep(result: Result) -> Kept:
    """What a picture needs of the result."""
    measurement, scores = result.measurement, result.measurement.scores
    return Kept(
        id=measurement.id,
        label=measurement.label,
        top5=measurement.top5.tolist(),
        probability=result.probability.tolist(),
        image=result.image.copy(),
        relation_map=result.relation_map.copy(),
        class_map=result.class_map.copy(),
        box_xyxy=measurement.box_xyxy.copy(),
        true_xyxy=result.sample.boxes_xyxy.copy(),
        iou=None if scores is None else scores.iou,
        error=None if scores is None else scores.error,
    )
