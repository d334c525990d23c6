"""Use of a checkpoint: loading it, finding and reading images, localization."""
