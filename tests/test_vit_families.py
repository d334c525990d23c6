"""Every supported family of backbones: after conversion, the forward pass equals PyTorch's."""

import dataclasses
import functools
import os
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from lctr_jax.checkpoints.recognition import size_options
from lctr_jax.checkpoints.store import load_metadata, load_weights
from lctr_jax.checkpoints.transfer import initialize_from
from lctr_jax.convert import main
from lctr_jax.models.normalization import MEAN, STD
from lctr_jax.models.parameters import bind, parameter_shapes
from lctr_jax.models.spec import BACKBONES, ModelSpec, model_spec

# What tells each family's tensors apart: how the file differs from a DeiT's, and what recognition must find.
FAMILIES = {
    "DeiT": ({}, {}),
    "DeiT 384": ({"side": 6}, {"image_size": 48}),
    "DeiT distilled": ({"extra": ["dist_token", "head_dist.weight"], "dist_row": True}, {}),
    "DeiT-III": ({"layer_scale": True, "cls_position": False}, {"layer_scale": True, "cls_position": False}),
    "DeiT-III, original names": (
        {
            "layer_scale": True,
            "cls_position": False,
            "rename": {".ls1.gamma": ".gamma_1", ".ls2.gamma": ".gamma_2"},
        },
        {"layer_scale": True, "cls_position": False},
    ),
    "AugReg": ({"extra": ["head.weight", "pre_logits.fc.weight"]}, {}),
    "DINO": ({}, {}),
    "DINO, teacher": (
        {"prefix": "backbone.", "extra": ["head.mlp.0.weight", "head.last_layer.weight_g"]},
        {},
    ),
    "MAE": ({"extra": ["mask_token", "decoder_embed.weight", "decoder_blocks.0.norm1.weight"]}, {}),
    "DINOv2": (
        {"layer_scale": True, "patch": 7, "extra": ["mask_token"]},
        {"layer_scale": True, "patch_size": 7, "image_size": 28},
    ),
    "DINOv2 registers": (
        {"layer_scale": True, "registers": 4, "rename": {"reg_token": "register_tokens"}},
        {"layer_scale": True, "registers": 4},
    ),
    "DINOv2 registers, timm": (
        {"layer_scale": True, "registers": 4, "cls_position": False},
        {"layer_scale": True, "registers": 4, "cls_position": False},
    ),
}


def published(family):
    """The family's network at random weights in PyTorch, and its tensors as its files name them."""
    pytest.importorskip("torch")
    from torch_vit import Vit

    options = dict(FAMILIES[family][0])
    rename, prefix = options.pop("rename", {}), options.pop("prefix", "")
    extra, dist_row = options.pop("extra", []), options.pop("dist_row", False)
    network = Vit(**{"width": 128, "depth": 3, "heads": 2, "patch": 8, "side": 4, **options})
    tensors = {name: tensor.detach().numpy() for name, tensor in network.state_dict().items()}
    if dist_row:
        tensors["pos_embed"] = np.insert(tensors["pos_embed"], 1, 9, axis=1)
    for old, new in rename.items():
        tensors = {name.replace(old, new): array for name, array in tensors.items()}
    tensors = {prefix + name: array for name, array in tensors.items()}
    tensors |= {name: np.ones((5, 128), np.float32) for name in extra}
    return network, tensors


@functools.partial(jax.jit, static_argnums=0)
def _forward(spec, parameters, images):
    return bind(spec, parameters).backbone(images, statistics="relation")


def forward(spec, parameters, images):
    """The backbone's output; the head above it does not matter."""
    spec = dataclasses.replace(spec, method="deit")
    head = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), parameter_shapes(spec)["head"])
    return _forward(spec, {"backbone": parameters["backbone"], "head": head}, images)


def features(path, images):
    """The converted backbone's output."""
    metadata, parameters = load_weights(path)
    return forward(metadata.spec, parameters, images)


def relative_error(got, expected):
    return float(np.abs(np.asarray(got) - np.asarray(expected)).max() / np.abs(np.asarray(expected)).max())


def flat(grid):
    return np.asarray(grid).reshape(grid.shape[0], -1, *grid.shape[3:])


