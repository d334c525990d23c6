"""Numba functions without a writable cache folder; nothing is compiled on import."""

import os
import subprocess
import sys

import numba
import numba.core.caching
import pytest

from lctr_jax.host import compilation
from lctr_jax.host.compilation import compiled, vectorized


def add(left, right):
    return left + right


@pytest.fixture
def no_home(monkeypatch, tmp_path):
    """Neither the source's folder nor the user's home can be written to; the temporary folder can."""
    locators = [numba.core.caching.UserProvidedCacheLocator]
    monkeypatch.setattr(numba.core.caching.CacheImpl, "_locator_classes", locators)
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setattr(compilation.tempfile, "gettempdir", lambda: str(tmp_path))
    compilation._say_uncached.cache_clear()
    return tmp_path


def test_without_a_home_the_cache_is_private_and_temporary(no_home):
    assert compiled()(add)(1, 2) == 3
    (folder,) = no_home.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path for path in folder.rglob("*.nbi")]


def test_somebody_elses_folder_is_not_trusted(no_home, caplog):
    (no_home / f"lctr_jax-numba-{os.getuid()}").mkdir(mode=0o777)
    (no_home / f"lctr_jax-numba-{os.getuid()}").chmod(0o777)
    assert vectorized("float64(float64, float64)")(add)(1.0, 2.0) == 3
    assert not list(no_home.rglob("*.nbi"))
    (message,) = caplog.messages
    assert "compiled code cannot be cached" in message
    assert "NUMBA_CACHE_DIR=DIR" in message


def test_a_cache_that_cannot_be_written_is_done_without(no_home, monkeypatch, caplog):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(numba.core.caching.IndexDataCacheFile, "save", full)
    assert compiled()(add)(1, 2) == 3
    assert "No space left on device" in caplog.text


def test_importing_every_command_compiles_nothing(tmp_path):
    modules = "baselines, predict, train, summarize, convert, demo"
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", f"from lctr_jax import {modules}"]
    subprocess.run(command, check=True, env=environment)
    assert not list(tmp_path.rglob("*.nbi"))
