"""One run from its config: options, folder, training, evaluation."""
