"""CUB-200-2011: 200 bird species, a box and optionally a segmentation mask for every image."""
