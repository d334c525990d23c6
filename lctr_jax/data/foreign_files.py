"""Files that operating systems, NAS devices and editors add to folders."""

_NAMES = frozenset(
    {"@eadir", "@recycle", "@recently-snapshot", "#recycle", "#snapshot", "$recycle.bin", "__macosx"}
    | {"__pycache__", "lost+found", "system volume information", "thumbs.db", "desktop.ini", "ehthumbs.db"}
)


def is_foreign(name: str) -> bool:
    """Return whether a file or folder is hidden or belongs to a system."""
    return name.startswith(".") or name.casefold() in _NAMES
