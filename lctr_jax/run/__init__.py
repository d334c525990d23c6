"""A run described by a config: options, workdir, training, evaluation, dry run, ablation."""
