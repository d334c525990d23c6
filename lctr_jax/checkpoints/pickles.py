"""Read torch.save files: tensors and plain data; files that would have to run code are refused."""

import re
import zipfile
from pathlib import Path
from typing import Any

from lctr_jax.checkpoints.pickle_structure import Inert, advise

# Classes of plain data that training scripts store with weights: options, paths, times, NumPy scalars.
_DATA = re.compile(
    r"(argparse|pathlib|datetime|numpy|omegaconf|yacs|ml_collections|easydict|addict|types|typing|collections)\..+"
    r"|list|dict|tuple|set|int|float|str|bool|object|slice|range"
)
_BUILTINS = ("builtins", "__builtin__")
_STAND_INS = {"collections.defaultdict": lambda *arguments: {}}  # torch only sets items of its own dicts
_UNUSABLE = re.compile(r"Can only (SETITEM|APPEND|build|create)|call reduce for unrecognized")
_MOST = 60  # maximum number of such classes in a file
_MAX_OVERHEAD = 1 << 20  # bytes of an archive's own structure


class _RefusedError(Exception):
    """The name of the code that the file would have to run."""


def load_plain(torch: Any, path: Path) -> Any:
    """Return the file's content; objects of plain data classes are `Inert`.

    Raises:
        ValueError: it is not a torch.save file, is damaged, or would have to run code.
    """
    _check_archive(path)
    try:
        return _load(torch, path)
    except _RefusedError as error:
        raise ValueError(
            f"refused, because it would have to run {error} from the file; if you trust the file, extract "
            f"its tensors: {advise(path)}"
        ) from error


def _load(torch: Any, path: Path) -> Any:
    inert: set[str] = set()
    while True:
        try:
            known = [(_STAND_INS.get(name, Inert), name) for name in sorted(inert)]
            with torch.serialization.safe_globals(known):
                return torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # KeyError, EOFError, RuntimeError, ..., depending on the bytes
            needed = re.search(r"GLOBAL (\S+)", str(error))
            if needed is None and _UNUSABLE.search(str(error)):
                raise _RefusedError("a class's own methods") from error
            if needed is None:
                raise ValueError("not a PyTorch file, or a damaged one") from error
            name = needed[1]
            if name in inert or not _DATA.fullmatch(name) or len(inert) > _MOST:
                raise _RefusedError(name) from error
            inert |= {name} | {
                f"{module}.{name}" for module in _BUILTINS
            }  # torch's message leaves `builtins` out


def _check_archive(path: Path) -> None:
    """Refuse an archive that declares more bytes than it contains; torch.save does not compress."""
    try:
        with zipfile.ZipFile(path) as archive:
            declared = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        return  # another format, or torch reports the problem
    size = path.stat().st_size
    if declared > size + _MAX_OVERHEAD:
        raise ValueError(
            f"declares {declared:,} bytes in a file of {size:,}, but torch.save does not compress"
        )
