"""Orbax's CheckpointManager with checksums, which are written before a checkpoint gets its final name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from lctr_jax.checkpoints.checksums import write_checksums


class ChecksummedCheckpoints:
    """Checkpoints FOLDER/STEP, written in the background, and visible only when complete with checksums."""

    def __init__(self, folder: Path, **options: Any):
        """Open the folder; `options` are passed to `ocp.CheckpointManagerOptions`."""
        self._folder = folder
        self._writing = 0
        self.manager = ocp.CheckpointManager(
            folder,
            options=ocp.CheckpointManagerOptions(
                cleanup_tmp_directories=True,
                async_options=ocp.AsyncOptions(post_finalization_callback=self._write_checksums),
                **options,
            ),
        )

    def save(
        self, step: int, items: Mapping[str, Any], *, metrics: Mapping[str, float] | None = None
    ) -> None:
        """Start writing, once the previous checkpoint is on disk.

        Raises:
            OSError: the previous checkpoint could not be written.
        """
        self.wait()
        self._writing = step
        # Forced, because Orbax otherwise skips a step while an earlier one is still being written.
        self.manager.save(step, args=ocp.args.Composite(**items), metrics=metrics, force=True)

    def wait(self) -> None:
        """Wait until everything is on disk.

        Raises:
            OSError: a checkpoint could not be written; the next run removes its remains.
        """
        try:
            self.manager.wait_until_finished()
        except Exception as error:  # TensorStore raises ValueError for a full disk, Orbax other types
            raise OSError(
                f"checkpoint of step {self._writing} could not be written: {_shortened(error)}; "
                "free disk space and repeat the command"
            ) from error

    def close(self) -> None:
        """Wait until everything is on disk, and stop writing.

        Raises:
            OSError: a checkpoint could not be written.
        """
        try:
            self.wait()
        finally:
            self.manager.close()

    def _write_checksums(self) -> None:
        if jax.process_index() == 0:
            (unfinished,) = self._folder.glob(f"{self._writing}.orbax-checkpoint-tmp*")
            write_checksums(unfinished)


def _shortened(error: Exception) -> str:
    """Return the first line, since TensorStore adds pages about the array."""
    return str(error).partition("\n")[0][:300]
