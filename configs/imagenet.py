"""LCTR on ImageNet (ILSVRC 2012), as published (AAAI 2022): Top-1 Loc 56.1, GT-known Loc 68.7 at tau 0.18.

First convert DeiT-S's ImageNet weights (see README), then run on 4 devices:

    python train.py --config configs/imagenet.py --config.init_from=runs/deit_small --workdir runs/imagenet

The published loader compares with only the first box of each image: --config.eval.first_box_only=True.
"""

from ml_collections import ConfigDict

from lctr_jax.run.config import default_config


def get_config() -> ConfigDict:
    config = default_config()
    config.data.name = "imagenet"
    config.train.epochs = 14
    config.train.batch_size = 1024
    config.train.lr = 5e-4
    config.eval.split = "val"
    config.eval.threshold = 0.18
    return config
