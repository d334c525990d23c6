"""The forward pass for evaluation, compiled once for a mesh.

Every device runs the same program on a batch of the same size, for any number of devices and hosts. Rounding
depends on array shapes, and the last bit of a map may move a box, so equal shapes make all results
bit-identical.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from jax.stages import Wrapped
from jaxtyping import Array, Float, Int, UInt8

from lctr_jax.distributed.mesh import BATCH_AXES, batch_sharding, put_batch
from lctr_jax.models.execution import device_kind, inference_compiler_options, matmul_precision, resolve
from lctr_jax.models.normalization import normalize
from lctr_jax.models.parameters import Parameters, bind
from lctr_jax.models.spec import ModelSpec

AnyArray = Array | np.ndarray


class ForwardOutput(NamedTuple):
    """A network's outputs for a global batch on the devices, or for this host's part once fetched.

    Attributes:
        top: the five (or fewer) classes with the highest scores, best first.
        probability: their probabilities.
        relation_map: see `models.output.Output`.
        class_maps: of the predicted and of the true class.
        localization_maps: of the same two; boxes are made from these.
    """

    top: Int[AnyArray, "batch top"]
    probability: Float[AnyArray, "batch top"]
    relation_map: Float[AnyArray, "batch grid_h grid_w"]
    class_maps: Float[AnyArray, "batch 2 grid_h grid_w"]
    localization_maps: Float[AnyArray, "batch 2 grid_h grid_w"]


Forward = Callable[[Parameters, UInt8[np.ndarray, "b h w 3"], Int[np.ndarray, " b"]], ForwardOutput]


def compile_forward(spec: ModelSpec, mesh: Mesh) -> Forward:
    """Return a function of parameters, this host's images and labels (-1: unknown) to the global output.

    It returns immediately; `fetch_local_rows` waits for the devices.
    """
    program, sharding = forward_program(spec, mesh), batch_sharding(mesh)

    def forward(parameters, image, label):
        placed = put_batch({"image": image, "label": label}, sharding)
        return program(parameters, placed["image"], placed["label"])

    return forward


def forward_program(spec: ModelSpec, mesh: Mesh) -> Wrapped:
    """Return the jitted function behind `compile_forward`, which takes arrays of the global batch.

    The devices of the mesh determine what "auto" means; they need not belong to this machine.
    """
    kind = device_kind(mesh.devices.flat)
    spec = resolve(spec, kind)

    def run(parameters: Parameters, image: Array, label: Array) -> ForwardOutput:
        predicted_and_true = jnp.stack([jnp.full_like(label, -1), label], axis=1)
        with matmul_precision(spec):
            output = bind(spec, parameters)(normalize(image), predicted_and_true)
        probability, top = jax.lax.top_k(jax.nn.softmax(output.logits), min(5, spec.num_classes))
        return ForwardOutput(top, probability, output.relation_map, output.class_map, output.localization_map)

    whole, rows = PartitionSpec(), PartitionSpec(BATCH_AXES)
    return jax.jit(
        jax.shard_map(run, mesh=mesh, in_specs=(whole, rows, rows), out_specs=rows, check_vma=False),
        compiler_options=inference_compiler_options(kind),
    )


def fetch_local_rows(maps: ForwardOutput) -> ForwardOutput:
    """Copy this host's rows of a global output to the host, in the order of its images."""
    return ForwardOutput(*(_local_rows(array) for array in maps))


def _local_rows(array: AnyArray) -> np.ndarray:
    assert isinstance(array, jax.Array)
    shards = sorted(array.addressable_shards, key=lambda shard: shard.index[0].start or 0)
    return np.concatenate(jax.device_get([shard.data for shard in shards]))
