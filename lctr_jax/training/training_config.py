"""Options of `config.train` and `config.log`."""

import importlib.util
from dataclasses import dataclass
from typing import Annotated

from lctr_jax.options.ranges import Choice, Range, check_options
from lctr_jax.training.profile_span import parse_span

_WholeNumber = Annotated[int, Range(1)]
_Rate = Annotated[float, Range(0)]


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """How to train; the defaults are those of LCTR's published command for CUB.

    Attributes:
        epochs: passes over the training split.
        batch_size: images per step, over all devices.
        lr: peak learning rate for a batch size of 512; the actual peak is lr * batch_size / 512.
        warmup_lr: learning rate at the start of the warm-up; not scaled by the batch size.
        min_lr: learning rate at the end of the cosine; not scaled.
        warmup_epochs: duration of the linear warm-up.
        schedule: "per_epoch", a cosine that is constant within an epoch as published; "per_step"; or
            "constant", the peak after the warm-up (min_lr then has no effect).
        weight_decay: AdamW's, on weights only (not biases, norm scales, position embeddings, tokens).
        freeze: "backbone" trains only the head; empty trains everything that the method trains.
        cached_crops: number of fixed random crops of each training image for which the frozen backbone runs
            once; its features are kept in DATA_DIR/features, and only the head runs during training. 0 runs
            the backbone in every step, on new crops.
        layer_decay: layer-wise decay of the learning rate, as in fine-tuning BEiT and MAE: that of block i of
            n is multiplied by layer_decay ** (n + 1 - i); 1 disables it.
        lr_multiplier: factor of the class head's learning rate: TriLite's classifier on CLS, otherwise the
            whole head.
        ema_decay: decay of a moving average of the weights, which is evaluated and saved; 0 disables it. The
            published script creates one but never uses it.
        micro_batches: number of parts in which a step's batch is computed one after the other, to save
            memory.
        fsdp: number of devices that share one copy of the parameters; 1 keeps a copy on each.
        log_every_steps: logging window.
        checkpoint_every_epochs: checkpoint interval; 0 saves only at the end.
        keep_checkpoints: number of newest checkpoints to keep.
        keep_best: metric, such as "eval/top1_cls", by which the best weights of all validations are also
            kept, in checkpoints/best; empty disables it.
        keep_best_class_head: metric, such as "eval/top1_cls", by which checkpoints/best keeps the class head,
            with all else by keep_best; for a method with a frozen backbone and a separate class head, such as
            TriLite. Empty keeps all weights by keep_best.
        patience: stop after this number of validations without a higher value of keep_best; 0 never stops.
        eval_every_epochs: validation interval; 0 disables validation during training.
        profile: steps "A-B" to trace into WORKDIR/profile; empty traces none.
        skip_nonfinite: skip and count updates whose loss or gradient is not finite, instead of stopping.
    """

    epochs: _WholeNumber = 80
    batch_size: _WholeNumber = 512
    lr: _Rate = 5e-5
    warmup_lr: _Rate = 1e-6
    min_lr: _Rate = 1e-5
    warmup_epochs: _Rate = 5.0
    schedule: Annotated[str, Choice("per_epoch", "per_step", "constant")] = "per_epoch"
    weight_decay: _Rate = 0.05
    freeze: Annotated[str, Choice("", "backbone")] = ""
    cached_crops: Annotated[int, Range(0)] = 0
    layer_decay: Annotated[float, Range(0, 1, above=True)] = 1.0
    lr_multiplier: _Rate = 1.0
    ema_decay: Annotated[float, Range(0, 1, below=True)] = 0.0
    micro_batches: _WholeNumber = 1
    fsdp: _WholeNumber = 1
    log_every_steps: _WholeNumber = 10
    checkpoint_every_epochs: Annotated[int, Range(0)] = 1
    keep_checkpoints: _WholeNumber = 2
    keep_best: str = ""
    keep_best_class_head: str = ""
    patience: Annotated[int, Range(0)] = 0
    eval_every_epochs: Annotated[int, Range(0)] = 0
    profile: str = ""
    skip_nonfinite: bool = False

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ValueError: an option is invalid; the message names it, its value and what is expected.
        """
        check_options("train", self)
        parse_span(self.profile)
        if self.patience and not self.keep_best:
            raise ValueError(
                f"train.patience: got {self.patience}, which needs a metric: set train.keep_best"
            )
        if self.keep_best_class_head and not self.keep_best:
            raise ValueError(
                f"train.keep_best_class_head: got {self.keep_best_class_head!r}, which needs a metric "
                "for the other weights: set train.keep_best"
            )
        if self.keep_best and not 0 < self.eval_every_epochs < self.epochs:
            raise ValueError(
                f"train.keep_best: got {self.keep_best!r}, which needs validation during training: set "
                f"train.eval_every_epochs below train.epochs, got {self.eval_every_epochs} and {self.epochs}"
            )


@dataclass(frozen=True, kw_only=True)
class LogOptions:
    """Additional destinations of the log.

    Attributes:
        wandb: log to Weights & Biases.
        mlflow: log to MLflow.
        images: number of images of the evaluation split drawn with maps and boxes at every validation; 0
            draws none.
    """

    wandb: bool = False
    mlflow: bool = False
    images: Annotated[int, Range(0)] = 8

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ModuleNotFoundError: the package of a requested tracker is not installed.
            ValueError: the number of images is negative.
        """
        for package in ("wandb", "mlflow"):
            if getattr(self, package) and importlib.util.find_spec(package) is None:
                raise ModuleNotFoundError(
                    f"log.{package}: needs the package {package}, which is not installed; "
                    "pip install -e '.[trackers]', or leave it out"
                )
        check_options("log", self)
