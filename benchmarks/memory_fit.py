"""Which GPUs have the memory for a program."""

GPU_GIGABYTES = (80, 40, 24, 16)
"""GB: A100 and H100, the smaller A100, RTX 3090 and 4090 and A10, V100 and T4."""
TAKEN = 0.75
"""Of a GPU's memory, what JAX takes for itself unless XLA_PYTHON_CLIENT_MEM_FRACTION says otherwise."""


def fits(peak_bytes: int) -> list[bool]:
    """For each of `GPU_GIGABYTES`, whether the program runs as JAX is set up by default."""
    return [peak_bytes <= TAKEN * gigabytes * 1e9 for gigabytes in GPU_GIGABYTES]
