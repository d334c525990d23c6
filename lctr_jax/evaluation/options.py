"""`config.eval`."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """What to evaluate and how; the defaults are LCTR's published evaluation on CUB.

    Attributes:
        split: evaluated at the end of training and by --eval.
        batch_size: images a forward pass, over all devices.
        protocol: "lctr" or "wsoleval": how images reach the frame and boxes are made and compared.
        threshold: of the map's maximum, above which a pixel is foreground (LCTR: 0.09 CUB, 0.18 ILSVRC).
        threshold_split: choose the threshold on this split instead, and say so; empty: do not.
        first_box_only: the first of several true boxes, as LCTR's loader reads ILSVRC's list.
        untrained_baseline: evaluate the same network at its initial weights, too.
        sheet_images: entries of eval/sheet.png.
    """

    split: str = "test"
    batch_size: int = 64
    protocol: Literal["lctr", "wsoleval"] = "lctr"
    threshold: float = 0.09
    threshold_split: str = ""
    first_box_only: bool = False
    untrained_baseline: bool = True
    sheet_images: int = 32
