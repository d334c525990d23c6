"""Weights from the Hugging Face hub."""

from pathlib import Path

SCHEME, TIMM = "hf://", "timm/"
DEFAULT_FILE = "model.safetensors"


def download(source: str) -> Path:
    """Return the local path of `source`, downloading a hub file into huggingface_hub's cache if necessary.

    Hub names are `hf://OWNER/REPOSITORY[/FILE]`, or `timm/NAME` if there is no local folder of that name; the
    default FILE is model.safetensors.

    Raises:
        ModuleNotFoundError: huggingface_hub is needed and not installed.
        ValueError: the name is incomplete, or the file cannot be downloaded.
    """
    if not source.startswith(SCHEME) and not (source.startswith(TIMM) and not Path(source).exists()):
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
    try:
        return Path(huggingface_hub.hf_hub_download(f"{owner}/{repository}", file or DEFAULT_FILE))
    except Exception as error:  # network, hub and client raise many types
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{source}: cannot be downloaded from the hub: {reason}") from error
