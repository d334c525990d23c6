"""Photographs of ImageNet's typical size without a download: random crops of the two in scikit-learn."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import sklearn.datasets
from PIL import Image

SIZE = (500, 375)
_FOLDER = Path(sklearn.datasets.__file__).parent / "images"


def photograph_records(count: int) -> list[dict[str, Any]]:
    """Return records of 500 x 375 JPEGs, quality 95 (about 75 kB each), all different."""
    originals = [Image.open(_FOLDER / name).convert("RGB") for name in ("china.jpg", "flower.jpg")]
    rng = np.random.default_rng(0)
    records = []
    for index in range(count):
        original = originals[index % len(originals)]
        width = int(rng.integers(440, 560))
        height = width * SIZE[1] // SIZE[0]
        left = int(rng.integers(original.width - width + 1))
        top = int(rng.integers(original.height - height + 1))
        buffer = io.BytesIO()
        cut = original.crop((left, top, left + width, top + height)).resize(SIZE, Image.Resampling.LANCZOS)
        cut.save(buffer, "JPEG", quality=95)
        records.append({"image": buffer.getvalue(), "id": str(index), "label": index % 10})
    return records
