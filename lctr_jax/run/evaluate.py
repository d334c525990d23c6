"""Evaluation of a checkpoint or of the final weights of training, with report."""

from dataclasses import asdict, replace
from pathlib import Path

import jax

from lctr_jax.checkpoints.metadata import Metadata
from lctr_jax.checkpoints.store import load_weights, require_spec, require_whole
from lctr_jax.checkpoints.transfer import initialize_from, read_initial_metadata
from lctr_jax.data.class_names import ClassMismatchError
from lctr_jax.distributed.mesh import describe_devices, replicated
from lctr_jax.evaluation.evaluator import Evaluator
from lctr_jax.evaluation.stream import Result
from lctr_jax.models.parameters import Parameters
from lctr_jax.models.spec import ModelSpec
from lctr_jax.report.environment import describe_environment
from lctr_jax.report.evaluation_page import write_report
from lctr_jax.report.gallery import Gallery
from lctr_jax.report.sheet import Sheet
from lctr_jax.report.summary_line import format_summary
from lctr_jax.run.config import RunConfig
from lctr_jax.run.evaluated_config import record_evaluated
from lctr_jax.run.execution_settings import settle_execution
from lctr_jax.run.experiment import Experiment


def evaluate_checkpoint(experiment: Experiment, checkpoint: str) -> None:
    """Evaluate a checkpoint of training or of the converter, without training.

    Raises:
        ValueError: the checkpoint does not match the config's network, or an option is invalid.
        FileNotFoundError: the data or the checkpoint is missing.
    """
    config = experiment.config
    metadata, parameters = load_weights(checkpoint)  # before the data, whose preparation may take hours
    if config.init_from and config.eval.untrained_baseline:
        read_initial_metadata(experiment.initial_weights)
    require_whole(metadata, path=checkpoint)
    experiment = _match_classes(experiment, metadata, checkpoint)
    spec = config.spec(num_classes=len(experiment.open(config.eval.split).class_names))
    if spec.head != metadata.spec.head:
        experiment.log.say(
            f"model.method: using the checkpoint's, {metadata.spec.method}, instead of {spec.method}"
        )
        spec = replace(spec, method=metadata.spec.method)
    require_spec(metadata, spec, path=checkpoint)
    spec = settle_execution(spec, experiment.mesh, experiment.log.say)
    parameters = jax.device_put(parameters, replicated(experiment.mesh))
    experiment.open_log()
    evaluate(experiment, experiment.evaluator(spec), spec, parameters, checkpoint=checkpoint)


def evaluate(
    experiment: Experiment,
    evaluator: Evaluator,
    spec: ModelSpec,
    parameters: Parameters,
    *,
    checkpoint: str | None = None,
    steps: int = 0,
) -> None:
    """Evaluate parameters and write everything in WORKDIR/eval.

    Args:
        experiment: the run.
        evaluator: for networks of `spec`.
        spec: the network.
        parameters: to evaluate.
        checkpoint: where they come from; None if this run has trained them.
        steps: number of steps for which this run has trained them.
    """
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
        record_evaluated(folder, config, checkpoint=checkpoint)
        sheet.write(folder / "sheet.png")
        write_report(
            folder,
            gallery,
            title=f"{spec.method}, {config.model['name']} on {_data_set(config)}",
            class_names=split.class_names,
            options=asdict(config),
            facts={
                "weights": f"trained here, {steps} steps" if checkpoint is None else checkpoint,
                "devices": describe_devices(experiment.mesh),
                **describe_environment(),
            },
        )
    log.conclude({f"result/{name}": value for name, value in metrics.items() if isinstance(value, float)})
    log.say(format_summary(metrics))
    log.say(f"results: {folder / 'metrics.json'}  pictures: {folder / 'report.html'}")


def _match_classes(experiment: Experiment, metadata: Metadata, checkpoint: str) -> Experiment:
    """Map the data's labels to the checkpoint's classes by name, unless the config says to match by index.

    Raises:
        ValueError: the checkpoint has no class names, or the classes differ.
    """
    config, names = experiment.config, metadata.class_names
    by_index = "--config.eval.match_classes=index"
    if config.eval.match_classes == "index":
        return experiment
    if names is None:
        raise ValueError(
            f"{checkpoint}: has no class names to match with the data set's; "
            f"if class i of both is the same, add {by_index}"
        )
    matched = replace(experiment, class_names=names)
    try:
        split = matched.open(config.eval.split)
    except ClassMismatchError as error:
        subset = f"for data with some of its classes, add --config.model.num_classes={len(names)}; "
        hint = f"{subset if error.subset else ''}if class i is nevertheless the same in both, add {by_index}"
        raise ValueError(f"{checkpoint}: {error}; {hint}") from error
    own = experiment.open(config.eval.split).class_names
    if list(own) != list(split.class_names):
        experiment.log.say(
            "classes: the data set's order is not the checkpoint's; labels are matched by name"
        )
    return matched


def _data_set(config: RunConfig) -> str:
    return f"{config.data.name} {Path(config.data.root).name}".strip()


def _references(experiment: Experiment, spec: ModelSpec) -> dict[str, Parameters]:
    """Return untrained networks as baselines: random weights, and the initial weights of training."""
    config = experiment.config
    if not config.eval.untrained_baseline:
        return {}
    untrained = experiment.initial(spec)
    references = {"untrained": untrained}
    if config.init_from:
        references["before_training"] = initialize_from(experiment.initial_weights, spec, untrained)[0]
    return jax.device_put(references, replicated(experiment.mesh))
