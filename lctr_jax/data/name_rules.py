"""Rules for class names: TFDS stores them as the stripped lines of a text file."""

from collections.abc import Sequence

_LONGEST = 255  # bytes, the limit of folder names


def check_class_names(names: Sequence[str]) -> None:
    """Check that names can be stored in a file of lines without changes.

    Raises:
        ValueError: a name is empty, repeated, too long, not UTF-8, has leading or trailing white space, or
            contains a line break or another control character.
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
