"""The demo: LCTR localizes handwritten digits among scribbles, trained with image labels only.

Like the published training, it starts LCTR from a pre-trained DeiT, here the included weights from
configs/digits_pretrain.py (digits without scribbles). It takes a few minutes on 2 CPU cores.

    python train.py --config configs/digits.py
"""

from pathlib import Path

from ml_collections import ConfigDict

from lctr_jax.run.config import default_config


def get_config() -> ConfigDict:
    config = default_config()
    config.init_from = str(Path(__file__).with_name("digits_deit.safetensors"))
    config.model.name = "deit_demo"
    config.model.drop_path = 0.0
    config.model.dtype = "float32"  # on every device: the README's figures
    config.data.name = "digits"
    config.augmentation.crop_scale = (0.65, 0.95)  # the evaluation crop covers 0.77 of the area
    config.augmentation.crop_ratio = (0.95, 1.05)
    config.augmentation.horizontal_flip = 0.0  # mirrored digits are not digits
    config.augmentation.randaugment_layers = 0
    config.augmentation.repeats = 1
    config.augmentation.erasing = 0.0
    config.train.epochs = 6
    config.train.batch_size = 64
    config.train.lr = 1.2e-2  # for a batch of 512; scaled to 1.5e-3 for 64
    config.train.warmup_epochs = 0.25
    config.train.schedule = "per_step"
    config.train.log_every_steps = 50
    config.eval.threshold_split = "val"
    return config
