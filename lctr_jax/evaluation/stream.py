"""A network over a split, streamed: the devices compute a batch while the host measures the one before."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils

from lctr_jax.data.geometry import Geometry
from lctr_jax.data.image_decoding import CorruptImageError, decode_mask
from lctr_jax.data.pipeline import evaluation_batches
from lctr_jax.evaluation.forward import Forward, Maps, fetch
from lctr_jax.localization.accumulator import Accumulator, Sums
from lctr_jax.localization.content_free import ContentFree
from lctr_jax.localization.measurement import Measurement, Sample, measure
from lctr_jax.localization.settings import Settings
from lctr_jax.models.parameters import Parameters


class Result(NamedTuple):
    """One image, measured: what predictions, pictures and reports are made of.

    `image` is the uint8 frame that the network saw; `record` what the pipeline knows of the image;
    `relation_map` times `class_map` is the map that was boxed. The arrays are parts of whole batches: copy
    what is to be kept.
    """

    image: np.ndarray
    record: dict[str, Any]
    sample: Sample
    measurement: Measurement
    probability: np.ndarray
    relation_map: np.ndarray
    class_map: np.ndarray


class Totals(NamedTuple):
    """Sums over all images of all hosts, from which every number follows."""

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
    """Measure every image of a split; `on_result` sees this host's, in order. `batch_size` is global.

    `on_batch` is called on every host equally often, between batches.

    Memory does not grow with the number of images.
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
            # OpenCV and NumPy release the interpreter while they work.
            for result in threads.map(lambda row: _measure(batch, maps, row, settings, geometry), rows):  # noqa: B023
                accumulator.add(result.measurement)
                boxes = result.sample.boxes_xyxy
                content_free.add(boxes, np.array([len(boxes)]))
                on_result(result)
            on_batch()
    everyones = _new_content_free(settings)
    everyones.merge(_sum_over_hosts(content_free.sums()))
    return Totals(_sum_over_hosts(accumulator.sums()), everyones)


def _new_content_free(settings: Settings) -> ContentFree:
    return ContentFree(
        settings.protocol, image_size=settings.image_size, first_box_only=settings.first_box_only
    )


def _one_ahead(forward: Forward, parameters: Parameters, batches: Any) -> Iterator[tuple[dict, Maps]]:
    """Each batch with its maps on the host, the next batch already on its way through the devices."""
    pending = None
    for batch in batches:
        ahead = batch, forward(parameters, batch["image"], batch["label"])
        if pending is not None:
            yield pending[0], fetch(pending[1])
        pending = ahead
    if pending is not None:
        yield pending[0], fetch(pending[1])


def _measure(batch: dict, maps: Maps, row: int, settings: Settings, geometry: Geometry) -> Result:
    record = batch["records"][row]
    top, probability, relation_map, class_maps = (np.asarray(array[row]) for array in maps)
    predicted_map, label_map = relation_map * class_maps
    size = {"width": record["width"], "height": record["height"]}
    sample = Sample(
        id=record["id"],
        label=record["label"],
        top5=top,
        predicted_map=predicted_map,
        label_map=label_map,
        boxes_xyxy=geometry.boxes_to_frame(record["boxes_xyxy"], **size),
        mask=_mask_in_frame(record, geometry),
    )
    return Result(
        image=batch["image"][row],
        record=record,
        sample=sample,
        measurement=measure(sample, settings),
        probability=probability,
        relation_map=relation_map,
        class_map=class_maps[0 if settings.boxed_class == "predicted" else 1],
    )


def _mask_in_frame(record: dict[str, Any], geometry: Geometry) -> np.ndarray | None:
    if record["mask"] is None:
        return None
    try:
        return geometry.transform_mask(decode_mask(record["mask"]))
    except CorruptImageError as error:
        raise CorruptImageError(f"mask of {record['id']!r}: {error}; mend or remove the file") from error


def _sum_over_hosts(sums: Sums) -> Sums:
    if jax.process_count() == 1:
        return sums
    # As pairs of 32 bits, which is how wide JAX's integers are: exact.
    words = {name: np.ascontiguousarray(value).reshape(-1).view(np.uint32) for name, value in sums.items()}
    gathered = multihost_utils.process_allgather(words)
    return {
        name: np.asarray(gathered[name]).view(np.int64).sum(axis=0).reshape(value.shape)
        for name, value in sums.items()
    }
