"""Devices to compile for without having them: TPUs such as "v5e:2x4" and GPUs such as "h100:8"."""

from jax.sharding import Mesh
from jax.stages import Compiled, Lowered

from benchmarks import gpu_topology, tpu_topology


def is_gpu(name: str) -> bool:
    """Whether a topology is of GPUs."""
    return name.partition(":")[0] in gpu_topology.GPUS


def missing_compiler(name: str) -> str | None:
    """What to install before programs can be compiled for this topology; None if nothing is missing."""
    if is_gpu(name):
        return None if gpu_topology.has_gpu_compiler() else gpu_topology.MISSING
    return None if tpu_topology.has_tpu_compiler() else tpu_topology.MISSING


def available(names: list[str]) -> tuple[list[str], list[str]]:
    """The topologies that can be compiled for here, and a line for each that cannot."""
    missing = {name: missing_compiler(name) for name in names}
    return (
        [name for name, reason in missing.items() if reason is None],
        [f"{name} is left out: {reason}" for name, reason in missing.items() if reason is not None],
    )


def mesh_on_paper(name: str, *, fsdp: int = 1) -> Mesh:
    """A mesh as training makes it, over devices that nobody needs to have.

    Raises:
        ModuleNotFoundError: the compiler is not installed.
        ValueError: no such topology.
    """
    return gpu_topology.gpu_mesh(name, fsdp=fsdp) if is_gpu(name) else tpu_topology.tpu_mesh(name, fsdp=fsdp)


def compile_for(mesh: Mesh, lowered: Lowered) -> Compiled:
    """Compile for devices that may exist on paper only."""
    gpu = mesh.devices.flat[0].platform in ("gpu", "cuda")
    return lowered.compile(compiler_options=gpu_topology.COMPILER_OPTIONS if gpu else None)
