"""True boxes of images on disk: a box list matched with a folder of images and a network's classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from lctr_jax.data.box_lists import Annotation, read_annotations
from lctr_jax.data.box_matching import match
from lctr_jax.data.image_decoding import CorruptImageError, RgbPixels, decode_pixels, open_image
from lctr_jax.data.notes import examples, some
from lctr_jax.data.orientation import read_orientation
from lctr_jax.inference.image_search import check_arguments, find_images

_SLACK = 1.0  # pixels that a box may extend beyond its image, as in data sets


@dataclass(frozen=True)
class BoxedImage:
    """An image file and its true boxes, corners in pixels."""

    path: Path
    boxes_xyxy: Float[np.ndarray, "boxes 4"]


@dataclass(frozen=True)
class BoxTruth:
    """The images that have boxes, and one line about each kind of ignored entry."""

    images: list[BoxedImage]
    notes: list[str]

    @property
    def num_boxes(self) -> int:
        """Number of boxes in all images."""
        return sum(len(image.boxes_xyxy) for image in self.images)


def join_boxes(
    folder: Path, box_list: Path, *, class_names: Sequence[str] | None, any_class: bool = False
) -> BoxTruth:
    """Find the images that a list names, and their boxes of the network's classes.

    All boxes are used if the list gives no classes, if the network has no class names, or with `any_class`.

    Raises:
        OSError: the folder or the list cannot be read.
        ValueError: the list cannot be parsed, or none of its boxes belongs to an image of the folder and to a
            class of the network.
    """
    check_arguments([folder])
    paths = {path.relative_to(folder).as_posix(): path for path in find_images([folder])}
    annotations = read_annotations(box_list)
    matches = match(annotations, list(paths))
    names = some(len(annotations), "name")
    if not matches.by_image:
        raise ValueError(
            f"{box_list}: none of its {names}, such as {examples(annotations)}, matches an image in "
            f"{folder}, such as {examples(paths)}"
        )
    notes = []
    if matches.unmatched:
        unmatched = f"{len(matches.unmatched)} of the list's {names}"
        notes.append(f"{unmatched} match no image, such as {matches.unmatched[0]!r}")
    if not any(len(annotation.boxes_xyxy) for annotation in matches.by_image.values()):
        raise ValueError(f"{box_list}: no boxes, expected at least one for the images in {folder}")
    images, unknown = [], []
    for name, annotation in matches.by_image.items():
        known = _known(annotation, None if any_class else class_names)
        unknown += [label for label, is_known in zip(_labels(annotation), known, strict=True) if not is_known]
        if known.any():
            images.append(BoxedImage(paths[name], annotation.boxes_xyxy[known].astype(np.float64)))
    if unknown:
        which = f"of classes that the network does not have, such as {unknown[0]!r}"
        if not images:
            raise ValueError(
                f"{box_list}: all boxes are {which}, expected its classes, such as "
                f"{examples(map(repr, class_names or ()))}; --any-class uses boxes of any class"
            )
        notes.append(f"ignored: {some(len(unknown), 'box')} {which}")
    return BoxTruth(images, notes)


def read_boxed(boxed: BoxedImage, *, upright: bool) -> tuple[RgbPixels, bool]:
    """Return the RGB image, and whether it has an EXIF rotation.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not an image, or a box lies outside of it.
    """
    try:
        encoded = boxed.path.read_bytes()
        rotated = read_orientation(open_image(encoded)) != 1
        image = decode_pixels(encoded, upright=upright)
    except CorruptImageError as error:
        raise ValueError(f"{boxed.path}: {error}") from error
    height, width = image.shape[:2]
    overshoot = np.maximum(-boxed.boxes_xyxy[:, :2], boxed.boxes_xyxy[:, 2:] - [width, height])
    if (outside := overshoot.max(1) > _SLACK).any():
        other = "stored" if upright else "upright"
        hint = f"; the image has an EXIF rotation: try --exif {other}" if rotated else ""
        raise ValueError(
            f"{boxed.path}: box {boxed.boxes_xyxy[outside][0].tolist()} lies outside the image of "
            f"{width} x {height} pixels{hint}"
        )
    return image, rotated


def _known(annotation: Annotation, class_names: Sequence[str] | None) -> Bool[np.ndarray, " boxes"]:
    """Return which boxes are of the network's classes: all, if the list or the network has no class names."""
    if class_names is None:
        return np.ones(len(annotation.boxes_xyxy), bool)
    names = {name.casefold() for name in class_names}
    return np.array([_is_known(label, names) for label in _labels(annotation)], bool)


def _is_known(label: str | int | None, names: set[str]) -> bool:
    """Return whether a label (name or index) is a class of the network; true if the label is unknown."""
    if isinstance(label, str) and label.casefold() not in names and label.isdecimal():
        label = int(label)
    if isinstance(label, int):
        return 0 <= label < len(names)
    return label is None or label.casefold() in names


def _labels(annotation: Annotation) -> Sequence[str | int | None]:
    """Return the class of every box; None if the list does not give it."""
    return annotation.box_labels or [annotation.label] * len(annotation.boxes_xyxy)
