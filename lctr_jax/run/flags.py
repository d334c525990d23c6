"""Flags of commands with a config: `--config FILE`, `--config.a.b=value` and the command's own."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from lctr_jax.command_line import respell
from lctr_jax.distributed.place import MEETING_TIMEOUT
from lctr_jax.run.config_files import find_config

_PROCESSES = ("coordinator", "num_processes", "process_id", "meeting_timeout")


def parse_flags(values: Any, argv: list[str], *, usage: str) -> Path:
    """Parse `argv` into `values`, absl's `FlagValues` with the command's own flags; return the config's file.

    The config is then `values.config`.

    Raises:
        ValueError: a flag or option is unknown or invalid, or --config is missing.
        FileNotFoundError: there is no such config.
    """
    from ml_collections import config_flags  # not for --help

    argv, file = _resolve_config(respell(argv, "-", "_"), usage=usage)
    try:
        config_flags.DEFINE_config_file(  # it also looks for --flagfile
            "config",
            None,
            "a file, or a name; --config.a.b=value replaces an option",
            flag_values=values,
            sys_argv=argv,
        )
        unread = values(argv)[1:]
    except flags.Error as error:
        raise ValueError(f"command line: {error}; usage: {usage}") from error
    except (AttributeError, KeyError) as error:
        # ml_collections appends the closest option to its message, if one is close.
        text = str(error.args[0]).strip("'\"")
        hint = re.search(r"Did you mean .*", text)
        nearest = hint.group() if hint else f"{text}; train.py --help lists them"
        raise ValueError(f"command line: no such option: {nearest}") from error
    if unread:
        raise ValueError(f"command line: unexpected argument {' '.join(unread)!r}; usage: {usage}")
    return file


def replace_options(argv: Sequence[str], options: Sequence[str]) -> list[str]:
    """Return the command line with these `--config.a.b=value` in place of its own values of the same options.

    A tuple's flag would otherwise append to the earlier value.
    """
    names, left, arguments = {option.partition("=")[0] for option in options}, [], list(argv)
    while arguments:
        argument = arguments.pop(0)
        if respell([argument], "-", "_")[0].partition("=")[0] not in names:
            left.append(argument)
        elif "=" not in argument and arguments and not arguments[0].startswith("--"):
            arguments.pop(0)  # its value
    return [*left, *options]


def define_processes(values: flags.FlagValues) -> None:
    """Define the flags for a process's place in a run of several processes."""
    flags.DEFINE_string("coordinator", None, "HOST:PORT, where process 0 listens", flag_values=values)
    flags.DEFINE_integer("num_processes", None, "how many there are", lower_bound=1, flag_values=values)
    flags.DEFINE_integer("process_id", None, "which of them this is, from 0", flag_values=values)
    flags.DEFINE_integer(
        "meeting_timeout", MEETING_TIMEOUT, "seconds to wait for others", lower_bound=1, flag_values=values
    )


def read_processes(values: Any) -> dict[str, Any]:
    """Return those flags as arguments of `join_processes`."""
    return {name: values[name].value for name in _PROCESSES}


def _resolve_config(argv: list[str], *, usage: str) -> tuple[list[str], Path]:
    """Replace the value of --config by the file it refers to; return the command line and the file."""
    resolved, file, arguments = [], None, iter(argv)
    for argument in arguments:
        flag, equals, value = argument.partition("=")
        if flag not in ("--config", "-config"):
            resolved.append(argument)
            continue
        given, colon, option = (value if equals else next(arguments, "")).partition(":")
        file = find_config(given)
        resolved.append(f"--config={file}{colon}{option}")
    if file is None:
        raise ValueError(f"command line: --config is missing; usage: {usage}")
    return resolved, file
