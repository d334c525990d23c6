"""Folders whose classes are in tables: Hugging Face's `imagefolder`, or a flat folder with a CSV file."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from lctr_jax.data import box_matching
from lctr_jax.data.folder import scan
from lctr_jax.data.folder.ignored import Ignored
from lctr_jax.data.folder.label_columns import EXPECTED
from lctr_jax.data.folder.label_tables import LabelTable, read_label_table
from lctr_jax.data.folder.labeled_images import LabeledImages
from lctr_jax.data.folder.layout import (
    BESIDE,
    SPELLINGS,
    FolderLayout,
    canonical,
    find_splits,
    has_class_folders,
)
from lctr_jax.data.folder.naming import NAME_LISTS
from lctr_jax.data.folder.table_matching import ListedImages, PlacedTable
from lctr_jax.data.foreign_files import is_foreign
from lctr_jax.data.notes import examples, some
from lctr_jax.data.row_files import SUFFIXES, columns_of, read_rows

_METADATA = ("metadata.csv", "metadata.jsonl")


def read_listed_folder(root: Path, ignored: Ignored) -> LabeledImages | None:
    """Find the images that tables list with their classes; None if the classes are folders.

    The tables are `metadata.csv` or `metadata.jsonl` in the folder or in each split's folder; otherwise, in a
    folder without class folders, one CSV file, or one per split, such as `train.csv` and `val_labels.csv`.
    The split of an image is in a column such as `split`, or that of its table, or of its folder; otherwise it
    is `train`.

    Raises:
        FileNotFoundError: no table lists a training image.
        ValueError: a table cannot be read, lists none of the images, or it is unclear which one is meant.
    """
    if not root.is_dir():
        return None
    folders = find_splits(root, scan.subfolders(root, Ignored(root)))
    tables = _metadata(root, folders)
    if not tables and _table_paths(root) and not has_class_folders(root):
        tables = _other_tables(root)
    if not tables:
        return None
    skipped = {root / name for name in (*BESIDE, *NAME_LISTS)} | {placed.table.path for placed in tables}
    listed, images = ListedImages(), {}
    for placed in tables:
        if placed.folder not in images:
            paths = scan.scan_folder(placed.folder, root, ignored, skipped=skipped)
            images[placed.folder] = {path.relative_to(placed.folder).as_posix(): path for path in paths}
        listed.add(placed, images[placed.folder], folders=folders, root=root)
    if left_out := [
        path for found in images.values() for path in found.values() if path not in listed.listed
    ]:
        listed.notes.append(
            f"left out: {some(len(left_out), 'image')} in no table of classes, such as "
            f"{left_out[0].relative_to(root).as_posix()!r}"
        )
    layout = FolderLayout({s: folders.get(s, root) for s in listed.splits}, {}, flat=not folders)
    return LabeledImages(layout, _classes(listed, tables), listed.splits, listed.boxes, listed.notes)


def describe_unread(root: Path, *, any_name: bool = False) -> str | None:
    """Describe a folder's metadata, or a table of any name, that is not read without a column of classes."""
    for path in [root / name for name in _METADATA] + (_table_paths(root) if any_name else []):
        if path.is_file():
            columns = examples(columns_of(read_rows(path)), count=8)
            return f"not read: {path.name} with the columns {columns}; expected {EXPECTED}"
    return None


def check_tables_agree(root: Path, found: LabeledImages) -> None:
    """Check that a table next to class folders does not give their images other classes.

    Raises:
        ValueError: it does, so that it is unclear which are meant.
    """
    images = found.splits["train"]
    for path in _table_paths(root):
        try:
            table = read_label_table(path)
            matches = table and box_matching.match(table.annotations, list(images))
        except ValueError:
            continue  # a table of something else
        if not table or not matches:
            continue
        names = matches.names
        pairs = {(images[i].class_key, table.labels[names[i]]) for i in names if names[i] in table.labels}
        if len({label for _, label in pairs}) < len(pairs) or len({key for key, _ in pairs}) < len(pairs):
            raise ValueError(
                f"data.root: the images are in class folders, {examples(found.classes)}, and {path.name} "
                f"divides them into other classes, {examples(sorted({label for _, label in pairs}))}; "
                f"rename it to metadata.csv to use its classes, or move it out of {root} to use the folders"
            )


