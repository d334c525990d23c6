"""What the machine gives a process: locks, open files, cores, memory, paths."""
