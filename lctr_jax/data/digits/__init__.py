"""Handwritten digits in cluttered scenes, with exact labels, boxes and masks; no download."""
