"""Command lines of a run: --config.a.b=value, and the resulting config."""

import sys
from pathlib import Path

from absl import flags
from flax.traverse_util import flatten_dict
from hypothesis import strategies as st

from benchmarks.fuzz.case import Case
from lctr_jax.run.config import default_config, parse_config
from lctr_jax.run.flags import define_processes, parse_flags

DEFAULTS = flatten_dict(default_config().to_dict(), sep=".")
OPTIONS = sorted(DEFAULTS)
VALUES = st.sampled_from(
    [
        "",
        "0",
        "1",
        "-1",
        "0.5",
        "1e400",
        "nan",
        "-inf",
        "True",
        "None",
        "()",
        "(1,",
        "[1,2]",
        "{}",
        "'a'",
        "a b",
        "٣",
        "9" * 30,
        "9" * 5000,
        "x" * 10000,
        "lctr",
        "tscam",
        "float32",
        "train",
        "held-out",
        "__import__('os')",
        "\x00",
    ]
) | st.text(max_size=6)
FLAGS = st.sampled_from([f"--config.{option}" for option in OPTIONS]) | st.sampled_from(
    [
        "--config",
        "--config.",
        "--config.data",
        "--config.no.such",
        "--config.model.wdith",
        "--config..a",
        "--nosuch",
        "-config.seed",
        "--noconfig.seed",
        "--num_processes",
        "--process_id",
        "--",
        "---",
        "--config.seed.x",
        "config",
        "--config[seed]",
        "--flagfile",
        "--help",
        "--undefok",
    ]
)
_ANY = st.tuples(FLAGS, st.sampled_from(["=", " ", ""]), VALUES)
_SOUND = st.sampled_from([(f"--config.{option}", "=", str(DEFAULTS[option])) for option in OPTIONS])
ARGUMENTS = st.lists(_ANY | _SOUND, max_size=4)


def _read(folder: Path, arguments: list[tuple[str, str, str]]) -> None:
    argv = ["train.py", "--config=digits"]
    for flag, joint, value in arguments:
        argv += [f"{flag}={value}"] if joint == "=" else [flag, value] if joint else [flag]
    values = flags.FlagValues()
    define_processes(values)
    before, sys.argv = sys.argv, argv  # ml_collections reads options from there
    try:
        parse_flags(values, argv, usage="fuzz")
    finally:
        sys.argv = before
    parse_config(values.config).spec(num_classes=10)


CASES = (Case("config flags", "command line", ARGUMENTS, _read),)
