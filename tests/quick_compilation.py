"""XLA without most optimizations, since compilation dominates the time of the tests.

A small network's training step compiles in a fifth of the time; what it computes differs in rounding alone.
"""

import os
from typing import Any

import jax
from jax._src import compiler

OPTIONS: dict[str, Any] = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
}
if jax.__version_info__ < (0, 11):
    # Without the kernels of MLIR, whose compilation takes as long as everything else; 0.11 has no other.
    OPTIONS["xla_cpu_use_fusion_emitters"] = False

_optimized = compiler.get_compile_options


def _quick(*, device_assignment: Any, env_options_overrides: dict[str, Any], **options: Any) -> Any:
    overrides = dict(env_options_overrides)
    if device_assignment.flat[0].platform == "cpu":  # and not compilation ahead of time
        overrides = OPTIONS | overrides
    return _optimized(device_assignment=device_assignment, env_options_overrides=overrides, **options)


def set_quick_compilation(quick: bool) -> None:
    """Choose how programs are compiled from now on, in this process and in those that it starts."""
    wanted: Any = _quick if quick else _optimized
    if compiler.get_compile_options is not wanted:
        compiler.get_compile_options = wanted
        os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = str(int(quick))
        jax.clear_caches()  # programs of the other kind


def child_flags(num_devices: int) -> str:
    """Return XLA_FLAGS for a child process with that many devices, which then compiles as quickly.

    Not set for all children: libtpu ends a process at flags of the CPU.
    """
    quick = OPTIONS if compiler.get_compile_options is _quick else {}
    flags = [f"--{name}={str(value).lower()}" for name, value in quick.items()]
    return " ".join([*flags, f"--xla_force_host_platform_device_count={num_devices}"])
