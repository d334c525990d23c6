"""Every test runs with shape-checked signatures and eight CPU devices, on one thread of control."""

import os

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"

from jaxtyping import install_import_hook

hook = install_import_hook("lctr_jax", "beartype.beartype")
hook.__enter__()
