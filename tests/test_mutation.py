"""The mutation benchmark: the mutants it makes, and that it reports which of them tests detect."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.mutants import apply_mutant, find_mutants

ROOT = Path(__file__).parents[1]
SOURCE = '''"""A module."""

def scaled(value: int = 2) -> float:
    """Twice."""
    if value < 0 and not value == -3:
        raise ValueError(f"got {value + 1}")
    return clip(value * 2.5, low=0)
'''


def test_every_kind_of_fault_is_made_once_and_words_are_left_alone():
    made = [(mutant.before, mutant.after) for mutant in find_mutants(SOURCE)]
    assert ("value < 0", "value <= 0") in made
    assert ("value * 2.5", "value / 2.5") in made
    assert ("not value == -3", "value == -3") in made
    assert ("clip(value * 2.5, low=0)", "clip(value * 2.5)") in made
    assert ("2", "3") in made
    assert not [before for before, _ in made if "value + 1" in before]
    assert len(set(made)) == len(made) - 1  # the 0 of `value < 0`, and that of `low=0`
    sources = [apply_mutant(SOURCE, mutant) for mutant in find_mutants(SOURCE)]
    assert len(set(sources)) == len(sources)


DRIVER = """
import sys
from pathlib import Path
from benchmarks import mutation
folder = Path(sys.argv[1])
mutation.COVERED = {"halving.py": ("test_half",)}
drawn = mutation._draw(folder, "", count=0, seed=0)
if sys.argv[3:]:
    mutation._require_passing(folder, {"halving.py"}, timeout=float(sys.argv[2]))
mutation._report(mutation._test_all(folder, drawn, minutes=0, timeout=float(sys.argv[2])))
"""


HALVING = "def half(value):\n    return value / 2\n"


def write_halving(folder, asserted):
    (folder / "tests").mkdir()
    (folder / "halving.py").write_text(HALVING)
    test = f"import time\nfrom halving import half\n\ndef test_half():\n    assert {asserted}\n"
    (folder / "tests/test_half.py").write_text(test)


def run_driver(*arguments):
    command = [sys.executable, "-c", DRIVER, *arguments]  # a process of its own: JAX forbids to fork here
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asserted", "timeout", "killed"),
    [("half(8) == 4", "60", 2), ("half(8) > 0", "60", 0), ("time.sleep(100) is None", "1", 2)],
)
def test_a_mutant_is_killed_by_a_test_that_fails_or_hangs(tmp_path, asserted, timeout, killed):
    write_halving(tmp_path, asserted)
    done = run_driver(str(tmp_path), timeout)
    assert done.returncode == 0, done.stderr
    printed = done.stdout
    assert f"| all | 2 | {killed} | {50 * killed} % |" in printed
    assert ("halving.py:2: value / 2 -> value * 2" in printed) == (killed == 0)
    assert (tmp_path / "halving.py").read_text() == HALVING


def test_tests_that_fail_on_the_unchanged_code_are_refused(tmp_path):
    write_halving(tmp_path, "half(8) == 5")
    done = run_driver(str(tmp_path), "60", "check")
    assert done.returncode == 1
    assert "error: tests/test_half.py fails on the unchanged code" in done.stderr
