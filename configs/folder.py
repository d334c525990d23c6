"""LCTR on a labeled image folder: ROOT/CLASS/* or ROOT/train|val|test/CLASS/*, box lists in ROOT/list/.

    python train.py --config configs/folder.py --config.data.root=ROOT

It trains a small network from random weights on small images, in minutes on a CPU. For photographs, start
from DeiT's weights with configs/cub.py, whose learning rate is low enough for fine-tuning: see README, "Your
own labeled folder".
"""

from ml_collections import ConfigDict

from lctr_jax.run.config import default_config


def get_config() -> ConfigDict:
    config = default_config()
    config.model.name = "deit_demo"
    config.model.image_size = 64
    config.data.name = "folder"
    config.augmentation.crop_scale = (0.35, 1.0)
    config.augmentation.randaugment_layers = 0
    config.augmentation.repeats = 1
    config.train.epochs = 40
    config.train.batch_size = 64
    config.train.lr = 8e-3  # for a batch of 512; scaled to 1e-3 for 64
    config.train.warmup_epochs = 2.0
    config.train.schedule = "per_step"
    config.train.checkpoint_every_epochs = 5
    config.eval.split = "val"
    return config
