"""Ignored files of an image folder, counted by reason, with an example of each."""

import collections
from pathlib import Path

from lctr_jax.data.notes import some

_MOST_REASONS = 12  # listed on the line; the others are only counted


class Ignored:
    """Collects the files and folders that are ignored below a folder."""

    def __init__(self, root: Path):
        self._root = root
        self._paths: dict[str, list[str]] = collections.defaultdict(list)

    def add(self, reason: str, path: Path) -> None:
        """Add a file or folder; the reason is a plural noun, such as `.mp4 videos`."""
        self._paths[reason].append(path.relative_to(self._root).as_posix())

    def line(self, below: Path | None = None) -> str | None:
        """Describe in one line what was ignored, in one folder or anywhere; None if nothing was."""
        prefix = "" if below is None else f"{below.relative_to(self._root).as_posix()}/"
        chosen = {
            reason: [path for path in paths if path.startswith(prefix)]
            for reason, paths in self._paths.items()
        }
        found = sorted(
            ((len(paths), reason, paths[0]) for reason, paths in chosen.items() if paths), reverse=True
        )
        parts = [
            f"{count:,} {reason}, such as {example!r}" for count, reason, example in found[:_MOST_REASONS]
        ]
        if more := found[_MOST_REASONS:]:
            parts.append(f"{sum(count for count, *_ in more):,} of {some(len(more), 'other kind')}")
        return "; ".join(parts) or None
