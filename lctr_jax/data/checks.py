"""What is asked of every image, box and mask before it is written to a dataset."""

import dataclasses
from collections.abc import Sequence

from PIL import UnidentifiedImageError

from lctr_jax.data import images, records


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

    def problem(self, item: records.Item, image: bytes, mask: bytes | None) -> str | None:
        """Say what is wrong with an item, if anything is."""
        try:
            size = _size(image, decode=self.decode)
        except images.CorruptImageError as error:
            return f"{item.id}: {_reason(error)}"
        for box in item.boxes_xyxy.tolist():
            if not self._box_fits(box, size):
                return f"{item.id}: box {box} lies outside the image of {size[0]}x{size[1]} pixels"
        try:
            if mask is not None and (mask_size := _size(mask, decode=self.decode)) != size:
                (w, h), (mask_w, mask_h) = size, mask_size
                return f"{item.id}: the mask has {mask_w}x{mask_h} pixels, the image {w}x{h}"
        except images.CorruptImageError as error:
            return f"{item.id}: mask: {_reason(error)}"
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
    image = images.open_image(encoded)
    return images.load_rgb(image).size if decode else image.size


def _reason(error: images.CorruptImageError) -> str:
    """PIL names the buffer that it could not identify; a user has no use for its address."""
    unknown = isinstance(error.__cause__, UnidentifiedImageError)
    return "not an image of a format that PIL knows" if unknown else str(error)
