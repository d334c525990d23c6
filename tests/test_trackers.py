"""The trackers, each in its own process without a network, since they start threads and patch modules."""

import functools
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
REPORT = """
import sys
from pathlib import Path
import numpy as np
from lctr_jax.training.log import RunLog
from lctr_jax.training.training_config import LogOptions

tracker, workdir, last = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
with RunLog(active=True) as log:
    log.open(workdir, LogOptions(**{tracker: True}), {"train.lr": 0.5, "data.name": "digits"})
    log.write(last, {"train/loss": 1 / last})
    log.show(last, "eval/maps", np.full((6, 9, 3), 128, np.uint8))
    log.write(last - 1, {"train/late": 2.0})  # a window's metrics come after the validation at its end
    log.conclude({"result/gt_known_loc": 82.5})
    if last == 13:
        raise ValueError("diverged")
"""
MLFLOW = {"MLFLOW_TRACKING_URI": "sqlite:///mlflow.db", "MLFLOW_EXPERIMENT_NAME": "habits"}
WANDB = {"WANDB_MODE": "offline"}
ENVIRONMENTS = {"mlflow": MLFLOW, "wandb": WANDB}
STRACE = shutil.which("strace")


def report(
    tracker: str, workdir: Path, last: int, *under: str, **environment: str
) -> subprocess.CompletedProcess:
    command = [*under, sys.executable, "-c", REPORT, tracker, str(workdir), str(last)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", **environment}
    return subprocess.run(command, cwd=workdir.parent, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """Start a tracker's run, once, and return its folder; `calls` lists its calls to the network."""

    @functools.cache
    def start(tracker: str) -> Path:
        pytest.importorskip(tracker)
        folder = tmp_path_factory.mktemp(tracker)
        calls = ["-f", "-e", "trace=connect,sendto,sendmsg", "-o", str(folder / "calls")]
        under = [STRACE, *calls] if STRACE else []
        report(tracker, folder / "run", 5, *under, **ENVIRONMENTS[tracker]).check_returncode()
        return folder

    return start


@pytest.mark.slow
def test_mlflow_holds_what_was_written_and_a_resumed_run_goes_on_there(started):
    mlflow = pytest.importorskip("mlflow")
    folder = started("mlflow")
    report("mlflow", folder / "run", 10, **MLFLOW).check_returncode()
    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("habits").experiment_id])
    assert (run.info.run_name, run.info.status) == ("run", "FINISHED")
    assert run.data.params == {"train.lr": "0.5", "data.name": "digits"}
    assert run.data.metrics["result/gt_known_loc"] == 82.5
    history = client.get_metric_history(run.info.run_id, "train/loss")
    assert [(metric.step, metric.value) for metric in history] == [(5, 0.2), (10, 0.1)]
    pictures = sorted(path.name for path in folder.rglob("artifacts/images/*.png"))
    assert [name.split("+")[:3] for name in pictures] == [
        ["eval~maps", "step", "10"],
        ["eval~maps", "step", "5"],
    ]

    assert report("mlflow", folder / "run", 13, **MLFLOW).returncode == 1
    assert client.get_run(run.info.run_id).info.status == "FAILED"

    elsewhere = report("mlflow", folder / "run", 15, MLFLOW_TRACKING_URI="sqlite:///other.db")
    assert "ValueError: log.mlflow:" in elsewhere.stderr


@pytest.mark.slow
def test_wandb_holds_what_was_written_and_a_resumed_run_is_the_same_one(started):
    folder = started("wandb")

    def read_only_run() -> list:
        (file,) = folder.rglob("*.wandb")
        return read_wandb(file)

    runs = [read_only_run()]
    shutil.rmtree(folder / "run/wandb")
    report("wandb", folder / "run", 10, **WANDB).check_returncode()
    runs.append(read_only_run())
    for last, records in zip((5, 10), runs, strict=True):
        (run,) = (record.run for record in records if record.WhichOneof("record_type") == "run")
        config = {item.key: item.value_json for item in run.config.update}
        assert (config["train.lr"], config["data.name"]) == ("0.5", '"digits"')
        assert run.display_name == "run"
        rows = [
            {item.key or ".".join(item.nested_key): item.value_json for item in record.history.item}
            for record in records
            if record.WhichOneof("record_type") == "history"
        ]
        by_name = {name: (row["step"], value) for row in rows for name, value in row.items()}
        assert by_name["train/loss"] == (str(last), str(1 / last))
        assert by_name["train/late"] == (str(last - 1), "2")
        assert by_name["eval/maps.width"] == (str(last), "9")
        summary = {
            item.key or ".".join(item.nested_key): item.value_json
            for record in records
            for item in record.summary.update
        }
        assert summary["result/gt_known_loc"] == "82.5"
    assert len({record.run.run_id for records in runs for record in records if record.run.run_id}) == 1


@pytest.mark.slow
@pytest.mark.skipif(STRACE is None, reason="needs strace")
@pytest.mark.parametrize("tracker", ENVIRONMENTS)
def test_a_local_run_never_reaches_for_the_network(tracker, started):
    calls = (started(tracker) / "calls").read_text()
    assert "exited with 0" in calls
    assert "AF_INET" not in calls


def read_wandb(path: Path) -> list:
    """The records of an offline run: protocol buffers in LevelDB's log format, after a header of 7 bytes."""
    from wandb.proto.wandb_internal_pb2 import (
        Record,  # pyright: ignore[reportAttributeAccessIssue]  generated
    )

    content, position, records, parts = path.read_bytes(), 7, [], b""
    while position < len(content):
        if 32768 - position % 32768 < 7:  # no room for a part's header: the block is padded
            position += 32768 - position % 32768
            continue
        length, kind = struct.unpack_from("<HB", content, position + 4)
        parts += content[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # whole, or the last part
            records.append(Record.FromString(parts))
            parts = b""
    return records
