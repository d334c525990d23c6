"""A table of a network's parameters."""

import math
from typing import Any

import jax
from rich.table import Table

from lctr_jax.models.parameters import Parameters


def count_parameters(parameters: Parameters) -> str:
    """Format the number and size of the parameters, e.g. `25,761,232 parameters, 98.3 MiB`."""
    leaves = jax.tree.leaves(parameters)
    return f"{sum(leaf.size for leaf in leaves):,} parameters, {_mebibytes(leaves)} MiB"


def parameter_table(parameters: Parameters) -> Table:
    """Build a table with one row per module; arrays of the blocks are stacked over the layers."""
    modules: dict[str, dict[str, Any]] = {}
    for path, leaf in jax.tree.leaves_with_path(parameters):
        *module, name = (entry.key for entry in path)
        modules.setdefault(".".join(module), {})[name] = leaf
    leaves = jax.tree.leaves(parameters)
    table = Table("module", "arrays", title="parameters", title_justify="left", show_footer=True)
    table.columns[0].footer = "total"
    table.columns[1].footer = f"{len(leaves)} arrays"
    table.add_column("parameters", f"{sum(leaf.size for leaf in leaves):,}", justify="right")
    table.add_column("MiB", _mebibytes(leaves), justify="right")
    for module, arrays in modules.items():
        shapes = ", ".join(f"{name} {'x'.join(map(str, array.shape))}" for name, array in arrays.items())
        size = sum(math.prod(array.shape) for array in arrays.values())
        table.add_row(module, shapes, f"{size:,}", _mebibytes(arrays.values()))
    return table


def _mebibytes(leaves: Any) -> str:
    return f"{sum(leaf.size * leaf.dtype.itemsize for leaf in leaves) / 2**20:.2f}"
