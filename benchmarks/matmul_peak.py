"""This machine's peak rate in matrix products, by the fastest available library."""

import functools
import importlib.util

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.measurement import Task

SIDE = 2048
FLOPS = 2.0 * SIDE**3


def matmul_tasks(dtype: str) -> dict[str, Task]:
    """Prepare a product of two square matrices in NumPy, JAX and, if installed, PyTorch."""
    matrix = np.random.default_rng(0).standard_normal((SIDE, SIDE), np.float32)
    on_device = jnp.asarray(matrix, dtype)
    dot = jax.jit(functools.partial(jnp.dot, preferred_element_type=jnp.float32))
    tasks: dict[str, Task] = {"matmul, jax": lambda: dot(on_device, on_device).block_until_ready()}
    if dtype == "float32":
        tasks["matmul, numpy"] = lambda: matrix @ matrix
    if importlib.util.find_spec("torch"):
        import torch

        theirs = torch.from_numpy(matrix).to(getattr(torch, dtype))
        tasks["matmul, torch"] = lambda: theirs @ theirs
    return tasks


def peak_flops(times: dict[str, list[float]]) -> float:
    """Return the FLOP/s of the fastest product in the times of `matmul_tasks`."""
    return FLOPS / min(min(values) for name, values in times.items() if name.startswith("matmul"))
