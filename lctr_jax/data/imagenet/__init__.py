"""ILSVRC2012: 1,000 classes, with every box of the validation images."""
