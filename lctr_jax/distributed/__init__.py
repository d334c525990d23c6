"""Devices and processes: the mesh, connecting processes, preemption."""
