"""Options of `config.eval`."""

from dataclasses import dataclass

from lctr_jax.localization.protocols import get_protocol


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """What to evaluate and how; the defaults are LCTR's published evaluation on CUB.

    Attributes:
        split: evaluated at the end of training and by --eval.
        image_size: side of the evaluated images in pixels; 0 for the network's, model.image_size. The
            position embedding is resampled for other sizes.
        batch_size: images per device in a forward pass; per device, so that results do not depend on their
            number.
        protocol: "lctr" or "wsoleval": how images become frames, and how boxes are made and compared.
        threshold: fraction of the map's maximum above which a pixel is foreground (LCTR: 0.09 for CUB, 0.18
            for ILSVRC).
        threshold_split: choose the threshold on this split instead, by its boxes or, without boxes, its
            masks; empty uses `threshold`.
        map_class: whose map is boxed, "predicted" or "label" (the true class); empty is the protocol's
            choice, "predicted" for lctr and "label" for wsoleval.
        first_box_only: use only the first of several true boxes, as LCTR's loader does for ILSVRC.
        match_classes: how --eval matches the checkpoint's classes with the data set's: by "name" or,
            unchecked, by "index", which checkpoints without class names need.
        untrained_baseline: also evaluate the same network with its initial weights.
        sheet_images: number of images in eval/sheet.png.
    """

    split: str = "test"
    image_size: int = 0
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
        """Check the options.

        Raises:
            ValueError: an option is invalid; the message names it, its value and what is expected.
        """
        get_protocol(self.protocol)
        if self.batch_size < 1:
            raise ValueError(f"eval.batch_size: got {self.batch_size}, expected 1 or more")
        if self.image_size < 0:
            raise ValueError(f"eval.image_size: got {self.image_size}, expected 0 or more")
        if not 0 <= self.threshold < 1:
            raise ValueError(f"eval.threshold: got {self.threshold}, expected 0 or more and below 1")
        if self.sheet_images < 0:
            raise ValueError(f"eval.sheet_images: got {self.sheet_images}, expected 0 or more")
        if self.match_classes not in ("name", "index"):
            raise ValueError(f"eval.match_classes: got {self.match_classes!r}, expected 'name' or 'index'")
        if self.map_class not in ("", "predicted", "label"):
            raise ValueError(
                f"eval.map_class: got {self.map_class!r}, expected 'predicted', 'label' "
                "or '' for the protocol's choice"
            )
