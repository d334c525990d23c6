"""LCTR on embedded handwritten digits among scribbles: the demo."""

from ml_collections import ConfigDict

from lctr_jax.config import default_config


def get_config() -> ConfigDict:
    config = default_config()
    config.model.name = "deit_demo"
    config.model.drop_path = 0.0
    config.model.dtype = "float32"
    config.augmentation.randaugment_layers = 0
    config.augmentation.repeats = 1
    config.train.erasing = 0.0
    config.data.name = "digits"
    config.augmentation.crop_scale = (0.6, 1.0)
    config.augmentation.horizontal_flip = 0.0
    config.train.epochs = 4
    config.train.batch_size = 64
    config.train.lr = 8e-3
    config.train.warmup_epochs = 1
    config.train.schedule = "per_step"
    config.eval.threshold_split = "val"
    return config
