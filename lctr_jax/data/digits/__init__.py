"""Handwritten digits in cluttered scenes, with labels, boxes and masks known exactly; nothing to download."""
