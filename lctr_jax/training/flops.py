"""FLOPs of a traced function. XLA's cost analysis counts the body of a loop only once."""

import math
from collections.abc import Iterator
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn


def product_flops(function: Any, *arguments: Any) -> int:
    """Count the FLOPs of the matrix products and convolutions in a call; a multiply-add counts as two.

    Arguments may be arrays or shapes. The count is for all devices together; of a conditional, such as one of
    the platforms, it includes the case with the most.
    """
    return _count(jax.make_jaxpr(function)(*arguments).jaxpr)


def _count(jaxpr: Jaxpr) -> int:
    return sum(_count_one(equation) for equation in jaxpr.eqns)


def _count_one(equation: JaxprEqn) -> int:
    name = equation.primitive.name
    if name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        left = _shape(equation.invars[0])
        return 2 * math.prod(_shape(equation.outvars[0])) * math.prod(left[axis] for axis in contracted)
    if name == "conv_general_dilated":
        kernel = _shape(equation.invars[1])
        outputs = kernel[equation.params["dimension_numbers"].rhs_spec[0]]
        return 2 * math.prod(_shape(equation.outvars[0])) * math.prod(kernel) // outputs
    if name == "cond":
        return max(_count(branch.jaxpr) for branch in equation.params["branches"])
    times = equation.params["length"] if name == "scan" else 1
    return times * sum(_count(inner) for inner in _inner(equation))


def _shape(variable: Any) -> tuple[int, ...]:
    return variable.aval.shape


def _inner(equation: JaxprEqn) -> Iterator[Jaxpr]:
    for leaf in jax.tree.leaves(
        list(equation.params.values()), is_leaf=lambda leaf: isinstance(leaf, ClosedJaxpr | Jaxpr)
    ):
        if isinstance(leaf, ClosedJaxpr):
            yield leaf.jaxpr
        elif isinstance(leaf, Jaxpr):
            yield leaf
