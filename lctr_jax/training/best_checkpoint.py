"""The checkpoint with the best validation metric, or with each head's best."""

import math
from collections.abc import Collection, Mapping
from pathlib import Path

import jax
import orbax.checkpoint as ocp

from lctr_jax.checkpoints.checksummed import ChecksummedCheckpoints
from lctr_jax.checkpoints.metadata import Metadata
from lctr_jax.checkpoints.store import CHECKPOINTS, PARAMETERS, weights_items
from lctr_jax.models.parameters import Parameters
from lctr_jax.training.state import TrainState

BEST = "best"
_STEP = "step of "  # prefix of the entry with the step of a metric's best value


class BestCheckpoint:
    """The weights with the best validation metric so far, in WORKDIR/checkpoints/best/STEP.

    With `head_metric`, the class head is chosen by that metric and all else by `metric`, as TriLite is
    trained: the checkpoint then combines weights of two validations.

    Args:
        workdir: the run's folder.
        metadata: of the network.
        metric: name of the validation metric.
        head_metric: metric of the class head; empty to choose all weights by `metric`.
        class_head: top-level modules of the class head.
    """

    def __init__(
        self,
        workdir: Path,
        metadata: Metadata,
        *,
        metric: str,
        head_metric: str = "",
        class_head: Collection[str] = (),
    ):
        self._metadata, self._metric, self._class_head = metadata, metric, class_head
        self._metrics = [metric, head_metric] if head_metric else [metric]
        self.folder = workdir.resolve() / CHECKPOINTS / BEST
        # Every saved checkpoint has the best values so far, so their sum rises.
        self._checkpoints = ChecksummedCheckpoints(
            self.folder, max_to_keep=1, best_fn=lambda metrics: sum(metrics[name] for name in self._metrics)
        )
        self._manager = self._checkpoints.manager

    def offer(self, state: TrainState, step: int, scalars: Mapping[str, float]) -> list[str]:
        """Save the state's weights, or its class head, if better than the saved ones.

        Returns once the checkpoint is on disk: a later checkpoint of the run states that this validation is
        done, so its result must not be lost if the run is killed.

        Returns:
            The metrics that are better than before.
        """
        saved = self._saved_metrics()
        better = [
            name
            for name in self._metrics
            if not math.isnan(scalars[name]) and (name not in saved or scalars[name] > saved[name])
        ]
        if not better or (not saved and len(better) < len(self._metrics)):
            return []
        weights = self._combine(state.weights, better) if saved else state.weights
        values = saved | {name: scalars[name] for name in better} | {_STEP + name: step for name in better}
        self._checkpoints.save(step, weights_items(self._metadata, weights), metrics=values)
        self._checkpoints.wait()
        return better

    @property
    def step(self) -> int | None:
        """Step of the best value of `metric`; None before the first validation."""
        saved = self._saved_metrics()
        return int(saved[_STEP + self._metric]) if saved else None

    def close(self) -> None:
        """Finish writing."""
        self._checkpoints.close()

    def _saved_metrics(self) -> dict[str, float]:
        step = self._manager.latest_step()
        return {} if step is None else dict(self._manager.metrics(step) or {})

    def _combine(self, weights: Parameters, better: list[str]) -> Parameters:
        """Return the weights with those modules replaced by the saved ones whose metric is not better."""
        if len(better) == len(self._metrics):
            return weights
        target = jax.tree.map(ocp.utils.to_shape_dtype_struct, weights)
        items = ocp.args.Composite(**{PARAMETERS: ocp.args.StandardRestore(target)})
        saved = self._manager.restore(self._manager.latest_step(), args=items)[PARAMETERS]
        all_but_head = better == [self._metric]
        return {
            name: module if (name in self._class_head) != all_but_head else saved[name]
            for name, module in weights.items()
        }
