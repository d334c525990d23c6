"""An evaluation: choose the threshold, measure the split and its baselines, write the results."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import jax
from jax.sharding import Mesh

from lctr_jax.data.datasets import Split
from lctr_jax.data.geometry import Geometry
from lctr_jax.evaluation.evaluation_config import EvaluationOptions
from lctr_jax.evaluation.forward import compile_forward
from lctr_jax.evaluation.prediction_lines import PredictionFile
from lctr_jax.evaluation.stream import Result, Totals, evaluate_split
from lctr_jax.evaluation.tables import write_tables
from lctr_jax.localization.protocols import MapClass, get_protocol
from lctr_jax.localization.settings import Settings
from lctr_jax.localization.summary import (
    choose_curve_thresholds,
    choose_pixel_threshold,
    curves,
    summarize,
)
from lctr_jax.localization.sums import Sums
from lctr_jax.localization.thresholds import CurveThresholds, Threshold, choose_threshold
from lctr_jax.models.parameters import Parameters
from lctr_jax.models.spec import ModelSpec

BOOTSTRAP_RESAMPLES = 1000
_VALIDATION_METRICS = {
    "top1_cls": "top1_cls",
    "oracle_gt_known_loc": "gt_known_loc_at_best_threshold",
    "oracle_threshold": "best_threshold",
    "pxap": "pxap",
}


class Evaluator:
    """Evaluates networks of one spec according to `config.eval`, on splits opened by `open_split`.

    `on_batch` is called after every batch, equally often on every host; it may raise an exception to stop.
    The written files do not depend on the number of devices and hosts (see `forward`).
    """

    def __init__(
        self,
        options: EvaluationOptions,
        spec: ModelSpec,
        mesh: Mesh,
        *,
        open_split: Callable[[str], Split],
        num_workers: int = 0,
        on_batch: Callable[[], None] = lambda: None,
    ):
        self._on_batch = on_batch
        self._options, self._spec = options, spec
        self._open_split, self._num_workers = open_split, num_workers
        self._forward = compile_forward(spec, mesh)
        self._global_batch_size = options.batch_size * mesh.size
        image_size = options.image_size or spec.image_size
        self.geometry = Geometry(protocol=get_protocol(options.protocol).name, image_size=image_size)

    def run(
        self,
        parameters: Parameters,
        folder: Path,
        *,
        references: Mapping[str, Parameters],
        on_result: Callable[[Result], None] = lambda result: None,
    ) -> dict[str, Any]:
        """Evaluate, write `metrics.json`, `predictions.jsonl` and tables to `folder`, and return the metrics.

        Args:
            parameters: of the network.
            folder: where to write.
            references: other parameters of the same network, such as untrained ones, by name; their metrics
                at their best threshold are included as baselines.
            on_result: called for every image of this host.
        """
        folder.mkdir(parents=True, exist_ok=True)
        split = self._open_split(self._options.split)
        threshold, curve_thresholds = self._choose_thresholds(parameters)
        settings = self.settings(
            threshold, num_resamples=BOOTSTRAP_RESAMPLES, curve_thresholds=curve_thresholds
        )
        with PredictionFile(folder / "predictions.jsonl", self.geometry) as predictions:

            def record(result: Result) -> None:
                predictions.write(result)
                on_result(result)

            # Without boxes and masks there is nothing to compare with references.
            compared = references if split.has_boxes or split.has_masks else {}
            totals = self._measure(parameters, split, settings, references=compared, on_result=record)
            predictions.join(batch_size=self._global_batch_size)
        metrics = {"split": self._options.split, **summarize(totals.measured, settings)}
        if baselines := totals.content_free.summarize():
            for name, sums in totals.references.items():
                baselines[name] = _summarize_reference(sums, self.settings(Threshold(0.0)))
            metrics["baselines"] = baselines
        if jax.process_index() == 0:
            (folder / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
            write_tables(folder, totals.measured, split.class_names)
        return metrics

    def quick(
        self, parameters: Parameters, *, on_result: Callable[[Result], None] = lambda result: None
    ) -> dict[str, float]:
        """Return the main metrics on the split, at its best threshold, for validation during training."""
        settings = self.settings(Threshold(0.0))
        split = self._open_split(self._options.split)
        totals = self._measure(parameters, split, settings, on_result=on_result)
        summary = summarize(totals.measured, settings)
        return {f"eval/{name}": summary[key] for key, name in _VALIDATION_METRICS.items() if key in summary}

    def open_splits(self) -> None:
        """Open every split that `run` will read, to detect errors before anything is computed.

        Raises:
            ValueError: there is no such split, or the held-out one has neither boxes nor masks.
        """
        self._open_split(self._options.split)
        self._open_held_out()

    def accuracies(self) -> list[str]:
        """Return the names of the accuracies that `quick` computes; without true boxes, only the class's."""
        split = self._open_split(self._options.split)
        known = {"top1_cls": True, "oracle_gt_known_loc": split.has_boxes, "pxap": split.has_masks}
        return [f"eval/{_VALIDATION_METRICS[name]}" for name, is_known in known.items() if is_known]

    def settings(
        self,
        threshold: Threshold,
        *,
        num_resamples: int = 0,
        curve_thresholds: CurveThresholds | None = None,
    ) -> Settings:
        """Return the evaluation settings for a threshold."""
        return Settings(
            threshold=threshold,
            curve_thresholds=curve_thresholds,
            num_classes=self._spec.num_classes,
            image_size=self.geometry.image_size,
            protocol=get_protocol(self._options.protocol),
            map_class=cast(MapClass | None, self._options.map_class or None),
            first_box_only=self._options.first_box_only,
            num_resamples=num_resamples,
        )

    def _choose_thresholds(self, parameters: Parameters) -> tuple[Threshold, CurveThresholds | None]:
        """Return the reported threshold, and those of wsoleval's curves if boxes are held out.

        Without boxes, the threshold has the best pixel IoU on the masks.

        Raises:
            ValueError: the held-out split has neither, or no object in its masks.
        """
        held_out, split = self._options.threshold_split, self._open_held_out()
        if split is None:
            return Threshold(self._options.threshold), None
        settings = self.settings(Threshold(0.0))
        totals = self._measure(parameters, split, settings)
        if not split.has_boxes:
            chosen = choose_pixel_threshold(totals.measured, settings, source="held-out", chosen_on=held_out)
            if chosen is None:
                raise ValueError(f"eval.threshold_split: no mask of {held_out!r} has an object pixel")
            return chosen, None
        curve = curves(totals.measured)["gt_known_loc"]
        threshold = choose_threshold(curve, source="held-out", chosen_on=held_out)
        return threshold, choose_curve_thresholds(totals.measured, chosen_on=held_out)

    def _open_held_out(self) -> Split | None:
        name = self._options.threshold_split
        split = self._open_split(name) if name else None
        if split is not None and not split.has_boxes and not split.has_masks:
            raise ValueError(
                f"eval.threshold_split: {name!r} has no boxes or masks, which choosing a threshold needs; "
                "leave it empty and set eval.threshold"
            )
        return split

    def _measure(
        self,
        parameters: Parameters,
        split: Split,
        settings: Settings,
        *,
        references: Mapping[str, Parameters] = MappingProxyType({}),
        on_result: Callable[[Result], None] = lambda result: None,
    ) -> Totals:
        return evaluate_split(
            self._forward,
            parameters,
            split,
            settings=settings,
            geometry=self.geometry,
            batch_size=self._global_batch_size,
            num_workers=self._num_workers,
            references=references,
            reference_settings=self.settings(Threshold(0.0)),
            on_result=on_result,
            on_batch=self._on_batch,
        )


def _summarize_reference(sums: Sums, settings: Settings) -> dict[str, Any]:
    """Return a network's metrics at its own best threshold."""
    summary = summarize(sums, settings)
    names = {
        "oracle_gt_known_loc": "gt_known_loc",
        "oracle_threshold": "threshold",
        "top1_cls": "top1_cls",
        "max_box_acc": "max_box_acc",
        "max_box_acc_v2": "max_box_acc_v2",
        "pxap": "pxap",
    }
    reference = {name: summary[key] for key, name in names.items() if key in summary}
    return reference | ({"threshold_source": "oracle"} if "threshold" in reference else {})
