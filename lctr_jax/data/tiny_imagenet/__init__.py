"""Tiny ImageNet: 200 classes of ImageNet at 64x64 pixels, with a box for every labeled image."""
