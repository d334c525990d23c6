"""The rows of an ablation's table: methods on backbones, each with the options that it replaces."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lctr_jax.models.methods import METHODS
from lctr_jax.plugins import is_module_path

OWN_OPTIONS = ("model", "augmentation", "train", "init_from", "eval.image_size", "eval.batch_size")
"""Options, or groups of them, that may be set for one method; all others hold for the whole table."""

_BY_THE_TABLE = {
    "model.method": "--methods",
    "seed": "--seeds",
    "train.fsdp": "--config.train.fsdp, for all methods",
}
_BY_BACKBONES = {"model.name": "--backbones", "init_from": "--backbones"}


class Row(NamedTuple):
    """A method on a backbone.

    Attributes:
        folder: of its seeds, below the study's workdir.
        backbone: value of `model.name`; empty for the config's.
        method: value of `model.method`.
        arguments: command-line arguments that select the backbone, its initial weights, and the method's own
            options.
    """

    folder: str
    backbone: str
    method: str
    arguments: tuple[str, ...] = ()


def plan_rows(
    methods: Sequence[str], *, backbones: Sequence[str] = (), method_options: Iterable[str] = ()
) -> list[Row]:
    """Return a row for every method on every backbone, in the order given.

    With one backbone, or none given, a row's folder is its method's name; with several, BACKBONE/METHOD.

    Args:
        methods: names or module paths.
        backbones: `NAME`, or `NAME=WEIGHTS` for initial weights other than the config's; `NAME=` starts from
            random weights.
        method_options: `METHOD:a.b=value`, an option of one method.

    Raises:
        ValueError: a method or backbone is repeated, or an argument is malformed.
    """
    _check_methods(methods)
    named = _parse_backbones(backbones)
    own = _parse_options(method_options, methods, fixed=_BY_THE_TABLE | (_BY_BACKBONES if named else {}))
    return [
        Row(f"{name}/{method}" if len(named) > 1 else method, name, method, (*arguments, *own[method]))
        for name, arguments in (named or {"": ()}).items()
        for method in methods
    ]


def _check_methods(methods: Sequence[str]) -> None:
    if unknown := [method for method in methods if method not in METHODS and not is_module_path(method)]:
        raise ValueError(
            f"--methods: got {unknown[0]!r}, expected a list from {','.join(METHODS)}, or module paths"
        )
    if not methods:
        raise ValueError(f"--methods: got none, expected a list from {','.join(METHODS)}, or module paths")
    if len(set(methods)) < len(methods):
        raise ValueError(f"--methods: got {','.join(methods)}, expected each once")


def _parse_backbones(backbones: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return each backbone's command-line arguments, by name."""
    named: dict[str, tuple[str, ...]] = {}
    for given in backbones:
        name, equals, weights = given.partition("=")
        if name in named or not name:
            raise ValueError(
                f"--backbones: got {','.join(backbones)}, expected NAME or NAME=WEIGHTS with each NAME once; "
                "compare other weights of the same backbone in another --workdir"
            )
        start = (f"--config.init_from={weights}",) if equals else ()
        named[name] = (f"--config.model.name={name}", *start)
    return named


def _parse_options(
    given: Iterable[str], methods: Sequence[str], *, fixed: dict[str, str]
) -> dict[str, list[str]]:
    """Return each method's own options as command-line arguments."""
    own: dict[str, list[str]] = {method: [] for method in methods}
    for text in given:
        key, equals, value = text.partition("=")
        method, _, option = key.rpartition(":")  # a module path may contain a colon, an option never does
        where = f"--method_options {text}"
        if not (equals and method and option):
            raise ValueError(f"{where}: expected METHOD:OPTION=VALUE, such as trilite:model.alpha=10")
        if method not in own:
            raise ValueError(f"{where}: {method!r} is not among --methods {','.join(methods)}")
        if option in fixed:
            raise ValueError(f"{where}: {option} is set by {fixed[option]}")
        if not any(option == allowed or option.startswith(f"{allowed}.") for allowed in OWN_OPTIONS):
            raise ValueError(
                f"{where}: expected an option of {', '.join(OWN_OPTIONS)}; "
                f"others are the same for all methods: --config.{option}={value}"
            )
        own[method].append(f"--config.{option}={value}")
    return own
