"""Correctness and speed on a machine's own accelerators: `python -m benchmarks.accelerator`."""
