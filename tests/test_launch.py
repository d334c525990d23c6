"""Scripts that cannot be run here are at least well-formed; tests/test_processes.py runs local.sh."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

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


def test_the_dockerfile_passes_its_linter():
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if hadolint is None:
        pytest.skip("hadolint is not installed")
    done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_image_is_built_from_what_is_there_for_a_user_who_is_not_root():
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    copied = [name for line in lines if line.startswith("COPY ") for name in line.split()[1:-1]]
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for name in copied:
        assert (ROOT / name).exists(), name
        assert f"!{name}" in ignored, name
    assert [line for line in lines if line.startswith("USER ")] == ["USER 10001"]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (extra,) = [line.removeprefix("ARG EXTRA=") for line in lines if line.startswith("ARG EXTRA=")]
    assert extra in extras


@pytest.mark.parametrize("extra", ["cuda12", "cuda13", "tpu-vm"])
def test_the_extras_for_devices_have_the_bounds_of_jax_itself(extra):
    bounds = re.search(r"^jax(>=.*)$", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (requirement,) = extras[extra]
    assert bounds is not None
    assert requirement.partition("]")[2] == bounds[1]
