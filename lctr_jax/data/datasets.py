"""Open a split of a data set by name, preparing it first if that is cheap."""

import dataclasses
import difflib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, SupportsIndex

import tensorflow_datasets as tfds

from lctr_jax.data import tfds_prepared
from lctr_jax.data.digits.builder import Digits
from lctr_jax.data.folder.builder import Folder
from lctr_jax.data.folder.layout import canonical
from lctr_jax.data.preparation import prepare
from lctr_jax.data.published import PUBLISHED_DATASETS
from lctr_jax.data.record_builder import RecordBuilder
from lctr_jax.data.shard_reader import ShardRecords, ShardSlice, tell_limit
from lctr_jax.plugins import is_module_path, load_plugin

_WITH_OWN_BOXES = ("digits", "digits/clean", *PUBLISHED_DATASETS)
_WITH_LISTS = ("folder", *tfds_prepared.NAME_FIELDS)
DATASET_NAMES = (*_WITH_OWN_BOXES, *_WITH_LISTS)


@dataclasses.dataclass(frozen=True)
class Split:
    """Records of one split by index; cheap to pickle, and a source for `grain.MapDataset.source`.

    A record contains `image` (the encoded bytes as published), `id`, `label`, `boxes_xyxy` (float32 [n, 4] in
    pixels of the original image, n = 0 if unknown), `upright` (that of the split) and, if there is one,
    `mask` (PNG bytes).
    """

    name: str
    class_names: list[str]
    has_boxes: bool
    has_masks: bool
    source: Any  # a TFDS ArrayRecord data source, or one with the same fields
    upright: bool = (
        False  # images are to be turned by their EXIF orientation: boxes and masks are in that frame
    )
    notes: tuple[str, ...] = ()  # how the data set was read, one line each

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: SupportsIndex) -> dict[str, Any]:
        if not 0 <= index.__index__() < len(self):
            raise IndexError(f"record {index.__index__()} of a split of {len(self)}")
        record = self.source[index]
        record |= {"id": record["id"].decode(), "label": int(record["label"]), "upright": self.upright}
        if not record.get("mask"):  # empty if only other images have masks
            record.pop("mask", None)
        return record


def open_split(
    name: str,
    split: str,
    *,
    data_dir: str | Path,
    root: str | Path | None = None,
    boxes: Mapping[str, str | Path] | None = None,
    exif: str = "auto",
) -> Split:
    """Open a split by name, or a part of one in TFDS's syntax (`train[10%:]`).

    Args:
        name: one of `DATASET_NAMES`, or the module path of a builder from outside the package
            (docs/extending.md).
        split: name of the split in the data set.
        data_dir: folder of prepared data sets; `digits` and `folder` are prepared there on first use.
        root: the image folder of `folder`, or the source of a builder from outside.
        boxes: box lists by split: for `folder`, if they are not in `ROOT/list`, and for TFDS's data sets.
        exif: whether `folder` rotates images by their EXIF orientation: "auto", "upright" or "stored".

    Raises:
        FileNotFoundError: the images are missing; for a published data set the message says how to get them.
        ValueError: the data set or split is unknown, or images or boxes are invalid.
    """
    data_dir, boxes = Path(data_dir).expanduser().resolve(), boxes or {}
    if boxes and name in _WITH_OWN_BOXES:
        raise ValueError(f"data.boxes: got {boxes}, but {name} has the boxes it was prepared with")
    if exif == "upright" and name != "folder":
        raise ValueError(
            f"data.exif: got 'upright', but {name} has its boxes on images as stored; leave it out"
        )
    if name in PUBLISHED_DATASETS:
        return _open(_prepared(name, data_dir), split)
    match name:
        case "digits" | "digits/clean":
            style = name.removeprefix("digits").strip("/") or "scenes"
            config = next(config for config in Digits.BUILDER_CONFIGS if config.style == style)
            return _open(prepare(lambda: Digits(data_dir=data_dir, config=config), data_dir), split)
        case "folder":
            if not root:
                raise ValueError("data.root: is empty, expected the image folder of data.name='folder'")
            return _open_folder(root, split, data_dir=data_dir, boxes=boxes, exif=exif)
        case "caltech_birds2011" | "imagenet2012":
            return _open_joined(name, data_dir, split, boxes)
    if is_module_path(name):
        make_builder = outside_builder(name)
        folder = prepare(lambda: make_builder(root=root, data_dir=data_dir, boxes=boxes), data_dir)
        return _open(folder, split)
    close = difflib.get_close_matches(name, DATASET_NAMES, n=1, cutoff=0.5)
    hint = (
        f"did you mean {close[0]!r}?"
        if close
        else f"known: {', '.join(DATASET_NAMES)}, or a module path such as my_package.my_data"
    )
    raise ValueError(f"data.name: no dataset is called {name!r}; {hint}")


