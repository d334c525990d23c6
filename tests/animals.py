"""A labeled image folder of animals, folders of other images and tables, and functions that open them."""

import numpy as np
from PIL import Image

from lctr_jax.data import datasets


def save(path, *, size=(40, 30), mode="RGB", value=90, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(str(path)))
    image = Image.fromarray(rng.integers(0, value, (size[1], size[0], 3), np.uint8)).convert(mode)
    image.save(path, **options)
    return path


def write(root, files):
    """Write tables and images by path; an image has 40x30 pixels."""
    for name, content in files.items():
        if content is None:
            save(root / name)
        else:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(content)
    return root


def images(*names):
    return dict.fromkeys(names)


def draw_animals(place):
    """Two classes, three training images and two validation images each, a box list in LCTR's format."""
    root = place / "animals"
    for name in ("cat", "ape"):
        for number in range(3):
            save(root / "train" / name / f"{name}_{number}.jpg")
        for number in range(2):
            save(root / "val" / name / f"{name}_v{number}.png")
    (root / "list").mkdir()
    lines = [
        f"{name}/{name}_v{number}.png {label} 1 2 30 {20 + number}"
        for label, name in enumerate(("ape", "cat"))
        for number in range(2)
    ]
    (root / "list" / "val_boxes.txt").write_text("\n".join(lines))
    return root


def open_split(root, split, *, name="folder", **options):
    return datasets.open_split(name, split, data_dir=root.parent / "prepared", root=root, **options)


def by_id(split):
    return {record["id"]: record for record in (split[i] for i in range(len(split)))}
