"""Streaming a split through a network: devices compute a batch while the host measures the previous one."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils
from jaxtyping import Float, UInt8

from lctr_jax.data.geometry import Geometry
from lctr_jax.data.image_decoding import CorruptImageError
from lctr_jax.data.masks import mask_in_frame
from lctr_jax.data.pipeline import evaluation_batches
from lctr_jax.evaluation.forward import Forward, ForwardOutput, fetch_local_rows
from lctr_jax.localization.accumulator import Accumulator
from lctr_jax.localization.content_free import ContentFree, ContentFreeSums
from lctr_jax.localization.error_taxonomy import ErrorType
from lctr_jax.localization.measurement import Measurement, Sample, measure
from lctr_jax.localization.protocols import MapClass
from lctr_jax.localization.settings import Settings
from lctr_jax.localization.sums import Sums, add_sums
from lctr_jax.models.parameters import Parameters


@dataclass(frozen=True, kw_only=True, eq=False)
class Result:
    """One measured image, from which predictions, figures and reports are made.

    Its arrays are views of whole batches; use `detach` for results that are kept.

    Attributes:
        image: the frame that the network saw.
        width: of the original image in pixels.
        height: of the original image in pixels.
        sample: the network's results and the ground truth.
        measurement: their comparison.
        probability: of the classes in `sample.top5`.
        relation_map: see `models.output.Output`.
        class_map: of the class whose map is boxed.
        map_class: which class that is.
    """

    image: UInt8[np.ndarray, "size size 3"]
    width: int
    height: int
    sample: Sample
    measurement: Measurement
    probability: Float[np.ndarray, " top"]
    relation_map: Float[np.ndarray, "grid_h grid_w"]
    class_map: Float[np.ndarray, "grid_h grid_w"]
    map_class: MapClass

    @property
    def localization_map(self) -> Float[np.ndarray, "grid_h grid_w"]:
        """The map that boxes are made from."""
        return self.sample.score_map(self.map_class)

    @property
    def iou(self) -> float | None:
        """IoU of the reported box; None without true boxes."""
        return None if self.measurement.scores is None else self.measurement.scores.iou

    @property
    def error(self) -> ErrorType | None:
        """Error type of the reported box; None without true boxes."""
        return None if self.measurement.scores is None else self.measurement.scores.error

    def detach(self) -> "Result":
        """Return a copy with its own arrays, without masks and without pixel histograms."""
        return replace(
            _copied(self),
            sample=replace(_copied(self.sample), mask=None),
            measurement=replace(_copied(self.measurement), pixel_histograms=None),
        )


def _copied(record: Any) -> Any:
    """Return a dataclass with copies of its arrays."""
    arrays = {name: value.copy() for name, value in vars(record).items() if isinstance(value, np.ndarray)}
    return replace(record, **arrays)


AnySums = TypeVar("AnySums", Sums, ContentFreeSums)


class Totals(NamedTuple):
    """Sums over all images of all hosts, from which all metrics are computed."""

    measured: Sums
    content_free: ContentFree


def evaluate_split(
    forward: Forward,
    parameters: Parameters,
    split: Any,
    *,
    settings: Settings,
    geometry: Geometry,
    batch_size: int,
    num_workers: int = 0,
    on_result: Callable[[Result], None] = lambda result: None,
    on_batch: Callable[[], None] = lambda: None,
) -> Totals:
    """Measure every image of a split; memory does not grow with the number of images.

    Args:
        forward: see `forward.compile_forward`.
        parameters: of the network.
        split: the records.
        settings: of the measurement.
        geometry: how images become frames.
        batch_size: global batch size.
        num_workers: number of data workers.
        on_result: called for every image of this host, in order.
        on_batch: called between batches, equally often on every host.
    """
    accumulator = Accumulator(settings)
    content_free = _new_content_free(settings)
    shard = (jax.process_index(), jax.process_count())
    batches = evaluation_batches(
        split, batch_size=batch_size, geometry=geometry, num_workers=num_workers, shard=shard
    )
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for batch, maps in _one_ahead(forward, parameters, batches):
            rows = range(len(batch["records"]))
            # OpenCV and NumPy release the GIL.
            for result in threads.map(lambda row: _measure(batch, maps, row, settings, geometry), rows):  # noqa: B023
                accumulator.add(result.sample, result.measurement)
                boxes, mask = result.sample.boxes_xyxy, result.sample.mask
                content_free.add(boxes, np.array([len(boxes)]))
                if mask is not None:
                    content_free.add_mask(mask)
                on_result(result)
            on_batch()
    everyones = _new_content_free(settings)
    for part in _gather_hosts(content_free.sums()):
        everyones.merge(part)
    return Totals(add_sums(_gather_hosts(accumulator.sums())), everyones)


def _new_content_free(settings: Settings) -> ContentFree:
    return ContentFree(
        settings.protocol,
        image_size=settings.image_size,
        first_box_only=settings.first_box_only,
        tau_step=settings.tau_step,
    )


def _one_ahead(
    forward: Forward, parameters: Parameters, batches: Any
) -> Iterator[tuple[dict, ForwardOutput]]:
    """Yield each batch with its maps on the host, while the devices compute the next one."""
    pending = None
    for batch in batches:
        ahead = batch, forward(parameters, batch["image"], batch["label"])
        if pending is not None:
            yield pending[0], fetch_local_rows(pending[1])
        pending = ahead
    if pending is not None:
        yield pending[0], fetch_local_rows(pending[1])


def _measure(batch: dict, maps: ForwardOutput, row: int, settings: Settings, geometry: Geometry) -> Result:
    record = batch["records"][row]
    top, probability, relation_map, class_maps, localization_maps = (np.asarray(array[row]) for array in maps)
    size = {"width": record["width"], "height": record["height"]}
    sample = Sample(
        id=record["id"],
        label=record["label"],
        top5=top,
        predicted_map=localization_maps[0],
        label_map=localization_maps[1],
        boxes_xyxy=geometry.boxes_to_frame(record["boxes_xyxy"], **size),
        mask=_mask_in_frame(record, geometry),
    )
    return Result(
        image=batch["image"][row],
        **size,
        sample=sample,
        measurement=measure(sample, settings),
        probability=probability,
        relation_map=relation_map,
        class_map=class_maps[0 if settings.boxed_class == "predicted" else 1],
        map_class=settings.boxed_class,
    )


def _mask_in_frame(record: dict[str, Any], geometry: Geometry) -> np.ndarray | None:
    if record["mask"] is None:
        return None
    try:
        return mask_in_frame(record["mask"], geometry, width=record["width"], height=record["height"])
    except CorruptImageError as error:
        raise CorruptImageError(f"mask of {record['id']!r}: {error}; repair or remove the file") from error


def _gather_hosts(sums: AnySums) -> list[AnySums]:
    """Return every host's sums."""
    hosts = jax.process_count()
    if hosts == 1:
        return [sums]
    arrays: dict[str, np.ndarray] = vars(sums)
    # As pairs of 32 bits, because JAX's integers have 32 bits by default.
    words = {name: np.ascontiguousarray(value).reshape(-1).view(np.uint32) for name, value in arrays.items()}
    gathered = multihost_utils.process_allgather(words)
    everyones = {
        name: np.asarray(gathered[name]).reshape(hosts, 2 * value.size).view(np.int64)
        for name, value in arrays.items()
    }
    return [
        type(sums)(**{name: everyones[name][host].reshape(arrays[name].shape) for name in arrays})
        for host in range(hosts)
    ]
