"""The command behind convert_deit_weights.py."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from lctr_jax.command_line import ArgumentParser
from lctr_jax.errors import one_line_errors
from lctr_jax.host.paths import (
    path_argument,
    require_file_destination,
    require_folder_destination,
    text_argument,
)

# Checkpoint readers and writers are imported where they are used: JAX takes seconds, and --help needs none.


@one_line_errors()
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    if options.to_torch:
        _to_torch(options.source, options.dest, half=options.half, overwrite=options.overwrite)
    else:
        _from_torch(
            options.source,
            options.dest,
            heads=options.heads,
            num_classes=options.num_classes,
            half_normalized=options.half_normalized,
            ema=options.ema,
            overwrite=options.overwrite,
        )


def _parser() -> argparse.ArgumentParser:
    parser = ArgumentParser(
        prog="convert_deit_weights.py",
        description="Convert an LCTR's or plain ViT's weights from PyTorch to a checkpoint, or back.",
    )
    parser.add_argument(
        "source",
        metavar="SOURCE",
        type=text_argument,
        help=".safetensors, .pth, .pt, .ckpt, .bin, .pth.tar, hf://OWNER/REPOSITORY or timm/NAME; "
        "with --to-torch a checkpoint",
    )
    parser.add_argument(
        "dest", metavar="DEST", type=path_argument, help="a checkpoint; with --to-torch .pth or .safetensors"
    )
    parser.add_argument(
        "--to-torch", action="store_true", help="convert a checkpoint to a PyTorch file instead"
    )
    parser.add_argument(
        "--num-classes", type=int, metavar="K", help="add a new LCTR head with K classes to a ViT"
    )
    parser.add_argument(
        "--heads", type=int, metavar="N", help="attention heads, if they cannot be determined from the shapes"
    )
    parser.add_argument(
        "--half-normalized",
        action="store_true",
        help="SOURCE expects images normalized with mean and standard deviation 0.5, as AugReg's ViTs do",
    )
    parser.add_argument(
        "--half", action="store_true", help="with --to-torch: write float16, rounded, half the size"
    )
    parser.add_argument(
        "--ema", action="store_true", help="use the moving average stored with the weights in SOURCE"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace DEST")
    return parser


def _from_torch(
    source: str,
    dest: Path,
    *,
    heads: int | None,
    num_classes: int | None,
    half_normalized: bool,
    ema: bool,
    overwrite: bool,
) -> None:
    from lctr_jax.checkpoints.conversion import convert
    from lctr_jax.checkpoints.conversion_report import print_report
    from lctr_jax.checkpoints.hub import download
    from lctr_jax.checkpoints.recognition import size_options
    from lctr_jax.checkpoints.store import save_weights
    from lctr_jax.checkpoints.torch_files import read_tensors

    require_folder_destination(dest)
    file = read_tensors(download(source), ema=ema)
    try:
        conversion = convert(
            file, source=source, heads=heads, num_classes=num_classes, half_normalized=half_normalized
        )
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error
    save_weights(dest, conversion.metadata, conversion.parameters, overwrite=overwrite)
    console = Console(markup=False)  # names in a file may contain markup
    print_report(console, conversion, file, source=source, dest=str(dest))
    if conversion.metadata.kind == "backbone":
        options = size_options(conversion.metadata.spec)
        text = " ".join(f"--config.model.{option}={value}" for option, value in options.items())
        console.print(f"to train from it: --config.init_from={dest} {text}", soft_wrap=True)


def _to_torch(source: str, dest: Path, *, half: bool, overwrite: bool) -> None:
    from lctr_jax.checkpoints.conversion import describe_network, to_torch_tensors
    from lctr_jax.checkpoints.store import load_weights
    from lctr_jax.checkpoints.torch_files import require_suffix, write_tensors

    if dest.exists() and not overwrite:
        raise FileExistsError(f"{dest}: already exists; choose another path or add --overwrite")
    require_suffix(dest)
    require_file_destination(dest)
    metadata, parameters = load_weights(source)
    tensors = to_torch_tensors(metadata, parameters)
    if half:
        tensors = {name: array.astype("float16") for name, array in tensors.items()}
    write_tensors(dest, tensors, metadata.to_json())
    size = sum(array.size for array in tensors.values())
    Console().print(
        f"{dest}: {describe_network(metadata)}; {len(tensors)} tensors, {size:,} parameters", soft_wrap=True
    )


if __name__ == "__main__":
    main()
