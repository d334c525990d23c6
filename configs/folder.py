"""LCTR on a labelled image folder: ROOT/train/CLASS/*, ROOT/val/CLASS/*, optional box lists in ROOT/list/.

    python train.py --config configs/folder.py --config.data.root=ROOT [--config.init_from=CHECKPOINT]

Without --config.init_from it starts from random weights, which needs many images: use DeiT's if you can.
The defaults suit small pictures on a modest machine: for photographs of 224 pixels and a GPU, set
--config.model.name=deit_small --config.model.image_size=224 --config.model.patch_size=16.
"""

from ml_collections import ConfigDict

from lctr_jax.config import default_config


def get_config() -> ConfigDict:
    config = default_config()
    config.augmentation.randaugment_layers = 0
    config.augmentation.repeats = 1
    config.train.erasing = 0.0
    config.data.name = "folder"
    config.eval.split = "val"
    return config
