"""Compilation targets that need not be present: TPUs such as "v5e:2x4" and GPUs such as "h100:8"."""

from jax.sharding import Mesh
from jax.stages import Compiled, Lowered

from benchmarks import gpu_topology, tpu_topology


def is_gpu(name: str) -> bool:
    """Return whether a topology consists of GPUs."""
    return name.partition(":")[0] in gpu_topology.GPUS


def missing_compiler(name: str) -> str | None:
    """Return what must be installed to compile programs for this topology; None if nothing is missing."""
    if is_gpu(name):
        return None if gpu_topology.has_gpu_compiler() else gpu_topology.MISSING
    return None if tpu_topology.has_tpu_compiler() else tpu_topology.MISSING


def available(names: list[str]) -> tuple[list[str], list[str]]:
    """Return the topologies that can be compiled for here, and a line for each other one."""
    missing = {name: missing_compiler(name) for name in names}
    return (
        [name for name, reason in missing.items() if reason is None],
        [f"{name} is skipped: {reason}" for name, reason in missing.items() if reason is not None],
    )


def mesh_on_paper(name: str, *, fsdp: int = 1) -> Mesh:
    """Build a mesh like training does, over devices that need not exist.

    Raises:
        ModuleNotFoundError: the compiler is not installed.
        ValueError: the topology is unknown.
    """
    return gpu_topology.gpu_mesh(name, fsdp=fsdp) if is_gpu(name) else tpu_topology.tpu_mesh(name, fsdp=fsdp)


def compile_for(mesh: Mesh, lowered: Lowered) -> Compiled:
    """Compile for devices that need not exist."""
    gpu = mesh.devices.flat[0].platform in ("gpu", "cuda")
    return lowered.compile(compiler_options=gpu_topology.COMPILER_OPTIONS if gpu else None)
