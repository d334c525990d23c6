"""The device mesh, and the placement of arrays on it.

Axis `data` replicates the parameters, axis `fsdp` shards them; batches are sharded over both.
"""

import os
from typing import Any

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

BATCH_AXES = ("data", "fsdp")
STACKED = "blocks"
"""Parameters below this name are stacked over layers along a leading axis."""


def make_mesh(*, fsdp: int = 1) -> Mesh:
    """Build a mesh over all devices of all hosts.

    Args:
        fsdp: number of devices that share one copy of the parameters.

    Raises:
        ValueError: `fsdp` does not divide the number of devices.
        OSError: the devices cannot be initialized.
    """
    try:
        devices = jax.device_count()
    except (RuntimeError, AssertionError) as error:
        # JAX raises without a message if JAX_PLATFORMS requests GPUs on a machine without any.
        missing = f"got none, JAX_PLATFORMS is {os.environ.get('JAX_PLATFORMS', '')!r}"
        raise OSError(f"devices: {error}" if str(error) else f"devices: {missing}") from error
    if fsdp < 1 or devices % fsdp:
        raise ValueError(f"train.fsdp: got {fsdp}, expected a divisor of the {devices} devices")
    return jax.make_mesh((devices // fsdp, fsdp), BATCH_AXES, axis_types=(AxisType.Auto,) * 2)


def describe_devices(mesh: Mesh) -> str:
    """Describe the devices, e.g. `8 x TPU v5 lite (tpu) of 2 processes`."""
    device = mesh.devices.flat[0]
    processes = f" of {jax.process_count()} processes" if jax.process_count() > 1 else ""
    return f"{mesh.devices.size} x {device.device_kind} ({device.platform}){processes}"


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Return the sharding that splits the leading axis over all devices."""
    return NamedSharding(mesh, PartitionSpec(BATCH_AXES))


def replicated(mesh: Mesh) -> NamedSharding:
    """Return the sharding that puts a copy on every device."""
    return NamedSharding(mesh, PartitionSpec())


def state_shardings(mesh: Mesh, tree: Any) -> Any:
    """Return the sharding of each array of a state or of parameters.

    Kernels are split over `fsdp` along their longest divisible axis, but never along the layers of stacked
    blocks, which `lax.scan` iterates over. Vectors are replicated: they take a hundredth of the memory, and
    each would need communication of its own.
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
    """Check that the devices can share a global batch evenly.

    Raises:
        ValueError: they cannot; the message names the nearest possible sizes.
    """
    unit = mesh.size * parts
    if batch_size < 1 or batch_size % unit:
        below, above = batch_size // unit * unit, (batch_size // unit + 1) * unit
        nearest = f"{below} or {above}" if below > 0 else str(above)
        shared = f"{mesh.size} devices" + (f" x {parts} micro-batches" if parts > 1 else "")
        raise ValueError(
            f"{name}: got {batch_size}, expected a multiple of {unit} ({shared}), such as {nearest}"
        )


def put_batch(batch: dict[str, Any], sharding: NamedSharding) -> dict[str, Any]:
    """Combine the hosts' parts of a batch, a nested dict of arrays, into global arrays."""
    return jax.tree.map(lambda value: jax.make_array_from_process_local_data(sharding, value), batch)
