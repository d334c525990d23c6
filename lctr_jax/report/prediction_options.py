"""What `lctr_jax.predict` offers to write, for its command line and for what writes it."""

PARTS = ("crops", "masks", "maps")
"""Choices of --save."""

MAX_IMAGES = 24
"""Images on the page of --thresholds."""
