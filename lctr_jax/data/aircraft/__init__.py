"""FGVC-Aircraft: 100 variants of aircraft, with one box per image."""
