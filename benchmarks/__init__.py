"""Performance and robustness measurements, each one command: python -m benchmarks.NAME."""
