"""Published held-out splits for choosing thresholds: wsoleval's CUBV2 and ImageNetV2.

Choe et al., "Evaluating Weakly Supervised Object Localization Methods Right" (CVPR 2020), publish them as
folders of images with `class_labels.txt` (`path,label`) and `localization.txt` (`path,x0,y0,x1,y1`).
"""

import collections
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from lctr_jax.data import archives, box_lists, image_decoding, records, wsoleval_lists
from lctr_jax.data.image_sizes import read_image_sizes

_Label = int
_Size = tuple[int, int]


def read_items(
    images: Path, lists: Path, *, num_classes: int, published_classes: int | None = None, scratch: Path
) -> tuple[list[records.Item], list[str]]:
    """Match the images in a folder or archive, wsoleval's image root, with their labels and boxes.

    ImageNetV2's images as published since 2021 have other names than in the lists. They are matched by label
    and size if exactly one listed and one found image have them; the others are left out.

    Args:
        images: the images.
        lists: the folder of the lists.
        num_classes: number of classes of the data set.
        published_classes: number of classes that the labels refer to, for data sets whose subsets number
            their classes differently (ImageNet's labels are positions of sorted folders; CUB's come from its
            own list).
        scratch: folder for decompressed archives.

    Returns:
        The items, and notes on what was left out.

    Raises:
        FileNotFoundError: a list or an image is missing.
        ValueError: a list cannot be read, an image has no box, or a label is out of range.
    """
    labels_path, boxes_path = lists / "class_labels.txt", lists / "localization.txt"
    if not labels_path.exists():
        raise FileNotFoundError(f"held-out split: expected {labels_path}, a list of `path,label`")
    if published_classes is not None and num_classes != published_classes:
        raise ValueError(
            f"held-out split: {labels_path} has {published_classes:,} classes, the data set has "
            f"{num_classes:,}; its labels would mean other classes"
        )
    labels, boxes = box_lists.read_class_labels(labels_path), box_lists.read_boxes(boxes_path)
    for key, label in labels.items():
        if label >= num_classes:
            raise ValueError(f"{labels_path}: {key} has label {label}; expected 0..{num_classes - 1}")
        if key not in boxes:
            raise ValueError(f"{boxes_path}: no box for {key}")
    places = archives.find_files(images, labels, scratch=scratch)
    notes = []
    if missing := sorted(labels.keys() - places.keys()):
        sizes_path = lists / "image_sizes.txt"
        renamed = {}
        if sizes_path.exists():
            listed = {
                key: (labels[key], size)
                for key, size in read_image_sizes(sizes_path).items()
                if key in missing
            }
            renamed = _match_renamed(listed, _labeled_images(images, scratch=scratch))
        if not renamed:
            raise FileNotFoundError(
                f"held-out split: {images} lacks {len(missing)} images, such as {missing[0]}"
            )
        notes.append(
            f"heldout: {len(places):,} of {len(labels):,} listed images found by name, {len(renamed):,} by "
            f"label and size; {len(missing) - len(renamed):,} matching none or several are left out, such as "
            f"{next((key for key in missing if key not in renamed), missing[0])}"
        )
        places |= renamed
    items = [
        records.Item(id=key, label=labels[key], image=place, boxes_xyxy=boxes[key])
        for key, place in sorted(places.items())
    ]
    if more := boxes.keys() - labels.keys():
        notes.append(f"heldout: {len(more):,} names of {boxes_path} have no label, such as {min(more)}")
    return items, notes


def add_to(
    manifest: records.Manifest,
    given: tuple[Path, Path] | None,
    *,
    source: Path | None,
    metadata: Path | None,
    published_classes: int | None = None,
    scratch: Path,
) -> None:
    """Add the split `heldout` to a data set, from the given images and lists or else in wsoleval's layout.

    In wsoleval's layout its lists are `metadata/DATASET/val`, and its images are in the source, among the
    others. If they are not there, the data set has no such split, and a note says so.

    Raises:
        FileNotFoundError: a list or an image is missing.
        ValueError: see `read_items`.
    """
    if given is None and source and metadata:
        lists = metadata / "val"
        labels = wsoleval_lists.read_labels(lists)
        found = archives.find_files(source, labels, scratch=scratch)
        if found or next(_labeled_images(source, scratch=scratch), None):
            given = source, lists
        else:
            manifest.notes.append(
                f"no split heldout: none of the {len(labels):,} images of {lists} is in {source} (--heldout "
                "gives another place)"
            )
    if given is None:
        return
    images, lists = given
    manifest.splits["heldout"], notes = read_items(
        images,
        lists,
        num_classes=len(manifest.class_names),
        published_classes=published_classes,
        scratch=scratch,
    )
    manifest.notes.extend(notes)


def _labeled_images(images: Path, *, scratch: Path) -> Iterator[tuple[_Label, records.ByteRange]]:
    """Yield the images in folders named by a label, `IMAGES/7/...` or `IMAGES/val2/7/...`."""
    if images.is_dir():
        for parent in (images, *sorted(path for path in images.iterdir() if path.is_dir())):
            for folder in sorted(path for path in parent.iterdir() if _is_label(path.name) and path.is_dir()):
                for path in sorted(folder.iterdir()):
                    if path.is_file():
                        yield int(folder.name), records.ByteRange.of_file(path)
        return
    for name, place in sorted(archives.list_files(images, scratch=scratch).items()):
        if _is_label(folder := PurePosixPath(name).parent.name):
            yield int(folder), place


def _is_label(name: str) -> bool:
    return name.isascii() and name.isdecimal() and len(name) < 6


def _match_renamed(
    listed: Mapping[str, tuple[_Label, _Size]], found: Iterable[tuple[_Label, records.ByteRange]]
) -> dict[str, records.ByteRange]:
    """Match names with images whose label and size are unique in both."""
    images: dict[tuple[_Label, _Size], list[records.ByteRange]] = collections.defaultdict(list)
    for label, place in found:
        try:
            images[label, image_decoding.open_image(place.read()).size].append(place)
        except image_decoding.CorruptImageError:
            continue  # not a readable image
    names: dict[tuple[_Label, _Size], list[str]] = collections.defaultdict(list)
    for key, identity in listed.items():
        names[identity].append(key)
    return {
        keys[0]: images[identity][0]
        for identity, keys in names.items()
        if len(keys) == 1 and len(images.get(identity, ())) == 1
    }
