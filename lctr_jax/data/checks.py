"""What is asked of every image, box and mask before it is written to a dataset."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from PIL import UnidentifiedImageError

from lctr_jax.data import image_decoding, records


@dataclasses.dataclass(frozen=True, kw_only=True)
class Checks:
    """What is asked of every item.

    Attributes:
        decode: decode every image and mask whole; else only read their headers.
        box_slack: how many pixels a box may reach past its image; None accepts any box that touches it, for
            published lists, which are known to overshoot.
    """

    decode: bool = True
    box_slack: float | None = 1.0

    def problem(self, item: records.Item, image: bytes, mask: bytes) -> str | None:
        """Say in a line what is wrong with an item, if anything is."""
        try:
            size = _size(image, decode=self.decode)
        except image_decoding.CorruptImageError as error:
            return f"{item.id}: {_reason(error)}"
        for box in item.boxes_xyxy.tolist():
            if not self._box_fits(box, size):
                return f"{item.id}: box {box} lies outside the image of {size[0]}x{size[1]} pixels"
        return self._mask_problem(item, mask, size) if item.mask else None

    def _mask_problem(self, item: records.Item, mask: bytes, size: tuple[int, int]) -> str | None:
        try:
            mask_size = _size(mask, decode=self.decode)
        except image_decoding.CorruptImageError as error:
            return f"{item.id}: mask: {_reason(error)}"
        if mask_size != size:
            (width, height), (mask_width, mask_height) = size, mask_size
            return f"{item.id}: the mask has {mask_width}x{mask_height} pixels, the image {width}x{height}"
        if self.decode and _marks_no_object(mask):
            return f"{item.id}: the mask holds 0 and 255 alone; 255 is to be ignored, mark the object with 1"
        return None

    def _box_fits(self, box: list[float], size: tuple[int, int]) -> bool:
        (x0, y0, x1, y1), (width, height) = box, size
        if self.box_slack is None:
            return x0 <= width and y0 <= height and x1 >= 0 and y1 >= 0
        overshoot = max(-x0, -y0, x1 - width, y1 - height)
        return overshoot <= self.box_slack


class BadRecordsError(ValueError):
    """Items that failed their checks; the message is one line, `problems` has them all."""

    def __init__(self, problems: Sequence[str]):
        self.problems = list(problems)
        more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
        super().__init__(f"{len(problems)} bad records: {'; '.join(problems[:3])}{more}")


def _size(encoded: bytes, *, decode: bool) -> tuple[int, int]:
    """Return width and height, having decoded every pixel if asked to."""
    image = image_decoding.open_image(encoded)
    return image_decoding.load_rgb(image).size if decode else image.size


def _marks_no_object(mask: bytes) -> bool:
    """Tell a mask that took 255 for the object: by the field's convention that means `ignore`."""
    values = set(np.unique(np.asarray(image_decoding.decode_rgb(mask))).tolist())
    return 255 in values and values <= {0, 255}


def _reason(error: image_decoding.CorruptImageError) -> str:
    """PIL names the buffer that it could not identify; a user has no use for its address."""
    unknown = isinstance(error.__cause__, UnidentifiedImageError)
    return "not an image of a format that PIL knows" if unknown else str(error)
