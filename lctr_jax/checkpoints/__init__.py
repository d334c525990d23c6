"""Orbax checkpoints with checksums, and weights in PyTorch's and Hugging Face's formats."""
