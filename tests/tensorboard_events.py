"""Read TensorBoard's event files (TFRecord framing, protocol buffers) without TensorBoard."""

import io
import struct
from pathlib import Path

import numpy as np
from PIL import Image
from tensorboardX.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]  generated
from tensorboardX.proto.plugin_hparams_pb2 import (
    HParamsPluginData,  # pyright: ignore[reportAttributeAccessIssue]  generated
)


def read_values(folder: Path) -> list:
    """(step, summary value) of every event of every file."""
    found = []
    for path in sorted(folder.glob("events.out.tfevents.*")):
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            event = Event.FromString(content[12 : 12 + length])
            found += [(event.step, value) for value in event.summary.value]
            content = content[16 + length :]
    return found


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    series = {}
    for step, value in read_values(folder):
        if value.WhichOneof("value") == "simple_value":
            series.setdefault(value.tag, []).append((step, value.simple_value))
    return series


def images(folder: Path) -> dict[str, list[tuple[int, np.ndarray]]]:
    series = {}
    for step, value in read_values(folder):
        if value.WhichOneof("value") == "image":
            picture = np.asarray(Image.open(io.BytesIO(value.image.encoded_image_string)))
            series.setdefault(value.tag, []).append((step, picture))
    return series


def hparams(folder: Path) -> tuple[dict, set[str]]:
    """The options by name, and the names of the metrics that they are compared by."""
    options, metrics = {}, set()
    for _, value in read_values(folder):
        if value.metadata.plugin_data.plugin_name == "hparams":
            data = HParamsPluginData.FromString(value.metadata.plugin_data.content)
            for name, option in data.session_start_info.hparams.items():
                options[name] = getattr(option, option.WhichOneof("kind"))
            metrics |= {info.name.tag for info in data.experiment.metric_infos}
    return options, metrics
