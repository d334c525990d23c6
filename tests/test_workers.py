"""Worker processes: signals ignored from the start, ended with their parent, losses reported."""

import contextlib
import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest
from small_batches import assert_same_batches, take, training


def signal_workers_from_birth(stop: threading.Event, reached: set[int]) -> None:
    while not stop.wait(0.05):
        for child in multiprocessing.active_children():
            assert child.pid is not None
            for number in (signal.SIGINT, signal.SIGTERM):
                os.kill(child.pid, number)
            reached.add(child.pid)


@pytest.mark.slow
def test_workers_leave_signals_to_their_parent():
    stop, reached = threading.Event(), set()
    sender = threading.Thread(target=signal_workers_from_birth, args=(stop, reached))
    with contextlib.closing(training(num_workers=2)) as batches:
        sender.start()
        try:
            got = list(itertools.islice(batches, 7))
        finally:
            stop.set()
            sender.join()
    assert len(reached) >= 2
    assert_same_batches(got, take(training(), 7))


OWNER = """
import multiprocessing, sys, time
sys.path.insert(0, sys.argv[1])
from small_batches import training
if __name__ == "__main__":
    batches = training(num_workers=1)
    next(batches)
    print(multiprocessing.active_children()[0].pid, flush=True)
    time.sleep(60)
"""


def test_workers_of_a_killed_process_end(tmp_path):
    (tmp_path / "owner.py").write_text(OWNER)
    command = [sys.executable, str(tmp_path / "owner.py"), str(Path(__file__).parent)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as owner:
        assert owner.stdout is not None
        worker = psutil.Process(int(owner.stdout.readline()))
        owner.kill()
    worker.wait(timeout=20)


@pytest.mark.slow
def test_a_lost_worker_process_is_reported_and_the_others_end():
    batches = training(num_workers=2)
    next(batches)
    children = multiprocessing.active_children()
    assert len(children) == 2
    children[0].kill()
    lost = r"data\.num_workers: a worker process was lost with exit code -9: killed, .* memory ran out"
    with pytest.raises(ChildProcessError, match=lost) as error:
        take(batches, 30)
    assert "\n" not in str(error.value)
    assert not [child for child in children if child.is_alive()]


LAST_BATCHES = """
from grain.multiprocessing import SharedMemoryArray
from lctr_jax.data import workers
workers.free_shared_memory_at_exit()
SharedMemoryArray.enable_async_del(1)  # as Grain does when it starts a worker
batches = [SharedMemoryArray((1 << 24,), "uint8") for _ in range(40)]
for batch in batches:
    batch[:] = 1
    batch.unlink_on_del()
"""


def test_the_last_batches_are_freed_before_the_process_exits():
    """Otherwise Python's resource tracker warns of leaked shared memory."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", LAST_BATCHES + "del batch, batches"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, "")
