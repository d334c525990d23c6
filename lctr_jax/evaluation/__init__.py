"""The network over a split: one forward pass an image, every metric from it, results on disk."""
