"""Evaluation of a network on a split: one forward pass per image, all metrics, results on disk."""
