"""Everything that this machine's GPU or TPU should do, in one report, in under ten minutes.

python -m benchmarks.accelerator [--seconds 540] [--small] [--only SECTION ...] [--out FILE.md] [--json FILE]

Each section runs in a process of its own, so that a crash or a hang costs that section alone; what no longer
fits into the time is named as skipped. On a CPU, and with --small, little is tried, to show that it works.
The exit status is 1 where a section failed or an error is larger than its dtype explains.
"""

import argparse
import dataclasses
import json
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

SHARES = {"goldens": 2.0, "attention": 1.5, "trajectory": 1.0, "digits": 2.0, "pipeline": 0.5, "speed": 4.0}
"""The sections in order, and how the time is shared among them; what one leaves goes to those after it."""

RESULTS = Path(__file__).parents[1] / "results"
_START_SECONDS = 15.0  # of a section's process, until it measures


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
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
    """What a section's own process reports, ended when its time is over; its status in words."""
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
    """Platform, kind and number of the devices, asked for in a process of its own, which leaves them free."""
    code = (
        "import jax, json; d = jax.devices(); "
        "print(json.dumps({'platform': d[0].platform, 'kind': d[0].device_kind, 'count': len(d)}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"error: the devices do not come up: {_last_line(done.stderr, done.returncode)}")
    return json.loads(done.stdout.splitlines()[-1])


def slug(kind: str) -> str:
    """The kind of a device as the name of a file."""
    return re.sub(r"[^a-z0-9]+", "-", kind.lower()).strip("-") or "device"


def _run_here(name: str, small: bool, seconds: float, path: Path) -> None:
    # Imported here: the process that waits for the sections must not take the devices.
    from benchmarks.accelerator.scale import FULL, SMALL
    from benchmarks.accelerator.sections import SECTIONS, Outcome, run_section

    def keep(outcome: Outcome) -> None:
        written = dataclasses.asdict(outcome)
        path.write_text(json.dumps({**written.pop("table"), **written, "note": SECTIONS[name].note}))

    run_section(SECTIONS[name], SMALL if small else FULL, seconds=seconds, keep=keep)


def _last_line(text: str, status: int) -> str:
    lines = text.strip().splitlines()
    return f"{lines[-1] if lines else 'no message'} (status {status})"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accelerator", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seconds", type=float, default=540.0, help="for all sections together")
    parser.add_argument("--small", action="store_true", help="little of each, as on a CPU")
    parser.add_argument("--only", nargs="+", choices=SHARES, default=list(SHARES), metavar="SECTION")
    parser.add_argument("--out", type=path_argument, metavar="FILE.md", help="by default results/DEVICE.md")
    parser.add_argument("--json", type=path_argument, metavar="FILE", help="beside the report unless given")
    parser.add_argument("--section", choices=SHARES, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
