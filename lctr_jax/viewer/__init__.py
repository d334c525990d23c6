"""A page to try a network on: drop in an image, choose a class, move the threshold."""
