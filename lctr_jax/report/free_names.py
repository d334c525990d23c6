"""Names for output files, each used once."""

import os
from pathlib import PurePosixPath

_LONGEST = 230  # bytes: a file name has at most 255, and suffixes are added


class FreeNames:
    """Gives paths without suffix, numbered where a path of that name came before, in whatever case.

    Remembers a number per name, not the name: 70 MB per million. Two names with the same number, of 2^61,
    would merely number the second.
    """

    def __init__(self) -> None:
        self._taken: set[int] = set()

    def take(self, stem: str) -> None:
        """Mark a path as used."""
        self._taken.add(hash(stem.casefold()))

    def free(self, file: str) -> str:
        """Return the path without suffix, with a number if the name is taken; mark it as used."""
        path = PurePosixPath(file)
        plain = os.fsdecode(os.fsencode(path.stem)[:_LONGEST])
        number, stem = 1, str(path.with_name(plain))
        while hash(stem.casefold()) in self._taken:
            number += 1
            stem = str(path.with_name(f"{plain}_{number}"))
        self.take(stem)
        return stem
