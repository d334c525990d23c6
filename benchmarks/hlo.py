"""Parsing the text of a compiled program: collectives, loops, and the compiler's estimate of cycles."""

import functools
import re
from collections.abc import Iterator
from typing import NamedTuple

_HEAD = re.compile(r"^(?P<entry>ENTRY )?%?(?P<name>[\w.\-]+) \(.*\{$")
_SHAPE = re.compile(r"\b(?P<type>pred|[a-z]+(?P<bits>\d+)\w*)\[(?P<sides>[\d,]*)\]")
_COLLECTIVE = re.compile(
    r" = (?P<result>.+?) (?P<kind>all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute"
    r"|ragged-all-to-all|collective-broadcast)(?P<start>-start)?\("
)
_CALLED = re.compile(r"(?:calls|to_apply|true_computation|false_computation)=%?([\w.\-]+)")
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
_LOOP = re.compile(r" while\(.*condition=%?(?P<condition>[\w.\-]+), body=%?(?P<body>[\w.\-]+)")
_KNOWN_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"')
_COUNTER_LIMIT = re.compile(r"= [su]\d+\[\]\S* constant\((\d+)\)")
_FUSED_ATTENTION = re.compile(r'custom_call_target="__cudnn\$fmha')
_PADDING = 8
"""Fused attention may pad sequences to a multiple of this."""
_CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')


class Collective(NamedTuple):
    """A communication between devices: bytes of its result on one device, and executions per run."""

    kind: str
    num_bytes: int
    executions: int


class Loop(NamedTuple):
    """The caller of a loop, and its number of iterations per run of the caller."""

    caller: str
    trips: int


class Program(NamedTuple):
    """A compiled program's computations, lines by name, and executions of each per run.

    The number of iterations of a loop comes from its condition or its known trip count; if unknown, it is 1.
    """

    text: str
    computations: dict[str, list[str]]
    executions: dict[str, int]
    loops: dict[str, Loop]  # by the name of the body
    fused: set[str]  # computations that are a single instruction of their caller

    def collectives(self) -> list[Collective]:
        """Return every collective in the order of the text; an asynchronous -start and -done count once.

        XLA:TPU repeats an asynchronous collective in every fusion that runs in parallel; the first one
        counts.
        """
        found = []
        for name, lines in self.computations.items():
            begins = any('"AsyncCollectiveStart"' in line for line in lines)
            found += [
                Collective(match["kind"], _payload(match), self.executions[name])
                for line in lines
                if (match := _COLLECTIVE.search(line)) and (begins or "chain_id=" not in line)
            ]
        return [one for one in found if one.executions]

    def fused_attention(self) -> int:
        """Return the number of calls of cuDNN's attention per run, forward and backward."""
        calls = {name: sum(map(_is_fused_attention, lines)) for name, lines in self.computations.items()}
        return sum(count * self.executions[name] for name, count in calls.items())

    def float32_scores(self, tokens: int) -> set[str]:
        """Return arrays f32[.., n, n] with the shape of attention scores, n the tokens, possibly padded."""
        sides = {str(length) for length in range(tokens, -(-tokens // _PADDING) * _PADDING + 1)}
        found = set()
        for shape in _SHAPE.finditer(self.text):
            *batch, rows, columns = ["", "", *shape["sides"].split(",")]
            if shape["type"] == "f32" and any(batch) and rows in sides and columns == rows:
                found.add(shape[0])
        return found

    def estimated_cycles(self) -> int:
        """Sum XLA:TPU's estimates of all instructions; 0 if the compiler gives none.

        Copies that run in parallel with computation are included.
        """
        return sum(
            self.executions[name] * int(match[1])
            for name, lines in self.computations.items()
            if name not in self.fused
            for line in lines
            if (match := _CYCLES.search(line))
        )


def parse(text: str) -> Program:
    """Parse `compiled.as_text()`."""
    computations, entry = _split(text)
    callees = {name: list(_callees(lines, computations)) for name, lines in computations.items()}
    loops = {
        callee: Loop(name, times)
        for name, calls in callees.items()
        for callee, times, kind in calls
        if kind == "body"
    }
    callers: dict[str, list[tuple[str, int]]] = {name: [] for name in computations}
    fused = set()
    for name, calls in callees.items():
        for callee, times, kind in calls:
            callers[callee].append((name, times))
            if kind == "fused":
                fused.add(callee)

    @functools.cache
    def executions(name: str) -> int:
        return int(name == entry) + sum(times * executions(caller) for caller, times in callers[name])

    return Program(text, computations, {name: executions(name) for name in computations}, loops, fused)


def _is_fused_attention(line: str) -> bool:
    return _FUSED_ATTENTION.search(line) is not None


def _split(text: str) -> tuple[dict[str, list[str]], str]:
    computations: dict[str, list[str]] = {}
    entry, current = "", None
    for line in text.splitlines():
        if head := _HEAD.match(line):
            current = head["name"]
            computations[current] = []
            entry = current if head["entry"] else entry
        elif line.startswith("}"):
            current = None
        elif current is not None:
            computations[current].append(line)
    return computations, entry


def _callees(lines: list[str], computations: dict[str, list[str]]) -> Iterator[tuple[str, int, str]]:
    """Yield (computation, executions per run of the caller, "body", "fused" or "called") for every call."""
    for line in lines:
        if loop := _LOOP.search(line):
            trips = _trips(line, computations.get(loop["condition"], []))
            yield loop["body"], trips, "body"
            yield loop["condition"], trips + 1, "called"
            continue
        names = _CALLED.findall(line)
        for group in _BRANCHES.findall(line):
            names += [name.strip(" %") for name in group.split(",")]
        apart = any(form in line for form in (" call(", " conditional(", " async-start("))
        yield from ((name, 1, "called" if apart else "fused") for name in names if name in computations)


def _trips(line: str, condition: list[str]) -> int:
    if known := _KNOWN_TRIPS.search(line):
        return int(known[1])
    limits = [match[1] for row in condition if (match := _COUNTER_LIMIT.search(row))]
    counts_up = any(" compare(" in row and "direction=LT" in row for row in condition)
    return int(limits[0]) if counts_up and len(limits) == 1 else 1


def _payload(match: re.Match[str]) -> int:
    shapes = [shape for shape in _SHAPE.finditer(match["result"]) if shape["type"] != "token0"]
    with_operands = match["kind"] in ("all-gather", "reduce-scatter", "collective-permute")
    if match["start"] and (with_operands or match["result"].startswith("((")):
        # The tuple contains the operands (those of an all-reduce since JAX 0.11), the results, and on some
        # platforms two scalars.
        arrays = [shape for shape in shapes if not (shape["type"] == "u32" and not shape["sides"])]
        shapes = arrays[len(arrays) // 2 :]
    return sum(_num_bytes(shape) for shape in shapes)


def array_bytes(array: str) -> int:
    """Return the bytes of an array or tuple of arrays, such as "bf16[128,197]{1,0}"."""
    return sum(_num_bytes(shape) for shape in _SHAPE.finditer(array))


def _num_bytes(shape: re.Match[str]) -> int:
    bits = 8 if shape["type"] == "pred" else int(shape["bits"])
    count = 1
    for side in filter(None, shape["sides"].split(",")):
        count *= int(side)
    return (count * bits + 7) // 8
