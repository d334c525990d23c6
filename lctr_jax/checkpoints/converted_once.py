"""PyTorch weights to start a run from: converted on first use and kept as .safetensors."""

import hashlib
from pathlib import Path

from rich.console import Console

from lctr_jax.checkpoints.conversion import convert, to_torch_tensors
from lctr_jax.checkpoints.conversion_report import print_report
from lctr_jax.checkpoints.hub import download, is_hub_name
from lctr_jax.checkpoints.torch_files import TensorFile, is_tensor_file, read_tensors, write_tensors
from lctr_jax.host.file_locks import locked_folder

WEIGHTS_FOLDER = "initial_weights"
"""The folder, among the prepared data, that holds converted weights."""


def convert_once(source: str, data_dir: Path, console: Console) -> str:
    """Return the path of weights to start from: `source` itself if it is a checkpoint of ours.

    A PyTorch file or a name on the hub is converted, with a report on `console`, to
    `DATA_DIR/initial_weights/KEY.safetensors`. KEY depends on the file's content, or on the hub's name, so a
    second call needs neither torch nor a network and gives the same weights.

    Raises:
        FileNotFoundError: there is no such file.
        ModuleNotFoundError: a package is needed that is not installed.
        OSError: `data_dir` cannot be written to.
        ValueError: the file cannot be downloaded or converted.
    """
    if not is_hub_name(source) and not is_tensor_file(source):
        return source
    converted = data_dir / WEIGHTS_FOLDER / f"{_key(source)}.safetensors"
    if converted.is_file():
        return str(converted)
    path = download(source)
    file = read_tensors(path)
    if file.metadata is not None:  # written by us: there is nothing to convert
        return str(path)
    with locked_folder(
        converted.parent,
        problem=f"init_from: converted weights are kept in {converted.parent}, which cannot be written to",
        remedy="choose another data.data_dir, or convert them beforehand: "
        "python convert_deit_weights.py SOURCE DEST",
        risk="do not convert the same weights in two processes at once",
    ):
        if not converted.is_file():  # otherwise converted by another process while this one waited
            _convert(file, source, converted, console)
    return str(converted)


def _convert(file: TensorFile, source: str, converted: Path, console: Console) -> None:
    try:
        conversion = convert(file, source=source)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error
    tensors = to_torch_tensors(conversion.metadata, conversion.parameters)
    write_tensors(converted, tensors, conversion.metadata.to_json())
    print_report(console, conversion, file, source=source, dest=str(converted))


def _key(source: str) -> str:
    if is_hub_name(source) or not Path(source).is_file():
        return hashlib.sha256(source.encode()).hexdigest()[:16]
    with open(source, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
