"""Mutation testing: the share of small faults in the numeric code that the tests detect.

    python -m benchmarks.mutation                 # a sample of 60 mutants, about 25 minutes of one core
    python -m benchmarks.mutation --count 0       # every mutant: days
    python -m benchmarks.mutation --at c3c2adb    # that commit's code by that commit's tests

Each mutant is one change in one file (`benchmarks/mutants.py`), tested in a copy of the repository by the
test files listed for the file below, up to the first failure. It is killed if a test fails or hangs, and
survives if all pass: then a test is missing or the change has no effect. Survivors are listed;
`docs/testing.md` explains how to judge them.
"""

import argparse
import collections
import importlib
import os
import random
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import pytest

from benchmarks.mutants import Mutant, apply_mutant, find_mutants

ROOT = Path(__file__).parents[1]
# The files under test, and the test files that cover them, quick ones first.
COVERED: dict[str, tuple[str, ...]] = {
    "lctr_jax/training/optimizer.py": ("test_training",),
    "lctr_jax/training/steps.py": ("test_option_effects", "test_training"),
    "lctr_jax/training/state.py": ("test_training",),
    "lctr_jax/training/device_augmentation.py": ("test_device_augmentation", "test_option_effects"),
    "lctr_jax/training/plan.py": ("test_plan", "test_loop"),
    "lctr_jax/training/loop.py": ("test_loop",),
    "lctr_jax/training/meter.py": ("test_loop", "test_log"),
    "lctr_jax/models/layers.py": ("test_models", "test_rematerialization", "test_vit_families"),
    "lctr_jax/models/attention.py": ("test_models", "test_training_attention"),
    "lctr_jax/models/cam.py": ("test_methods",),
    "lctr_jax/models/cdm.py": ("test_models", "test_initialization"),
    "lctr_jax/models/dense.py": ("test_dense",),
    "lctr_jax/models/initializers.py": ("test_initialization",),
    "lctr_jax/models/lctr.py": ("test_models", "test_methods"),
    "lctr_jax/models/positions.py": ("test_initialization", "test_vit_families"),
    "lctr_jax/models/rollout.py": ("test_methods",),
    "lctr_jax/models/rpam.py": ("test_models",),
    "lctr_jax/models/tscam.py": ("test_methods",),
    "lctr_jax/models/vit.py": ("test_models", "test_vit_families"),
    "lctr_jax/localization/accumulator.py": ("test_metrics", "test_metric_table"),
    "lctr_jax/localization/bootstrap.py": ("test_bootstrap",),
    "lctr_jax/localization/boxes.py": ("test_boxes", "test_lctr_protocol", "test_wsoleval"),
    "lctr_jax/localization/component_tree.py": ("test_sweep", "test_lctr_protocol"),
    "lctr_jax/localization/content_free.py": ("test_baselines", "test_metrics"),
    "lctr_jax/localization/error_taxonomy.py": ("test_metrics",),
    "lctr_jax/localization/holes.py": ("test_sweep",),
    "lctr_jax/localization/maps.py": ("test_lctr_protocol", "test_wsoleval", "test_metrics"),
    "lctr_jax/localization/measurement.py": ("test_metrics", "test_metric_table", "test_wsoleval"),
    "lctr_jax/localization/neighborhoods.py": ("test_sweep",),
    "lctr_jax/localization/pixels.py": ("test_pixels", "test_wsoleval"),
    "lctr_jax/localization/sweep.py": ("test_sweep", "test_wsoleval"),
    "lctr_jax/localization/thresholds.py": ("test_thresholds",),
    "lctr_jax/data/train_transforms.py": ("test_train_transforms",),
    "lctr_jax/data/randaugment.py": ("test_randaugment",),
    "lctr_jax/data/sampling.py": ("test_sampling", "test_pipeline"),
    "lctr_jax/data/geometry.py": ("test_geometry",),
}

# Not hypothesis: pytest warns of plugins that were imported before it, and warnings are errors.
_PRELOADED = ("jax", "flax.nnx", "optax", "grain", "orbax.checkpoint", "cv2", "beartype")


