"""Allowed ranges and choices of config options, declared next to their defaults, and their check."""
