"""Validation during training: main metrics on the evaluation split, and some of its images with maps."""

import numpy as np

from lctr_jax.evaluation.evaluator import Evaluator
from lctr_jax.localization.thresholds import Threshold
from lctr_jax.models.parameters import Parameters
from lctr_jax.report.sheet import Sheet
from lctr_jax.run.experiment import Experiment


def validate(
    experiment: Experiment, evaluator: Evaluator, weights: Parameters, step: int
) -> dict[str, float]:
    """Log and return the metrics of these weights, and log a sheet of the same images every time.

    Boxes are drawn at the validation's own best threshold or, without true boxes, at the config's.
    """
    config, log = experiment.config, experiment.log
    split = experiment.open(config.eval.split)
    sheet = Sheet(len(split), count=config.log.images, class_names=split.class_names)
    scalars = evaluator.quick(weights, on_result=sheet.add)
    log.write(step, scalars)
    log.say("  ".join(f"{name} {value:.2f}" for name, value in scalars.items()))
    threshold = Threshold(scalars.get("eval/best_threshold", config.eval.threshold))
    if picture := sheet.draw(columns=2, settings=evaluator.settings(threshold)):
        log.show(step, "eval/maps", np.asarray(picture))
    return scalars
