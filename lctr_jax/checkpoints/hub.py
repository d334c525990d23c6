"""Weights from the Hugging Face hub."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SCHEME, TIMM = "hf://", "timm/"
DEFAULT_FILE = "model.safetensors"


def is_hub_name(source: str) -> bool:
    """Return whether `source` is the name of a file on the hub, not of a local file."""
    return source.startswith(SCHEME) or (source.startswith(TIMM) and not Path(source).exists())


def download(source: str) -> Path:
    """Return the local path of `source`, downloading a hub file into huggingface_hub's cache if necessary.

    A file that is in the cache is used without asking the hub.

    Hub names are `hf://OWNER/REPOSITORY[/FILE]`, or `timm/NAME` if there is no local folder of that name; the
    default FILE is model.safetensors.

    Raises:
        ModuleNotFoundError: huggingface_hub is needed and not installed.
        ValueError: the name is incomplete, or the file cannot be downloaded.
    """
    if not is_hub_name(source):
        return Path(source)
    owner, _, rest = source.removeprefix(SCHEME).partition("/")
    repository, _, file = rest.partition("/")
    if not owner or not repository:
        raise ValueError(f"{source}: expected {SCHEME}OWNER/REPOSITORY[/FILE] or {TIMM}NAME")
    try:
        import huggingface_hub  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{source}: hub names need huggingface_hub: pip install huggingface_hub (or give a file)"
        ) from error
    file = file or DEFAULT_FILE
    cached = huggingface_hub.try_to_load_from_cache(f"{owner}/{repository}", file)
    if isinstance(cached, str):
        return Path(cached)
    print(f"downloading {file} of {owner}/{repository} from the Hugging Face hub", file=sys.stderr)
    try:
        with _without_retry_warnings():
            return Path(huggingface_hub.hf_hub_download(f"{owner}/{repository}", file))
    except Exception as error:  # network, hub and client raise many types
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"{source}: cannot be downloaded from the hub: {reason.rstrip('. ')}; "
            "without a network, give a local file instead"
        ) from error


@contextmanager
def _without_retry_warnings() -> Iterator[None]:
    """Silence the warning of huggingface_hub for each attempt; the final error contains the reason."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
