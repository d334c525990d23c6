"""Devices and processes: the mesh, how processes meet, preemption."""
