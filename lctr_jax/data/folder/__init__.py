"""Any folder of images, one subfolder a class, with or without boxes and masks."""
