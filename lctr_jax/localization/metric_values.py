"""Values of metrics in percent, from the counts or the sums of an evaluation."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

from lctr_jax.localization.counts import Counts
from lctr_jax.localization.maps import cut_of_tau, tau_grid
from lctr_jax.localization.pixels import average_precision, iou_by_tau
from lctr_jax.localization.settings import IOU_LEVELS, Settings
from lctr_jax.localization.sums import IOU_UNIT, Sums

_HALF = IOU_LEVELS.index(0.5)


def percent(count: Any, total: Any) -> Any:
    """Return shares in percent; 0 if the total is 0."""
    return 100 * count / np.maximum(total, 1)


def at_threshold(located: Callable[[Counts], Any]) -> Callable[[Counts, Settings], Any]:
    """Return a metric: the share of localized images at the reported threshold."""
    return lambda counts, settings: percent(located(counts)[..., settings.threshold.cut], counts.boxed)


def oracle_gt_known_loc(counts: Counts, settings: Settings) -> Float[np.ndarray, "*batch"]:
    """Return GT-known Loc at its best threshold."""
    return _best(percent(counts.located, _per_cut(counts)), settings)


def max_box_acc(counts: Counts, settings: Settings) -> Float[np.ndarray, "*batch"]:
    """Return MaxBoxAcc: the largest region's box at IoU 0.5 and its best threshold."""
    return _best(percent(counts.single_located[..., _HALF, :], _per_cut(counts)), settings)


def max_box_acc_v2(counts: Counts, settings: Settings) -> Float[np.ndarray, "*batch"]:
    """Return MaxBoxAccV2: the best region's box, mean over the IoU levels, each at its best threshold."""
    return np.asarray(
        _best(percent(counts.multi_located, _per_cut(counts)[..., None]), settings).mean(axis=-1)
    )


def box_acc(counts: Counts, settings: Settings) -> Float[np.ndarray, "*batch"] | None:
    """Return MaxBoxAcc's value at a threshold chosen on other images, or None."""
    if settings.curve_thresholds is None:
        return None
    cut = settings.curve_thresholds.single[_HALF].cut
    return np.asarray(percent(counts.single_located[..., _HALF, cut], counts.boxed))


def box_acc_v2(counts: Counts, settings: Settings) -> Float[np.ndarray, "*batch"] | None:
    """Return MaxBoxAccV2's value at thresholds chosen on other images, or None."""
    if settings.curve_thresholds is None:
        return None
    cuts = [threshold.cut for threshold in settings.curve_thresholds.multi]
    at_cuts = counts.multi_located[..., np.arange(len(IOU_LEVELS)), cuts]
    return np.asarray(percent(at_cuts, counts.boxed[..., None]).mean(axis=-1))


def mean_iou(sums: Sums, settings: Settings) -> float | None:
    """Return the mean IoU of the reported boxes."""
    return 100 * float(sums.iou) * IOU_UNIT / int(sums.counts.boxed)


def pxap(sums: Sums, settings: Settings) -> float | None:
    """Return PxAP, or None if there is no object pixel."""
    return average_precision(sums.pixels)


def pixel_iou_by_tau(sums: Sums) -> Float[np.ndarray, " taus"] | None:
    """Return the pixel IoU in percent at every threshold of the grid, or None if there is no object pixel."""
    return iou_by_tau(sums.pixels) if sums.pixels[1].any() else None


def pixel_iou(sums: Sums, settings: Settings) -> float | None:
    """Return the pixel IoU at the first threshold of the grid that is not below the reported one, or None."""
    by_tau = pixel_iou_by_tau(sums)
    if by_tau is None:
        return None
    place = int(np.searchsorted(tau_grid(settings.tau_step), settings.threshold.tau))
    return float(by_tau[min(place, len(by_tau) - 1)])


def peak_pixel_iou(sums: Sums, settings: Settings) -> float | None:
    """Return the pixel IoU at its best threshold, or None."""
    by_tau = pixel_iou_by_tau(sums)
    return None if by_tau is None else float(by_tau.max())


def _per_cut(counts: Counts) -> np.ndarray:
    return counts.boxed[..., None]


def _best(accuracy_by_cut: np.ndarray, settings: Settings) -> Any:
    """Return the best accuracy over the thresholds tried, which are the last dimension."""
    return np.asarray(accuracy_by_cut[..., cut_of_tau(tau_grid(settings.tau_step))].max(axis=-1))
