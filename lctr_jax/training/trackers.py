"""Experiment trackers as writers. Their packages are optional and read their own environment variables.

The run is named after its folder. Its id is stored there, so that a resumed run continues the same tracked
run.
"""

import os
import uuid
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from lctr_jax.training.writers import MetricWriter, Options


class WeightsAndBiases(MetricWriter):
    """A Weights & Biases run (WANDB_PROJECT, WANDB_ENTITY, WANDB_MODE=offline, ...).

    Raises:
        ValueError: the run cannot be created, e.g. without login or network.
    """

    def __init__(self, workdir: Path, options: Options):
        import wandb

        self._image = wandb.Image
        id_file = workdir / "wandb_run"
        if not id_file.exists():
            id_file.write_text(uuid.uuid4().hex)
        try:
            self._run = wandb.init(
                dir=workdir, name=workdir.name, id=id_file.read_text(), resume="allow", config=dict(options)
            )
        except wandb.Error as error:
            raise ValueError(f"log.wandb: {error}; log in, or set WANDB_MODE=offline") from error
        # With a step metric of our own: wandb's must increase, but a window's metrics are logged after the
        # validation at its last step.
        self._run.define_metric("*", step_metric="step")

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Log to the charts, over `step`."""
        self._run.log({"step": step, **values})

    def image(self, step: int, name: str, picture: UInt8[np.ndarray, "height width 3"]) -> None:
        """Log to the media panel."""
        self._run.log({"step": step, name: self._image(picture)})

    def result(self, metrics: Mapping[str, float]) -> None:
        """Write to the run's summary."""
        self._run.summary.update(dict(metrics))

    def close(self, *, failed: bool) -> None:
        """Finish the run."""
        self._run.finish(exit_code=int(failed))


class MLflow(MetricWriter):
    """An MLflow run (MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME, ...).

    Raises:
        ValueError: the store cannot be reached, or does not contain the run whose id is in the folder.
    """

    def __init__(self, workdir: Path, options: Options):
        # MLflow's usage statistics would be sent even for a local store.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        import mlflow

        self._mlflow = mlflow
        id_file = workdir / "mlflow_run"
        known = id_file.read_text() if id_file.exists() else None
        try:
            run = mlflow.start_run(run_id=known, run_name=workdir.name)
        except mlflow.MlflowException as error:
            raise ValueError(f"log.mlflow: {error}; see MLFLOW_TRACKING_URI and {id_file}") from error
        if known is None:
            id_file.write_text(run.info.run_id)
            mlflow.log_params(dict(options))  # once, because MLflow does not allow changes

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Log to the run's metrics."""
        self._mlflow.log_metrics(dict(values), step=step)

    def image(self, step: int, name: str, picture: UInt8[np.ndarray, "height width 3"]) -> None:
        """Log to the run's images."""
        self._mlflow.log_image(picture, key=name, step=step, synchronous=True)

    def result(self, metrics: Mapping[str, float]) -> None:
        """Log to the run's metrics."""
        self._mlflow.log_metrics(dict(metrics))

    def close(self, *, failed: bool) -> None:
        """End the run."""
        self._mlflow.end_run("FAILED" if failed else "FINISHED")
