"""Localization on photographs: Tiny ImageNet at 64 pixels, starting from configs/tiny_imagenet_pretrain.py.

The study of seven methods with three seeds; with 100 of the 200 classes (prepare's --partial) it takes 67
minutes of CPU time after the pre-training (the README has its table):

    python -m lctr_jax.prepare tiny_imagenet --source tiny-imagenet-200.zip --data_dir data
    python train.py --config configs/tiny_imagenet_pretrain.py
    python -m lctr_jax.ablate --config configs/tiny_imagenet.py --workdir runs/tiny_imagenet \
        --methods cam,tscam,rollout,lctr_without_rpam,lctr_without_cdm,lctr,trilite \
        --method_options trilite:model.alpha=3 --method_options trilite:model.loc_dropout=0.5 \
        --method_options trilite:train.epochs=10 --method_options trilite:train.cached_crops=2

Thresholds, and TriLite's model.alpha among 1, 3 and 10, are chosen on the tenth of the training images that
no training uses. TriLite's heads train for 10 epochs because an epoch on cached features takes seconds.
"""

from ml_collections import ConfigDict

from lctr_jax.run.config import default_config


def get_config() -> ConfigDict:
    config = default_config()
    config.init_from = "runs/tiny_imagenet_pretrain"
    config.model.name = "deit_demo"
    config.model.image_size = 64
    config.model.drop_path = 0.0
    config.model.dtype = "float32"
    config.data.name = "tiny_imagenet"
    config.data.train_split = "train[10%:]"
    config.augmentation.crop_scale = (0.35, 1.0)
    config.augmentation.interpolation = "bilinear"
    config.augmentation.randaugment_layers = 0
    config.augmentation.repeats = 1
    config.augmentation.erasing = 0.0
    config.train.epochs = 1
    config.train.batch_size = 64
    config.train.lr = 8e-3  # for a batch of 512; scaled to 1e-3 for 64
    config.train.warmup_epochs = 0.1
    config.train.schedule = "per_step"
    config.train.log_every_steps = 100
    config.eval.protocol = "wsoleval"
    config.eval.split = "val"
    config.eval.threshold_split = "train[:10%]"
    return config
