"""Settings of an evaluation."""

from dataclasses import dataclass

from lctr_jax.localization.protocols import LCTR_PROTOCOL, MapClass, Protocol
from lctr_jax.localization.thresholds import CurveThresholds, Threshold

IOU_LEVELS = (0.3, 0.5, 0.7)
"""IoU levels of MaxBoxAccV2; all other metrics use 0.5."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The choices that define localization metrics.

    Attributes:
        threshold: the reported threshold, for each image's box, IoU and error type.
        curve_thresholds: thresholds of BoxAcc and BoxAccV2; None leaves these out.
        num_classes: number of rows of the per-class table.
        image_size: side of the square frame in pixels.
        protocol: how maps become boxes and boxes are compared.
        map_class: whose map is boxed; the protocol's choice if None.
        first_box_only: compare with the first true box only, as LCTR's published loader does on ILSVRC.
        tau_step: spacing of the thresholds that oracle metrics and PxAP use.
        num_resamples: number of bootstrap replicates for the 95% intervals, 0 for none.
    """

    threshold: Threshold
    curve_thresholds: CurveThresholds | None = None
    num_classes: int
    image_size: int = 224
    protocol: Protocol = LCTR_PROTOCOL
    map_class: MapClass | None = None
    first_box_only: bool = False
    tau_step: float = 0.001
    num_resamples: int = 1000

    def __post_init__(self):
        for name in ("num_classes", "image_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: got {getattr(self, name)}, expected at least 1")

    @property
    def boxed_class(self) -> MapClass:
        """Whose map boxes are made from."""
        return self.map_class or self.protocol.map_class
