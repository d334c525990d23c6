"""A checkpoint's calibrated threshold, in a file next to Orbax's items, which it does not change.

The file is written atomically (under another name, then renamed) and contains its own checksum.
"""

import dataclasses
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lctr_jax.json_objects import describe_value, read_object, require_number

FILE = "calibration.json"
_CHECKSUM = "crc32"

_Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A threshold and the boxes on which it was chosen.

    Attributes:
        threshold: share of a map's maximum, in [0, 1).
        interval_95: bootstrap interval of the threshold over images.
        box_accuracy: percent of the images whose box has IoU >= 0.5 at this threshold.
        box_accuracy_interval_95: its bootstrap interval over images.
        source: the box list.
        num_images: images with boxes.
        num_boxes: boxes in these images.
        geometry: how images become the network's input, "wsoleval" or "lctr".
    """

    threshold: float
    interval_95: _Interval
    box_accuracy: float
    box_accuracy_interval_95: _Interval
    source: str
    num_images: int
    num_boxes: int
    geometry: str

    def describe(self) -> str:
        """Describe the boxes on which the threshold was chosen, and its interval."""
        low, high = self.interval_95
        boxes = f"{self.num_boxes:,} box{'es' if self.num_boxes != 1 else ''}"
        view = "" if self.geometry == "wsoleval" else f" with --geometry {self.geometry}"
        return f"calibrated on {boxes} of {self.source}{view}, 95 % interval {low:.3g} to {high:.3g}"


def write_calibration(folder: Path, calibration: Calibration) -> Path:
    """Write the calibration to a checkpoint's folder, replacing an earlier one; return the file.

    Raises:
        OSError: the folder is not writable; an earlier calibration is then unchanged.
    """
    values = dataclasses.asdict(calibration)
    unfinished = folder / f".{FILE}.tmp"
    try:
        unfinished.write_text(json.dumps(values | {_CHECKSUM: checksum(values)}, indent=2) + "\n")
        unfinished.replace(folder / FILE)
    finally:
        unfinished.unlink(missing_ok=True)
    return folder / FILE


def read_calibration(folder: Path) -> Calibration | None:
    """Return the calibration of the checkpoint in `folder`; None if it has none.

    Raises:
        ValueError: the file is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    remedy = "calibrate again (lctr-calibrate), remove the file, or give --threshold"
    try:
        values = read_object(path)
        if values.pop(_CHECKSUM, None) != checksum(values):
            raise ValueError(f"{path}: the checksum does not match its content")
        return _parse(values, where=str(path))
    except RecursionError as error:
        raise ValueError(f"{path}: nested too deeply; {remedy}") from error
    except ValueError as error:
        raise ValueError(f"{error}; {remedy}") from error


def _parse(values: dict[str, Any], *, where: str) -> Calibration:
    expected = [field.name for field in dataclasses.fields(Calibration)]
    if sorted(values) != sorted(expected):
        raise ValueError(f"{where}: got the keys {', '.join(sorted(values))}, expected {', '.join(expected)}")
    for name in ("threshold", "box_accuracy", "num_images", "num_boxes"):
        require_number(values[name], where=f"{where}: {name}")
    if not 0 <= values["threshold"] < 1:
        raise ValueError(f"{where}: threshold: got {values['threshold']}, expected 0 or more and below 1")
    for name in ("source", "geometry"):
        if not isinstance(values[name], str):
            raise ValueError(f"{where}: {name}: got {describe_value(values[name])}, expected a string")
    for name in ("interval_95", "box_accuracy_interval_95"):
        if not isinstance(values[name], list) or len(values[name]) != 2:
            raise ValueError(f"{where}: {name}: got {describe_value(values[name])}, expected two numbers")
        values[name] = tuple(require_number(end, where=f"{where}: {name}") for end in values[name])
    return Calibration(**values)


def checksum(values: dict[str, Any]) -> int:
    """Compute the CRC-32 of the file's values, sorted by name."""
    return zlib.crc32(json.dumps(values, sort_keys=True).encode())
