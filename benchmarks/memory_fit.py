"""GPUs with enough memory for a program."""

GPU_GIGABYTES = (80, 40, 24, 16)
"""In GB: A100 and H100, the smaller A100, RTX 3090, RTX 4090 and A10, V100 and T4."""
TAKEN = 0.75
"""Share of a GPU's memory that JAX reserves by default (XLA_PYTHON_CLIENT_MEM_FRACTION)."""


def fits(peak_bytes: int) -> list[bool]:
    """Return for each of `GPU_GIGABYTES` whether the program runs with JAX's defaults."""
    return [peak_bytes <= TAKEN * gigabytes * 1e9 for gigabytes in GPU_GIGABYTES]
