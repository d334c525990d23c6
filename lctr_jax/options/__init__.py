"""What an option of a config may be: ranges and choices, declared beside its default, and their check."""
