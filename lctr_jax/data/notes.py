"""One line each for what a user should know of how a data set was read."""

from collections.abc import Iterable, Mapping, Sequence

from lctr_jax.data import records
from lctr_jax.data.checks import DEEP, ROTATED


def of_pixels(
    splits: Mapping[str, Sequence[records.Item]], counts: Mapping[str, Mapping[str, int]]
) -> list[str]:
    """Say what becomes of images with an EXIF rotation and of gray images of more than 8 bits."""
    lines = []
    for split, items in splits.items():
        if rotated := counts[split].get(ROTATED):
            annotated = any(len(item.boxes_xyxy) or item.mask for item in items)
            why = " for its boxes or masks" if annotated else ""
            how = "turned upright" if any(item.upright for item in items) else f"read as stored{why}"
            lines.append(f"{split}: {some(rotated, 'image')} with an EXIF rotation, {how} (data.exif)")
        if deep := counts[split].get(DEEP):
            lines.append(f"{split}: {some(deep, 'gray image')} of more than 8 bits, scaled to 8 bits")
    return lines


def some(count: int, thing: str) -> str:
    """Return `1 image`, `1,200 images`; `class` becomes `classes`."""
    plural = f"{thing}es" if thing.endswith("s") else f"{thing}s"
    return f"{count:,} {thing if count == 1 else plural}"


def examples(names: Iterable[str], *, count: int = 2) -> str:
    """Join the first names of many."""
    names = list(names)
    more = ", ..." if len(names) > count else ""
    return ", ".join(names[:count]) + more
