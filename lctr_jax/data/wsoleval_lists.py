"""The lists of wsoleval's `metadata/DATASET/{train,val,test}`: images, class labels and mask files.

Choe et al., "Evaluating Weakly Supervised Object Localization Methods Right" (CVPR 2020). Names are relative
to the data set's image folder. `box_lists` reads its boxes, `image_sizes` its sizes.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from lctr_jax.data import box_lists
from lctr_jax.data.box_entry import check_inside, read_lines, shorten

LABELS, IMAGES, LOCALIZATION = "class_labels.txt", "image_ids.txt", "localization.txt"


class MaskNames(NamedTuple):
    """Names of an image's mask files."""

    instances: tuple[str, ...]
    ignored: str | None


def read_labels(folder: Path) -> dict[str, int]:
    """Return the label of every image of `image_ids.txt`, in its order, or of all labels without that list.

    Raises:
        FileNotFoundError: there is no `class_labels.txt`.
        ValueError: a list cannot be read, or an image has no label.
    """
    path = folder / LABELS
    if not path.is_file():
        raise FileNotFoundError(f"wsoleval's metadata: expected {path}, a list of `path,label`")
    labels = box_lists.read_class_labels(path)
    if not (folder / IMAGES).is_file():
        return labels
    names = [line for _, line in read_lines(folder / IMAGES)]
    if missing := [name for name in names if name not in labels]:
        raise ValueError(f"{path}: no label for {len(missing)} images of {IMAGES}, such as {missing[0]}")
    return {name: labels[name] for name in names}


def read_mask_names(path: Path) -> dict[str, MaskNames]:
    """Read lines `image,mask,ignore`, one per instance; only an image's first line names its ignore mask.

    Raises:
        FileNotFoundError: there is no such list.
        ValueError: a line does not have that form.
    """
    if not path.is_file():
        raise FileNotFoundError(f"wsoleval's metadata: expected {path}, a list of `image,mask,ignore`")
    listed: dict[str, MaskNames] = {}
    for where, line in read_lines(path):
        image, *names = line.split(",")
        if len(names) != 2 or not names[0] or (image in listed and names[1]):
            raise ValueError(
                f"{where}: expected `image,mask,ignore`, with `ignore` in an image's first line alone, got "
                f"{shorten(line)!r}"
            )
        for name in (image, *names):
            check_inside(name, where)
        mask, ignored = names
        known = listed.get(image, MaskNames((), ignored or None))
        listed[image] = known._replace(instances=(*known.instances, mask))
    return listed


def class_folders(labels: Iterable[Mapping[str, int]], *, where: Path) -> list[str]:
    """Return the name of each class, the folder of its images, in the order of labels.

    Raises:
        ValueError: folders and labels do not correspond, or the labels are not 0, 1, 2, ...
    """
    names: dict[int, str] = {}
    for split in labels:
        for image, label in split.items():
            folder = PurePosixPath(image).parent.name
            if names.setdefault(label, folder) != folder:
                raise ValueError(
                    f"{where}: label {label} is given to images of {names[label]} and of {folder}, such as "
                    f"{image}; expected one class folder for each label"
                )
    if sorted(names) != list(range(len(names))) or len(set(names.values())) < len(names):
        raise ValueError(
            f"{where}: got {len(names)} labels from {min(names, default=0)} to {max(names, default=0)} for "
            f"{len(set(names.values()))} class folders; expected 0, 1, 2, ..., one for each folder"
        )
    return [names[label] for label in range(len(names))]
