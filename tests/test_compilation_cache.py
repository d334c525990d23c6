"""Compiled programs that are kept between runs: where, by whom, and what happens where that is impossible."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import pytest

from lctr_jax.run.compilation_cache import cache_folder, enable_compilation_cache

OPTIONS: Any = jax.config  # its attributes are made when JAX is imported
START = """
import sys, jax, jax.monitoring
from lctr_jax.run.compilation_cache import enable_compilation_cache
hits = []
jax.monitoring.register_event_listener(lambda name, **_: name.endswith("/cache_hits") and hits.append(name))
enable_compilation_cache(lambda line: print(line, file=sys.stderr))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
print(jax.jit(lambda x: x * 2 + 1)(3.0), len(hits))
"""


def start(home: Path, **variables: str) -> tuple[str, str]:
    """What a new process prints, and what it says."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    environment = own | {"JAX_PLATFORMS": "cpu", "XDG_CACHE_HOME": str(home), **variables}
    done = subprocess.run(
        [sys.executable, "-c", START], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip(), done.stderr


@pytest.fixture
def unset(monkeypatch, tmp_path):
    """As in a process where nobody chose a folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    names = ("jax_compilation_cache_dir", "jax_compilation_cache_max_size")
    options = {name: getattr(jax.config, name) for name in names}
    options["jax_persistent_cache_min_compile_time_secs"] = OPTIONS.jax_persistent_cache_min_compile_time_secs
    jax.config.update("jax_compilation_cache_dir", None)
    yield tmp_path
    for name, value in options.items():
        jax.config.update(name, value)


@pytest.mark.slow
def test_a_second_start_finds_the_programs_of_the_first_and_an_incomplete_one_is_replaced(tmp_path):
    printed, said = start(tmp_path)
    assert printed == "7.0 0"
    (folder,) = (tmp_path / "lctr_jax").iterdir()
    assert f"compiled programs are kept in {folder} (off: JAX_ENABLE_COMPILATION_CACHE=0)" in said
    assert folder.stat().st_mode & 0o777 == 0o700
    programs = list(folder.glob("*-cache"))
    assert programs
    printed, said = start(tmp_path)
    value, hits = printed.split()
    assert value == "7.0"
    assert int(hits) >= 1
    for program in programs:  # as after a kill in the middle of writing
        program.write_bytes(program.read_bytes()[:20])
        program.with_name(program.name.removesuffix("-cache") + "-atime").unlink()
    printed, said = start(tmp_path)
    assert printed == "7.0 0"
    assert "Error" not in said
    assert all(program.stat().st_size > 20 for program in programs)


def test_a_damaged_program_is_compiled_anew(tmp_path):
    start(tmp_path)
    for program in (tmp_path / "lctr_jax").glob("*/*-cache"):
        program.write_bytes(b"damaged")
    assert start(tmp_path)[0] == "7.0 0"


def test_jaxs_own_options_have_the_last_word(unset, monkeypatch):
    lines = []
    jax.config.update("jax_compilation_cache_dir", str(unset / "mine"))
    enable_compilation_cache(lines.append)
    assert OPTIONS.jax_compilation_cache_dir == str(unset / "mine")
    assert lines == [f"compiled programs are kept in {unset / 'mine'}"]
    jax.config.update("jax_compilation_cache_dir", None)
    jax.config.update("jax_enable_compilation_cache", False)
    try:
        enable_compilation_cache(lines.append)
    finally:
        jax.config.update("jax_enable_compilation_cache", True)
    assert "not kept: JAX_ENABLE_COMPILATION_CACHE is off" in lines[-1]
    assert OPTIONS.jax_compilation_cache_dir is None


def test_a_folder_that_cannot_be_had_is_one_line(unset):
    lines = []
    (unset / "lctr_jax").write_text("a file")
    enable_compilation_cache(lines.append)
    assert "compiled programs are not kept, so every start compiles again: " in lines[0]
    assert OPTIONS.jax_compilation_cache_dir is None


def test_a_folder_that_others_write_to_is_not_trusted(unset):
    lines = []
    cache_folder().mkdir(parents=True)
    cache_folder().chmod(0o777)
    enable_compilation_cache(lines.append)
    assert "others can write to it" in lines[0]
    assert OPTIONS.jax_compilation_cache_dir is None
