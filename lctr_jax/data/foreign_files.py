"""What operating systems, NAS boxes and editors put beside one's files."""

_NAMES = frozenset(
    {"@eadir", "@recycle", "@recently-snapshot", "#recycle", "#snapshot", "$recycle.bin", "__macosx"}
    | {"__pycache__", "lost+found", "system volume information", "thumbs.db", "desktop.ini", "ehthumbs.db"}
)


def is_foreign(name: str) -> bool:
    """Tell a hidden file or folder, and what a system keeps for itself."""
    return name.startswith(".") or name.casefold() in _NAMES
