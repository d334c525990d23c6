"""Notes for the user on how a data set was read, one line each."""

from collections.abc import Iterable, Mapping, Sequence

from lctr_jax.data import records
from lctr_jax.data.checks import DEEP, ROTATED


def of_pixels(
    splits: Mapping[str, Sequence[records.Item]], counts: Mapping[str, Mapping[str, int]]
) -> list[str]:
    """Describe how images with an EXIF rotation and gray images of more than 8 bits are read."""
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
    """Format a count with its noun: `1 image`, `1,200 images`; `class` becomes `classes`, `box` `boxes`."""
    plural = f"{thing}es" if thing.endswith(("s", "x")) else f"{thing}s"
    return f"{count:,} {thing if count == 1 else plural}"


def examples(names: Iterable[str], *, count: int = 2) -> str:
    """Format the first of many names."""
    names = list(names)
    more = ", ..." if len(names) > count else ""
    return ", ".join(names[:count]) + more
