"""Checkpoints written as PyTorch files can be read back unchanged."""

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from test_checkpoint_store import METADATA, assert_same, parameters_of
from test_converter import SHAPES, lctr

from lctr_jax.checkpoints.metadata import Metadata
from lctr_jax.checkpoints.store import load_weights, save_weights
from lctr_jax.convert import main
from lctr_jax.models.spec import ModelSpec


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_the_way_back_is_bit_identical(suffix, tmp_path):
    if suffix == ".pth":
        pytest.importorskip("torch")
    save_file(lctr(), tmp_path / "source.safetensors")
    path = tmp_path / "weights"
    main([str(tmp_path / "source.safetensors"), str(path)])
    written = tmp_path / f"back{suffix}"
    main(["--to-torch", str(path), str(written)])
    back = load_file(written) if suffix == ".safetensors" else load_pth(written)
    assert back.keys() == lctr().keys()
    for name, array in lctr().items():
        assert back[name].dtype == array.dtype
        assert back[name].shape == array.shape
        assert back[name].tobytes() == array.tobytes(), name
    main([str(written), str(tmp_path / "again")])
    assert_same(load_weights(tmp_path / "again")[1], load_weights(path)[1])


def load_pth(path):
    import torch

    model = torch.load(path, weights_only=True)["model"]  # where the published LCTR looks
    return {name: tensor.numpy() for name, tensor in model.items()}


def test_the_way_back_keeps_class_names_and_heads(tmp_path):
    spec = ModelSpec(num_classes=3, width=64, depth=2, heads=4, image_size=32, patch_size=8)
    metadata = Metadata(kind="network", spec=spec, class_names=("ant", "bee", "cat"))
    save_weights(tmp_path / "weights", metadata, parameters_of())
    main(["--to-torch", str(tmp_path / "weights"), str(tmp_path / "back.safetensors")])
    main([str(tmp_path / "back.safetensors"), str(tmp_path / "again")])
    again, _ = load_weights(tmp_path / "again")
    assert again.spec == spec
    assert again.class_names == ("ant", "bee", "cat")


def test_a_trained_deit_keeps_its_head_both_ways(tmp_path):
    spec = ModelSpec(num_classes=3, method="deit", width=64, depth=2, heads=1, image_size=32, patch_size=8)
    head = {"kernel": np.ones((64, 3), np.float32), "bias": np.ones(3, np.float32)}
    parameters = {"backbone": parameters_of()["backbone"], "head": head}
    save_weights(tmp_path / "weights", Metadata(kind="network", spec=spec), parameters)
    main(["--to-torch", str(tmp_path / "weights"), str(tmp_path / "deit.safetensors")])
    assert load_file(tmp_path / "deit.safetensors")["head.weight"].shape == (3, 64)
    main([str(tmp_path / "deit.safetensors"), str(tmp_path / "again")])
    metadata, again = load_weights(tmp_path / "again")
    assert metadata.spec == spec
    assert_same(again, parameters)


def test_pytorch_loads_the_written_file_strictly(tmp_path):
    torch = pytest.importorskip("torch")
    save_weights(tmp_path / "weights", METADATA, parameters_of())
    main(["--to-torch", str(tmp_path / "weights"), str(tmp_path / "back.pth")])
    model = torch.nn.Module()
    for name, shape in SHAPES.items():  # the published module tree, by its state dict's names
        *parents, leaf = name.split(".")
        module = model
        for parent in parents:
            if not hasattr(module, parent):
                module.add_module(parent, torch.nn.Module())
            module = getattr(module, parent)
        module.register_parameter(leaf, torch.nn.Parameter(torch.zeros(shape)))
    model.load_state_dict(torch.load(tmp_path / "back.pth", weights_only=True)["model"], strict=True)
    np.testing.assert_array_equal(model.CDM.bias.detach(), lctr()["CDM.bias"])
