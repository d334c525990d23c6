"""Measurements of speed, each one command: python -m benchmarks.NAME."""
