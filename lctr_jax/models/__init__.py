"""Backbone, RPAM, CDM and the other methods' heads, as Flax modules and pure functions."""
