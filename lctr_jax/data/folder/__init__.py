"""A folder of images, one subfolder per class, with or without boxes and masks."""
