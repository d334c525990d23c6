"""The evaluating half of the main job: a checkpoint, or what training ended with, to numbers and pictures."""

from dataclasses import asdict
from pathlib import Path

import jax

from lctr_jax.checkpoints.store import load_weights, require_spec
from lctr_jax.checkpoints.transfer import initialize_from, require_readable
from lctr_jax.distributed.mesh import describe_devices, replicated
from lctr_jax.evaluation.evaluator import Evaluator
from lctr_jax.evaluation.stream import Result
from lctr_jax.models.parameters import Parameters
from lctr_jax.models.spec import ModelSpec
from lctr_jax.report.environment import describe_environment
from lctr_jax.report.gallery import Gallery
from lctr_jax.report.report import write_report
from lctr_jax.report.sheet import Sheet
from lctr_jax.report.summary_line import headline
from lctr_jax.run.config import RunConfig
from lctr_jax.run.experiment import Experiment


def evaluate_checkpoint(experiment: Experiment, checkpoint: str) -> None:
    """Evaluate a checkpoint of training or of the converter, without training.

    Raises:
        ValueError: the checkpoint is not of the config's network, or an option is impossible.
        FileNotFoundError: the data or the checkpoint is missing.
    """
    config = experiment.config
    metadata, parameters = load_weights(checkpoint)  # before the data, which may take hours to prepare
    if config.init_from and config.eval.untrained_baseline:
        require_readable(config.init_from)
    spec = config.spec(num_classes=len(experiment.open(config.eval.split).class_names))
    require_spec(metadata, spec, path=checkpoint)
    parameters = jax.device_put(parameters, replicated(experiment.mesh))
    experiment.open_log()
    evaluate(experiment, experiment.evaluator(spec), spec, parameters, weights=checkpoint)


def evaluate(
    experiment: Experiment, evaluator: Evaluator, spec: ModelSpec, parameters: Parameters, *, weights: str
) -> None:
    """Evaluate parameters and write all of WORKDIR/eval; `weights` says in words whose they are."""
    config, log, folder = experiment.config, experiment.log, experiment.workdir / "eval"
    split = experiment.open(config.eval.split)
    sheet = Sheet(len(split), count=config.eval.sheet_images, class_names=split.class_names)
    gallery = Gallery()

    def show(result: Result) -> None:
        sheet.add(result)
        gallery.add(result)

    log.say(f"evaluating on {split.name}: {len(split)} images")
    references = _references(experiment, spec)
    metrics = evaluator.run(parameters, folder, references=references, on_result=show)
    if jax.process_index() == 0:
        sheet.write(folder / "sheet.png")
        write_report(
            folder,
            gallery,
            title=f"{spec.method}, {config.model['name']} on {_data_set(config)}",
            class_names=split.class_names,
            options=asdict(config),
            facts={
                "weights": weights,
                "devices": describe_devices(experiment.mesh),
                **describe_environment(),
            },
        )
    log.conclude({f"result/{name}": value for name, value in metrics.items() if isinstance(value, float)})
    log.say(headline(metrics))
    log.say(f"results: {folder / 'metrics.json'}  pictures: {folder / 'report.html'}")


def _data_set(config: RunConfig) -> str:
    return f"{config.data.name} {Path(config.data.root).name}".strip()


def _references(experiment: Experiment, spec: ModelSpec) -> dict[str, Parameters]:
    """Networks that learned nothing of this task: at random weights, and as training starts."""
    config = experiment.config
    if not config.eval.untrained_baseline:
        return {}
    untrained = experiment.initial(spec)
    references = {"untrained": untrained}
    if config.init_from:
        references["before_training"] = initialize_from(config.init_from, spec, untrained)[0]
    return jax.device_put(references, replicated(experiment.mesh))
