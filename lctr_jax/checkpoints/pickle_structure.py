"""The structure of a torch.save file, read without torch; objects are inert, nothing is executed."""

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lctr_jax.checkpoints.wrappers import unwrap

_LEGACY_HEADERS = 3  # pickles before the content in files older than torch 1.6


class Inert:
    """Replaces an object of the file; accepts and ignores what its class would accept."""

    source = ""  # name of the class in the file

    def __new__(cls, *arguments: Any, **options: Any) -> "Inert":
        """Ignore the arguments."""
        return super().__new__(cls)

    def __init__(self, *arguments: Any, **options: Any):
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        """Store the state unprocessed."""
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        """Ignore an item."""

    def append(self, item: Any) -> None:
        """Ignore an item."""

    def extend(self, items: Any) -> None:
        """Ignore items."""


class _Structure(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        return type(name, (Inert,), {"source": f"{module}.{name}"})

    def persistent_load(self, pid: Any) -> Any:
        # A storage, or in files older than torch 1.6 a module's class with its source code.
        return pid[1] if isinstance(pid, tuple) and pid[0] == "module" else Inert()


def advise(path: Path) -> str:
    """Return Python code that keeps only the tensors of this file, for users who trust it."""
    whole = f"torch.load({str(path)!r}, weights_only=False)"
    new = repr(f"{path.with_suffix('')}_tensors{path.suffix}")
    try:
        found = unwrap(_read_structure(path), ema=False)
    except Exception:  # a damaged pickle may raise anything; the advice is then generic
        return f"torch.save({{k: v for k, v in {whole}.items() if isinstance(v, torch.Tensor)}}, {new})"
    place, content = "".join(f"[{name!r}]" for name in found.place), found.content
    if isinstance(content, Mapping) and (modules := [name for name in content if _is_module(content[name])]):
        place, content = f"{place}[{modules[0]!r}]", content[modules[0]]
    if _is_module(content):
        return f"torch.save({whole}{place}.state_dict(), {new})"
    return f"torch.save({{k: v for k, v in {whole}{place}.items() if isinstance(v, torch.Tensor)}}, {new})"


def _read_structure(path: Path) -> Any:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
            with archive.open(name) as file:
                return _Structure(file).load()
    with path.open("rb") as file:
        for _ in range(_LEGACY_HEADERS):
            _Structure(file).load()
        return _Structure(file).load()


def _is_module(thing: Any) -> bool:
    return isinstance(thing, Inert) and isinstance(thing.state, dict) and "_modules" in thing.state
