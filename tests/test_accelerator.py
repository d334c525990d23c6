"""The accelerator report: time limits, isolation of failures, and correct values."""

import json
import sys

import pytest

from benchmarks.accelerator import __main__ as command
from benchmarks.accelerator import correctness, speed
from benchmarks.accelerator.report import failed, page
from benchmarks.accelerator.scale import FULL, SMALL
from benchmarks.accelerator.sections import SECTIONS, Section, run_section

REPORT = {
    "devices": {"platform": "gpu", "kind": "NVIDIA H100", "count": 8},
    "machine": {"cores": 16},
    "scale": "full",
    "seconds": 12.3,
}


def test_the_names_of_the_command_are_the_sections():
    assert list(command.SHARES) == list(SECTIONS)
    assert command.slug("NVIDIA H100 80GB HBM3") == "nvidia-h100-80gb-hbm3"


@pytest.mark.parametrize("scale", [SMALL, FULL], ids=["small", "full"])
@pytest.mark.parametrize("name", SECTIONS)
def test_every_section_has_cases(name, scale):
    assert SECTIONS[name].cases(scale)


def test_a_failing_case_is_reported_and_the_next_one_measured():
    def measure(scale, case):
        if case == 1:
            raise RuntimeError("cuDNN says\n no")
        return [str(case)]

    row_counts = []
    section = Section("Title", ("case",), lambda scale: [1, 2], measure)
    outcome = run_section(
        section, SMALL, seconds=60.0, keep=lambda outcome: row_counts.append(len(outcome.table.rows))
    )
    assert outcome.table.rows == [["2"]]
    assert outcome.failures == ["1: RuntimeError: cuDNN says no"]
    assert row_counts == [0, 1, 1]  # finished rows are written before the next case may crash


def test_cases_without_time_are_named():
    section = Section("Title", ("case",), lambda scale: ["a", "b"], lambda scale, case: [case])
    outcome = run_section(section, SMALL, seconds=-1.0, keep=lambda outcome: None)
    assert outcome.skipped == ["a: no time left", "b: no time left"]


def fake_section(monkeypatch, tmp_path, code):
    """Replace a section's process by this code; it receives the path of its JSON file."""
    script = tmp_path / "python"
    script.write_text(f"#!{sys.executable}\nimport sys, json, time, os\npath = sys.argv[6]\n{code}\n")
    script.chmod(0o755)
    monkeypatch.setattr(command.sys, "executable", str(script))
    monkeypatch.setattr(command, "_START_SECONDS", 0.0)


ROWS = 'open(path, "w").write(json.dumps({"rows": [["1"]]}))\n'


@pytest.mark.parametrize(
    ("code", "status", "rows"),
    [
        (ROWS, "done", [["1"]]),
        (ROWS + "os.abort()", "failed: no message (status -6)", [["1"]]),
        (ROWS + "time.sleep(60)", "stopped after 3 s, when its time was over", [["1"]]),
        ('sys.exit("out of memory")', "failed: out of memory (status 1)", []),
    ],
)
def test_a_section_may_crash_or_hang_and_what_it_had_is_kept(monkeypatch, tmp_path, code, status, rows):
    fake_section(monkeypatch, tmp_path, code)
    section = command.run_section_apart("goldens", small=True, seconds=3.0)
    assert section["status"] == status
    assert section["rows"] == rows


def test_a_section_that_no_longer_fits_is_skipped():
    section = command.run_section_apart("goldens", small=True, seconds=4.0)
    assert section == {"status": "skipped: 4 s were left for it", "rows": []}


def test_the_page_tells_everything():
    sections = {
        "goldens": {
            "status": "done", "title": "Goldens", "columns": ["a", "ok"], "rows": [["1|2", "NO"]],
            "note": "A note.", "seconds": 3.0, "failures": ["x: broke"], "skipped": ["y: no time left"],
        },
        "speed": {"status": "skipped: 3 s were left", "rows": []},
    }  # fmt: skip
    text = page(REPORT | {"sections": sections})
    for part in ("# 8 x NVIDIA H100 (gpu)", "| 1\\|2 | NO |", "A note.", "goldens: done (3 s)."):
        assert part in text
    for part in ("- failed: x: broke", "- skipped: y: no time left", "speed: skipped: 3 s were left."):
        assert part in text
    assert failed(REPORT | {"sections": sections})
    assert not failed(REPORT | {"sections": {"speed": sections["speed"]}})


def test_the_golden_network_is_as_expected_and_a_wrong_one_is_not(monkeypatch):
    row = correctness.compare_with_golden(SMALL, ("tiny", "float32"))
    assert row[-1] == "yes"
    assert float(row[2]) < 1e-4
    wrong = correctness.golden_parameters(correctness.NETWORKS["tiny"][1])
    wrong["backbone"]["norm"]["scale"] *= 1.1
    monkeypatch.setattr(correctness, "golden_parameters", lambda spec: wrong)
    assert correctness.compare_with_golden(SMALL, ("tiny", "float32"))[-1] == "NO"


def test_nan_is_never_as_expected():
    assert correctness.verdict(float("nan"), 0.0, "float32") == "NO"
    assert correctness.verdict(0.0, float("nan"), "float32") == "NO"


def test_the_peak_is_that_of_products_whose_results_are_used():
    assert 1e8 < speed.peak_flops("float32", 256) < 1e15


def test_what_is_reported_is_json(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "describe_devices", lambda: REPORT["devices"])
    monkeypatch.setattr(
        command, "run_section_apart", lambda name, **options: {"status": "done", "rows": [], "seconds": 1.0}
    )
    assert command.main(["--only", "speed", "--out", str(tmp_path / "new" / "H100.md")]) == 0
    assert json.loads((tmp_path / "new" / "H100.json").read_text())["sections"]["speed"]["status"] == "done"
