"""Memory that prediction needs for the names of a folder's images.

python -m benchmarks.many_images [--images 1000000] [--json FILE]

Creates a folder of empty files, lists it as `lctr_jax.predict` does, determines the name of each overlay, and
resumes a prediction whose lines are all written. The peaks are those of Python's own allocations.
"""

import argparse
import json
import tempfile
import tracemalloc
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measurement import describe_machine, write_report
from lctr_jax.host.paths import path_argument
from lctr_jax.inference.image_search import find_images
from lctr_jax.report.free_names import FreeNames
from lctr_jax.report.prediction_journal import Journal

_NAME = "IMG_{:08d}.jpg"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        megabytes = measure(Path(scratch), images=options.images)
    rows = [[name, f"{value:.0f}"] for name, value in megabytes.items()]
    table = {
        "title": f"Peak memory for {options.images:,} images, MB",
        "columns": ["", "MB"],
        "rows": rows,
    }
    report = {"machine": describe_machine(), "images": options.images, "megabytes": megabytes}
    write_report(report | {"tables": [table], "notes": []}, options.json)


def measure(scratch: Path, *, images: int) -> dict[str, float]:
    """Measure the peak memory of each part of a prediction that stores names, in MB."""
    folder, out = scratch / "photographs", scratch / "out"
    folder.mkdir()
    out.mkdir()
    for number in range(images):
        (folder / _NAME.format(number)).touch()
    names = FreeNames()
    peaks = {
        "listing the folder": _peak(lambda: deque(find_images([folder], out=out), maxlen=0)),
        "names of overlays": _peak(lambda: deque(map(names.free, _files(images)), maxlen=0)),
    }
    Journal(out, {})
    with (out / "predictions.jsonl").open("w") as lines:
        for file in _files(images):
            line = {"id": str(folder / file), "overlay": f"overlays/{file}"}
            lines.write(json.dumps(line) + "\n")
    return peaks | {"resuming": _peak(lambda: Journal(out, {}))}


def _files(images: int):
    return map(_NAME.format, range(images))


def _peak(task: Callable[[], Any]) -> float:
    tracemalloc.start()
    kept = task()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del kept
    return peak / 1e6


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.many_images", description=__doc__)
    parser.add_argument("--images", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--json", type=path_argument, metavar="FILE", help="write the numbers here")
    return parser


if __name__ == "__main__":
    main()
