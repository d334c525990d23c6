"""Datasets in, batches out: TFDS builders, box lists, image geometry, augmentation, the grain pipeline."""
