"""The images of a folder whose subfolders are the classes."""

from pathlib import Path

from lctr_jax.data.folder import scan
from lctr_jax.data.folder.beside import check_no_masks
from lctr_jax.data.folder.ignored import Ignored
from lctr_jax.data.folder.labeled_images import LabeledImage, LabeledImages
from lctr_jax.data.folder.layout import FolderLayout, find_layout


def read_class_folders(root: Path, ignored: Ignored) -> LabeledImages:
    """Find the images of every split and class; labels are positions of the folders in sorted order.

    Raises:
        FileNotFoundError: there is no such folder, or it has no images where they are expected.
        ValueError: a class folder is empty, contains masks or is missing in `train`.
    """
    layout = find_layout(root, ignored)
    splits = {split: _find_split(layout, split, root, ignored) for split in layout.splits}
    classes = sorted(folder.name for folder in layout.classes["train"])
    known = set(classes)
    for split in splits:
        if unknown := [folder for folder in layout.classes[split] if folder.name not in known]:
            raise ValueError(f"data.root: class folder {unknown[0]} has no counterpart in train/")
    return LabeledImages(layout, classes, splits)


def _find_split(layout: FolderLayout, split: str, root: Path, ignored: Ignored) -> dict[str, LabeledImage]:
    """Return the images of a split by id, `CLASS/...`.

    Raises:
        ValueError: a class folder has no images, or masks among them.
    """
    images = {}
    for folder in sorted(layout.classes[split]):
        paths = scan.scan_folder(folder, root, ignored)
        if not paths:
            there = ignored.line(below=folder)
            raise ValueError(
                f"data.root: class folder {folder} has no images"
                + (f"; ignored there: {there}" if there else "")
            )
        check_no_masks(paths, root)
        for path in paths:
            image_id = path.relative_to(layout.splits[split]).as_posix()
            images[image_id] = LabeledImage(path, folder.name)
    return images
