"""The recipes that cannot be run here are at least well formed; tests/test_processes.py runs local.sh."""

import re
import subprocess

import pytest
import yaml
from small_run import ROOT

SCRIPTS = sorted(path.name for path in (ROOT / "launch").iterdir() if path.suffix != ".yaml")


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_script_parses(name):
    subprocess.run(["bash", "-n", ROOT / "launch" / name], check=True)


def test_the_jobset_starts_every_process_once():
    jobset = yaml.safe_load((ROOT / "launch/jobset.yaml").read_text())
    (job,) = jobset["spec"]["replicatedJobs"]
    spec = job["template"]["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    (command,) = container["args"]
    options = dict(re.findall(r"--(coordinator|num_processes|process_id)=(\S+)", command))
    assert spec["completionMode"] == "Indexed"  # which is what gives JOB_COMPLETION_INDEX
    assert options["process_id"] == "$JOB_COMPLETION_INDEX"
    assert int(options["num_processes"]) == spec["parallelism"] == spec["completions"]
    first_pod = f"{jobset['metadata']['name']}-{job['name']}-0-0.{jobset['metadata']['name']}"
    assert options["coordinator"].rpartition(":")[0] == first_pod
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in spec["template"]["spec"]["volumes"]}
