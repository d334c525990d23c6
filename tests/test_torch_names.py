import numpy as np
import pytest
import reference
from goldens import seeded

from lctr_jax.checkpoints import torch_names
from lctr_jax.checkpoints.metadata import Metadata
from lctr_jax.checkpoints.parameter_paths import by_path
from lctr_jax.checkpoints.store import expected_shapes
from lctr_jax.models.methods import METHODS
from lctr_jax.models.spec import ModelSpec, model_spec

SPEC = ModelSpec(num_classes=5, width=64, depth=3, heads=1, image_size=32, patch_size=8)
SHAPES = seeded.lctr_shapes(5, dim=64, depth=3, patch=8, size=32)


@pytest.mark.parametrize(
    ("spec", "shapes"),
    [(SPEC, SHAPES), (model_spec("deit_small", num_classes=200), seeded.lctr_shapes(200))],
    ids=["tiny", "deit_small"],
)
def test_names_and_shapes_are_those_of_a_published_checkpoint(spec, shapes):
    metadata = Metadata(kind="network", spec=spec)
    ours = by_path(expected_shapes(metadata))
    theirs = torch_names.torch_shapes(ours, torch_names.layouts(metadata))
    assert {name: leaf.shape for name, leaf in theirs.items()} == shapes


@pytest.mark.parametrize("method", METHODS)
def test_there_is_a_name_for_every_parameter(method):
    spec = ModelSpec(num_classes=5, method=method, width=64, depth=2, heads=1)
    for kind in ("network", "backbone"):
        metadata = Metadata(kind=kind, spec=spec)
        assert set(by_path(expected_shapes(metadata))) == set(torch_names.layouts(metadata))


def test_round_trip_is_bit_identical():
    tensors = seeded.state_dict(SHAPES, seed=1)
    ours = torch_names.from_torch(tensors, reference.LAYOUTS, depth=3)
    back = torch_names.to_torch(ours, reference.LAYOUTS, depth=3)
    assert back.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert back[name].dtype == tensor.dtype
        assert back[name].tobytes() == tensor.tobytes(), name


def test_one_entry_of_each_kind_lands_where_it_belongs():
    tensors = seeded.state_dict(SHAPES, seed=1)
    ours = torch_names.from_torch(tensors, reference.LAYOUTS, depth=3)
    dense, conv = tensors["blocks.2.mlp.fc1.weight"], tensors["patch_embed.proj.weight"]
    assert (
        ours["backbone.blocks.mlp.fc1.kernel"][2, 7, 100] == dense[100, 7]
    )  # [layer, in, out] and [out, in]
    assert ours["backbone.patch_embed.kernel"][3, 5, 2, 50] == conv[50, 2, 3, 5]  # HWIO and OIHW
    experts = tensors["CDM.weight"]  # [expert, class, width, 3, 3]
    assert ours["cdm.kernels"][0, 2, 33, 3, 4] == experts[3, 4, 33, 0, 2]


def test_a_missing_tensor_is_named():
    tensors = seeded.state_dict(SHAPES, seed=1)
    del tensors["blocks.1.norm1.bias"]
    with pytest.raises(KeyError, match=r"blocks\.1\.norm1\.bias"):
        torch_names.from_torch(tensors, reference.LAYOUTS, depth=3)


def test_stacking_keeps_the_order_of_the_blocks():
    tensors = seeded.state_dict(SHAPES, seed=1)
    stacked = torch_names.from_torch(tensors, reference.LAYOUTS, depth=3)["backbone.blocks.norm2.scale"]
    for layer in range(3):
        np.testing.assert_array_equal(stacked[layer], tensors[f"blocks.{layer}.norm2.weight"])
