"""Export a network to a single file that runs without this package.

python -m lctr_jax.export --checkpoint PATH --format stablehlo|onnx DEST [--input uint8|float32] [--overwrite]

The file accepts any batch size and returns logits, the localization map of the predicted class, and its score
map, from which boxes are made. Before it is written, it is run on test images and compared with the network;
the largest errors are printed. Class names and other metadata are stored in the ONNX file and, for StableHLO,
in DEST.json. docs/export.md shows how to use both.
"""

import argparse
import importlib.metadata
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lctr_jax import __version__
from lctr_jax.checkpoints.store import load_weights, require_whole
from lctr_jax.command_line import ArgumentParser
from lctr_jax.errors import one_line_errors
from lctr_jax.exporters.check import TOLERANCE, largest_errors, require_agreement
from lctr_jax.exporters.onnx_model import export_onnx, open_onnx, require_onnx
from lctr_jax.exporters.program import InputType, describe_program, make_program
from lctr_jax.exporters.stablehlo import PLATFORMS, export_stablehlo, open_stablehlo
from lctr_jax.host.paths import path_argument, require_file_destination, text_argument
from lctr_jax.models.execution import portable


@one_line_errors()
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    destination: Path = options.destination
    if destination.exists() and not options.overwrite:
        raise FileExistsError(f"{destination}: already exists; choose another path or add --overwrite")
    require_file_destination(destination)
    exported = export_checkpoint(options.checkpoint, file_format=options.format, input_type=options.input)
    _write(destination, exported.content)
    print(f"{destination}: {len(exported.content) / 1e6:.1f} MB")
    if exported.beside is not None:
        _write(destination.with_name(destination.name + ".json"), exported.beside)
    agreement = ", ".join(f"{name} {error:.1e}" for name, error in exported.errors.items())
    print(f"largest errors against the network: {agreement} (tolerance {TOLERANCE:.0e})")


class Exported(NamedTuple):
    """The content of a file, that of a second file if needed, and each output's error."""

    content: bytes
    beside: bytes | None
    errors: dict[str, float]


def export_checkpoint(checkpoint: str, *, file_format: str, input_type: InputType = "uint8") -> Exported:
    """Export a checkpoint of any method to "stablehlo" or "onnx" in float32, and check the result.

    Raises:
        FileNotFoundError: there is no checkpoint.
        ModuleNotFoundError: a package for ONNX is missing.
        ValueError: the checkpoint is damaged, only a backbone or too large, or the file differs from the
            network.
    """
    to_onnx = file_format == "onnx"
    if to_onnx:
        require_onnx()
    metadata, parameters = load_weights(checkpoint)
    require_whole(metadata, path=checkpoint)
    spec = portable(metadata.spec)  # independent of this machine's devices
    program = make_program(spec, parameters)
    facts = describe_program(metadata, input_type=input_type) | {"exported_with": _versions(to_onnx)}
    shape = {"side": spec.image_size, "input_type": input_type}
    if to_onnx:
        content, beside = export_onnx(program, facts, **shape), None
        run = open_onnx(content)
    else:
        content, beside = export_stablehlo(program, **shape), json.dumps(facts, indent=2).encode()
        run = open_stablehlo(content)
    errors = largest_errors(run, spec, parameters, input_type=input_type)
    require_agreement(errors)
    return Exported(content, beside, errors)


def _versions(to_onnx: bool) -> dict[str, str]:
    packages = ("jax", "jax2onnx") if to_onnx else ("jax",)
    return {"lctr_jax": __version__} | {name: importlib.metadata.version(name) for name in packages}


def _write(path: Path, content: bytes) -> None:
    """Write the file atomically."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _parser() -> argparse.ArgumentParser:
    parser = ArgumentParser(prog="python -m lctr_jax.export", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("destination", type=path_argument, metavar="DEST", help="the file to write")
    parser.add_argument(
        "--checkpoint",
        type=text_argument,
        required=True,
        metavar="PATH",
        help="a checkpoint of the converter, or a run's folder",
    )
    parser.add_argument(
        "--format",
        choices=("stablehlo", "onnx"),
        required=True,
        help=f"stablehlo, for JAX on {', '.join(PLATFORMS)}, or onnx, for onnxruntime and others",
    )
    parser.add_argument(
        "--input",
        choices=("uint8", "float32"),
        default="uint8",
        help="input of the file: RGB in 0..255 (the default), or normalized floats",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace DEST")
    return parser


if __name__ == "__main__":
    main()
