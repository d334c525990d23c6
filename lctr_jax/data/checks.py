"""Checks of every image, box and mask before it is written to a data set."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from PIL import Image

from lctr_jax.data import image_decoding, records
from lctr_jax.data.eight_bits import is_deep
from lctr_jax.data.orientation import read_orientation, upright_size

ROTATED, DEEP = "rotated", "deep"


@dataclasses.dataclass(frozen=True)
class Inspection:
    """The result of checking an item: its `problem` in one line or None; `kinds` of `ROTATED`, `DEEP`."""

    problem: str | None
    kinds: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Checks:
    """The checks of every item.

    Attributes:
        decode: decode every image and mask completely; otherwise only read their headers.
        box_slack: how many pixels a box may extend beyond its image; None accepts any box that touches the
            image, for published lists, some of whose boxes extend beyond it.
        any_mask: accept masks of any size and without an object, for published masks that `masks` has joined.
    """

    decode: bool = True
    box_slack: float | None = 1.0
    any_mask: bool = False

    def inspect(self, item: records.Item, image: bytes, mask: bytes) -> Inspection:
        """Check an item, and find out which conversions its pixels need."""
        try:
            opened = image_decoding.open_image(image)
            size = upright_size(opened) if item.upright else opened.size
            kinds = [ROTATED] * (read_orientation(opened) != 1) + [DEEP] * is_deep(opened)
            if self.decode:
                size = image_decoding.load_rgb(opened, upright=item.upright).size
        except image_decoding.CorruptImageError as error:
            return Inspection(f"{item.id}: {error}")
        other = "stored" if item.upright else "upright"
        sideways = upright_size(opened) != opened.size
        hint = f"; it fits the image {other}: try data.exif={other}" if sideways else ""
        for box in item.boxes_xyxy.tolist():
            if not self._box_fits(box, size):
                problem = f"{item.id}: box {box} is outside the image of {size[0]}x{size[1]} pixels"
                return Inspection(problem + (hint if self._box_fits(box, (size[1], size[0])) else ""))
        if item.mask and not self.any_mask and (problem := self._mask_problem(item, mask, size, hint=hint)):
            return Inspection(problem)
        return Inspection(None, tuple(kinds))

    def _mask_problem(
        self, item: records.Item, mask: bytes, size: tuple[int, int], *, hint: str
    ) -> str | None:
        try:
            opened = image_decoding.open_image(mask)
            mask_size = opened.size
            marks_no_object = self.decode and _marks_no_object(image_decoding.decode_mask(mask))
        except image_decoding.CorruptImageError as error:
            return f"{item.id}: mask: {error}"
        if mask_size != size:
            (width, height), (mask_width, mask_height) = size, mask_size
            problem = f"{item.id}: the mask has {mask_width}x{mask_height} pixels, the image {width}x{height}"
            return problem + (hint if mask_size == size[::-1] else "")
        if marks_no_object:
            return f"{item.id}: the mask contains only 0 and 255; 255 means ignored, mark the object with 1"
        return None

    def _box_fits(self, box: list[float], size: tuple[int, int]) -> bool:
        (x0, y0, x1, y1), (width, height) = box, size
        if self.box_slack is None:
            return x0 <= width and y0 <= height and x1 >= 0 and y1 >= 0
        overshoot = max(-x0, -y0, x1 - width, y1 - height)
        return overshoot <= self.box_slack


class BadRecordsError(ValueError):
    """Items failed their checks; the message is one line, `problems` lists all of them."""

    def __init__(self, problems: Sequence[str]):
        self.problems = list(problems)
        more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
        super().__init__(f"{len(problems)} bad records: {'; '.join(problems[:3])}{more}")


def _marks_no_object(mask: Image.Image) -> bool:
    """Return whether a mask uses 255 for the object; by convention 255 means `ignore`."""
    values = set(np.unique(np.asarray(mask)).tolist())
    return 255 in values and values <= {0, 255}
