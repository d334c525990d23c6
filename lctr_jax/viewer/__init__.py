"""The interactive demo: upload an image, choose a class, move the threshold."""
