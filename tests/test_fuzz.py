"""Arbitrary bytes for every reader of users' files: a result, or one line that says what is wrong."""

import io
import json

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.fuzz.case import feed
from benchmarks.fuzz.cases import CASES
from benchmarks.fuzz.damage import damaged
from lctr_jax.checkpoints import torch_files
from lctr_jax.checkpoints.conversion import convert

EXAMPLES = 60
bounded = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)


def tried(read, *arguments, **options):
    """What `read` gives, or None after an error as users are to have them: one line, not empty."""
    try:
        return read(*arguments, **options)
    except (ValueError, FileNotFoundError) as error:
        message = str(error)
    assert message.splitlines() == [message]
    return None


def vit(**changes) -> dict[str, np.ndarray]:
    shapes = {
        "cls_token": (1, 1, 8),
        "pos_embed": (1, 5, 8),
        "patch_embed.proj.weight": (8, 3, 2, 2),
        "patch_embed.proj.bias": (8,),
        "blocks.0.mlp.fc1.weight": (32, 8),
        "norm.weight": (8,),
    } | changes
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


@bounded
@given(damaged(safetensors.numpy.save(vit(), {"format": "pt", "lctr_jax": json.dumps({"kind": "network"})})))
def test_safetensors_files(tmp_path, content):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    if (file := tried(torch_files.read_tensors, path)) is not None:
        tried(convert, file, source="fuzz", heads=1)


@bounded
@given(
    st.dictionaries(
        st.sampled_from([*vit(), "dist_token", "CDM.weight", "conv3x3.bias", "reg_token", "blocks.9.x"])
        | st.from_regex(r"\Ablocks\.[0-9]{1,9}\.[a-z1]{1,4}\Z"),
        st.lists(st.integers(0, 5), max_size=5).map(tuple),
        max_size=6,
    ),
    st.sampled_from([None, 1, 3]),
)
def test_tensors_of_any_name_and_shape(changes, heads):
    tried(convert, torch_files.TensorFile(vit(**changes)), source="fuzz", heads=heads)


def pth() -> bytes:
    torch = pytest.importorskip("torch")
    file = io.BytesIO()
    torch.save({"model": {name: torch.from_numpy(array) for name, array in vit().items()}}, file)
    return file.getvalue()


def test_pth_files(tmp_path):
    @bounded
    @given(damaged(pth()))
    def check(content):
        path = tmp_path / "weights.pth"
        path.write_bytes(content)
        if (file := tried(torch_files.read_tensors, path)) is not None:
            tried(convert, file, source="fuzz", heads=1)

    check()


@pytest.mark.filterwarnings("ignore")  # torch's, of the kinds of tensors that are made up here
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.reader}, {case.kind}")
def test_readers(case, tmp_path):
    """What `python -m benchmarks.fuzz` feeds by the thousand."""

    @bounded
    @given(case.inputs)
    def check(content):
        feed(case, tmp_path, content)

    check()
