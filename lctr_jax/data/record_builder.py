"""Base class of the TFDS builders that read image files: list the items, write them, register the splits."""

import abc
import inspect
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
from etils import epath

from lctr_jax.data import notes, records, shards
from lctr_jax.data.checks import Checks

_HEADERS = "headers alone checked"


class RecordBuilder(tfds.core.ShardBasedBuilder, skip_registration=True):
    """A TFDS builder whose `_list_images` lists all images; they are written without TensorFlow.

    A subclass sets `VERSION` and may be in any module (docs/extending.md).

    Args:
        data_dir: folder of prepared data sets.
        masks: whether any record has a mask.
        checks: checks of every item.
        num_processes: number of writing processes.
        num_images: published number of images of each split, if known.
        splits: which of the published splits to prepare; None for all.
        partial: accept fewer images.
        options: how the data set is prepared; stored with it and compared later. None means unspecified.
        read_mask: converts a mask's bytes before they are stored.
    """

    def __init_subclass__(cls, **arguments: Any) -> None:
        """Set the class's folder for TFDS, which would only find it for a package."""
        super().__init_subclass__(**{"skip_registration": True} | arguments)
        cls.pkg_dir_path = epath.Path(inspect.getfile(cls)).parent

    def __init__(
        self,
        *,
        data_dir: str | Path,
        masks: bool,
        checks: Checks,
        num_processes: int = 1,
        num_images: Mapping[str, int] | None = None,
        splits: Sequence[str] | None = None,
        partial: bool = False,
        options: Mapping[str, str | None] | None = None,
        read_mask: Callable[[bytes], bytes] = bytes,
    ):
        self._masks = masks
        self._num_images, self._left_out = _choose(num_images or {}, splits)
        self._partial = partial
        self._options = dict(options or {})
        self._writer = shards.ShardWriter(checks=checks, read_mask=read_mask, num_processes=num_processes)
        super().__init__(data_dir=data_dir)

    @abc.abstractmethod
    def _list_images(self, dl_manager: tfds.download.DownloadManager) -> records.Manifest:
        """List the items of every split, after downloading if possible."""

    @property
    def notes(self) -> list[str]:
        """Notes for the user on how the prepared data set was read."""
        metadata: Any = self.info.metadata
        return [*metadata.get("notes", ()), *metadata.get("pixel_notes", ())]

    def check_prepared(self) -> None:
        """Compare the prepared data set, if any, with what is requested.

        Raises:
            ValueError: it was prepared from other sources, without a split, or has fewer images than were
                published.
        """
        if not Path(self.data_dir, "dataset_info.json").exists():
            return
        info: Any = self.info
        remedy = "--overwrite builds it again"
        for option, asked in self._options.items():
            stored = info.metadata.get("options", {}).get(option)
            known = "options" in info.metadata or (option == "--heldout" and "heldout" not in info.splits)
            if known and asked not in (None, stored, _HEADERS):
                raise ValueError(
                    f"{option}: {self.name} in {self.data_dir} was prepared with {stored or 'none'}, now "
                    f"asked for {asked}; {remedy}"
                )
        if missing := [split for split in self._num_images if split not in info.splits]:
            raise ValueError(
                f"{self.name} in {self.data_dir} was prepared with --splits, without "
                f"{' and '.join(missing)}; {remedy}"
            )
        for split, count in ({} if self._partial else self._num_images).items():
            if (found := info.splits[split].num_examples) != count:
                raise ValueError(
                    f"{self.name} is prepared in {self.data_dir} with --partial: {split} has {found:,} of "
                    f"{count:,} images; {remedy}, --partial takes it as it is"
                )

    @property
    def _unfinished(self) -> Path:
        """Folder of shards and decompressed archives until preparation is finished; kept after a failure."""
        return Path(self.data_dir).parent / f"{self.version}.unfinished"

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=records.features(masks=self._masks), metadata=tfds.core.MetadataDict()
        )

    def _shard_iterators_per_split(self, dl_manager: tfds.download.DownloadManager) -> dict:
        raise NotImplementedError  # only called by TFDS's own writer, which is not used

    def _download_and_prepare(self, dl_manager, download_config=None) -> None:
        """Write the shards to a separate folder, then move them; a retry keeps finished ones."""
        del download_config
        manifest = self._list_images(dl_manager)
        records.check_manifest(manifest, {} if self._partial else self._num_images)
        short = [
            f"{self.name}: {split} has {len(manifest.splits.get(split, ())):,} of {count:,} images "
            "(--partial)"
            for split, count in self._num_images.items()
            if len(manifest.splits.get(split, ())) != count
        ]
        info: Any = self.info
        info.features["label"].names = manifest.class_names
        info.metadata.update(records.metadata(manifest.splits))
        cut = {split: shards.cut(items) for split, items in manifest.splits.items()}
        self._writer.write(
            [shard for split in cut.values() for shard in split],
            self._unfinished,
            features=info.features,
            title=f"preparing {self.name}",
        )
        counts = {split: shards.read_counts(parts, self._unfinished) for split, parts in cut.items()}
        alone = [f"{self.name}: prepared without {' and '.join(self._left_out)} (--splits)"]
        info.metadata.update(
            options=self._options,
            splits_left_out=self._left_out,
            notes=[*(alone if self._left_out else []), *short, *manifest.notes],
            pixel_notes=notes.of_pixels(manifest.splits, counts),
        )
        info.set_splits(tfds.core.SplitDict([self._move(split, cut[split]) for split in cut]))
        shutil.rmtree(self._unfinished)

    def _move(self, split: str, cut: list[shards.Shard]) -> tfds.core.SplitInfo:
        """Rename a split's shards to the names that TFDS reads."""
        template = self._get_filename_template(split_name=split)
        paths = [
            Path(template.sharded_filepath(shard_index=index, num_shards=len(cut)))
            for index in range(len(cut))
        ]
        for shard, path in zip(cut, paths, strict=True):
            (self._unfinished / shard.name).replace(path)
        return tfds.core.SplitInfo(
            name=split,
            shard_lengths=[len(shard.items) for shard in cut],
            num_bytes=sum(path.stat().st_size for path in paths),
            filename_template=template,
        )


def _choose(num_images: Mapping[str, int], splits: Sequence[str] | None) -> tuple[dict[str, int], list[str]]:
    """Return the numbers of images of the splits to prepare, and the published splits that are left out.

    Raises:
        ValueError: a split is not published, or none of them is for evaluation.
    """
    if splits is None:
        return dict(num_images), []
    for_evaluation = [split for split in num_images if split != "train"]
    if not set(splits) <= set(num_images) or not set(splits) & set(for_evaluation):
        raise ValueError(
            f"--splits: got {' '.join(splits)}, expected {' or '.join(for_evaluation)}, to leave out the "
            "training images"
        )
    return (
        {split: count for split, count in num_images.items() if split in splits},
        [split for split in num_images if split not in splits],
    )


def describe_options(
    *,
    source: Path | None = None,
    metadata: Path | None = None,
    segmentations: Path | None = None,
    boxes: Path | None = None,
    heldout: tuple[Path, Path] | None = None,
    decode: bool = True,
) -> dict[str, str | None]:
    """Return the options of a preparation in the form that is stored and compared; None means unspecified."""
    paths = {
        "--source": source,
        "--metadata": metadata,
        "--segmentations": segmentations,
        "--boxes": boxes,
    }
    described = {name: None if path is None else str(path.resolve()) for name, path in paths.items()}
    described["--heldout"] = " ".join(str(path.resolve()) for path in heldout) if heldout else None
    described["--no_decode"] = "whole images checked" if decode else _HEADERS
    return described
