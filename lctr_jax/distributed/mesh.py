"""The devices as a mesh, and where each array lives on it.

Axis `data` holds copies of the parameters, axis `fsdp` splits them; batches are split over both.
"""

import os
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

BATCH_AXES = ("data", "fsdp")
STACKED = "blocks"
"""Parameters below this name are of all layers, along a leading axis."""


def make_mesh(*, fsdp: int = 1) -> Mesh:
    """A mesh over all devices of all hosts.

    Raises:
        ValueError: `fsdp` does not divide the number of devices.
        OSError: the devices do not come up.
    """
    try:
        devices = jax.device_count()
    except (RuntimeError, AssertionError) as error:
        # JAX says nothing where JAX_PLATFORMS asks for GPUs on a machine that has none.
        missing = f"got none, JAX_PLATFORMS is {os.environ.get('JAX_PLATFORMS', '')!r}"
        raise OSError(f"devices: {error}" if str(error) else f"devices: {missing}") from error
    if fsdp < 1 or devices % fsdp:
        raise ValueError(f"train.fsdp: got {fsdp}, expected a divisor of the {devices} devices")
    return jax.make_mesh((devices // fsdp, fsdp), BATCH_AXES, axis_types=(AxisType.Auto,) * 2)


def describe_devices(mesh: Mesh) -> str:
    """How many of what, such as `8 x TPU v5 lite (tpu) of 2 processes`."""
    device = mesh.devices.flat[0]
    processes = f" of {jax.process_count()} processes" if jax.process_count() > 1 else ""
    return f"{mesh.devices.size} x {device.device_kind} ({device.platform}){processes}"


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Split along the leading axis over every device."""
    return NamedSharding(mesh, PartitionSpec(BATCH_AXES))


def replicated(mesh: Mesh) -> NamedSharding:
    """A copy on every device."""
    return NamedSharding(mesh, PartitionSpec())


def state_shardings(mesh: Mesh, tree: Any) -> Any:
    """Where each array of a state, or of parameters, lives.

    Kernels are split over `fsdp` along their longest axis that it divides, but never along the layers that
    stacked blocks are scanned over; vectors are copied: they are a hundredth of the memory, and each would
    need an exchange of its own.
    """
    shards = mesh.shape["fsdp"]

    def place(path: tuple[Any, ...], leaf: jax.Array | jax.ShapeDtypeStruct) -> NamedSharding:
        first = 1 if any(getattr(key, "key", None) == STACKED for key in path) else 0
        axes = [axis for axis in range(first, len(leaf.shape)) if leaf.shape[axis] > 1]
        divisible = [axis for axis in axes if leaf.shape[axis] % shards == 0]
        if shards == 1 or len(axes) < 2 or not divisible:
            return replicated(mesh)
        longest = max(divisible, key=lambda axis: leaf.shape[axis])
        return NamedSharding(mesh, PartitionSpec(*[None] * longest, "fsdp"))

    return jax.tree.map_with_path(place, tree)


def check_batch(name: str, batch_size: int, mesh: Mesh, *, parts: int = 1) -> None:
    """Refuse a global batch that the devices cannot share evenly.

    Raises:
        ValueError: naming the nearest sizes that they can.
    """
    unit = mesh.size * parts
    if batch_size < 1 or batch_size % unit:
        below, above = batch_size // unit * unit, (batch_size // unit + 1) * unit
        nearest = f"{below} or {above}" if below > 0 else str(above)
        shared = f"{mesh.size} devices" + (f" x {parts} micro-batches" if parts > 1 else "")
        raise ValueError(
            f"{name}: got {batch_size}, expected a multiple of {unit} ({shared}), such as {nearest}"
        )


def put_batch(batch: dict[str, np.ndarray], sharding: NamedSharding) -> dict[str, jax.Array]:
    """This host's part of a batch as part of one global array an entry."""
    return {key: jax.make_array_from_process_local_data(sharding, value) for key, value in batch.items()}
