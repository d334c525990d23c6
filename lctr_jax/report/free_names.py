"""Unique names for output files."""

import os
from pathlib import PurePosixPath

_LONGEST = 230  # bytes; a file name may have 255, including the suffixes added later


class FreeNames:
    """Makes paths without suffix unique, ignoring case, by appending a number.

    Only a hash of each name is stored, which bounds the memory per name whatever its length. If two hashes
    are equal, the second name gets a number that it would not need.
    """

    def __init__(self) -> None:
        self._taken: set[int] = set()

    def take(self, stem: str) -> None:
        """Mark a path as used."""
        self._taken.add(hash(stem.casefold()))

    def free(self, file: str) -> str:
        """Return the path without suffix, numbered if it is taken, and mark it as used."""
        path = PurePosixPath(file)
        plain = os.fsdecode(os.fsencode(path.stem)[:_LONGEST])
        number, stem = 1, str(path.with_name(plain))
        while hash(stem.casefold()) in self._taken:
            number += 1
            stem = str(path.with_name(f"{plain}_{number}"))
        self.take(stem)
        return stem
