"""Images on a page, with their description."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lctr_jax.evaluation.stream import Result
from lctr_jax.report.metric_tables import OUTCOMES
from lctr_jax.report.pictures import Picture, as_boxes, encode_maps, encode_photo


@dataclass(frozen=True, kw_only=True)
class GalleryItem:
    """The content of a page about one image.

    Attributes:
        name: of the image.
        picture: photograph, maps and boxes.
        boxed_classes: class of each predicted box; the maps shown are those of the first.
        missed_classes: classes with flat maps, which have no box.
        threshold: of the first class's map; None if the page states one for all images.
        top: classes with their probabilities, best first.
        true_class: None if unknown.
        iou: None if unknown.
        error: error type; None if unknown.
        groups: groups of the gallery that contain the image.
        box_colors: color of each predicted box, the place of its class among the localized ones modulo 6.
        key: name, color and scores of each localized class.
        redraw: data with which the page redraws the boxes, see `redraw.redraw_data`.
    """

    name: str
    picture: Picture
    boxed_classes: Sequence[str]
    missed_classes: Sequence[str] = ()
    threshold: float | None = None
    top: Sequence[tuple[str, float]]
    true_class: str | None = None
    iou: float | None = None
    error: str | None = None
    groups: Sequence[str] = ()
    box_colors: Sequence[int] = ()
    key: Sequence[tuple[str, int, str]] = ()
    redraw: Mapping[str, Any] | None = None

    @property
    def correct(self) -> bool:
        """Whether the predicted class is the true one."""
        return self.top[0][0] == self.true_class

    @property
    def filter_class(self) -> str:
        """The class used by the gallery's filter: the true one, or the predicted one if that is unknown."""
        return self.top[0][0] if self.true_class is None else self.true_class

    @property
    def description(self) -> str:
        """Alternative text for the picture."""
        words = [f"{self.name}: predicted {self.top[0][0]} with {100 * self.top[0][1]:.0f}%"]
        if self.true_class is not None:
            words.append("which is right" if self.correct else f"true class: {self.true_class}")
        if self.iou is not None and self.error is not None:
            words.append(f"IoU {self.iou:.2f}, {OUTCOMES[self.error][0].lower()}")
        return ", ".join(words)


def class_name(class_names: Sequence[str], label: int) -> str:
    """Return the name of a class, or its index if it has no name."""
    return class_names[label] if label < len(class_names) else str(label)


def gallery_item(result: Result, *, groups: Sequence[str], class_names: Sequence[str]) -> GalleryItem:
    """Build the item of an evaluated image."""
    sample, size = result.sample, result.image.shape[0]
    names = [class_name(class_names, label) for label in sample.top5.tolist()]
    true_class = class_name(class_names, sample.label)
    return GalleryItem(
        name=sample.id,
        picture=Picture(
            photo=encode_photo(result.image),
            width=size,
            height=size,
            region_xyxy=(0.0, 0.0, float(size), float(size)),
            maps=encode_maps(result.relation_map, result.class_map, result.localization_map),
            predicted_xyxy=as_boxes(result.measurement.box_xyxy[None]),
            true_xyxy=as_boxes(sample.boxes_xyxy),
        ),
        boxed_classes=[names[0] if result.map_class == "predicted" else true_class],
        top=list(zip(names, result.probability.tolist(), strict=True)),
        true_class=true_class,
        iou=result.iou,
        error=result.error,
        groups=groups,
    )
