"""What a run reports as it goes: a line on the terminal, JSON lines, TensorBoard scalars."""

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboardX import SummaryWriter


class RunLog:
    """Writes scalars of a step to WORKDIR/metrics.jsonl, WORKDIR/tensorboard and the terminal.

    Only the host with `active` writes. A resumed run appends.
    """

    def __init__(self, workdir: Path, *, active: bool):
        self._active = active
        if active:
            workdir.mkdir(parents=True, exist_ok=True)
            self._lines = (workdir / "metrics.jsonl").open("a", buffering=1)
            self._tensorboard = SummaryWriter(str(workdir / "tensorboard"))

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Record scalars by name, such as `train/loss`."""
        if not self._active:
            return
        self._lines.write(json.dumps({"step": step, "time": round(time.time(), 3), **scalars}) + "\n")
        for name, value in scalars.items():
            self._tensorboard.add_scalar(name, value, step)

    def say(self, text: str) -> None:
        """Print a line for the person who watches."""
        if self._active:
            print(text, file=sys.stderr, flush=True)

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(self, *exception: object) -> None:
        if self._active:
            self._lines.close()
            self._tensorboard.close()


def progress_line(step: int, *, total_steps: int, scalars: Mapping[str, float], seconds_left: float) -> str:
    """One readable line of progress, rate, share of time spent waiting for data, and time left."""
    minutes, seconds = divmod(round(seconds_left), 60)
    replaced = f"replaced {scalars['train/replaced']:.0f}  " if scalars["train/replaced"] else ""
    return (
        f"step {step:>{len(str(total_steps))}}/{total_steps}  epoch {scalars['train/epoch']:.2f}  "
        f"loss {scalars['train/loss']:.4f}  acc {100 * scalars['train/accuracy']:5.1f}%  "
        f"lr {scalars['train/learning_rate']:.2e}  {scalars['train/images_per_second']:.0f} img/s  "
        f"data {100 * scalars['train/waiting_for_data']:.0f}%  {replaced}"
        f"left {minutes}:{seconds:02d}"
    )
