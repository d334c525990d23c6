"""All options of a run, grouped by the package that uses them; defaults are LCTR's published recipe for CUB.

A file in `configs/` starts from `default_config()` and sets what differs; the command line overrides both.
The options are documented in the dataclasses that `parse_config` fills.
"""

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any

from ml_collections import ConfigDict, FieldReference
from ml_collections.config_dict import placeholder

from lctr_jax.data.augmentation import Augmentation
from lctr_jax.data.data_config import DataOptions
from lctr_jax.data.feeding import AUTO
from lctr_jax.evaluation.evaluation_config import EvaluationOptions
from lctr_jax.host.paths import expand_text
from lctr_jax.models.spec import ModelSpec, model_spec
from lctr_jax.options.ranges import Range, check_options
from lctr_jax.training.training_config import LogOptions, TrainingOptions


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """A run's options, checked and typed.

    Attributes:
        seed: of initialization, data order and augmentation.
        init_from: checkpoint or weights file to start from, of the converter or of a run; empty for random
            weights.
        model: `name`, a size in `models.spec.BACKBONES`, and fields of `ModelSpec` that replace those of the
            size.
        data: the data set.
        augmentation: of training images.
        train: training.
        eval: evaluation.
        log: destinations of the log.
    """

    seed: Annotated[int, Range(0, 2**32 - 1)]
    init_from: str
    model: dict[str, Any]
    data: DataOptions
    augmentation: Augmentation
    train: TrainingOptions
    eval: EvaluationOptions
    log: LogOptions

    def __post_init__(self) -> None:
        """Check the seed, and that the network can be built.

        Raises:
            ValueError: an option is invalid; the message names it, its value and what is expected.
        """
        check_options("", self)
        spec = self.spec(num_classes=1)
        for group in ("augmentation", "eval"):
            if (side := getattr(self, group).image_size) % spec.patch_size:
                raise ValueError(
                    f"{group}.image_size: got {side}, "
                    f"expected a multiple of model.patch_size = {spec.patch_size}"
                )
        if 0 < self.augmentation.resize < (side := self.training_side(spec)):
            raise ValueError(
                f"augmentation.resize: got {self.augmentation.resize}, expected 0, or at least the {side} "
                "pixels of the training images"
            )

    def training_side(self, spec: ModelSpec) -> int:
        """Return the side of a training image, in pixels."""
        return self.augmentation.image_size or spec.image_size

    def spec(self, *, num_classes: int) -> ModelSpec:
        """Return the network's hyperparameters for a data set with that many classes.

        Raises:
            ValueError: the size is unknown, a value is invalid, or there are fewer classes than in the data
                set.
        """
        fields = {name: value for name, value in self.model.items() if value is not None}
        if fields.setdefault("num_classes", num_classes) < num_classes:
            raise ValueError(
                f"model.num_classes: got {fields['num_classes']}, expected at least {num_classes}, "
                "the number of classes in the data set"
            )
        return model_spec(fields.pop("name"), **fields)


def default_config() -> ConfigDict:
    """Return the published recipe, to be modified."""
    return ConfigDict(
        {
            "seed": 0,
            "init_from": "",
            "model": _model_defaults(),
            # `object` allows both a number and a string.
            "data": dataclasses.asdict(DataOptions()) | {"num_workers": FieldReference(AUTO, object)},
            "augmentation": dataclasses.asdict(Augmentation()),
            "train": dataclasses.asdict(TrainingOptions()),
            "eval": dataclasses.asdict(EvaluationOptions()),
            "log": dataclasses.asdict(LogOptions()),
        }
    )


def _model_defaults() -> dict[str, Any]:
    """Return every field of `ModelSpec` with the recipe's value, or a placeholder for that of the size."""
    defaults = {"name": "deit_small", "drop_path": 0.1, "method": "lctr", "rematerialize": "elementwise"}
    defaults |= dict.fromkeys(("dtype", "precision", "attention", "layer_loop"), "auto")
    fields: dict[str, Any] = {field.name: field.type for field in dataclasses.fields(ModelSpec)}
    return {name: placeholder(kind) for name, kind in fields.items()} | defaults


def parse_config(config: ConfigDict) -> RunConfig:
    """Check and convert a config.

    Raises:
        ValueError: an option is invalid.
    """
    values = config.to_dict()
    _check_tuples(values)
    return RunConfig(
        seed=values["seed"],
        init_from=expand_text(values["init_from"]),
        model=values["model"],
        data=DataOptions(**values["data"]),
        augmentation=Augmentation(**values["augmentation"]),
        train=TrainingOptions(**values["train"]),
        eval=EvaluationOptions(**values["eval"]),
        log=LogOptions(**values["log"]),
    )


def _check_tuples(values: dict[str, Any]) -> None:
    """Refuse tuples of another length or with non-numbers, which the command line accepts."""
    for group, options in default_config().to_dict().items():
        for name, default in options.items() if isinstance(options, dict) else ():
            value = values[group][name]
            if isinstance(default, tuple) and (
                len(value) != len(default) or not all(type(number) in (int, float) for number in value)
            ):
                raise ValueError(
                    f"{group}.{name}: got {value!r}, expected {len(default)} numbers, such as {default!r}"
                )
