"""TriLite on CUB-200-2011 with its published settings (CVPR 2026), on a frozen DINOv2 ViT-S/14.

First convert DINOv2's weights, such as `facebook/dinov2-small` from the Hugging Face hub:

    python convert_deit_weights.py facebook/dinov2-small runs/dinov2_small
    python train.py --config configs/trilite_cub.py --config.init_from=runs/dinov2_small \
        --workdir runs/trilite

The published code stops after 10 epochs without a better box score on the held-out split, and keeps each of
the two heads from its own best epoch. To do so, prepare
the split `heldout` (docs/datasets.md), evaluate on it after every epoch, and evaluate the best checkpoint on
the test split afterwards:

    python train.py --config configs/trilite_cub.py --config.init_from=runs/dinov2_small \
        --workdir runs/trilite --config.eval.split=heldout --config.eval.image_size=224 \
        --config.train.eval_every_epochs=1 --config.train.patience=10 \
        --config.train.keep_best=eval/gt_known_loc_at_best_threshold \
        --config.train.keep_best_class_head=eval/top1_cls
    python train.py --config configs/trilite_cub.py --eval --checkpoint runs/trilite/checkpoints/best \
        --workdir runs/trilite_test

To run the backbone once on four crops of each image, and then only the heads, which takes minutes on a CPU:
--config.train.cached_crops=4 (docs/methods.md).

For another backbone, such as DeiT: --config.model.name=deit_small --config.model.image_size=224
--config.model.tokens_before_norm=False.
"""

from ml_collections import ConfigDict

from lctr_jax.run.config import default_config


def get_config() -> ConfigDict:
    config = default_config()
    config.model.method = "trilite"
    config.model.name = "dinov2_small"
    config.model.image_size = 518  # DINOv2's own; its positions are resampled for other sizes
    config.model.tokens_before_norm = True
    config.model.alpha = 100.0
    config.model.loc_dropout = 0.5
    config.model.cls_dropout = 0.5
    config.data.name = "cub"
    config.augmentation.resize = 256
    config.augmentation.image_size = 224
    config.augmentation.interpolation = "bilinear"
    config.augmentation.randaugment_layers = 0
    config.augmentation.erasing = 0.0
    config.augmentation.repeats = 1
    config.train.epochs = 200
    config.train.batch_size = 128
    config.train.lr = 2e-4  # for a batch of 512; scaled to 5e-5 for 128
    config.train.lr_multiplier = 10.0
    config.train.schedule = "constant"
    config.train.warmup_epochs = 0.0
    config.train.weight_decay = 0.01
    config.eval.protocol = "wsoleval"
    config.eval.image_size = 448
    return config
