"""Choose the options that `configs/folder.py` leaves open, from images, machine and initial weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from lctr_jax.checkpoints.recognition import size_options
from lctr_jax.models.spec import ModelSpec, model_spec
from lctr_jax.training.optimizer import REFERENCE_BATCH

AUTO_OPTIONS: dict[str, type] = {
    "model.name": str,
    "model.image_size": int,
    "train.batch_size": int,
    "train.epochs": int,
    "train.lr": float,
    "train.warmup_epochs": float,
}
"""Options that a config may leave open, with their types."""

_BATCH = 64  # per device, and the batch below which the learning rate falls in proportion
_STEPS_PER_EPOCH = 20  # at least, where the images allow it
_CPU_PATCHES = 10  # along a side: half the arithmetic of 14 x 14
_PEAK = {False: 1e-3, True: 5e-5}  # learning rate, without and with initial weights
_IMAGES_SEEN = {False: 200_000, True: 60_000}
_EPOCHS = {False: (20, 200), True: (10, 60)}
_VALUES_PER_TOKEN = 40  # kept for the backward pass, per layer and unit of width


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the choices depend on.

    Attributes:
        images: of the training split.
        devices: over all processes.
        on_cpu: whether the devices are CPUs.
        memory: bytes free for training on each device.
        weights: the network that `init_from` holds; None for random weights.
    """

    images: int
    devices: int
    on_cpu: bool
    memory: int
    weights: ModelSpec | None = None


class ChosenOption(NamedTuple):
    """An option's value, and the reason in words."""

    option: str
    value: Any
    reason: str


def choose_options(facts: Facts, given: Mapping[str, Any]) -> list[ChosenOption]:
    """Choose each option of `AUTO_OPTIONS` that is not in `given`, consistent with those that are.

    `given` holds options by dotted name; of `model` all fields that are set. With initial weights and an open
    `model.name`, fields in which the weights' network differs from the size of that name are chosen, too.

    Raises:
        ValueError: a given option of the network is impossible.
    """
    chosen = _choose_model(facts, given)
    known = {**given, **{choice.option: choice.value for choice in chosen}}
    if "train.batch_size" not in known:
        chosen.append(_choose_batch(facts, _spec(known)))
        known["train.batch_size"] = chosen[-1].value
    if "train.epochs" not in known:
        chosen.append(_choose_epochs(facts))
        known["train.epochs"] = chosen[-1].value
    if "train.lr" not in known:
        chosen.append(_choose_rate(facts, known["train.batch_size"]))
    if "train.warmup_epochs" not in known:
        chosen.append(ChosenOption("train.warmup_epochs", known["train.epochs"] / 20, "5 % of the epochs"))
    return chosen


def _choose_model(facts: Facts, given: Mapping[str, Any]) -> list[ChosenOption]:
    chosen = []
    if "model.name" not in given and facts.weights:
        options = {f"model.{name}": value for name, value in size_options(facts.weights).items()}
        chosen = [
            ChosenOption(option, value, "the network of the initial weights")
            for option, value in options.items()
            if option not in given
        ]
    elif "model.name" not in given:
        chosen = [ChosenOption("model.name", "deit_demo", "from random weights, a small network learns most")]
    if "model.image_size" not in given:
        known = {**given, **{choice.option: choice.value for choice in chosen}}
        chosen.append(_choose_image_size(facts, known))
    return chosen


def _choose_image_size(facts: Facts, known: Mapping[str, Any]) -> ChosenOption:
    spec = _spec(known)
    if facts.weights is None and known["model.name"] == "deit_demo":
        side = 8 * spec.patch_size
        return ChosenOption("model.image_size", side, f"8 x 8 patches of {spec.patch_size} pixels")
    own = (facts.weights or spec).image_size // spec.patch_size
    patches = min(own, _CPU_PATCHES) if facts.on_cpu else own
    whose = "of the initial weights" if facts.weights else f"of {known['model.name']}"
    reason = f"{own} x {own} patches, those {whose}"
    if patches < own:
        reason = f"{patches} x {patches} patches instead of {own} x {own}, since a CPU trains"
    return ChosenOption("model.image_size", patches * spec.patch_size, reason)


def _choose_batch(facts: Facts, spec: ModelSpec) -> ChosenOption:
    values = _VALUES_PER_TOKEN * spec.depth * spec.tokens * spec.width
    fitting = facts.memory // 2 // (values * (4 if facts.on_cpu else 2))
    batch, reason = _BATCH, f"{_BATCH} per device"
    while batch > 1 and batch > fitting:
        batch, reason = batch // 2, f"estimated to fit into half of {facts.memory / 1e9:.1f} GB"
    while batch > 1 and batch * facts.devices * _STEPS_PER_EPOCH > facts.images:
        batch, reason = batch // 2, f"{facts.images:,} images give about {_STEPS_PER_EPOCH} steps per epoch"
    devices = f", on each of {facts.devices} devices" if facts.devices > 1 else ""
    return ChosenOption("train.batch_size", batch * facts.devices, f"{reason}{devices}")


def _choose_epochs(facts: Facts) -> ChosenOption:
    warm = facts.weights is not None
    least, most = _EPOCHS[warm]
    epochs = min(max(round(_IMAGES_SEEN[warm] / facts.images), least), most)
    start = "initial" if warm else "random"
    return ChosenOption("train.epochs", epochs, f"{facts.images:,} training images, from {start} weights")


def _choose_rate(facts: Facts, batch_size: int) -> ChosenOption:
    warm = facts.weights is not None
    peak = _PEAK[warm] * min(1.0, batch_size / _BATCH)
    how = "fine-tuning" if warm else "training from random weights"
    rate = float(f"{peak * REFERENCE_BATCH / batch_size:.3g}")
    return ChosenOption("train.lr", rate, f"for {how}; a peak of {peak:.3g} at batch size {batch_size}")


def _spec(known: Mapping[str, Any]) -> ModelSpec:
    fields = {option.removeprefix("model."): known[option] for option in known if option.startswith("model.")}
    fields.pop("num_classes", None)
    return model_spec(fields.pop("name"), num_classes=1, **fields)


def describe_choices(choices: Sequence[ChosenOption]) -> list[str]:
    """Describe each choice in one line, in the form of the command line."""
    return [f"chosen: --config.{option}={value} ({reason})" for option, value, reason in choices]
