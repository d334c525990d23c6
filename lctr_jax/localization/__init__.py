"""Score maps to boxes, thresholds and metrics: pure NumPy and OpenCV, no other room, no JAX."""