def main() -> None:
    """Copy the repository, test the mutants one after the other, and print a table and the survivors."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=60, help="mutants to test, drawn at random; 0: all")
    parser.add_argument("--seed", type=int, default=0, help="seed of the sample")
    parser.add_argument("--at", default="", help="a commit to test instead of the working tree")
    parser.add_argument("--files", default="", help="only files whose path contains this")
    parser.add_argument("--minutes", type=float, default=0, help="stop after this time; 0: never")
    parser.add_argument(
        "--timeout", type=float, default=600, help="seconds after which a mutant counts as hanging"
    )
    options = parser.parse_args()
    os.environ["JAX_PLATFORMS"] = "cpu"  # as in tests/conftest.py; read when JAX is imported
    for library in _PRELOADED:
        importlib.import_module(library)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        _copy_repository(copy, options.at)
        drawn = _draw(copy, options.files, count=options.count, seed=options.seed)
        _require_passing(copy, {name for name, _ in drawn}, timeout=options.timeout)
        results = _test_all(copy, drawn, minutes=options.minutes, timeout=options.timeout)
    _report(results)


def _copy_repository(to: Path, commit: str) -> None:
    """Copy the files of a commit, or those of the working tree that git does not ignore."""
    if commit:
        archive = subprocess.run(
            ["git", "archive", commit], cwd=ROOT, check=True, stdout=subprocess.PIPE
        ).stdout
        with tarfile.open(fileobj=BytesIO(archive)) as tar:
            tar.extractall(to, filter="data")
        return
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    for name in listed.splitlines():
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            (to / name).write_bytes((ROOT / name).read_bytes())


def _draw(folder: Path, part: str, *, count: int, seed: int) -> list[tuple[str, Mutant]]:
    """Return mutants of the files whose path contains `part`, a random `count` of them, or all for 0."""
    found = [
        (name, mutant)
        for name in COVERED
        if part in name and (folder / name).exists()  # an older commit may lack it
        for mutant in find_mutants((folder / name).read_text())
    ]
    random.Random(seed).shuffle(found)
    return found[:count] if count else found


def _require_passing(folder: Path, names: set[str], *, timeout: float) -> None:
    """End the run where tests fail without any mutant: they would count every mutant as killed."""
    for tests in sorted({_test_files(folder, name) for name in names}):
        print(f"unchanged code: {' '.join(tests)}", file=sys.stderr, flush=True)
        if not _tests_pass(folder, tests, timeout=timeout):
            sys.exit(f"error: {' '.join(tests)} fails on the unchanged code; mend that first")


def _test_files(folder: Path, name: str) -> tuple[str, ...]:
    """Return the test files of a module, as far as this version of the repository has them."""
    files = (f"tests/{test}.py" for test in COVERED[name])
    return tuple(file for file in files if (folder / file).exists())


def _test_all(
    folder: Path, drawn: list[tuple[str, Mutant]], *, minutes: float, timeout: float
) -> list[tuple[str, Mutant, bool]]:
    """Test the mutants as far as time allows, and return each with whether it was killed."""
    results, began = [], time.monotonic()
    for number, (name, mutant) in enumerate(drawn, 1):
        if minutes and time.monotonic() - began > 60 * minutes:
            break
        killed = _is_killed(folder, name, mutant, timeout=timeout)
        results.append((name, mutant, killed))
        seconds = time.monotonic() - began
        outcome = "killed" if killed else "SURVIVED"
        line = f"{number}/{len(drawn)} {seconds:.0f} s {outcome} {_line(name, mutant)}"
        print(line, file=sys.stderr, flush=True)
    return results


def _is_killed(folder: Path, name: str, mutant: Mutant, *, timeout: float) -> bool:
    path = folder / name
    original = path.read_text()
    path.write_text(apply_mutant(original, mutant))
    try:
        return not _tests_pass(folder, _test_files(folder, name), timeout=timeout)
    finally:
        path.write_text(original)


def _tests_pass(folder: Path, tests: Sequence[str], *, timeout: float) -> bool:
    """Run test files in a process forked from this one, which has already imported the libraries."""
    child = os.fork()
    if child == 0:
        status = 1
        try:  # nothing raised here may reach this process's copy of the caller, which removes the folder
            os.setsid()  # so that processes started by tests end with them
            status = _run_tests(folder, tests)
        finally:
            os._exit(status)
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.2)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def _run_tests(folder: Path, tests: Sequence[str]) -> int:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    os.chdir(folder)
    os.environ["PYTHONPATH"] = str(folder)
    # Numba's cache on disk does not see that a constant of another file has changed.
    os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp(dir=folder)
    sys.path.insert(0, str(folder))
    for module in [name for name in sys.modules if name.split(".")[0] == "benchmarks"]:
        del sys.modules[module]  # those of the copy
    sys.dont_write_bytecode = True  # two mutants within one second have the same time stamp
    return int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests]))


def _report(results: list[tuple[str, Mutant, bool]]) -> None:
    by_folder: dict[str, list[bool]] = collections.defaultdict(list)
    for name, _, killed in results:
        by_folder[str(Path(name).parent)].append(killed)
        by_folder["all"].append(killed)
    print("| code | mutants | killed | share |\n|---|---|---|---|")
    for folder, killed in sorted(by_folder.items()):
        print(f"| {folder} | {len(killed)} | {sum(killed)} | {100 * sum(killed) / len(killed):.0f} % |")
    survivors = sorted(_line(name, mutant) for name, mutant, killed in results if not killed)
    print("\n" + "\n".join(["Survivors:", *survivors] if survivors else ["No survivors."]))


def _line(name: str, mutant: Mutant) -> str:
    before, after = (" ".join(text.split()) for text in (mutant.before, mutant.after))
    return f"{name}:{mutant.line}: {before[:90]} -> {after[:90]}"


if __name__ == "__main__":
    main()
