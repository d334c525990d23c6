"""The converter through its command line: what it makes of each kind of file."""

import argparse

import numpy as np
import pytest
from goldens import seeded
from safetensors.numpy import save_file
from test_checkpoint_store import assert_same, parameters_of

from lctr_jax.checkpoints.store import load_weights
from lctr_jax.convert import main
from lctr_jax.models.spec import ModelSpec

SHAPES = seeded.lctr_shapes(3, dim=64, depth=2, patch=8, size=32)
SPEC = ModelSpec(num_classes=3, width=64, depth=2, heads=1, image_size=32, patch_size=8)


def lctr():
    return seeded.state_dict(SHAPES, 0)


def deit(*, classes=10, distilled=False):
    tensors = {name: array for name, array in lctr().items() if not name.startswith(("conv3x3", "CDM"))}
    head = {"weight": (classes, 64), "bias": (classes,)}
    heads = ["head", "head_dist"] if distilled else ["head"]
    tensors |= {
        f"{name}.{leaf}": np.ones(shape, np.float32) for name in heads for leaf, shape in head.items()
    }
    if distilled:
        tensors["dist_token"] = np.full((1, 1, 64), 7, np.float32)
        tensors["pos_embed"] = np.insert(tensors["pos_embed"], 1, 9, axis=1)  # CLS, distillation, patches
    return tensors


@pytest.fixture
def convert(tmp_path, capsys):
    """Convert tensors through a .safetensors file; returns the checkpoint's path and what was printed."""

    def run(tensors, *options):
        save_file(tensors, tmp_path / "source.safetensors")
        main([str(tmp_path / "source.safetensors"), str(tmp_path / "weights"), *options])
        return tmp_path / "weights", capsys.readouterr().out

    return run


def test_an_lctr_is_converted_whole(convert):
    path, printed = convert(lctr())
    metadata, parameters = load_weights(path)
    assert (metadata.kind, metadata.spec) == ("network", SPEC)
    assert_same(parameters, parameters_of())
    assert "source.safetensors" in metadata.source
    assert "blocks.*.attn.qkv.weight" in printed
    assert "lctr of 3 classes, width 64, depth 2, 1 heads, 4 x 4 patches of 8 px" in printed
    assert "38 tensors read, 0 dropped, 0 parameters newly initialized" in printed


def test_a_deit_gives_a_backbone_and_says_what_it_dropped(convert):
    path, printed = convert(deit())
    metadata, parameters = load_weights(path)
    assert metadata.kind == "backbone"
    assert_same(parameters, {"backbone": parameters_of()["backbone"]})
    assert "head.weight: classification head" in printed
    assert "30 tensors read, 2 dropped" in printed
    assert "newly initialized by the training" in " ".join(printed.split())


def test_a_distilled_deit_loses_its_token_and_that_tokens_position(convert):
    path, printed = convert(deit(distilled=True))
    assert_same(load_weights(path)[1], {"backbone": parameters_of()["backbone"]})
    assert "dist_token: distillation token" in printed
    assert "30 tensors read, 5 dropped" in printed


def test_num_classes_gives_a_deit_a_new_head(convert):
    path, printed = convert(deit(), "--num_classes", "5")
    metadata, parameters = load_weights(path)
    assert metadata.kind == "network"
    assert metadata.spec.num_classes == 5
    assert_same({"backbone": parameters["backbone"]}, {"backbone": parameters_of()["backbone"]})
    assert parameters["cdm"]["kernels"].shape == (3, 3, 64, 4, 5)
    assert printed.count("newly initialized") == 9  # eight arrays and the summary


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("nests", [(), ("model",), ("state_dict",), ("state_dict", "model")])
def test_nesting_and_prefixes_are_undone(prefix, nests, tmp_path, capsys):
    torch = pytest.importorskip("torch")
    content = {prefix + name: torch.from_numpy(array) for name, array in lctr().items()}
    for nest in nests:
        content = {nest: content, "epoch": 3}
    torch.save(content, tmp_path / "lctr.pth")
    main([str(tmp_path / "lctr.pth"), str(tmp_path / "weights")])
    assert_same(load_weights(tmp_path / "weights")[1], parameters_of())
    assert ("ignored: epoch" in capsys.readouterr().out) == bool(nests)


def test_a_prefix_in_safetensors_is_undone(convert):
    path, _ = convert({f"module.{name}": array for name, array in lctr().items()})
    assert_same(load_weights(path)[1], parameters_of())


def test_half_precision_is_widened_exactly(convert):
    halves = {name: array.astype(np.float16) for name, array in lctr().items()}
    _, parameters = load_weights(convert(halves)[0])
    widened = {name: array.astype(np.float32) for name, array in halves.items()}
    assert parameters["cdm"]["bias"].dtype == np.float32
    np.testing.assert_array_equal(parameters["cdm"]["bias"], widened["CDM.bias"])


def test_bfloat16_is_widened_exactly(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file as save_torch

    tensors = {name: torch.from_numpy(array).bfloat16() for name, array in lctr().items()}
    torch.save(tensors, tmp_path / "lctr.pt")
    save_torch(tensors, tmp_path / "lctr.safetensors")
    for name in ("lctr.pt", "lctr.safetensors"):
        main([str(tmp_path / name), str(tmp_path / "weights"), "--overwrite"])
        _, parameters = load_weights(tmp_path / "weights")
        expected = tensors["CDM.bias"].float().numpy()
        np.testing.assert_array_equal(parameters["cdm"]["bias"], expected)


def test_training_options_beside_the_weights_do_no_harm(tmp_path, capsys):
    torch = pytest.importorskip("torch")
    model = {name: torch.from_numpy(array) for name, array in lctr().items()}
    torch.save({"model": model, "args": argparse.Namespace(lr=1e-3)}, tmp_path / "lctr.pth")
    main([str(tmp_path / "lctr.pth"), str(tmp_path / "weights")])
    assert "ignored: args" in capsys.readouterr().out
