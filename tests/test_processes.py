"""train.py as several processes on one machine: the same run as in one process, each file written once."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from quick_compilation import child_flags
from small_run import ROOT, SMALL, draw_folder

from lctr_jax.checkpoints.store import load_weights
from lctr_jax.distributed.processes import join_processes
from lctr_jax.run.workdir import lock_workdir
from lctr_jax.train import main

pytestmark = pytest.mark.slow

STEPS = 20
# Everything random: crops, RandAugment, erasing, mixup, cutmix, drop path.
OPTIONS = [
    *SMALL,
    "--config.model.drop_path=0.3",
    "--config.augmentation.mixup=0.2",
    "--config.augmentation.cutmix=1.0",
    "--config.augmentation.erasing=0.5",
    "--config.train.batch_size=16",
    "--config.train.epochs=20",
    "--config.train.checkpoint_every_epochs=10",
    "--config.train.lr=3e-2",
    "--config.train.schedule=per_step",
    "--config.train.warmup_epochs=2",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("pictures")
    draw_folder(root)
    return root


def arguments(folder: Path, workdir: Path) -> list[str]:
    config = ["--config", str(ROOT / "configs/folder.py"), f"--config.data.root={folder}"]
    return [*config, f"--config.data.data_dir={workdir.parent / 'data'}", f"--workdir={workdir}", *OPTIONS]


def free_address() -> str:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return f"localhost:{free.getsockname()[1]}"


def run_alone(*options: str, platform: str = "cpu") -> tuple[int, list[str]]:
    """train.py's exit status and stderr."""
    command = [sys.executable, str(ROOT / "train.py"), *options]
    environment = os.environ | {"JAX_PLATFORMS": platform, "XLA_FLAGS": ""}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)
    return done.returncode, done.stderr.splitlines()


def train_on_two_processes(folder: Path, workdir: Path, *options: str, status: int = 0) -> str:
    """Run launch/local.sh; returns what both said."""
    environment = {
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": child_flags(2),
        "PYTHON": sys.executable,
        "PORT": free_address().rpartition(":")[2],
    }
    command = [str(ROOT / "launch/local.sh"), "2", *arguments(folder, workdir), *options]
    done = subprocess.run(
        command, env=os.environ | environment, stderr=subprocess.PIPE, text=True, timeout=300, check=False
    )
    assert done.returncode == status, done.stderr
    return done.stderr


def losses(workdir: Path, *, first: int = 1) -> list[float]:
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    lines = [line for line in lines if line["step"] >= first]
    assert [line["step"] for line in lines] == list(range(first, STEPS + 1))
    return [line["train/loss"] for line in lines]


def assert_same_run(workdir: Path, expected: Path, *, first: int = 1):
    np.testing.assert_allclose(losses(workdir, first=first), losses(expected, first=first), rtol=2e-4)
    flat: list[Any] = [flatten_dict(load_weights(path)[1], sep=".") for path in (expected, workdir)]
    parameters, others = flat
    for path, leaf in parameters.items():
        # Where a gradient consists of rounding errors, Adam still makes a step of up to 1e-3.
        np.testing.assert_allclose(others[path], leaf, atol=2e-3, err_msg=path)


def written(workdir: Path) -> list[Path]:
    """The files of a run except those whose names Orbax and TensorBoard choose."""
    own = [path for path in workdir.rglob("*") if path.is_file() and "tensorboard" not in path.parts]
    return [path for path in own if "checkpoints" not in path.parts]


