"""Box lists and masks of an image folder, matched with the images of their split."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from lctr_jax.data import box_lists, box_matching, records
from lctr_jax.data.folder import layout
from lctr_jax.data.foreign_files import is_foreign
from lctr_jax.data.notes import examples, some


@dataclasses.dataclass(frozen=True)
class SplitBoxes:
    """A split's box list, matched with its images.

    Attributes:
        path: the list.
        by_image: annotations of the matched images by id.
        unmatched: names in the list that match no image.
        num_listed: number of names in the list.
    """

    path: Path
    by_image: dict[str, box_lists.Annotation]
    unmatched: list[str]
    num_listed: int


def read_folder_boxes(
    path: Path, split: str, image_ids: Sequence[str], found: layout.FolderLayout, *, root: Path
) -> SplitBoxes:
    """Match a box list with the images of a split.

    Raises:
        FileNotFoundError: there is no such list.
        ValueError: it cannot be read, contains none of the images, or a name matches several.
    """
    listed = box_lists.read_annotations(path)
    names = [*layout.SPELLINGS.get(split, (split,)), found.splits.get(split, root).name]
    separate = [other for other in layout.SPELLINGS if other != split and split in found.splits]
    others = [name for other in separate for name in layout.SPELLINGS[other]]
    try:
        matches = box_matching.match(listed, image_ids, split=names, other_splits=others)
    except ValueError as error:
        raise ValueError(f"box list of {split}, {path}: {error}") from error
    if not matches.by_image:
        raise ValueError(
            f"box list of {split}: it contains none of the images; it has {examples(listed)}, the folder has "
            f"{examples(image_ids)}"
        )
    return SplitBoxes(path, matches.by_image, matches.unmatched, len(listed))


def find_list(root: Path, split: str, given: Mapping[str, str | Path]) -> Path | None:
    """Return the box list given for a split, otherwise the one in `ROOT/list`, if any.

    Raises:
        ValueError: there are several.
    """
    if split in given:
        return Path(given[split]).expanduser()
    spellings = layout.SPELLINGS[split]
    folder = root / "list"
    found = sorted(
        path
        for path in (folder.iterdir() if folder.is_dir() else ())
        if any(path.name.lower().startswith(f"{spelling}_boxes") for spelling in spellings)
    )
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise ValueError(f"data.root: {folder} has several box lists of {split}: {names}; keep one")
    return found[0] if found else None


def unread_lists(root: Path, splits: Sequence[str]) -> str | None:
    """Describe the files in `ROOT/list` that belong to no split."""
    folder = root / "list"
    known = tuple(f"{spelling}_boxes" for split in splits for spelling in layout.SPELLINGS[split])
    names = [
        path.name
        for path in sorted(folder.iterdir() if folder.is_dir() else ())
        if not path.name.lower().startswith(known) and not is_foreign(path.name)
    ]
    expected = " or ".join(f"{split}_boxes*" for split in splits)
    return f"not read in list/: {examples(names)}; expected {expected}" if names else None


def keep_class(annotation: box_lists.Annotation, names: Sequence[str]) -> tuple[box_lists.Boxes, int]:
    """Return the boxes of the image's own class, and the number of other boxes.

    If no box has the name of the class, the list uses other names, and all boxes are kept.
    """
    wanted = {name.casefold() for name in names}
    own = [label.casefold() in wanted for label in annotation.box_labels]
    if len(own) != len(annotation.boxes_xyxy) or not any(own):
        return annotation.boxes_xyxy, 0
    return annotation.boxes_xyxy[own], own.count(False)


def find_masks(root: Path, split: str, *, flat: bool) -> dict[str, records.ByteRange]:
    """Return the masks of a split, `ROOT/masks/SPLIT/CLASS/NAME.png`, by `CLASS/NAME`.

    Without folders of splits, those of a flat image folder may be `ROOT/masks/CLASS/NAME.png`.
    """
    folders = [root / "masks" / spelling for spelling in layout.SPELLINGS[split]]
    spellings = [spelling for names in layout.SPELLINGS.values() for spelling in names]
    if flat and not any((root / "masks" / spelling).is_dir() for spelling in spellings):
        folders.append(root / "masks")
    masks = {}
    for folder in folders:
        for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
            if path.suffix.lower() == ".png" and not is_foreign(path.name):
                masks[stem(path.relative_to(folder).as_posix())] = records.ByteRange.of_file(path)
    return masks


def stem(image_id: str) -> str:
    """Remove the suffix of an id."""
    return image_id.removesuffix(Path(image_id).suffix)


def boxes_line(
    split: str, items: Sequence[records.Item], listed: SplitBoxes | None, root: Path
) -> str | None:
    """Describe how many images of a split have boxes, and how many names in its list have no image."""
    if not listed:
        return None
    with_boxes = sum(len(item.boxes_xyxy) > 0 for item in items)
    path = listed.path.relative_to(root) if listed.path.is_relative_to(root) else listed.path
    text = f"boxes of {split}: {with_boxes:,} of {some(len(items), 'image')}, from {path}"
    if listed.unmatched:
        text += (
            f"; {len(listed.unmatched):,} of the list's {some(listed.num_listed, 'name')} match no image, "
            f"such as {listed.unmatched[0]!r}"
        )
    if elsewhere := len(listed.by_image.keys() - {item.id for item in items}):
        text += f"; {some(elsewhere, 'listed image')} {'are in val' if split == 'train' else 'stay in train'}"
    return text


def masks_line(
    split: str, items: Sequence[records.Item], masks: Mapping[str, records.ByteRange]
) -> str | None:
    """Describe how many images of a split have a mask, and how many masks have no image.

    Raises:
        ValueError: no mask matches an image.
    """
    if not masks:
        return None
    with_mask = sum(item.mask is not None for item in items)
    if not with_mask:
        ids = [item.id for item in items]
        raise ValueError(
            f"masks of {split}: none matches an image; they are {examples(masks)}, the images {examples(ids)}"
        )
    more = len(masks) - with_mask
    return f"masks of {split}: {with_mask:,} of {some(len(items), 'image')}" + (
        f"; {some(more, 'mask')} match none" if more > 0 else ""
    )
