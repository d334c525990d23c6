"""A tiny training in two processes with two CPU devices each, for `benchmarks.faults`."""

import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp
from etils import epath
from PIL import Image

ROOT = Path(__file__).parents[1]
PROCESSES = 2
EPOCHS = 60
STEPS_PER_EPOCH = 4
OPTIONS = {
    "data.name": "folder",
    "model.name": "deit_tiny",
    "model.image_size": 16,
    "model.patch_size": 8,
    "model.width": 32,
    "model.depth": 2,
    "model.heads": 2,
    "model.drop_path": 0.1,
    "train.epochs": EPOCHS,
    "train.batch_size": 8,
    "train.log_every_steps": 1,
    "train.checkpoint_every_epochs": 1,
    "train.eval_every_epochs": 2,
    "train.keep_best": "eval/top1_cls",
    "eval.batch_size": 2,
    "eval.untrained_baseline": False,
}


def draw_pictures(root: Path) -> None:
    """Draw two classes with 32 training images and 16 evaluation images, with boxes."""
    rng = np.random.default_rng(0)
    (root / "list").mkdir(parents=True)
    for split, count in (("train", 16), ("val", 8)):
        lines = []
        for label, name in enumerate(("dark", "light")):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 100, (24, 24, 3)).astype(np.uint8)
                pixels[6:18, 4:20] += np.uint8(40 + 100 * label)
                Image.fromarray(pixels).save(root / split / name / f"{number}.png")
                lines.append(f"{name}/{number}.png {label} 4 6 20 18")
        (root / "list" / f"{split}_boxes.txt").write_text("\n".join(lines) + "\n")


class Training:
    """The running command; `output` is the terminal output of its first process."""

    def __init__(self, base: Path, workdir: Path, **options: object):
        with socket.socket() as free:
            free.bind(("localhost", 0))
            address = f"localhost:{free.getsockname()[1]}"
        places = {"data.root": base / "pictures", "data.data_dir": base / "data"}
        chosen = [f"--config.{name}={value}" for name, value in (OPTIONS | places | options).items()]
        self.workdir, self.output = workdir, ""
        self.processes = [
            subprocess.Popen(
                [
                    *(sys.executable, "train.py", "--config=configs/folder.py", f"--workdir={workdir}"),
                    *(f"--coordinator={address}", f"--num_processes={PROCESSES}", f"--process_id={rank}"),
                    *chosen,
                ],
                cwd=ROOT,
                env=_environment(base),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE if rank == 0 else (base / "process1.log").open("w"),
                text=True,
            )
            for rank in range(PROCESSES)
        ]
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.processes[0].stderr is not None
        for line in self.processes[0].stderr:
            self.output += line

    @property
    def running(self) -> bool:
        """Whether all processes are running."""
        return all(process.poll() is None for process in self.processes)

    @property
    def step(self) -> int:
        """The last reported step of this run of the command."""
        return max([self.resumed_at, *map(int, re.findall(r"^step +(\d+)/", self.output, re.MULTILINE))])

    @property
    def started(self) -> bool:
        """Whether it has reported the step from which it starts or resumes."""
        return bool(re.search("^(resuming at step|first batch)", self.output, re.MULTILINE))

    @property
    def resumed_at(self) -> int:
        """The step that it resumed at; 0 if it started anew."""
        found = re.search(r"^resuming at step (\d+)", self.output, re.MULTILINE)
        return int(found[1]) if found else 0

    def wait_for(self, condition: Callable[[], bool], *, seconds: float = 120) -> bool:
        """Wait until the condition holds and return true, or until the processes end."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.running:
            if condition():
                return True
            time.sleep(0.001)
        return False

    def signal(self, number: int, ranks: tuple[int, ...] = tuple(range(PROCESSES))) -> None:
        """Send a signal to the processes that are still running."""
        for rank in ranks:
            if self.processes[rank].poll() is None:
                self.processes[rank].send_signal(number)

    def end(self, *, seconds: float) -> list[int]:
        """Wait for the processes, killing slow ones as a scheduler does, and return their statuses."""
        until = time.monotonic() + seconds
        for process in self.processes:
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
        self._reader.join()
        return [process.returncode for process in self.processes]


def _environment(base: Path) -> dict[str, str]:
    return os.environ | {
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        "JAX_COMPILATION_CACHE_DIR": str(base / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "OMP_NUM_THREADS": "1",
    }


def digest(checkpoint: Path) -> str:
    """Return a hash of all arrays of a checkpoint, including the optimizer's."""
    total = hashlib.sha256()
    handler = ocp.StandardCheckpointHandler()
    for item in ("params", "training"):
        folder = epath.Path(checkpoint / item)
        stored = handler.metadata(folder).tree
        target = jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), stored)
        restored = handler.restore(folder, args=ocp.args.StandardRestore(target))
        for path, leaf in jax.tree.leaves_with_path(restored):
            total.update(f"{path} {leaf.dtype} {leaf.shape}".encode() + leaf.tobytes())
    handler.close()
    return total.hexdigest()
