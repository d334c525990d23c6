"""Bytes that a compiled TPU program reads from and writes to a chip's main memory (HBM).

XLA's "bytes accessed" includes arrays in the on-chip memory, and copies to it ahead of use count as further
accesses. Here an array counts only in main memory, where its layout names no memory space. What a fusion
slices counts as the slice, and what it updates in place as the update.
"""

import re
from typing import NamedTuple

from benchmarks.hlo import Program, array_bytes

_NAMED = re.compile(r"^\s*(?P<root>ROOT )?%?(?P<name>[\w.\-]+) = (?P<text>.*)$")
_KIND = re.compile(r" ?(?P<kind>[\w\-]+)\(")
_ARRAY = re.compile(r"\b[a-z]+\d*\w*\[[\d,]*\](?:\{[^}]*\})?")
_OPERAND = re.compile(r"%([\w.\-]+)")
_CALLEE = re.compile(r"calls=%?([\w.\-]+)")
_ELSEWHERE = re.compile(r"S\([1-9]\d*\)")  # a memory space other than the main memory
_FREE = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "while", "conditional", "call"}
_FREE |= {"copy-done", "slice-done", "after-all", "opt-barrier", "partition-id", "allocate"}
_SLICES = ("dynamic-slice", "slice", "gather")


Computations = dict[str, dict[str, "_Instruction"]]


class _Instruction(NamedTuple):
    name: str
    result: str
    kind: str
    operands: list[str]
    callee: str | None
    is_root: bool

    def arrays(self) -> list[str]:
        return _ARRAY.findall(self.result)


def main_memory_bytes(program: Program) -> int:
    """Sum the bytes read from and written to main memory in one run, all loop iterations included."""
    parsed = {name: _parse(lines) for name, lines in program.computations.items()}
    total = 0
    for name, instructions in parsed.items():
        if name in program.fused or not program.executions[name]:
            continue
        for one in instructions.values():
            if one.kind not in _FREE:
                total += program.executions[name] * _traffic(one, instructions, parsed)
    return total


def _traffic(one: _Instruction, around: dict[str, _Instruction], parsed: Computations) -> int:
    operands = [around[name] for name in one.operands if name in around]
    if one.kind in ("copy-start", "slice-start"):  # results: the target among aliases of the operand
        target = one.arrays()[0 if one.kind == "copy-start" else 1]
        moved = array_bytes(target)
        return sum(moved for array in (target, operands[0].arrays()[0]) if _in_main_memory(array))
    if one.kind in _SLICES:
        moved = array_bytes(one.result)
        return sum(moved for array in (one.result, operands[0].result) if _in_main_memory(array))
    if one.kind == "dynamic-update-slice":
        return 2 * _main_memory(operands[1])
    inside = parsed.get(one.callee or "", {}) if one.kind == "fusion" else {}
    if not inside:
        return sum(map(_main_memory, [one, *operands]))
    reads = sum(
        _read_share(inside, place, parsed) if len(operand.arrays()) == 1 else array_bytes(operand.result)
        for place, operand in enumerate(operands)
        if any(map(_in_main_memory, operand.arrays()))
    )
    return reads + _written(one, inside)


def _written(one: _Instruction, inside: dict[str, _Instruction]) -> int:
    """Sum what a fusion writes: of an array that it updates in place, the update."""
    root = next(each for each in inside.values() if each.is_root)
    arrays = one.arrays()
    results = [inside[name] for name in root.operands] if root.kind == "tuple" else [root] * len(arrays)
    total = 0
    for array, result in zip(arrays, results, strict=True):
        while result.kind in ("bitcast", "copy") and result.operands[0] in inside:
            result = inside[result.operands[0]]
        if _in_main_memory(array):
            update = result.kind == "dynamic-update-slice"
            total += array_bytes(inside[result.operands[1]].result) if update else array_bytes(array)
    return total


def _read_share(inside: dict[str, _Instruction], place: int, parsed: Computations) -> int:
    """Return how many bytes a fusion reads of its operand number `place`: all, slices, or none of them."""
    parameter = next(
        each for each in inside.values() if (each.kind, each.operands) == ("parameter", [str(place)])
    )
    whole = array_bytes(parameter.result)
    total, names = 0, {parameter.name}
    for each in inside.values():  # in order of definition
        places = [number for number, name in enumerate(each.operands) if name in names]
        if not places or (each.kind == "dynamic-update-slice" and places == [0]):
            continue
        if each.kind == "bitcast":
            names.add(each.name)
        elif each.kind in _SLICES and places == [0]:
            total += array_bytes(each.result)
        elif each.kind == "fusion" and each.callee in parsed:
            total += sum(_read_share(parsed[each.callee], number, parsed) for number in places)
        else:
            return whole
    return min(total, whole)


def _main_memory(one: _Instruction) -> int:
    return sum(array_bytes(array) for array in one.arrays() if _in_main_memory(array))


def _in_main_memory(array: str) -> bool:
    return _ELSEWHERE.search(array) is None


def _parse(lines: list[str]) -> dict[str, _Instruction]:
    found = {}
    for line in lines:
        if match := _NAMED.match(line.split(", metadata=")[0]):
            one = _parse_instruction(match["name"], match["text"], is_root=match["root"] is not None)
            found[one.name] = one
    return found


def _parse_instruction(name: str, text: str, *, is_root: bool) -> _Instruction:
    """Parse "RESULT kind(OPERANDS), attributes"."""
    result = text[: _closed(text, 1)] if text.startswith("(") else text[: text.index(" ")]
    kind = _KIND.match(text, len(result))
    assert kind is not None, text
    operands = text[kind.end() : _closed(text, kind.end()) - 1]
    names = [operands] if kind["kind"] == "parameter" else _OPERAND.findall(operands)
    callee = _CALLEE.search(text)
    allocates = 'custom_call_target="AllocateBuffer"' in text
    return _Instruction(
        name, result, "allocate" if allocates else kind["kind"], names, callee[1] if callee else None, is_root
    )


def _closed(text: str, place: int) -> int:
    """Return the place after the parenthesis that closes the one before `place`."""
    depth = 1
    while depth:
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        place += 1
    return place
