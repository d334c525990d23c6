"""A training small enough for tests: a folder of pictures, its options, and train.py run on it."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lctr_jax.train import main

ROOT = Path(__file__).parents[1]
SIDE = 40
SMALL = [
    "--config.model.name=deit_tiny",
    "--config.model.image_size=32",
    "--config.model.patch_size=8",
    "--config.model.width=16",
    "--config.model.depth=2",
    "--config.model.heads=2",
    "--config.train.epochs=2",
    "--config.train.batch_size=8",
    "--config.train.log_every_steps=1",
    "--config.train.checkpoint_every_epochs=1",
    "--config.train.keep_checkpoints=9",
    "--config.eval.batch_size=8",
    "--config.eval.sheet_images=3",
]


def draw_folder(root: Path) -> None:
    """Bright squares (class `square`) or bars (class `bar`) on noise, with their boxes listed."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 5)):
        lines = []
        for label, (name, (width, height)) in enumerate({"bar": (24, 6), "square": (12, 12)}.items()):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 80, (SIDE, SIDE, 3)).astype(np.uint8)
                x, y = rng.integers(0, SIDE - width), rng.integers(0, SIDE - height)
                pixels[y : y + height, x : x + width] = 230
                Image.fromarray(pixels).save(folder / f"{number}.png")
                lines.append(f"{name}/{number}.png {label} {x} {y} {x + width} {y + height}")
        (root / "list").mkdir(exist_ok=True)
        (root / "list" / f"{split}_boxes.txt").write_text("\n".join(lines) + "\n")


def train(pictures: Path, workdir: Path, *arguments: str, config: str = "folder") -> None:
    """Run train.py on the images; prepared data is stored next to the workdir."""
    data = [f"--config.data.root={pictures}", f"--config.data.data_dir={workdir.parent / 'data'}"]
    command = ["train.py", "--config", str(ROOT / f"configs/{config}.py"), f"--workdir={workdir}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [*command, *data, *SMALL, *arguments])
        main()
