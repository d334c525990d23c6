"""Data sets and batches: TFDS builders, box lists, image geometry, augmentation and the Grain pipeline."""
