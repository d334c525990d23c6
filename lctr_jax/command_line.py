"""Command lines whose options may be written with hyphens or underscores."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any


class ArgumentParser(argparse.ArgumentParser):
    """argparse's parser, for options declared with hyphens: `--data_dir` is read as `--data-dir`."""

    def parse_known_args(  # pyright: ignore[reportIncompatibleMethodOverride]  one for argparse's overloads
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> Any:
        """Parse as argparse does, after replacing underscores in option names by hyphens."""
        arguments = sys.argv[1:] if args is None else args
        return super().parse_known_args(respell(arguments, "_", "-"), namespace)


def respell(arguments: Sequence[str], old: str, new: str) -> list[str]:
    """Replace a character in the names of options, not in their values or after a lone `--`."""
    end = list(arguments).index("--") if "--" in arguments else len(arguments)
    return [_respell(text, old, new) for text in arguments[:end]] + list(arguments[end:])


def _respell(argument: str, old: str, new: str) -> str:
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument.partition("=")
    return f"--{name[2:].replace(old, new)}{equals}{value}"
