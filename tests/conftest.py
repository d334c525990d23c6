"""Every test runs with shape-checked signatures and without implicit promotion, on eight CPU devices."""

import gc
import os
import shutil
import signal
import tempfile

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"

import hypothesis
import jax
import pytest
from jaxtyping import install_import_hook
from quick_compilation import set_quick_compilation

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

hook = install_import_hook("lctr_jax", "beartype.beartype")
hook.__enter__()

# An example may take long on a busy machine.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")

gc.set_threshold(50_000, 20, 20)  # the search for garbage among a million objects took 7 % of the tests' time


def pytest_configure(config: pytest.Config) -> None:
    """Keep compiled programs, since many tests compile the same ones, and the next session most of them.

    xdist's workers and the processes that tests start inherit the environment, and so share them.
    """
    # A shell starts background jobs with Ctrl-C ignored, which some tests send.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        folder = _kept_programs(config) or _programs_of_this_session(config)
        os.environ["JAX_COMPILATION_CACHE_DIR"] = folder
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        jax.config.update("jax_compilation_cache_dir", folder)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def _kept_programs(config: pytest.Config) -> str | None:
    """Return a folder in pytest's cache, emptied when it has grown; `--cache-clear` empties it as well.

    None without pytest's cache (`-p no:cacheprovider`), or where it cannot be written to.
    """
    from lctr_jax.run.compilation_cache import MAX_BYTES, cache_folder  # after the hook is installed

    if getattr(config, "cache", None) is None:
        return None
    try:
        folder = config.cache.mkdir(cache_folder().name)
        if sum(program.stat().st_size for program in folder.iterdir()) > MAX_BYTES:
            shutil.rmtree(folder)
            folder.mkdir()
    except OSError:
        return None
    return str(folder) if os.access(folder, os.W_OK) else None


def _programs_of_this_session(config: pytest.Config) -> str:
    folder = tempfile.mkdtemp(prefix="lctr_jax-tests-")
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    return folder


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Compile quickly, except for tests of what optimization may change."""
    optimized = item.get_closest_marker("optimized") or "LCTR_TESTS_OPTIMIZED" in os.environ
    set_quick_compilation(not optimized)


@pytest.fixture
def implicit_promotion():
    """Allow implicit promotion of data types and ranks, for references and libraries that rely on it."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield
