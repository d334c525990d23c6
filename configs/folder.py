"""LCTR on a labeled image folder: ROOT/CLASS/* or ROOT/train|val|test/CLASS/*, box lists in ROOT/list/.

    python train.py --config configs/folder.py --config.data.root=ROOT
    python train.py --config configs/folder.py --config.data.root=ROOT --config.init_from=WEIGHTS

WEIGHTS is a checkpoint, a .safetensors or .pth file, timm/NAME or hf://OWNER/REPOSITORY; the network is then
that of the weights, and the learning rate is one for fine-tuning. Without weights, a small network is trained
on small images. Image size, batch size, epochs and learning rate depend on the images and the machine; the
run prints each choice with its reason, and an option that is set takes precedence
(lctr_jax/run/auto_options.py).
"""

from ml_collections import ConfigDict

from lctr_jax.run.config import default_config
from lctr_jax.run.settled_options import leave_open


def get_config() -> ConfigDict:
    config = default_config()
    config.data.name = "folder"
    config.augmentation.crop_scale = (0.35, 1.0)
    config.augmentation.randaugment_layers = 0
    config.augmentation.repeats = 1
    config.train.schedule = "per_step"
    config.train.checkpoint_every_epochs = 5
    config.eval.split = "val"
    leave_open(config)
    return config
