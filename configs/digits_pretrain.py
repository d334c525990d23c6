"""A tiny DeiT classifier for single digits without scribbles, which configs/digits.py starts from.

Its weights are included as configs/digits_deit.safetensors. They were created by (8 minutes on 2 cores):

    python train.py --config configs/digits_pretrain.py
    python convert_deit_weights.py --to-torch --half runs/digits_pretrain configs/digits_deit.safetensors
"""

from ml_collections import ConfigDict

from lctr_jax.run.config import default_config


def get_config() -> ConfigDict:
    config = default_config()
    config.model.name = "deit_demo"
    config.model.method = "deit"
    config.model.drop_path = 0.0
    config.model.dtype = "float32"
    config.data.name = "digits/clean"
    config.augmentation.crop_scale = (0.8, 1.0)
    config.augmentation.crop_ratio = (0.95, 1.05)
    config.augmentation.horizontal_flip = 0.0  # mirrored digits are not digits
    config.augmentation.randaugment_layers = 0
    config.augmentation.repeats = 1
    config.augmentation.erasing = 0.0
    config.train.epochs = 13
    config.train.batch_size = 64
    config.train.lr = 1.6e-2  # for a batch of 512; scaled to 2e-3 for 64
    config.train.warmup_epochs = 0.25
    config.train.schedule = "per_step"
    config.train.log_every_steps = 100
    config.train.checkpoint_every_epochs = 2
    config.eval.threshold_split = "val"
    return config
