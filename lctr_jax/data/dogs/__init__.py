"""Stanford Dogs: 120 breeds, with every box."""
