"""Every test runs with shape-checked signatures, on eight CPU devices."""

import os

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"

import jax
import pytest
from jaxtyping import install_import_hook

hook = install_import_hook("lctr_jax", "beartype.beartype")
hook.__enter__()


@pytest.fixture(scope="module")
def quick_compilation():
    """Compile without most optimizations, also in child processes: compilation dominates the time of tests.

    Not where bits or speed are tested: users' programs are optimized.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
        jax.config.update("jax_disable_most_optimizations", True)
        yield
        jax.config.update("jax_disable_most_optimizations", False)
