"""Names for classes whose folders are named by ids such as WordNet's, from a list next to the images."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from lctr_jax.data.box_entry import read_lines

NAME_LISTS = (
    "classes.txt",
    "words.txt",
    "LOC_synset_mapping.txt",
    "class-descriptions-boxable.csv",
    "oidv7-class-descriptions-boxable.csv",
)


def read_names(root: Path, folders: Sequence[str]) -> tuple[list[str], str | None]:
    """Return a name for each class folder, and a line that names the list they come from, if any.

    A list has lines `FOLDER NAME`, such as `n02123045 tabby, tabby cat`, or is OpenImages' own, with lines
    such as `/m/01226z,Football`. The first of several synonyms is used, unless two classes share it. A folder
    that is not in the list keeps its own name.

    Raises:
        ValueError: the list is not a text file.
    """
    lines = []
    for path in [root / name for name in NAME_LISTS if (root / name).is_file()]:
        listed = _read(path, frozenset(folders))
        if listed:
            missing = (
                "" if len(listed) == len(folders) else f" ({len(folders) - len(listed)} keep their folder's)"
            )
            return _choose(folders, listed), f"class names: from {path.name}{missing}"
        lines.append(f"class names: the folders'; {path.name} contains none of them")
    return list(folders), lines[0] if lines else None


def _read(path: Path, folders: frozenset[str]) -> dict[str, str]:
    listed = {}
    for _, line in read_lines(path):
        if path.suffix == ".csv":
            line = line.removeprefix("/m/").replace(",", " ", 1)
        folder, *name = line.split(maxsplit=1)
        if name and folder in folders:
            listed[folder] = " ".join(name[0].split())
    return listed


def _choose(folders: Sequence[str], listed: dict[str, str]) -> list[str]:
    """Choose the first synonym, or all of them, or the name with its folder, whichever is unique."""
    names = [listed.get(folder, folder) for folder in folders]
    short = [name.partition(",")[0].strip() or name for name in names]
    counts, chosen = (Counter(short), Counter(names)), []
    for folder, *candidates in zip(folders, short, names, strict=True):
        unique = [name for name, every in zip(candidates, counts, strict=True) if every[name] == 1]
        chosen.append(unique[0] if unique else f"{candidates[-1]} ({folder})")
    return chosen
