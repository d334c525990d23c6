"""`config.train` and `config.log`."""

import importlib.util
from dataclasses import dataclass
from typing import Annotated

from lctr_jax.options.ranges import Choice, Range, check_options
from lctr_jax.training.profiling import parse_span

_WholeNumber = Annotated[int, Range(1)]
_Rate = Annotated[float, Range(0)]


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """How to train; the defaults are LCTR's published command for CUB.

    Attributes:
        epochs: over the training split.
        batch_size: images a step, over all devices.
        lr: peak rate at a batch of 512; the peak is lr * batch_size / 512.
        warmup_lr: where the warm-up starts; not scaled by the batch.
        min_lr: where the cosine ends; not scaled.
        warmup_epochs: linear rise from warmup_lr to the peak.
        schedule: "per_epoch", constant within an epoch, as published, or "per_step".
        weight_decay: AdamW's, on weights only (not biases, norms, positions, CLS).
        ema_decay: of a moving average of the weights, which is then what is evaluated; 0: off. The published
            script sets it up, but it never takes effect there.
        micro_batches: parts that a step's batch is computed in, one after the other, to save memory.
        fsdp: devices that share one copy of the parameters; 1: a copy on each.
        log_every_steps: window of the log.
        checkpoint_every_epochs: 0: only at the end.
        keep_checkpoints: the newest ones.
        keep_best: also keep, in checkpoints/best, the weights with the highest value of this metric of the
            looks that eval_every_epochs asks for and one at the end, such as "eval/top1_cls"; empty: do not.
        eval_every_epochs: epochs from one validation on the evaluation split to the next; 0: never.
        profile: "A-B", steps to trace into WORKDIR/profile; empty: none.
        skip_nonfinite: leave out the update of a step whose loss or gradient is not finite, and count it,
            instead of stopping.
    """

    epochs: _WholeNumber = 80
    batch_size: _WholeNumber = 512
    lr: _Rate = 5e-5
    warmup_lr: _Rate = 1e-6
    min_lr: _Rate = 1e-5
    warmup_epochs: _Rate = 5.0
    schedule: Annotated[str, Choice("per_epoch", "per_step")] = "per_epoch"
    weight_decay: _Rate = 0.05
    ema_decay: Annotated[float, Range(0, 1, below=True)] = 0.0
    micro_batches: _WholeNumber = 1
    fsdp: _WholeNumber = 1
    log_every_steps: _WholeNumber = 10
    checkpoint_every_epochs: Annotated[int, Range(0)] = 1
    keep_checkpoints: _WholeNumber = 2
    keep_best: str = ""
    eval_every_epochs: Annotated[int, Range(0)] = 0
    profile: str = ""
    skip_nonfinite: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be trained.

        Raises:
            ValueError: naming the option, what it is and what it should be.
        """
        check_options("train", self)
        parse_span(self.profile)
        if self.keep_best and not 0 < self.eval_every_epochs < self.epochs:
            raise ValueError(
                f"train.keep_best: got {self.keep_best!r}, which needs looks before the end: set "
                f"train.eval_every_epochs below train.epochs, got {self.eval_every_epochs} and {self.epochs}"
            )


@dataclass(frozen=True, kw_only=True)
class LogOptions:
    """Where a run reports beside its folder, and how much it shows.

    Attributes:
        wandb: to Weights & Biases.
        mlflow: to MLflow.
        images: of the evaluation split, drawn with their maps and boxes at every validation; 0: none.
    """

    wandb: bool = False
    mlflow: bool = False
    images: Annotated[int, Range(0)] = 8

    def __post_init__(self) -> None:
        """Refuse what cannot be written, before anything is computed.

        Raises:
            ModuleNotFoundError: a tracker is asked for whose package is not installed.
            ValueError: a negative number of images.
        """
        for package in ("wandb", "mlflow"):
            if getattr(self, package) and importlib.util.find_spec(package) is None:
                raise ModuleNotFoundError(
                    f"log.{package}: needs the package {package}, which is not installed; "
                    "pip install -e '.[trackers]', or leave it out"
                )
        check_options("log", self)
