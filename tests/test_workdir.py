import contextlib
import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lctr_jax.run.workdir import lock_workdir

HOLD = """
import importlib.util, sys, pathlib, time
spec = importlib.util.spec_from_file_location("workdir", sys.argv[1])
workdir = importlib.util.module_from_spec(spec)
spec.loader.exec_module(workdir)
with workdir.lock_workdir(pathlib.Path(sys.argv[2]), active=True):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_run_is_reported_who_holds_the_folder_until_that_process_is_gone(tmp_path):
    module = Path(__file__).parents[1] / "lctr_jax/run/workdir.py"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(module), str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(ValueError, match=rf"in use by process {holder.pid} on ") as error,
            lock_it(tmp_path),
        ):
            pass
        assert "\n" not in str(error.value)
        with lock_workdir(tmp_path, active=False):
            pass  # the other hosts of the same run do not ask
        holder.send_signal(signal.SIGKILL)
    with lock_it(tmp_path):
        pass


def lock_it(path):
    return lock_workdir(path, active=True)


def test_a_file_is_no_workdir(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(ValueError, match="is a file, expected a folder"), lock_it(tmp_path / "run"):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_place_is_an_os_error(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError), lock_it(tmp_path / "run"):
        pass


def fail_after(path, *made):
    for name in made:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text("")
    raise ValueError("no such data")


@pytest.mark.parametrize(
    "made", [(), ("config.json", "metrics.jsonl", "tensorboard/events", "checkpoints/x")]
)
def test_a_failed_start_leaves_nothing_behind(tmp_path, made):
    with pytest.raises(ValueError, match="no such data"), lock_it(tmp_path / "runs" / "new"):
        fail_after(tmp_path / "runs" / "new", *made)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("file_name", ["checkpoints/4/params", "eval/metrics.json", "notes.txt"])
def test_results_and_what_is_not_ours_stay(tmp_path, file_name):
    with pytest.raises(ValueError, match="no such data"), lock_it(tmp_path / "run"):
        fail_after(tmp_path / "run", file_name)
    assert (tmp_path / "run" / file_name).exists()


def test_logged_steps_stay(tmp_path):
    with contextlib.suppress(ValueError), lock_it(tmp_path / "run"):
        (tmp_path / "run/metrics.jsonl").write_text("{}\n")
        fail_after(tmp_path / "run")
    assert (tmp_path / "run/metrics.jsonl").exists()


def test_a_folder_that_was_there_stays(tmp_path):
    with pytest.raises(ValueError, match="no such data"), lock_it(tmp_path):
        fail_after(tmp_path)
    assert tmp_path.exists()


def test_a_file_system_without_locks_does_not_stop_a_run(tmp_path, monkeypatch, caplog):
    def refuse(file, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with lock_it(tmp_path / "run"):
        assert (tmp_path / "run/.lock").read_text().startswith(f"process {os.getpid()} on ")
    assert "do not let a second run use this folder" in caplog.text


def test_tasks_of_a_launcher_that_do_not_know_each_other_are_reported(tmp_path, monkeypatch):
    monkeypatch.setenv("PMI_SIZE", "4")
    with lock_it(tmp_path), pytest.raises(ValueError, match="in use") as error, lock_it(tmp_path):
        pass
    assert "PMI_SIZE=4: a launcher started 4 tasks" in str(error.value)
    assert "start one task, with --num_processes 1" in str(error.value)
