"""Prepare a data set once: one process at a time, and nothing left behind by a failure."""

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import tensorflow_datasets as tfds

from lctr_jax.data.record_builder import RecordBuilder
from lctr_jax.host.file_locks import LOCK, locked_folder

_WITHOUT_LOCKS = (
    "do not let two processes prepare data there at once: run python -m lctr_jax.prepare first, or use "
    "another data.data_dir"
)


def prepare(
    make_builder: Callable[[], tfds.core.DatasetBuilder], data_dir: Path, *, overwrite: bool = False
) -> Path:
    """Prepare a data set unless that is done, one process at a time, and return its folder.

    A prepared one is found without a lock and without writing, so it may be on a read-only disk.

    Raises:
        ValueError: it was prepared with other options than the builder's.
        OSError: it is not prepared, and `data_dir` is not writable.
    """
    builder = make_builder()
    if isinstance(builder, RecordBuilder) and not overwrite:
        builder.check_prepared()
    if _is_finished(builder) and not overwrite:
        return Path(builder.data_dir)
    locking = locked_folder(
        data_dir,
        problem=f"{builder.name} is not prepared in {data_dir}, and that folder is not writable",
        remedy="choose another folder for prepared data: data.data_dir or --data_dir",
        risk=_WITHOUT_LOCKS,
    )
    made = not data_dir.exists()
    with (
        _nothing_left_of_failure(data_dir, made=made),
        locking as locked,
        contextlib.redirect_stdout(sys.stderr),
    ):
        folder = Path(builder.data_dir)
        if _is_finished(builder):
            if not overwrite:  # done by another process while this one waited
                return folder
            shutil.rmtree(folder)
            builder = make_builder()
        if locked:
            for killed in folder.parent.glob("incomplete.*"):
                shutil.rmtree(killed)  # TFDS's leftovers of a killed run; ours can be resumed
        builder.download_and_prepare(file_format="array_record", download_dir=data_dir / "downloads")
    return folder


@contextlib.contextmanager
def _nothing_left_of_failure(data_dir: Path, *, made: bool) -> Iterator[None]:
    """Remove a new folder after a failure; finished shards are kept for the next attempt."""
    try:
        yield
    except BaseException:
        if made:
            with contextlib.suppress(OSError):  # not made
                (data_dir / LOCK).unlink()
            for folder, _, _ in os.walk(data_dir, topdown=False):
                with contextlib.suppress(OSError):  # not empty
                    os.rmdir(folder)
        raise


def _is_finished(builder: tfds.core.DatasetBuilder) -> bool:
    return Path(builder.data_dir, "dataset_info.json").exists()
