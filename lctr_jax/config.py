"""Every option of a run, with its default: LCTR's published recipe for CUB unless said otherwise.

A file in `configs/` starts from `default_config()` and says what differs; the command line overrides both.
"""

from typing import Any

from ml_collections import ConfigDict

from lctr_jax.models.sizes import ModelSpec, model_spec


def default_config() -> ConfigDict:
    """The options, grouped by the room that reads them."""
    config = ConfigDict()
    config.seed = 0
    config.init_from = ""  # a checkpoint of convert_deit_weights.py or of a run; empty: random weights

    config.model = model = ConfigDict()
    model.name = "deit_small"  # a size of lctr_jax/models/sizes.py; the fields below replace its own
    model.method = "lctr"  # or "deit": the plain classifier, for pre-training
    model.num_classes = 0  # 0: as many as the data set has
    model.image_size = 224
    model.patch_size = 16
    model.drop_path = 0.1
    model.dtype = "bfloat16"  # of the computation; parameters stay float32

    config.data = data = ConfigDict()
    data.name = "cub"
    data.root = ""  # the image folder, for data.name = "folder"
    data.data_dir = "data"  # where prepared data sets are kept
    data.train_split = "train"
    data.num_workers = 0  # processes that decode and augment; 0: threads of this one
    data.crop_scale = (0.08, 1.0)
    data.horizontal_flip = 0.5
    data.on_corrupt = "error"  # or "skip"

    config.train = train = ConfigDict()
    train.epochs = 80
    train.batch_size = 512  # global
    train.lr = 5e-5  # at a batch of 512: the peak rate is lr * batch_size / 512
    train.warmup_lr = 1e-6  # not scaled
    train.min_lr = 1e-5  # not scaled
    train.warmup_epochs = 5
    train.schedule = "per_epoch"  # constant within an epoch, as published; or "per_step"
    train.weight_decay = 0.05
    train.label_smoothing = 0.0
    train.accumulation = 1  # micro-batches a step
    train.fsdp = 1  # devices that share one copy of the parameters
    train.log_every_steps = 10
    train.checkpoint_every_epochs = 1
    train.keep_checkpoints = 2
    train.eval_every_epochs = 0  # 0: only at the end

    config.eval = evaluation = ConfigDict()
    evaluation.split = "test"
    evaluation.batch_size = 64
    evaluation.protocol = "lctr"  # or "wsoleval": the geometry of image and boxes
    evaluation.threshold = 0.09  # of the map's maximum; LCTR's for CUB (0.18 for ILSVRC)
    evaluation.threshold_split = ""  # choose the threshold on this split instead
    evaluation.first_box_only = False  # LCTR's ILSVRC loader: the first of several boxes
    evaluation.untrained_baseline = True  # the same network at its initial weights, beside the results
    evaluation.sheet_images = 36  # pictures on eval/sheet.png
    return config


def spec_from_config(config: ConfigDict, *, num_classes: int) -> ModelSpec:
    """The network of `config.model` for a data set of `num_classes` classes.

    Raises:
        ValueError: an unknown size or field, an impossible value, or fewer classes than the data set has.
    """
    fields: dict[str, Any] = config.model.to_dict()
    name, asked = fields.pop("name"), fields.pop("num_classes")
    if asked and asked < num_classes:
        raise ValueError(
            f"model.num_classes: got {asked}, expected at least the data set's {num_classes} classes"
        )
    return model_spec(name, num_classes=asked or num_classes, **fields)
