"""Optimizer, state, the jitted step and the loop."""
