"""The machine: locks, open files, cores, memory, paths, Numba's cache of compiled functions."""
