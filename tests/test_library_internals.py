"""What the code uses of libraries beyond their documented interfaces, and the tests that pin it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lctr_jax.models import layers

ROOT = Path(__file__).parents[1]
SOURCES = [*sorted((ROOT / "lctr_jax").rglob("*.py")), *sorted((ROOT / "benchmarks").rglob("*.py"))]

# Private attribute or module -> a test that runs the library's own.
PRIVATE = {
    "_parent": "test_closing_closes_the_source",  # grain's, the data set or iterator that one wraps
    "_assert_not_closed": "test_a_closed_iterator_says_so",  # grain's iterators
    "_del_thread_pool": "test_the_last_batches_are_freed_before_the_process_exits",  # grain's
    "_get_filename_template": "test_prepared_once_and_again_after_any_change",  # TFDS's name of a shard
    "jaxlib._hlo": "test_loops_count_as_often_as_they_run",  # XLA's cost analysis of one computation
    "jax._src.lib": "test_loops_count_as_often_as_they_run",
    "_xla": "test_loops_count_as_often_as_they_run",
}
# File that matches the text of a library's error -> a test in which the library raises it.
MATCHED = {
    "lctr_jax/checkpoints/pickles.py": "test_a_pickle_that_runs_code_is_refused_unrun",  # torch
    "lctr_jax/host/compilation.py": "test_without_a_home_the_cache_is_private_and_temporary",  # Numba
    "lctr_jax/data/workers.py": "test_a_lost_worker_process_is_reported_and_the_others_end",  # grain
    "lctr_jax/distributed/processes.py": "test_a_process_without_a_cluster_stays_alone",  # JAX
    "lctr_jax/run/flags.py": "test_a_mistake_is_one_line",  # ml_collections: the nearest option
    "benchmarks/scaling.py": "test_memory_that_does_not_suffice_is_resource_exhausted",  # XLA
}
DOCUMENTED = {"_asdict", "_replace", "_fields", "_exit"}  # of named tuples, and os._exit


def own_names() -> set[str]:
    """Every name that the sources define or assign."""
    names = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                names.add(node.attr)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
    return names


def private_names(path: Path, own: set[str]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            if node.attr not in own | DOCUMENTED:
                yield node.attr
        elif isinstance(node, ast.ImportFrom) and node.module:
            if "._" in node.module:
                yield node.module
            else:
                yield from (
                    f"{node.module}.{alias.name}"
                    for alias in node.names
                    if alias.name[:1] == "_" != alias.name[1:2]
                )


def matches_error_text(path: Path) -> bool:
    """Whether a file looks for words in `str(error..)`, or in a name that it is assigned to."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = {
        ast.unparse(node.targets[0])
        for node in nodes
        if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("str(error")
    }
    for node in nodes:
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
            texts = node.comparators
        elif (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "search"
        ):
            texts = node.args
        else:
            continue
        if any("str(error" in ast.unparse(text) or ast.unparse(text) in names for text in texts):
            return True
    return False


def test_every_private_name_of_a_library_is_listed_with_a_test():
    own = own_names()
    found = {name for path in SOURCES for name in private_names(path, own)}
    assert found == set(PRIVATE)


def test_every_error_text_that_is_matched_is_listed_with_a_test():
    assert {str(path.relative_to(ROOT)) for path in SOURCES if matches_error_text(path)} == set(MATCHED)


@pytest.mark.parametrize("test", sorted({*PRIVATE.values(), *MATCHED.values()}))
def test_the_listed_tests_exist(test):
    sources = (path.read_text() for path in (ROOT / "tests").glob("test_*.py"))
    assert any(f"\ndef {test}(" in source for source in sources)


def test_an_array_tells_whether_it_is_computed():
    """`is_ready`, which the loop asks, is missing from the type of JAX's arrays."""
    assert jnp.ones(3).block_until_ready().is_ready()  # pyright: ignore[reportAttributeAccessIssue]


def test_memory_that_does_not_suffice_is_resource_exhausted():
    with pytest.raises(jax.errors.JaxRuntimeError, match="RESOURCE_EXHAUSTED"):
        jax.block_until_ready(jnp.zeros(2**50, np.uint8))


def test_the_name_of_cudnns_attention():
    """A policy of `jax.checkpoint` sees primitives by name."""
    from jax._src.cudnn import fused_attention_stablehlo as fused

    assert fused._dot_product_attention_fwd_p_wrapper.name == layers._CUDNN_ATTENTION
