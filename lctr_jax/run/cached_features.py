"""Training batches of a frozen backbone's features, computed once for all runs that need the same."""

import dataclasses
import hashlib
import json
from contextlib import closing
from pathlib import Path
from typing import cast

import jax

from lctr_jax.checkpoints.metadata import BACKBONE_FIELDS
from lctr_jax.checkpoints.transfer import initialize_from, weights_digest
from lctr_jax.data.contents import read_contents
from lctr_jax.data.datasets import Split
from lctr_jax.data.pipeline import TrainIterator, fixed_crops
from lctr_jax.data.samples import CorruptPolicy
from lctr_jax.host.file_locks import locked_folder
from lctr_jax.models.methods import get_method
from lctr_jax.models.parameters import bind, parameter_shapes
from lctr_jax.models.spec import ModelSpec
from lctr_jax.run.config import RunConfig
from lctr_jax.run.experiment import Experiment
from lctr_jax.training.feature_cache import compute_features, open_features
from lctr_jax.training.layer_rates import BACKBONE_MODULE

FEATURES_FOLDER = "features"
"""The folder, among the prepared data, that contains features."""


def check_cached_crops(config: RunConfig, spec: ModelSpec) -> None:
    """Check that the backbone's features of a crop do not change during training.

    Raises:
        ValueError: the backbone is trained, an augmentation would change batches, or there are several
            processes.
    """
    name = f"train.cached_crops: got {config.train.cached_crops}"
    if BACKBONE_MODULE not in (config.train.freeze, *get_method(spec.method).frozen):
        raise ValueError(
            f"{name}, expected 0: model.method={spec.method} trains the backbone; set train.freeze=backbone"
        )
    for option, neutral in (("erasing", 0), ("mixup", 0), ("cutmix", 0), ("repeats", 1)):
        if (value := getattr(config.augmentation, option)) != neutral:
            raise ValueError(f"{name}, which needs augmentation.{option}={neutral}, got {value}")
    if jax.process_count() > 1:
        raise ValueError(f"{name}, which needs a single process, got {jax.process_count()}; expected 0")


def open_feature_batches(experiment: Experiment, split: Split, spec: ModelSpec) -> TrainIterator:
    """Return batches of features, computed first unless they are in DATA_DIR/features.

    Raises:
        OSError: the features cannot be written.
        FileNotFoundError: the initial weights are missing.
        ValueError: they do not fit the network, or an image cannot be decoded.
    """
    config = experiment.config
    folder = Path(config.data.data_dir) / FEATURES_FOLDER / _key(experiment, split, spec)
    with locked_folder(
        folder.parent,
        problem=f"train.cached_crops: features are kept in {folder.parent}, which cannot be written to",
        remedy="choose another data.data_dir, or train with train.cached_crops=0",
        risk="do not start two runs at once that compute the same features",
    ):
        if (cache := open_features(folder)) is None:
            _compute(folder, experiment, split, spec)
            cache = open_features(folder)
        else:
            experiment.log.say(f"features: {cache.crops} crops of {len(split):,} images, from {folder}")
    assert cache is not None
    return cache.batches(batch_size=config.train.batch_size, seed=config.seed)


def _compute(folder: Path, experiment: Experiment, split: Split, spec: ModelSpec) -> None:
    config = experiment.config
    weights = experiment.initial(spec)
    if experiment.initial_weights:
        weights, _ = initialize_from(experiment.initial_weights, spec, weights)
    batches = fixed_crops(
        split,
        crops=config.train.cached_crops,
        batch_size=config.train.batch_size,
        image_size=config.training_side(spec),
        augmentation=config.augmentation,
        num_workers=experiment.workers.count,
        on_corrupt=cast(CorruptPolicy, config.data.on_corrupt),
    )
    with closing(batches):
        compute_features(
            folder,
            batches,
            spec,
            weights,
            experiment.mesh,
            num_images=len(split),
            crops=config.train.cached_crops,
            say=experiment.log.say,
            check=experiment.interruption.check,
        )


def _key(experiment: Experiment, split: Split, spec: ModelSpec) -> str:
    """Return a name that depends on everything that determines the features."""
    config, weights = experiment.config, experiment.initial_weights
    facts = {
        "images": read_contents(split).digest,
        "weights": weights_digest(weights) if weights else f"seed {config.seed}",
        "fields": bind(spec, parameter_shapes(spec)).head_features,
        "backbone": {name: getattr(spec, name) for name in (*BACKBONE_FIELDS, "dtype", "precision")},
        "augmentation": dataclasses.asdict(config.augmentation),
        "side": config.training_side(spec),
        "crops": config.train.cached_crops,
        "on_corrupt": config.data.on_corrupt,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
