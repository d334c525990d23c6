"""The network: DeiT backbone, RPAM and CDM, as Flax modules and pure functions."""
