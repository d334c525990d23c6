"""The demo, run like a user would, on this machine's devices."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.accelerator.scale import Scale

ROOT = Path(__file__).parents[2]
USUAL = {"top1_cls": 91.0, "gt_known_loc": 74.0}
"""Lower bounds after six epochs, for any seed and numeric format."""


def cases(scale: Scale) -> list[Any]:
    """Return the number of epochs."""
    return [scale.epochs]


def train_digits(scale: Scale, case: Any) -> list[str]:
    """Train and evaluate in a separate process, to which the devices' memory is left."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(ROOT / "train.py"), f"--config={ROOT / 'configs/digits.py'}"]
        command += [f"--workdir={folder}/run", f"--config.data.data_dir={folder}/data"]
        command += [f"--config.train.epochs={case}", f"--config.data.train_split={scale.train_split}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        if done.returncode:
            raise ChildProcessError(done.stderr.strip().splitlines()[-1])
        metrics = json.loads(Path(folder, "run/eval/metrics.json").read_text())
    minutes = (time.perf_counter() - start) / 60
    whole = case == 6 and scale.train_split == "train"
    reached = all(metrics[name] >= least for name, least in USUAL.items())
    usual = ("yes" if reached else "NO") if whole else "not comparable: a part of the training"
    return [
        str(case),
        f"{minutes:.1f}",
        f"{metrics['top1_cls']:.1f}",
        f"{metrics['gt_known_loc']:.1f}",
        usual,
    ]
