"""The report of a conversion on the terminal: the fate of each tensor."""

from collections.abc import Iterator
from typing import Any

from rich import box
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table

from lctr_jax.checkpoints.conversion import Conversion, describe_network
from lctr_jax.checkpoints.parameter_paths import by_path
from lctr_jax.checkpoints.torch_files import TensorFile
from lctr_jax.checkpoints.torch_names import layouts
from lctr_jax.errors import one_line

_CONVERTER = "convert_deit_weights.py"


def print_report(
    console: Console, conversion: Conversion, file: TensorFile, *, source: str, dest: str
) -> None:
    """Print a table of all tensors, what was ignored and assumed, and a summary.

    `console` must have markup turned off, because names in a file may contain it.
    """
    console.print(_table(conversion))
    for line in _notes(conversion, file, source):
        console.print(line, soft_wrap=True)
    counts = (
        f"{len(file.tensors) - len(conversion.dropped)} tensors read, {len(conversion.dropped)} dropped, "
        f"{len(conversion.fresh)} parameters newly initialized"
    )
    console.print(f"{dest}: {describe_network(conversion.metadata)}; {counts}", soft_wrap=True)


def _notes(conversion: Conversion, file: TensorFile, source: str) -> Iterator[str]:
    if file.ignored:
        ignored = one_line(ValueError(", ".join(file.ignored)))
        yield f"{source} contains more, which was ignored: {ignored}"
    if file.average:
        yield f"{source}: to use the moving average in {file.average}, add --ema to {_CONVERTER}"
    if file.metadata is None and conversion.metadata.kind == "backbone" and not conversion.half_normalized:
        yield (
            f"{source}: assumed to expect images normalized with ImageNet's mean and standard deviation, "
            f"as DeiT does; weights that expect 0.5, such as AugReg's, need {_CONVERTER} --half-normalized"
        )


def _table(conversion: Conversion) -> RenderableType:
    table = Table("ours", "shape", "PyTorch's", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    names = layouts(conversion.metadata)
    for path, array in by_path(conversion.parameters).items():
        origin = "newly initialized" if path in conversion.fresh else names[path].name.replace("{}", "*")
        table.add_row(path, _show(array), origin)
    if conversion.metadata.kind == "backbone":
        table.add_row("cdm.*", "", "newly initialized by the training that starts from this checkpoint")
    for name, reason in conversion.dropped.items():
        table.add_row("dropped", "", escape(f"{name}: {reason}"))
    return table


def _show(array: Any) -> str:
    return "x".join(map(str, array.shape))
