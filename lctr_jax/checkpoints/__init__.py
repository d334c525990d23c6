"""Weights on disk: orbax checkpoints of ours, and PyTorch's names and files."""
