"""docs/localize.ipynb: runs with only the wheel installed, and its stored outputs are readable."""

import json
import re

import installed
import pytest
from installed import ROOT

nbformat = pytest.importorskip("nbformat")

NOTEBOOK = ROOT / "docs" / "localize.ipynb"
EXECUTE = """
import sys, nbclient, nbformat
notebook = nbformat.read(sys.argv[1], as_version=4)
nbclient.NotebookClient(notebook, timeout=400, coalesce_streams=True).execute()
nbformat.write(notebook, sys.argv[2])
"""


def pictures(notebook):
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return [output.data["image/png"] for output in outputs if "image/png" in output.get("data", ())]


def draw_only_what_is_used(drawing):
    """The notebook trains on the first 4,800 images, and 24,000 take a minute to draw."""
    published, fewer = "(24_000, 500, 1_000)", "(4_800, 200, 400)"
    text = drawing.read_text()
    assert text.count(published) == 1
    assert "train[:4800]" in NOTEBOOK.read_text()
    drawing.write_text(text.replace(published, fewer))


@pytest.mark.slow
@pytest.mark.optimized  # it trains for minutes
def test_it_runs_where_only_the_wheel_is_and_learns_to_box(tmp_path):
    for package in ("build", "nbclient", "ipykernel"):
        pytest.importorskip(package)
    environment = installed.Environment(tmp_path / "installed", installed.build_wheel(tmp_path))
    draw_only_what_is_used(environment.packages / "lctr_jax/data/digits/drawing.py")
    (tmp_path / "home").mkdir()
    environment.run(
        "python", "-c", EXECUTE, str(NOTEBOOK), "executed.ipynb", cwd=tmp_path / "home", timeout=500
    )
    executed = nbformat.read(tmp_path / "home/executed.ipynb", as_version=4)
    assert len(pictures(executed)) == 2
    metrics = json.loads((tmp_path / "home/runs/localize/eval/metrics.json").read_text())
    content_free = [metrics["baselines"][name]["gt_known_loc"] for name in ("full_image", "centered_box")]
    assert metrics["gt_known_loc"] > 2 * max(content_free)


def test_it_is_stored_with_its_outputs_small_and_without_a_machines_paths():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert NOTEBOOK.stat().st_size < 500_000
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    text = re.sub(r'"image/png": "[^"]*"', "", NOTEBOOK.read_text())
    assert not re.search(r"/(home|root|tmp|work|usr)/", text)
    assert "Traceback" not in text
    assert len(pictures(notebook)) == 2
