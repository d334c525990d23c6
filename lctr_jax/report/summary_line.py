"""An evaluation's numbers as a few lines for the terminal."""

from collections.abc import Mapping
from typing import Any


def headline(metrics: Mapping[str, Any]) -> str:
    """The numbers with what gives them their meaning: protocol, threshold and baselines."""
    lines = [
        f"{metrics['split']} ({metrics['num_images']} images): "
        f"top-1 {metrics['top1_cls']:.2f}  top-5 {metrics['top5_cls']:.2f}"
    ]
    if "gt_known_loc" not in metrics:
        return "\n".join([*lines, "no boxes in this split: classification only"])
    lines += [
        f"protocol {metrics['protocol']}, threshold {metrics['threshold']:.3f} "
        f"({metrics['threshold_source']}), IoU >= 0.5: "
        f"GT-known Loc {_with_interval(metrics, 'gt_known_loc')}  "
        f"Top-1 Loc {metrics['top1_loc']:.2f}  Top-5 Loc {metrics['top5_loc']:.2f}",
        f"wsoleval's box rules in this frame, threshold oracle: MaxBoxAcc {metrics['max_box_acc']:.2f}  "
        f"MaxBoxAccV2 {metrics['max_box_acc_v2']:.2f}",
        "GT-known Loc of baselines: "
        + "  ".join(
            f"{name} {baseline['gt_known_loc']:.2f}" for name, baseline in metrics["baselines"].items()
        ),
    ]
    return "\n".join(lines)


def _with_interval(metrics: Mapping[str, Any], name: str) -> str:
    low, high = metrics["intervals_95"][name]
    return f"{metrics[name]:.2f} (95% interval {low:.1f} to {high:.1f})"
