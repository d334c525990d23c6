import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lctr_jax.run.workdir import claim

HOLD = """
import importlib.util, sys, pathlib, time
spec = importlib.util.spec_from_file_location("workdir", sys.argv[1])
workdir = importlib.util.module_from_spec(spec)
spec.loader.exec_module(workdir)
with workdir.claim(pathlib.Path(sys.argv[2]), active=True):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_run_is_told_who_holds_the_folder_until_that_process_is_gone(tmp_path):
    module = Path(__file__).parents[1] / "lctr_jax/run/workdir.py"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(module), str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(ValueError, match=rf"in use by process {holder.pid} on ") as error,
            claim_it(tmp_path),
        ):
            pass
        assert "\n" not in str(error.value)
        with claim(tmp_path, active=False):
            pass  # the other hosts of the same run do not ask
        holder.send_signal(signal.SIGKILL)
    with claim_it(tmp_path):
        pass


def claim_it(path):
    return claim(path, active=True)


def test_a_file_is_no_workdir(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(ValueError, match="is a file, expected a folder"), claim_it(tmp_path / "run"):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_place_is_an_os_error(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError), claim_it(tmp_path / "run"):
        pass