@pytest.mark.parametrize("family", FAMILIES)
def test_a_converted_backbone_computes_what_pytorch_computes(family, tmp_path, capsys):
    network, tensors = published(family)
    save_file(tensors, tmp_path / "vit.safetensors")
    main([str(tmp_path / "vit.safetensors"), str(tmp_path / "weights")])
    printed = capsys.readouterr().out
    metadata = load_metadata(tmp_path / "weights")
    spec = ModelSpec(num_classes=1, width=128, depth=3, heads=2, image_size=32, patch_size=8)
    assert metadata.spec == dataclasses.replace(spec, **FAMILIES[family][1])
    for name in FAMILIES[family][0].get("extra", []):
        assert f"{name}: " in printed  # told as dropped

    images = np.random.default_rng(0).standard_normal((2, *[metadata.spec.image_size] * 2, 3), np.float32)
    got = features(tmp_path / "weights", images)
    torch = sys.modules["torch"]
    nchw = torch.from_numpy(images).permute(0, 3, 1, 2)
    tokens, (cls_attention, relation) = network(nchw)[0], network.statistics(nchw)
    prefix = metadata.spec.prefix_tokens
    errors = [
        relative_error(got.cls_token, tokens[:, 0]),
        relative_error(flat(got.patch_tokens), tokens[:, prefix:]),
        relative_error(flat(got.cls_attention), cls_attention),
        relative_error(flat(got.relation), relation),
    ]
    print(f"{family}: {max(errors):.1e}")
    assert max(errors) < 2e-5


@pytest.mark.skipif(
    "LCTR_VIT_WEIGHTS" not in os.environ, reason="LCTR_VIT_WEIGHTS names no .safetensors file"
)
def test_real_layer_scale_weights_compute_what_pytorch_computes(tmp_path):
    """A trained DINOv2-type ViT-S/14 at 518 px: activations of real scale, 1,369 patches."""
    torch = pytest.importorskip("torch")
    from torch_vit import Vit

    source = os.environ["LCTR_VIT_WEIGHTS"]
    network = Vit(width=384, depth=12, heads=6, patch=14, side=37, layer_scale=True)
    network.load_state_dict({name: torch.from_numpy(array) for name, array in load_file(source).items()})
    main([source, str(tmp_path / "weights")])
    images = np.random.default_rng(0).standard_normal((1, 518, 518, 3), np.float32)
    got, nchw = features(tmp_path / "weights", images), torch.from_numpy(images).permute(0, 3, 1, 2)
    cls_attention, relation = network.statistics(nchw)
    errors = (
        relative_error(flat(got.patch_tokens), network(nchw)[0][:, 1:]),
        relative_error(flat(got.cls_attention), cls_attention),
        relative_error(flat(got.relation), relation),
    )
    print(f"real ViT-S/14: {max(errors):.1e}")
    assert max(errors) < 2e-5


@pytest.mark.parametrize("family", ["DeiT-III", "DINOv2", "DINOv2 registers, timm"])
def test_the_way_back_is_bit_identical(family, tmp_path):
    _, tensors = published(family)
    save_file(tensors, tmp_path / "vit.safetensors")
    main([str(tmp_path / "vit.safetensors"), str(tmp_path / "weights")])
    main(["--to-torch", str(tmp_path / "weights"), str(tmp_path / "back.safetensors")])
    back = load_file(tmp_path / "back.safetensors")
    tensors.pop("mask_token", None)
    assert back.keys() == tensors.keys()
    for name, array in tensors.items():
        assert back[name].tobytes() == array.tobytes(), name


def test_a_dino_training_checkpoint_gives_its_teacher(tmp_path):
    network, tensors = published("DINO, teacher")
    torch = sys.modules["torch"]
    teacher = {f"module.{name}": torch.from_numpy(array) for name, array in tensors.items()}
    student = {name: torch.zeros_like(tensor) for name, tensor in teacher.items()}
    torch.save({"student": student, "teacher": teacher, "epoch": 3}, tmp_path / "dino.pth")
    main([str(tmp_path / "dino.pth"), str(tmp_path / "weights")])
    got = load_weights(tmp_path / "weights")[1]["backbone"]["norm"]["scale"]
    np.testing.assert_array_equal(got, network.norm.weight.detach())


