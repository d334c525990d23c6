"""Score maps to boxes, thresholds and metrics, in NumPy and OpenCV; imports no JAX."""
