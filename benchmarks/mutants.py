"""Small faults for mutation testing: each mutant of a file is its source with one expression changed."""

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

_SWAPPED: dict[type, type] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.And: ast.Or,
    ast.Or: ast.And,
}


@dataclass(frozen=True)
class Mutant:
    """One change of a module: an expression before and after it, and its location."""

    line: int
    before: str
    after: str
    place: tuple[int, int]  # number of the expression in `ast.walk`'s order, and of the change among its own


def find_mutants(source: str) -> list[Mutant]:
    """Return every mutant of a module.

    Operators are swapped, conditions and flags inverted, numbers increased by one, keyword arguments removed.
    Docstrings, annotations and messages (`raise`, `assert`) are not changed.
    """
    tree = ast.parse(source)
    untouched = _untouched(tree)
    return [
        Mutant(node.lineno, ast.unparse(node), ast.unparse(changed), (number, index))
        for number, node in enumerate(ast.walk(tree))
        if isinstance(node, ast.expr) and node not in untouched
        for index, changed in enumerate(_changes(node))
    ]


def apply_mutant(source: str, mutant: Mutant) -> str:
    """Return the module's source with the change made, without its comments."""
    tree = ast.parse(source)
    number, index = mutant.place
    target = list(ast.walk(tree))[number]
    changed = list(_changes(target))[index]
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if value is target:
                setattr(parent, name, changed)
            elif isinstance(value, list) and any(each is target for each in value):
                setattr(parent, name, [changed if each is target else each for each in value])
    return ast.unparse(ast.fix_missing_locations(tree))


def _changes(node: ast.AST) -> Iterator[ast.expr]:
    """Yield replacements of an expression."""
    match node:
        case ast.BinOp(op=op) if type(op) in _SWAPPED:
            yield _with(node, op=_SWAPPED[type(op)]())
        case ast.BoolOp(op=op):
            yield _with(node, op=_SWAPPED[type(op)]())
        case ast.Compare(ops=[op]) if type(op) in _SWAPPED:
            yield _with(node, ops=[_SWAPPED[type(op)]()])
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield copy.deepcopy(operand)
        case ast.IfExp(body=body, orelse=orelse):
            yield _with(node, body=orelse, orelse=body)
        case ast.Constant(value=bool() as value):
            yield _with(node, value=not value)
        case ast.Constant(value=int() | float() as value):
            yield _with(node, value=value + 1)
        case ast.Call(keywords=[_, *_] as keywords):
            for index, keyword in enumerate(keywords):
                if keyword.arg is not None:
                    yield _with(node, keywords=[*keywords[:index], *keywords[index + 1 :]])


def _with(node: ast.AST, **fields) -> ast.expr:
    changed = copy.deepcopy(node)
    for name, value in fields.items():
        setattr(changed, name, copy.deepcopy(value))
    assert isinstance(changed, ast.expr)
    return changed


def _untouched(tree: ast.AST) -> set[ast.AST]:
    """Return every node inside an annotation, a message, a docstring or a string."""
    roots: list[ast.AST | None] = []
    for node in ast.walk(tree):
        match node:
            case ast.Raise() | ast.Assert() | ast.JoinedStr():
                roots.append(node)
            case ast.arg() | ast.AnnAssign():
                roots.append(node.annotation)
            case ast.FunctionDef():
                roots.append(node.returns)
            case ast.Call(func=ast.Name(id="dataclass")):
                roots.append(node)
    return {inner for root in roots if root is not None for inner in ast.walk(root)}
