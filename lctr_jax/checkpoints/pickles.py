"""Files of torch.save: tensors and plain data are read, what would have to run code is refused."""

import re
import zipfile
from pathlib import Path
from typing import Any

from lctr_jax.checkpoints.pickle_structure import Inert, advise

# Classes of plain data that training scripts keep beside the weights: options, paths, times, NumPy's numbers.
_DATA = re.compile(
    r"(argparse|pathlib|datetime|numpy|omegaconf|yacs|ml_collections|easydict|addict|types|typing|collections)\..+"
    r"|list|dict|tuple|set|int|float|str|bool|object|slice|range"
)
_BUILTINS = ("builtins", "__builtin__")
_STAND_INS = {"collections.defaultdict": lambda *arguments: {}}  # torch sets items of its own dicts alone
_UNUSABLE = re.compile(r"Can only (SETITEM|APPEND|build|create)|call reduce for unrecognized")
_MOST = 60  # such classes in a file
_MAX_OVERHEAD = 1 << 20  # bytes of an archive's own


class _RefusedError(Exception):
    """The name that the file would have to run."""


def load_plain(torch: Any, path: Path) -> Any:
    """The file's content; objects of plain data classes are `Inert`.

    Raises:
        ValueError: it is no file of torch.save, or a damaged one, or one that would have to run code.
    """
    _check_archive(path)
    try:
        return _load(torch, path)
    except _RefusedError as error:
        raise ValueError(
            f"refused, as it would have to run {error} from the file; keep the tensors alone: "
            f"where you trust the file, {advise(path)}"
        ) from error


def _load(torch: Any, path: Path) -> Any:
    inert: set[str] = set()
    while True:
        try:
            known = [(_STAND_INS.get(name, Inert), name) for name in sorted(inert)]
            with torch.serialization.safe_globals(known):
                return torch.load(path, map_location="cpu", weights_only=True)
        except (
            Exception
        ) as error:  # torch raises whatever the bytes lead it to: KeyError, EOFError, RuntimeError..
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
    """Refuse an archive that declares more than it holds; torch.save does not compress."""
    try:
        with zipfile.ZipFile(path) as archive:
            declared = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        return  # of another format, or torch tells what is wrong
    size = path.stat().st_size
    if declared > size + _MAX_OVERHEAD:
        raise ValueError(f"declares {declared:,} bytes in a file of {size:,}; torch.save compresses nothing")
