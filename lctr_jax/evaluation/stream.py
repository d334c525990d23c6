"""Streaming a split through a network: devices compute a batch while the host measures the previous one."""

import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, UInt8

from lctr_jax.data.geometry import Geometry
from lctr_jax.data.image_decoding import CorruptImageError
from lctr_jax.data.masks import mask_in_frame
from lctr_jax.data.pipeline import evaluation_batches
from lctr_jax.evaluation.forward import Forward, ForwardOutput, fetch_local_rows
from lctr_jax.evaluation.gathering import gather_hosts
from lctr_jax.localization.accumulator import Accumulator
from lctr_jax.localization.content_free import ContentFree
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


class Totals(NamedTuple):
    """Sums over all images of all hosts, from which all metrics are computed; of references by name."""

    measured: Sums
    content_free: ContentFree
    references: dict[str, Sums]


def evaluate_split(
    forward: Forward,
    parameters: Parameters,
    split: Any,
    *,
    settings: Settings,
    geometry: Geometry,
    batch_size: int,
    num_workers: int = 0,
    references: Mapping[str, Parameters] = MappingProxyType({}),
    reference_settings: Settings | None = None,
    on_result: Callable[[Result], None] = lambda result: None,
    on_batch: Callable[[], None] = lambda: None,
) -> Totals:
    """Measure every image of a split; memory does not grow with the number of images.

    An image is decoded once, whatever the number of references.

    Args:
        forward: see `forward.compile_forward`.
        parameters: of the network.
        split: the records.
        settings: of the measurement.
        geometry: how images become frames.
        batch_size: global batch size.
        num_workers: number of data workers.
        references: other parameters of the same network, measured on the same images, by name.
        reference_settings: of their measurement; `settings` if None.
        on_result: called for every image of this host, in order, with the results of `parameters`.
        on_batch: called between batches, equally often on every host.
    """
    networks = [_Network(parameters, Accumulator(settings))]
    networks += [
        _Network(other, Accumulator(reference_settings or settings)) for other in references.values()
    ]
    content_free = _new_content_free(settings)
    shard = (jax.process_index(), jax.process_count())
    batches = evaluation_batches(
        split, batch_size=batch_size, geometry=geometry, num_workers=num_workers, shard=shard
    )
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for batch, maps in _one_ahead(forward, networks, batches):
            # OpenCV and NumPy release the GIL.
            truths = list(threads.map(lambda record: _find_truth(record, geometry), batch["records"]))
            for truth in truths:
                content_free.add(truth.boxes_xyxy, np.array([len(truth.boxes_xyxy)]))
                if truth.mask is not None:
                    content_free.add_mask(truth.mask)
            for network, maps_of_network in zip(networks, maps, strict=True):
                accumulator = network.accumulator
                measured = functools.partial(_measure, batch, maps_of_network, settings=accumulator.settings)
                for result in threads.map(measured, range(len(truths)), truths):
                    accumulator.add(result.sample, result.measurement)
                    if network is networks[0]:
                        on_result(result)
            on_batch()
    everyones = _new_content_free(settings)
    for part in gather_hosts(content_free.sums()):
        everyones.merge(part)
    measured, *compared = (add_sums(gather_hosts(network.accumulator.sums())) for network in networks)
    return Totals(measured, everyones, dict(zip(references, compared, strict=True)))


class _Network(NamedTuple):
    """Parameters, and what they have been measured to do so far."""

    parameters: Parameters
    accumulator: Accumulator


class _Truth(NamedTuple):
    """The true boxes and the mask of an image in the frame."""

    boxes_xyxy: Float[np.ndarray, "boxes 4"]
    mask: UInt8[np.ndarray, "size size"] | None


def _new_content_free(settings: Settings) -> ContentFree:
    return ContentFree(
        settings.protocol,
        image_size=settings.image_size,
        first_box_only=settings.first_box_only,
        tau_step=settings.tau_step,
    )


def _one_ahead(
    forward: Forward, networks: Sequence[_Network], batches: Any
) -> Iterator[tuple[dict, list[ForwardOutput]]]:
    """Yield each batch with every network's maps on the host, while the devices compute the next one."""
    pending = None
    for batch in batches:
        ahead = batch, [forward(network.parameters, batch["image"], batch["label"]) for network in networks]
        if pending is not None:
            yield pending[0], list(map(fetch_local_rows, pending[1]))
        pending = ahead
    if pending is not None:
        yield pending[0], list(map(fetch_local_rows, pending[1]))


def _find_truth(record: dict[str, Any], geometry: Geometry) -> _Truth:
    size = {"width": record["width"], "height": record["height"]}
    boxes = geometry.boxes_to_frame(record["boxes_xyxy"], **size)
    return _Truth(boxes, _mask_in_frame(record, geometry))


def _measure(batch: dict, maps: ForwardOutput, row: int, truth: _Truth, *, settings: Settings) -> Result:
    record = batch["records"][row]
    top, probability, relation_map, class_maps, localization_maps = (np.asarray(array[row]) for array in maps)
    sample = Sample(
        id=record["id"],
        label=record["label"],
        top5=top,
        predicted_map=localization_maps[0],
        label_map=localization_maps[1],
        boxes_xyxy=truth.boxes_xyxy,
        mask=truth.mask,
    )
    return Result(
        image=batch["image"][row],
        width=record["width"],
        height=record["height"],
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
