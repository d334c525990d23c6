"""Check correctness and measure speed on this machine's GPU or TPU in under ten minutes, with one report.

python -m benchmarks.accelerator [--seconds 540] [--small] [--only SECTION ...] [--out FILE.md] [--json FILE]

Each section runs in its own process, so that a crash or hang affects only that section; sections that do not
fit into the time are listed as skipped. On a CPU, and with --small, reduced versions run, to check that they
work. The exit status is 1 if a section failed or an error exceeds the tolerance of its data type.
"""

import argparse
import dataclasses
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.accelerator.report import failed, page
from benchmarks.measurement import describe_machine
from lctr_jax.host.paths import path_argument

SHARES = {
    "goldens": 1.0,
    "attention": 2.0,
    "trajectory": 0.7,
    "digits": 3.5,
    "pipeline": 1.2,
    "speed": 3.5,
    "pytorch": 2.5,
}
"""The sections in order, and their shares of the time; unused time goes to later sections."""

RESULTS = Path(__file__).parents[1] / "results"
_START_SECONDS = 15.0  # start-up time of a section's process


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    options = _parser().parse_args(arguments)
    if options.section:
        _run_here(options.section, options.small, options.seconds, options.json)
        return 0
    start = time.perf_counter()
    deadline = start + options.seconds
    devices = describe_devices()
    small = options.small or devices["platform"] == "cpu"
    report: dict[str, Any] = {
        "devices": devices,
        "machine": describe_machine("jaxlib", "flax"),
        "scale": "small" if small else "full",
        "sections": {},
    }
    with tempfile.TemporaryDirectory() as programs:
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", programs)  # sections share programs
        for index, name in enumerate(options.only):
            left = deadline - time.perf_counter()
            seconds = left * SHARES[name] / sum(SHARES[later] for later in options.only[index:])
            section = run_section_apart(name, small=small, seconds=seconds)
            report["sections"][name] = section
            print(f"{name}: {section['status']}", file=sys.stderr, flush=True)
    report["seconds"] = time.perf_counter() - start
    out = options.out or RESULTS / f"{slug(devices['kind'])}.md"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page(report))
    (options.json or out.with_suffix(".json")).write_text(json.dumps(report, indent=2) + "\n")
    print(page(report))
    return int(failed(report))


def run_section_apart(name: str, *, small: bool, seconds: float) -> dict[str, Any]:
    """Run a section in its own process with a time limit, and return its report and status."""
    if seconds < _START_SECONDS:
        return {"status": f"skipped: {max(seconds, 0):.0f} s were left for it", "rows": []}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "outcome.json")
        command = [sys.executable, "-m", "benchmarks.accelerator", "--section", name, "--json", str(path)]
        command += ["--seconds", str(seconds - _START_SECONDS), *(["--small"] if small else [])]
        try:
            done = subprocess.run(command, timeout=seconds, stderr=subprocess.PIPE, text=True, check=False)
            status = "done" if done.returncode == 0 else f"failed: {_last_line(done.stderr, done.returncode)}"
        except subprocess.TimeoutExpired:
            status = f"stopped after {seconds:.0f} s, when its time was over"
        outcome = json.loads(path.read_text()) if path.exists() else {"rows": []}
    return {"status": status, **outcome}


def describe_devices() -> dict[str, Any]:
    """Return platform, kind and number of devices, from another process, so that they stay free."""
    code = (
        "import jax, json; d = jax.devices(); "
        "print(json.dumps({'platform': d[0].platform, 'kind': d[0].device_kind, 'count': len(d)}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"error: the devices do not come up: {_last_line(done.stderr, done.returncode)}")
    return json.loads(done.stdout.splitlines()[-1])


def slug(kind: str) -> str:
    """Convert the kind of a device to a file name."""
    return re.sub(r"[^a-z0-9]+", "-", kind.lower()).strip("-") or "device"


def _run_here(name: str, small: bool, seconds: float, path: Path) -> None:
    # Imported here, because the process that waits for the sections must not use the devices.
    from benchmarks.accelerator.scale import FULL, SMALL
    from benchmarks.accelerator.sections import SECTIONS, Outcome, run_section

    def keep(outcome: Outcome) -> None:
        written = dataclasses.asdict(outcome)
        path.write_text(json.dumps({**written.pop("table"), **written, "note": SECTIONS[name].note}))

    if name == "pytorch":
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # leaves memory to PyTorch
    run_section(SECTIONS[name], SMALL if small else FULL, seconds=seconds, keep=keep)


def _last_line(text: str, status: int) -> str:
    lines = text.strip().splitlines()
    return f"{lines[-1] if lines else 'no message'} (status {status})"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accelerator", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seconds", type=float, default=540.0, help="total time of all sections")
    parser.add_argument("--small", action="store_true", help="reduced version, as on a CPU")
    parser.add_argument("--only", nargs="+", choices=SHARES, default=list(SHARES), metavar="SECTION")
    parser.add_argument("--out", type=path_argument, metavar="FILE.md", help="by default results/DEVICE.md")
    parser.add_argument("--json", type=path_argument, metavar="FILE", help="by default next to the report")
    parser.add_argument("--section", choices=SHARES, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