def test_half_normalization_is_folded_into_the_patch_embedding(tmp_path):
    network, tensors = published("AugReg")
    save_file(tensors, tmp_path / "vit.safetensors")
    main([str(tmp_path / "vit.safetensors"), str(tmp_path / "weights"), "--half-normalized"])
    pixels = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)
    torch = sys.modules["torch"]
    theirs, _ = network(torch.from_numpy((pixels - 0.5) / 0.5).permute(0, 3, 1, 2))
    ours = features(tmp_path / "weights", (pixels - MEAN) / STD)
    assert relative_error(flat(ours.patch_tokens), theirs[:, 1:]) < 2e-5


@pytest.mark.parametrize("family", ["DINOv2 registers", "DINOv2 registers, timm"])
def test_a_position_of_cls_is_adapted_to_the_network(family, tmp_path):
    """CLS with a position of its own, and the same sum without, are one function."""
    _, tensors = published(family)
    save_file(tensors, tmp_path / "vit.safetensors")
    main([str(tmp_path / "vit.safetensors"), str(tmp_path / "weights")])
    spec = dataclasses.replace(load_metadata(tmp_path / "weights").spec, method="deit", num_classes=2)
    other = dataclasses.replace(spec, cls_position=not spec.cls_position)
    fresh = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), parameter_shapes(other))
    started, _ = initialize_from(tmp_path / "weights", other, fresh)
    images = np.random.default_rng(0).standard_normal((2, 32, 32, 3), np.float32)
    got = forward(other, started, images)
    expected = features(tmp_path / "weights", images)
    for name in ("cls_token", "patch_tokens", "cls_attention", "relation"):
        assert relative_error(getattr(got, name), getattr(expected, name)) < 2e-5


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        (model_spec("dinov2_small", num_classes=1, image_size=518), "name=dinov2_small"),
        (model_spec("deit3_base", num_classes=1), "name=deit3_base"),
        (
            model_spec("deit_small", num_classes=1, patch_size=8),
            "name=deit_small --config.model.patch_size=8",
        ),
    ],
)
def test_the_options_that_fit_a_backbone_are_reported(spec, options):
    named = [f"{name}={value}" for name, value in size_options(spec).items()]
    assert " --config.model.".join(named) == options


def refusal(*arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        main([str(argument) for argument in arguments])
    assert exit_.value.code == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    return err


def test_one_tensor_under_two_names_is_refused(tmp_path, capsys):
    _, tensors = published("DINOv2 registers")
    save_file(tensors | {"reg_token": tensors["register_tokens"]}, tmp_path / "vit.safetensors")
    message = refusal(tmp_path / "vit.safetensors", tmp_path / "weights", capsys=capsys)
    assert "got two tensors for 'reg_token'" in message


# The tensors of timm's models (1.0.31), classification heads of 1000 classes included where they have one.
TIMM_PARAMETERS = {
    "vit_large": ("deit", 224, 304_326_632),  # vit_large_patch16_224
    "vit_huge": ("backbone", 224, 630_764_800),  # vit_huge_patch14_224.mae
    "deit3_small": ("deit", 224, 22_059_496),
    "deit3_medium": ("deit", 224, 38_849_512),
    "deit3_base": ("deit", 224, 86_585_320),
    "deit3_large": ("deit", 224, 304_374_760),
    "dinov2_small": ("backbone", 518, 22_056_192),
    "dinov2_base": ("backbone", 518, 86_579_712),
    "dinov2_large": ("backbone", 518, 304_367_616),
    "dinov2_small_reg4": ("backbone", 518, 22_057_344),
    "dinov2_base_reg4": ("backbone", 518, 86_582_016),
    "dinov2_large_reg4": ("backbone", 518, 304_370_688),
}


@pytest.mark.parametrize("name", [name for name in BACKBONES if not name.startswith("deit_")])
def test_every_size_has_timms_number_of_parameters(name):
    part, image_size, expected = TIMM_PARAMETERS[name]
    shapes = parameter_shapes(model_spec(name, num_classes=1000, method="deit", image_size=image_size))
    counted = shapes if part == "deit" else shapes["backbone"]
    assert sum(leaf.size for leaf in jax.tree.leaves(counted)) == expected