def outside_builder(name: str) -> Callable[..., tfds.core.DatasetBuilder]:
    """Return the builder class of an outside data set: a module's `BUILDER`, or `module:CLASS`.

    It takes the arguments `root`, `data_dir`, `boxes`, and optionally `num_processes` and `decode`, as
    `Folder` does.

    Raises:
        ModuleNotFoundError: there is no such module.
        ValueError: it declares no builder.
    """
    return load_plugin(name, default="BUILDER", kind=RecordBuilder, option="data.name")


def _prepared(name: str, data_dir: Path) -> Path:
    """Return the folder of a data set that is too large to be prepared implicitly."""
    published = PUBLISHED_DATASETS[name]
    folder = data_dir / name / str(published.builder.VERSION)
    if not (folder / "dataset_info.json").exists():
        needs = " ".join(f"--{option} DIR" for option in published.needs or ("source",))
        command = f"python -m lctr_jax.prepare {name} {needs} --data_dir {data_dir}"
        raise FileNotFoundError(
            f"{name} is not prepared in {data_dir}: {published.how_to_get}, then run `{command}`"
        )
    return folder


def _open_folder(
    root: str | Path, split: str, *, data_dir: Path, boxes: Mapping[str, str | Path], exif: Any
) -> Split:
    """Open a split of an image folder; its notes describe the current state of the folder."""
    manifests = []

    def make_builder() -> Folder:
        builder = Folder(root=root, data_dir=data_dir, boxes=boxes, exif=exif)
        manifests.append(builder.manifest)
        return builder

    base, bracket, part = split.partition("[")
    return _open(prepare(make_builder, data_dir), canonical(base) + bracket + part, notes=manifests[-1].notes)


def _open(folder: Path, split: str, *, notes: Sequence[str] | None = None) -> Split:
    """Open a split of a data set that one of our builders prepared; `notes` replace the stored ones."""
    builder: Any = tfds.builder_from_directory(folder)
    base = _known_split(builder, split)
    features, metadata = builder.info.features, builder.info.metadata
    return Split(
        name=split,
        class_names=list(features["label"].names),
        has_boxes=base in metadata["splits_with_boxes"],
        has_masks=base in metadata["splits_with_masks"],
        source=_encoded_source(builder, split),
        upright=base in metadata.get("splits_upright", ()),
        notes=(*(metadata.get("notes", ()) if notes is None else notes), *metadata.get("pixel_notes", ())),
    )


def _open_joined(name: str, data_dir: Path, split: str, boxes: Mapping[str, str | Path]) -> Split:
    """Open a split of a data set that TFDS prepared; `val` stands for its `validation`."""
    builder: Any = tfds.builder_from_directory(tfds_prepared.find_prepared(name, data_dir))
    listed = {_known_split(builder, _tfds_split(builder, base)): path for base, path in boxes.items()}
    stored = _tfds_split(builder, split)
    box_list = listed.get(_known_split(builder, stored))
    class_names = list(builder.info.features["label"].names)
    source = tfds_prepared.join(_encoded_source(builder, stored), name, box_list, class_names=class_names)
    return Split(
        name=split,
        class_names=class_names,
        has_boxes=box_list is not None,
        has_masks="segmentation_mask" in builder.info.features,
        source=source,
        notes=(
            f"boxes of {split}: {box_list} lists {len(source.boxes):,} images, the split has {len(source):,}",
        )
        if box_list is not None and len(source.boxes) != len(source)
        else (),
    )


def _tfds_split(builder: Any, split: str) -> str:
    """Return TFDS's name of a split: `validation` for `val`."""
    if "validation" in builder.info.splits and split.partition("[")[0] == "val":
        return split.replace("val", "validation", 1)
    return split


def _known_split(builder: Any, split: str) -> str:
    """Return the name of the requested split without a slice.

    Raises:
        ValueError: the data set does not have it, or was prepared without it.
    """
    base = split.partition("[")[0]
    if base in (builder.info.metadata or {}).get("splits_left_out", ()):
        data_dir = Path(builder.data_dir).parents[1]
        raise ValueError(
            f"data split: {builder.name} in {data_dir} was prepared for evaluation alone (--splits), without "
            f"{base}; to train, prepare all of it: `python -m lctr_jax.prepare {builder.name} --source DIR "
            f"--data_dir {data_dir} --overwrite`"
        )
    if base not in builder.info.splits:
        raise ValueError(f"data split: {builder.name} has {', '.join(builder.info.splits)}; got {split!r}")
    return base


def _encoded_source(builder: Any, split: str) -> Any:
    """Open a data source that does not decode images and masks."""
    fields = [key for key in ("image", "mask", "segmentation_mask") if key in builder.info.features]
    decoders = {key: tfds.decode.SkipDecoding() for key in fields}
    try:
        source = builder.as_data_source(split, decoders=decoders)
    except NotImplementedError as error:
        raise ValueError(
            f"{builder.data_dir} is not in ArrayRecord format; prepare it with file_format=array_record"
        ) from error
    slices = [
        ShardSlice(str(part.filename), part.skip, part.take)
        for part in builder.info.splits[split].file_instructions
    ]
    tell_limit(f"{builder.name} {split}", len(slices))
    source.data_source = ShardRecords(slices)
    return source
