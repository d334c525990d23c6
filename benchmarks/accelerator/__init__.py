"""One command that tries everything on a machine's own devices: `python -m benchmarks.accelerator`."""