def ids(workdir: Path) -> list[str]:
    return [json.loads(line)["id"] for line in (workdir / "eval/predictions.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def on_one_process(folder, tmp_path_factory) -> Path:
    """The run on this process's eight devices."""
    workdir = tmp_path_factory.mktemp("one") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["train.py", *arguments(folder, workdir)])
        main()
    return workdir


def test_two_processes_train_as_one(folder, on_one_process, tmp_path):
    said = train_on_two_processes(folder, tmp_path / "run", "--config.train.micro_batches=4")
    assert said.count("on 4 x cpu (cpu) of 2 processes") == 1
    assert said.count("step 20/20") == 1
    assert_same_run(tmp_path / "run", on_one_process)
    files = {str(path.relative_to(on_one_process)) for path in written(on_one_process)}
    assert {str(path.relative_to(tmp_path / "run")) for path in written(tmp_path / "run")} == files
    assert ids(tmp_path / "run") == ids(on_one_process)


def test_shards_on_two_processes_train_as_copies_do_and_resume_on_one(folder, on_one_process, tmp_path):
    workdir = tmp_path / "run"
    train_on_two_processes(folder, workdir, "--config.train.fsdp=4")
    assert_same_run(workdir, on_one_process)
    shutil.rmtree(workdir / "checkpoints/20")
    (workdir / "metrics.jsonl").unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["train.py", *arguments(folder, workdir)])
        main()
    assert_same_run(workdir, on_one_process, first=11)


def test_what_stops_the_first_process_stops_the_other(folder, tmp_path):
    workdir = tmp_path / "run"
    with lock_workdir(workdir, active=True):
        said = train_on_two_processes(folder, workdir, status=2)
    assert said.count("error: --workdir:") == 1
    assert said.count("error: process 0 reported an error") <= 1  # fewer if it was ended before
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--num_processes=2", "--process_id=1"], "got no --coordinator"),
        (["--coordinator=localhost:1"], "got no --num_processes and --process_id"),
        (
            ["--coordinator=localhost", "--num_processes=2", "--process_id=1"],
            "got 'localhost', expected HOST:PORT",
        ),
        (["--coordinator=a:1", "--num_processes=2", "--process_id=2"], "got 2, expected 0 to 1"),
        (["--num_processes=0"], "num_processes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_half_a_place_is_refused(folder, tmp_path, monkeypatch, capsys, options, message):
    monkeypatch.setattr(sys, "argv", ["train.py", *arguments(folder, tmp_path / "run"), *options])
    with pytest.raises(SystemExit) as stop:
        main()
    (line,) = capsys.readouterr().err.splitlines()
    assert stop.value.code == 2
    assert message in line


def test_a_coordinator_that_does_not_answer_is_named_in_one_line(folder, tmp_path):
    address = free_address()
    place = [f"--coordinator={address}", "--num_processes=2", "--process_id=1", "--meeting_timeout=1"]
    status, (line,) = run_alone(*arguments(folder, tmp_path / "run"), *place)
    assert status == 2
    assert line.startswith(f"error: the run's processes did not connect at {address} within 1 s")


def test_a_port_that_is_taken_is_named():
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"port {port} cannot be listened on: Address already in use"):
            join_processes(coordinator=f"localhost:{port}", num_processes=2, process_id=0)


@pytest.mark.parametrize(
    ("platform", "message"),
    [
        ("cuda", "devices: got none, JAX_PLATFORMS is 'cuda'"),
        ("xpu", "devices: Unable to initialize backend 'xpu'"),
    ],
)
def test_devices_that_do_not_come_up_are_one_line(folder, tmp_path, platform, message):
    status, lines = run_alone(*arguments(folder, tmp_path / "run"), platform=platform)
    assert status == 2
    assert [line for line in lines if line.startswith("error: ") and message in line]


def test_a_process_without_a_cluster_stays_alone(recwarn, monkeypatch):
    # A pod that is no part of a job. JAX would refuse first, since this process's devices are up.
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setattr("jax._src.xla_bridge.backends_are_initialized", lambda: False)
    join_processes()
    assert not jax.distributed.is_initialized()
    assert not recwarn


def test_a_program_that_has_used_its_devices_stays_alone():
    assert jax.device_count() == 8
    join_processes()
    join_processes(num_processes=1)
    assert not jax.distributed.is_initialized()
