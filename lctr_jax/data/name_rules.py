"""Which class names can be kept: TFDS stores them as the lines of a text file, trimmed."""

from collections.abc import Sequence

_LONGEST = 255  # bytes, as a folder's name


def check_class_names(names: Sequence[str]) -> None:
    """Refuse names that would not come back from a file of lines as they were.

    Raises:
        ValueError: a name is empty, repeated, too long, not UTF-8, begins or ends with white space, or holds
            a line break or another control character.
    """
    for name in names:
        if problem := _problem(name):
            shown = ascii(name if len(name) < 80 else name[:77] + "...")
            raise ValueError(f"class name {shown}: it {problem}; rename the class")
    if len(set(names)) < len(names):
        twice = next(name for index, name in enumerate(names) if name in names[:index])
        raise ValueError(f"class name {twice!r}: two classes have it; rename one of them")


def _problem(name: str) -> str | None:
    if not name.strip():
        return "is empty"
    if name != name.strip():
        return "begins or ends with white space"
    if any(not character.isprintable() and character.splitlines() != [character] for character in name):
        return "holds a line break"
    if any(ord(character) < 32 or ord(character) == 127 for character in name):
        return "holds a control character"
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "is not UTF-8"
    return f"has {size} bytes, more than {_LONGEST}" if size > _LONGEST else None
