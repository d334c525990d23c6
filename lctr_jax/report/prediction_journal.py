"""Progress of a prediction run in its folder, so that an interrupted run can be resumed."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lctr_jax.json_objects import parse_object, read_object
from lctr_jax.report.gallery_items import GalleryItem
from lctr_jax.report.pictures import EncodedMaps, Picture

_SETTINGS, _ITEMS = ".unfinished.json", ".unfinished_items.jsonl"


class Journal:
    """Lines and items of an unfinished run in `folder`, if any.

    A run is unfinished while its settings are stored in the folder; it is resumed if they equal `settings`.
    An incomplete last line is removed.

    Attributes:
        done: overlay file name of each finished image, by id.
        items: items of the page so far.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]):
        self._folder, self._lines, self._items_file = folder, folder / "predictions.jsonl", folder / _ITEMS
        self.done: dict[str, str] = {}
        self.items: list[GalleryItem] = []
        settings = json.loads(json.dumps(settings))
        if self._unfinished() == settings:
            for line in _whole_lines(self._lines, "id", "overlay"):
                self.done[str(line["id"])] = str(line["overlay"])
            items = _whole_lines(self._items_file, "picture")
            self.items = [_item(_as_tuples(item)) for item in items]
        else:
            self._lines.write_bytes(b"")
            self._items_file.write_bytes(b"")
            (folder / _SETTINGS).write_text(json.dumps(settings))

    def add_item(self, item: GalleryItem) -> None:
        """Store an item of the page."""
        self.items.append(item)
        with self._items_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(item)) + "\n")

    def finish(self) -> None:
        """Mark the run as finished, so that the next one starts anew."""
        (self._folder / _SETTINGS).unlink(missing_ok=True)
        self._items_file.unlink(missing_ok=True)

    def _unfinished(self) -> dict[str, Any] | None:
        try:
            return read_object(self._folder / _SETTINGS)
        except (FileNotFoundError, ValueError):
            return None


def _whole_lines(path: Path, *keys: str) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON lines file; truncate it at the first line without these keys."""
    size = 0
    if not path.exists():
        path.write_bytes(b"")
    with path.open("r+b") as file:
        for line in file:
            try:
                value = parse_object(line, where=str(path))
            except ValueError:
                break
            if not line.endswith(b"\n") or not set(keys) <= set(value):
                break
            size += len(line)
            yield value
        file.truncate(size)


def _item(stored: dict[str, Any]) -> GalleryItem:
    picture = stored["picture"]
    picture = Picture(**{**picture, "maps": EncodedMaps(**picture["maps"])})
    return GalleryItem(**{**stored, "picture": picture})


def _as_tuples(value: Any) -> Any:
    """Convert JSON lists to tuples, as in the dataclasses."""
    if isinstance(value, dict):
        return {name: _as_tuples(inner) for name, inner in value.items()}
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value
