"""Backbone features of fixed crops of the training images, kept on disk to train heads alone."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import ml_dtypes
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array

from lctr_jax.data import sampling
from lctr_jax.data.pipeline import TrainIterator
from lctr_jax.distributed.mesh import BATCH_AXES, batch_sharding, put_batch
from lctr_jax.models.execution import device_kind, inference_compiler_options, matmul_precision, resolve
from lctr_jax.models.normalization import normalize
from lctr_jax.models.parameters import Parameters, bind
from lctr_jax.models.spec import ModelSpec

_INDEX = "features.json"
_IMAGES = "images.npz"  # label, id and `replaced` of every row
_DTYPES = {name: np.dtype(getattr(ml_dtypes, name, name)) for name in ("float32", "float16", "bfloat16")}


@dataclass(frozen=True)
class FeatureCache:
    """The features of `crops` crops of every training image; crop v of image i is row v * images + i.

    Attributes:
        arrays: per field of `BackboneOutput` that the head's loss uses, an array on disk [rows, ...].
        labels: class of each row's image, int32 [rows].
        ids: id of each row's image, str [rows].
        replaced: whether the row is of another image, since its own cannot be read, bool [rows].
        crops: number of crops per image.
    """

    arrays: dict[str, np.ndarray]
    labels: np.ndarray
    ids: np.ndarray
    replaced: np.ndarray
    crops: int

    def batches(self, *, batch_size: int, seed: int) -> TrainIterator:
        """Iterate over shuffled batches of {features, label, id, replaced}; epoch e uses crop e % crops.

        The order of images is that of `train_batches` without repeats.

        Raises:
            ValueError: the batch is larger than an epoch.
        """
        num_images = len(self.labels) // self.crops
        steps = sampling.steps_per_epoch(num_examples=num_images, batch_size=batch_size)
        order = sampling.global_order(
            num_examples=num_images, steps=steps, batch_size=batch_size, repeats=1, seed=seed
        )
        epoch_length = steps * batch_size

        def read(position: int, image: int) -> dict[str, Any]:
            row = position // epoch_length % self.crops * num_images + image
            features = {name: np.asarray(array[row]) for name, array in self.arrays.items()}
            return {
                "features": features,
                "label": self.labels[row],
                "id": self.ids[row],
                "replaced": self.replaced[row],
            }

        samples = order.map_with_index(read)
        return TrainIterator(samples, host_batch=batch_size, num_workers=0, steps_per_epoch=steps)


def compute_features(
    folder: Path,
    batches: TrainIterator,
    spec: ModelSpec,
    weights: Parameters,
    mesh: Mesh,
    *,
    num_images: int,
    crops: int,
    say: Callable[[str], object],
    check: Callable[[], object],
) -> None:
    """Run the backbone over all crops, and write the folder, which appears only when complete.

    Args:
        folder: where the features are written.
        batches: the crops, from `fixed_crops`.
        spec: the network.
        weights: the network's arrays, of which the backbone is used.
        mesh: devices of one process.
        num_images: number of training images.
        crops: number of crops per image.
        say: receives lines about the progress.
        check: called between batches; may raise an error to stop.

    Raises:
        OSError: there is not enough space on the disk, or it cannot be written to.
        CorruptImageError: an image cannot be decoded, and the policy is "error".
    """
    forward = _compile_backbone(spec, mesh)
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    rows, done, arrays = num_images * crops, 0, {}
    facts: dict[str, list[np.ndarray]] = {"label": [], "id": [], "replaced": []}
    while done < rows:
        check()
        batch = next(batches)
        count = min(len(batch["label"]), rows - done)  # the crops start again within the last batch
        features = jax.device_get(forward(weights, batch["image"]))
        if not arrays:
            arrays = _create(unfinished, features, rows)
            size = sum(array.nbytes for array in arrays.values())
            say(f"features: {crops} crops of {num_images:,} images, {size / 1e9:.1f} GB, in {folder}")
        for name, array in arrays.items():
            array[done : done + count] = features[name][:count]
        for name, values in facts.items():
            values.append(batch[name][:count])
        if (tenths := 10 * (done + count) // rows) > 10 * done // rows:
            say(f"features: {10 * tenths} % computed")
        done += count
    _finish(unfinished, arrays, facts, crops)
    unfinished.rename(folder)


def _finish(
    folder: Path, arrays: dict[str, np.memmap], facts: dict[str, list[np.ndarray]], crops: int
) -> None:
    """Write everything to disk, and the index last."""
    for array in arrays.values():
        array.flush()
    labels, ids, replaced = (np.concatenate(facts[name]) for name in ("label", "id", "replaced"))
    np.savez(folder / _IMAGES, label=labels, id=ids, replaced=replaced)
    index = {name: {"shape": array.shape, "dtype": array.dtype.name} for name, array in arrays.items()}
    (folder / _INDEX).write_text(json.dumps({"crops": crops, "arrays": index}))


def open_features(folder: Path) -> FeatureCache | None:
    """Open the features in a folder; None if there are none."""
    if not (folder / _INDEX).is_file():
        return None
    index = json.loads((folder / _INDEX).read_text())
    arrays: dict[str, np.ndarray] = {
        name: np.memmap(folder / name, _DTYPES[array["dtype"]], "r", shape=tuple(array["shape"]))
        for name, array in index["arrays"].items()
    }
    with np.load(folder / _IMAGES) as facts:
        return FeatureCache(arrays, facts["label"], facts["id"], facts["replaced"], index["crops"])


def _compile_backbone(spec: ModelSpec, mesh: Mesh) -> Callable[[Parameters, np.ndarray], dict[str, Array]]:
    """Return a function of weights and images, uint8 [b, h, w, 3], to the features that the head uses."""
    kind = device_kind(mesh.devices.flat)
    spec = resolve(spec, kind)

    def run(weights: Parameters, images: Array) -> dict[str, Array]:
        network = bind(spec, weights)
        with matmul_precision(spec):
            found = network.backbone(normalize(images), statistics="cls")
        return {name: getattr(found, name) for name in network.head_features}

    rows, sharding = jax.P(BATCH_AXES), batch_sharding(mesh)
    program = jax.jit(
        jax.shard_map(run, mesh=mesh, in_specs=(jax.P(), rows), out_specs=rows, check_vma=False),
        compiler_options=inference_compiler_options(kind),
    )
    return lambda weights, images: program(weights, put_batch({"image": images}, sharding)["image"])


def _create(folder: Path, features: dict[str, np.ndarray], rows: int) -> dict[str, np.memmap]:
    """Create the arrays on disk.

    Raises:
        OSError: they do not fit.
    """
    needed = rows * sum(array[0].nbytes for array in features.values())
    if needed > (free := shutil.disk_usage(folder).free):
        raise OSError(
            f"train.cached_crops: the features take {needed / 1e9:.1f} GB, and {folder.parent} has "
            f"{free / 1e9:.1f} GB free; choose fewer crops, or another data.data_dir"
        )
    return {
        name: np.memmap(folder / name, array.dtype, "w+", shape=(rows, *array.shape[1:]))
        for name, array in features.items()
    }
