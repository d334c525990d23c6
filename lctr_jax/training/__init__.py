"""Optimizer, training state, the jitted training step, the loop and logging."""
