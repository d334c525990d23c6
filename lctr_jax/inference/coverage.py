"""Counts of predictions that localize nothing: boxes of the whole image, and flat maps."""

import numpy as np

from lctr_jax.inference.result import Prediction

WHOLE = 0.95
"""Share of the image above which a box counts as covering the whole image."""


class Coverage:
    """Counts over the images of a prediction run."""

    def __init__(self) -> None:
        self._images = self._whole = self._missing = 0

    def add(self, prediction: Prediction) -> None:
        """Count an image by its first box."""
        height, width = prediction.image.shape[:2]
        left, top, right, bottom = np.asarray(prediction.boxed[0].box_xyxy).tolist()
        self._images += 1
        self._missing += not prediction.boxed[0].found
        self._whole += prediction.boxed[0].found and (right - left) * (bottom - top) > WHOLE * width * height

    def describe(self, threshold: str) -> str | None:
        """Describe how many boxes localize nothing, and the threshold; None if there are none."""
        parts = []
        if self._whole:
            parts.append(
                f"{self._whole} of {self._images} boxes cover more than {100 * WHOLE:.0f} % of the image"
            )
        if self._missing:
            parts.append(f"{self._missing} of {self._images} images have nothing above the threshold")
        if not parts:
            return None
        return f"{'; '.join(parts)}. {threshold[0].upper()}{threshold[1:]}; --threshold T sets another"