def _metadata(root: Path, folders: Mapping[str, Path]) -> list[PlacedTable]:
    """Return the metadata of the folder, or of all its splits.

    Raises:
        ValueError: there are two for the same images, or a split has none.
    """
    tables = []
    for split, folder in [(None, root), *folders.items()]:
        found = [folder / name for name in _METADATA if (folder / name).is_file()]
        if len(found) > 1:
            raise ValueError(f"data.root: {folder} has {' and '.join(_METADATA)}; keep one")
        if found and (table := read_label_table(found[0])):
            tables.append(PlacedTable(table, split, folder))
    with_tables = [placed.split for placed in tables]
    if None in with_tables and len(tables) > 1:
        raise ValueError(
            f"data.root: {tables[0].table.path.name} is in {root} and in {folders[str(with_tables[1])]}; "
            "keep the one or the others"
        )
    without = [folder for split, folder in folders.items() if split not in with_tables]
    if without and tables and None not in with_tables:
        raise ValueError(
            f"data.root: {without[0]} has no metadata.csv or metadata.jsonl with classes, but "
            f"{tables[0].folder} has; expected one in each, with {EXPECTED}"
        )
    return tables


def _other_tables(root: Path) -> list[PlacedTable]:
    """Return the one table next to the images, or those of the splits.

    Raises:
        ValueError: it is unclear which table is meant.
    """
    tables = [PlacedTable(table, _named_split(table.path), root) for table in _tables(root)]
    splits = [placed.split for placed in tables]
    if len(tables) > 1 and (None in splits or len(set(splits)) < len(splits)):
        raise ValueError(
            f"data.root: {root} has several tables of classes, {', '.join(t.table.path.name for t in tables)}"
            "; keep one, or one per split, named such as train.csv and val.csv"
        )
    return tables


def _tables(root: Path) -> list[LabelTable]:
    return [table for path in _table_paths(root) if (table := read_label_table(path))]


def _table_paths(root: Path) -> list[Path]:
    return sorted(
        path
        for path in (root.iterdir() if root.is_dir() else ())
        if path.suffix.lower() in SUFFIXES
        and path.name not in (*_METADATA, *NAME_LISTS)
        and path.is_file()
        and not is_foreign(path.name)
    )


def _named_split(path: Path) -> str | None:
    """Return the split that a table's name contains: `val` for `val.csv` and `labels_valid.csv`."""
    words = {canonical(word) for word in re.split(r"[^a-z]+", path.stem.lower())}
    named = [split for split in SPELLINGS if split in words]
    return named[0] if len(named) == 1 else None


def _classes(listed: ListedImages, tables: Sequence[PlacedTable]) -> list[str]:
    """Return the classes, numbers in numerical and names in alphabetical order.

    Raises:
        FileNotFoundError: there is no training image.
        ValueError: another split has a class without one.
    """
    names = ", ".join(placed.table.path.name for placed in tables)
    classes = {
        split: {image.class_key for image in images.values()} for split, images in listed.splits.items()
    }
    if "train" not in classes:
        raise FileNotFoundError(
            f"data.root: {names} lists images of {' and '.join(classes) or 'no split'}, but none of train"
        )
    for split, others in classes.items():
        if unknown := others - classes["train"]:
            raise ValueError(f"data.root: {names}: class {min(unknown)!r} of {split} has no image in train")
    if all(name.isdecimal() for name in classes["train"]):
        return sorted(classes["train"], key=lambda name: (int(name), name))
    return sorted(classes["train"])
