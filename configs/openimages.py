"""LCTR on OpenImages30k. There is no published result; the settings are those for CUB-200-2011.

First convert DeiT-S's ImageNet weights (see README), then run on 4 devices:

    python train.py --config configs/openimages.py --config.init_from=runs/deit_small \
        --workdir runs/openimages

The data set has masks instead of boxes: the metric is PxAP, and the threshold of masks and boxes has the best
pixel IoU on val.
"""

from ml_collections import ConfigDict

from lctr_jax.run.config import default_config


def get_config() -> ConfigDict:
    config = default_config()
    config.data.name = "openimages"
    config.eval.protocol = "wsoleval"
    config.eval.threshold_split = "val"
    return config
