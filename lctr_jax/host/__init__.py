"""The machine: locks, open files, cores, memory, paths."""
