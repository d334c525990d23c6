"""From an accumulator's sums to the numbers people print, each with where its threshold came from."""

from typing import Any

import numpy as np
from jaxtyping import Float

from lctr_jax.localization.accumulator import (
    IOU_UNIT,
    NUM_IOU_BINS,
    OUTCOME_SIZES,
    Sums,
)
from lctr_jax.localization.bootstrap import percentile_interval
from lctr_jax.localization.error_taxonomy import ERROR_TYPES
from lctr_jax.localization.maps import cut_of_tau, tau_grid
from lctr_jax.localization.pixels import average_precision
from lctr_jax.localization.settings import IOU_LEVELS, Settings
from lctr_jax.localization.thresholds import Threshold, choose_threshold

_HALF = IOU_LEVELS.index(0.5)


def summarize(sums: Sums, settings: Settings) -> dict[str, Any]:
    """Returns every metric, in percent, with protocol, threshold and threshold source.

    Without true boxes only the classification's numbers are there; without masks there is no `pxap`.
    """
    images, top1, top5 = (int(count) for count in sums["classified"])
    summary: dict[str, Any] = {
        "protocol": settings.protocol.name,
        "num_images": images,
        "num_images_with_boxes": int(sums["boxed"]),
        "top1_cls": _percent(top1, images),
        "top5_cls": _percent(top5, images),
    }
    if sums["boxed"]:
        summary |= _summarize_boxes(sums, settings)
    pxap = average_precision(sums["pixels"])
    if pxap is not None:
        summary["pxap"] = pxap
    if settings.num_resamples and images:
        summary["intervals_95"] = _intervals(sums, settings)
    return summary


def curves(sums: Sums) -> dict[str, Float[np.ndarray, " cuts"]]:
    """Returns the accuracy in percent at every cut: `gt_known_loc`, `top1_loc`, `max_box_acc_50`, ..."""
    names = ["gt_known_loc", "top1_loc", "top5_loc", "label_gt_known_loc"]
    names += [f"max_box_acc_{round(100 * level)}" for level in IOU_LEVELS]
    names += [f"max_box_acc_v2_{round(100 * level)}" for level in IOU_LEVELS]
    counts = np.concatenate([sums["located"], sums["label_located"][None], sums["single"], sums["multi"]])
    return dict(zip(names, _percent(counts, sums["boxed"]), strict=True))


def class_table(sums: Sums) -> list[dict[str, Any]]:
    """Returns a row for every class that occurs: counts, accuracies and mean IoU in percent.

    The localization columns are None for a class without true boxes.
    """
    rows = []
    for label, counts in enumerate(sums["per_class"].tolist()):
        images, top1, boxed, located, top1_located, iou = counts
        if not images:
            continue
        rows.append(
            {
                "label": label,
                "num_images": images,
                "top1_cls": 100 * top1 / images,
                "gt_known_loc": 100 * located / boxed if boxed else None,
                "top1_loc": 100 * top1_located / boxed if boxed else None,
                "mean_iou": 100 * iou * IOU_UNIT / boxed if boxed else None,
            }
        )
    return rows


def max_box_thresholds(sums: Sums, *, chosen_on: str, step: float = 0.001) -> dict[str, Threshold]:
    """Returns the best threshold of each wsoleval curve, to transfer to another split."""
    return {
        name: choose_threshold(curve, source="held-out", chosen_on=chosen_on, step=step)
        for name, curve in curves(sums).items()
        if name.startswith("max_box_acc")
    }


def transfer_thresholds(sums: Sums, thresholds: dict[str, Threshold]) -> dict[str, float]:
    """Returns BoxAcc and BoxAccV2 at thresholds chosen elsewhere: the honest twins of MaxBoxAcc and V2."""
    by_cut = curves(sums)
    at = {name: float(by_cut[name][threshold.cut]) for name, threshold in thresholds.items()}
    multi = [value for name, value in at.items() if name.startswith("max_box_acc_v2_")]
    return {"box_acc": at["max_box_acc_50"], "box_acc_v2": float(np.mean(multi))}


def _summarize_boxes(sums: Sums, settings: Settings) -> dict[str, Any]:
    boxed, cut = int(sums["boxed"]), settings.threshold.cut
    gt_known, top1, top5 = _percent(sums["located"][:, cut], boxed).tolist()
    gt_known_curve = _percent(sums["located"][0], boxed)
    oracle = choose_threshold(gt_known_curve, source="oracle", chosen_on="this split", step=settings.tau_step)
    cuts = cut_of_tau(tau_grid(settings.tau_step))
    single, multi = (_percent(sums[name][:, cuts], boxed).max(axis=1) for name in ("single", "multi"))
    return {
        "map_class": settings.boxed_class,
        "first_box_only": settings.first_box_only,
        "threshold": settings.threshold.tau,
        "threshold_source": settings.threshold.describe(),
        "top1_loc": top1,
        "top5_loc": top5,
        "gt_known_loc": gt_known,
        "label_gt_known_loc": _percent(int(sums["label_located"][cut]), boxed),
        "oracle_gt_known_loc": float(gt_known_curve[oracle.cut]),
        "oracle_threshold": oracle.tau,
        "max_box_acc": float(single[_HALF]),
        "max_box_acc_v2": float(multi.mean()),
        "max_box_acc_threshold_source": "oracle",
        "mean_iou": 100 * float(sums["iou"]) * IOU_UNIT / boxed,
        "iou_histogram": sums["iou_histogram"].tolist(),
        "iou_histogram_edges": (np.arange(NUM_IOU_BINS + 1) / NUM_IOU_BINS).tolist(),
        "errors": {
            name: _percent(int(count), boxed) for name, count in zip(ERROR_TYPES, sums["errors"], strict=True)
        },
    }


def _intervals(sums: Sums, settings: Settings) -> dict[str, tuple[float, float]]:
    """95% bootstrap intervals; oracle metrics choose their threshold anew in every replicate."""
    ends = np.cumsum(list(OUTCOME_SIZES.values()))[:-1]
    columns = dict(zip(OUTCOME_SIZES, np.split(sums["replicates"], ends, axis=1), strict=True))
    of_images = ("top1_cls", "top5_cls")
    of_boxes = ("gt_known_loc", "top1_loc", "top5_loc", "label_gt_known_loc")
    replicates = {name: _percent(columns[name], columns["images"])[:, 0] for name in of_images}
    if sums["boxed"]:
        cuts = cut_of_tau(tau_grid(settings.tau_step))
        replicates |= {name: _percent(columns[name], columns["boxed"])[:, 0] for name in of_boxes}
        replicates["max_box_acc"] = _percent(columns["max_box_acc"][:, cuts], columns["boxed"]).max(axis=1)
        multi = columns["max_box_acc_v2"].reshape(len(columns["boxed"]), len(IOU_LEVELS), -1)[:, :, cuts]
        replicates["max_box_acc_v2"] = _percent(multi, columns["boxed"][..., None]).max(axis=2).mean(axis=1)
    return {name: percentile_interval(values) for name, values in replicates.items()}


def _percent(count: Any, total: Any) -> Any:
    return 100 * count / np.maximum(total, 1)
