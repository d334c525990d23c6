"""The base of the TFDS builders that read image files: find the items, write them, register the splits."""

import abc
import inspect
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
from etils import epath

from lctr_jax.data import notes, records, shards
from lctr_jax.data.checks import Checks

_HEADERS = "headers alone checked"


class RecordBuilder(tfds.core.ShardBasedBuilder, skip_registration=True):
    """A TFDS builder whose `_list_images` lists every image; the images are written without TensorFlow.

    A subclass sets `VERSION` and may live in any module (docs/extending.md).

    Args:
        data_dir: where prepared datasets are kept.
        masks: whether any record has a mask.
        checks: what is asked of every image.
        num_processes: how many processes write.
        num_images: how many images the splits were published with, where that is known.
        partial: accept fewer.
        options: what the data set is prepared from and how; None: not asked for. Kept with it, and compared.
        read_mask: what a mask's bytes go through before they are kept.
    """

    def __init_subclass__(cls, **arguments: Any) -> None:
        """Tell TFDS the class's folder, which it would only find for a package, and not its name."""
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
        partial: bool = False,
        options: Mapping[str, str | None] | None = None,
        read_mask: Callable[[bytes], bytes] = bytes,
    ):
        self._masks = masks
        self._num_images, self._partial = num_images or {}, partial
        self._options = dict(options or {})
        self._writer = shards.ShardWriter(checks=checks, read_mask=read_mask, num_processes=num_processes)
        super().__init__(data_dir=data_dir)

    @abc.abstractmethod
    def _list_images(self, dl_manager: tfds.download.DownloadManager) -> records.Manifest:
        """List the items of every split, downloading first where that is possible."""

    @property
    def notes(self) -> list[str]:
        """What a user should know of how the data set was read, once it is prepared."""
        metadata: Any = self.info.metadata
        return [*metadata.get("notes", ()), *metadata.get("pixel_notes", ())]

    def check_prepared(self) -> None:
        """Compare the data set that is there, if any, with what is asked for.

        Raises:
            ValueError: it was prepared from something else, or has fewer images than were published.
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
        for split, count in ({} if self._partial else self._num_images).items():
            if (found := info.splits[split].num_examples) != count:
                raise ValueError(
                    f"{self.name} is prepared in {self.data_dir} with --partial: {split} has {found:,} of "
                    f"{count:,} images; {remedy}, --partial takes it as it is"
                )

    @property
    def _unfinished(self) -> Path:
        """Where shards, and decompressed archives, wait for the whole to be done; outlives a failure."""
        return Path(self.data_dir).parent / f"{self.version}.unfinished"

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=records.features(masks=self._masks), metadata=tfds.core.MetadataDict()
        )

    def _shard_iterators_per_split(self, dl_manager: tfds.download.DownloadManager) -> dict:
        raise NotImplementedError  # asked for by the base's own writer alone, which is not used

    def _download_and_prepare(self, dl_manager, download_config=None) -> None:
        """Write the manifest's shards aside, then move them in; a second try keeps the finished ones."""
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
        info.metadata.update(
            options=self._options,
            notes=[*short, *manifest.notes],
            pixel_notes=notes.of_pixels(manifest.splits, counts),
        )
        info.set_splits(tfds.core.SplitDict([self._move(split, cut[split]) for split in cut]))
        shutil.rmtree(self._unfinished)

    def _move(self, split: str, cut: list[shards.Shard]) -> tfds.core.SplitInfo:
        """Give a split's shards the names that TFDS reads."""
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


def describe_options(
    *,
    source: Path | None = None,
    segmentations: Path | None = None,
    boxes: Path | None = None,
    heldout: tuple[Path, Path] | None = None,
    decode: bool = True,
) -> dict[str, str | None]:
    """Return the options of a preparation as they are kept and compared; what was not asked for is None."""
    paths = {"--source": source, "--segmentations": segmentations, "--boxes": boxes}
    described = {name: None if path is None else str(path.resolve()) for name, path in paths.items()}
    described["--heldout"] = " ".join(str(path.resolve()) for path in heldout) if heldout else None
    described["--no_decode"] = "whole images checked" if decode else _HEADERS
    return described
