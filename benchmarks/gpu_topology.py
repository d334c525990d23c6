"""NVIDIA GPUs as compilation targets, without having one.

XLA needs the name of a GPU and the sizes of its units and memories, which are given here.
"""

import importlib.util
import os
from typing import NamedTuple

from jax.experimental import topologies
from jax.sharding import Mesh

from lctr_jax.distributed.mesh import BATCH_AXES

MISSING = "the compiler for NVIDIA GPUs is not installed: pip install -e '.[gpu-compiler]', 5 GB"
COMPILER_OPTIONS: dict[str, str | bool] = {"xla_gpu_enable_triton_gemm": False}
"""Matrix products by cuBLAS, because XLA chooses Triton's tiles by timing them on the GPU."""
_PLUGINS = ("jax_cuda12_plugin", "jax_cuda13_plugin")
_GPUS_PER_HOST = 8
_CUDNN = (9, 10, 2)


class Gpu(NamedTuple):
    """A GPU's published properties; sizes in bytes, cores and shared memory per multiprocessor."""

    name: str
    capability: tuple[int, int]
    multiprocessors: int
    cores: int  # float32 units of a multiprocessor
    clock_ghz: float
    memory: int
    bandwidth: float  # bytes a second
    cache: int
    shared_memory: int


# NVIDIA's whitepapers on each architecture, and "Compute Capabilities" of the CUDA programming guide.
GPUS = {
    "a100": Gpu("NVIDIA A100-SXM4-80GB", (8, 0), 108, 64, 1.41, 80 * 2**30, 2039e9, 40 * 2**20, 164 * 2**10),
    "h100": Gpu("NVIDIA H100 80GB HBM3", (9, 0), 132, 128, 1.98, 80 * 2**30, 3352e9, 50 * 2**20, 228 * 2**10),
}


def has_gpu_compiler() -> bool:
    """Return whether programs for GPUs can be compiled here."""
    return any(importlib.util.find_spec(plugin) for plugin in _PLUGINS)


def gpu_mesh(name: str, *, fsdp: int = 1) -> Mesh:
    """Build a mesh like training does, over GPUs that need not exist; `name` is e.g. "h100:8".

    Raises:
        ModuleNotFoundError: the compiler is not installed.
        ValueError: the GPU or number is unknown.
    """
    kind, _, count = name.partition(":")
    if kind not in GPUS or not count.isdecimal() or not int(count):
        kinds = " or ".join(GPUS)
        raise ValueError(f"topology: got {name!r}, expected {kinds} and a count, as in h100:8")
    if not has_gpu_compiler():
        raise ModuleNotFoundError(MISSING)
    devices = int(count)
    hosts, rest = divmod(devices, _GPUS_PER_HOST) if devices > _GPUS_PER_HOST else (1, 0)
    if rest or devices % fsdp:
        raise ValueError(
            f"topology: got {name!r}, expected at most 8 GPUs or whole hosts of 8, that fsdp {fsdp} divides"
        )
    os.environ["JAX_SKIP_CUDA_CONSTRAINTS_CHECK"] = "1"  # otherwise the plugin asks a driver for its version
    layout = f"1x{hosts}x{devices // hosts}"
    topology = topologies.get_topology_desc(
        layout, "cuda", target_config=describe(GPUS[kind]), topology=layout
    )
    return topologies.make_mesh(topology, (devices // fsdp, fsdp), BATCH_AXES)


def describe(gpu: Gpu) -> str:
    """Format the GPU as text of XLA's GpuTargetConfigProto, with the limits shared by all CUDA GPUs."""
    major, minor = gpu.capability
    features = "ACCELERATED_FEATURES" if major >= 9 else "NONE"
    of_block = gpu.shared_memory - 2**10  # limit of one block
    return f"""
gpu_device_info {{
  threads_per_block_limit: 1024 threads_per_warp: 32 threads_per_core_limit: 2048
  block_dim_limit_x: {2**31 - 1} block_dim_limit_y: {2**16 - 1} block_dim_limit_z: {2**16 - 1}
  thread_dim_limit_x: 1024 thread_dim_limit_y: 1024 thread_dim_limit_z: 64
  registers_per_core_limit: {2**16} registers_per_block_limit: {2**16}
  shared_memory_per_block: {48 * 2**10} shared_memory_per_block_optin: {of_block}
  shared_memory_per_core: {gpu.shared_memory} l2_cache_size: {gpu.cache}
  core_count: {gpu.multiprocessors} fpus_per_core: {gpu.cores} clock_rate_ghz: {gpu.clock_ghz}
  memory_bandwidth: {int(gpu.bandwidth)} device_memory_size: {gpu.memory}
  cuda_compute_capability {{ major: {major} minor: {minor} feature_extension: {features} }}
}}
platform_name: "CUDA"
dnn_version_info {{ major: {_CUDNN[0]} minor: {_CUDNN[1]} patch: {_CUDNN[2]} }}
device_description_str: "{gpu.name}"
"""
