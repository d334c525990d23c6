"""`config.eval`."""

from dataclasses import dataclass

from lctr_jax.localization.protocols import get_protocol


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """What to evaluate and how; the defaults are LCTR's published evaluation on CUB.

    Attributes:
        split: evaluated at the end of training and by --eval.
        batch_size: images a forward pass on each device. Of one device, so that results do not depend on
            how many there are.
        protocol: "lctr" or "wsoleval": how images reach the frame and boxes are made and compared.
        threshold: of the map's maximum, above which a pixel is foreground (LCTR: 0.09 CUB, 0.18 ILSVRC).
        threshold_split: choose the threshold on this split instead, and say so; empty: do not.
        map_class: whose map is boxed, "predicted" or "label" (the true class); empty: the protocol's own,
            which is "predicted" for lctr and "label" for wsoleval.
        first_box_only: the first of several true boxes, as LCTR's loader reads ILSVRC's list.
        match_classes: how --eval relates the checkpoint's classes to the data set's: by "name" or, unchecked,
            by "index", which checkpoints without class names need.
        untrained_baseline: evaluate the same network at its initial weights, too.
        sheet_images: entries of eval/sheet.png.
    """

    split: str = "test"
    batch_size: int = 64
    protocol: str = "lctr"
    threshold: float = 0.09
    threshold_split: str = ""
    map_class: str = ""
    first_box_only: bool = False
    match_classes: str = "name"
    untrained_baseline: bool = True
    sheet_images: int = 32

    def __post_init__(self):
        """Refuse what cannot be evaluated.

        Raises:
            ValueError: naming the option, what it is and what it should be.
        """
        get_protocol(self.protocol)
        if self.batch_size < 1:
            raise ValueError(f"eval.batch_size: got {self.batch_size}, expected 1 or more")
        if not 0 <= self.threshold < 1:
            raise ValueError(f"eval.threshold: got {self.threshold}, expected 0 or more and below 1")
        if self.sheet_images < 0:
            raise ValueError(f"eval.sheet_images: got {self.sheet_images}, expected 0 or more")
        if self.match_classes not in ("name", "index"):
            raise ValueError(f"eval.match_classes: got {self.match_classes!r}, expected 'name' or 'index'")
        if self.map_class not in ("", "predicted", "label"):
            raise ValueError(
                f"eval.map_class: got {self.map_class!r}, expected 'predicted', 'label' "
                "or '' for the protocol's own"
            )
