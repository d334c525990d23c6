"""Weights with Hugging Face's names: compared with its models if installed, and with synthetic names."""

import sys
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from test_vit_families import features, flat, published, refusal, relative_error

from lctr_jax.checkpoints.store import load_metadata
from lctr_jax.convert import main

# timm's name of a tensor, and what transformers 4 and 5 call it: in files, and in modules of version 5.
OUTSIDE: dict[str, str] = {
    "cls_token": "embeddings.cls_token",
    "pos_embed": "embeddings.position_embeddings",
    "dist_token": "embeddings.distillation_token",
    "mask_token": "embeddings.mask_token",
    "reg_token": "embeddings.register_tokens",
    "patch_embed.proj": "embeddings.patch_embeddings.projection",
    "norm": "layernorm",
}
VIT = {
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
    "attn.proj": "attention.output.dense",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
    "qkv": "attention.attention.{}",
}
DINOV2 = {
    "attn.proj": "attention.output.dense",
    "ls1.gamma": "layer_scale1.lambda1",
    "ls2.gamma": "layer_scale2.lambda1",
    "qkv": "attention.attention.{}",
}
FIVE = {"attn.proj": "attention.o_proj", "qkv": "attention.{}_proj"}
TABLES: dict[str, Any] = {
    "ViT": ("AugReg", VIT, "vit.encoder.layer", ["query", "key", "value"]),
    "DeiT": ("DeiT distilled", VIT, "deit.encoder.layer", ["query", "key", "value"]),
    "DINOv2": ("DINOv2", DINOV2, "encoder.layer", ["query", "key", "value"]),
    "DINOv2 with registers": ("DINOv2 registers", DINOV2, "encoder.layer", ["query", "key", "value"]),
    "ViT, modules of 5": (
        "AugReg",
        VIT | FIVE | {"mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2"},
        "layers",
        ["q", "k", "v"],
    ),
}


def renamed(tensors: dict[str, np.ndarray], inside, blocks, parts):
    """timm's tensors as Hugging Face names them."""
    ours = {}
    prefix = blocks.partition(".")[0] + "." if blocks.startswith(("vit.", "deit.")) else ""
    for name, array in tensors.items():
        name = {"register_tokens": "reg_token"}.get(name, name)
        if name.startswith("blocks."):
            _, number, rest = name.split(".", 2)
            stem, leaf = (
                (rest, "") if rest in inside else (rest.rpartition(".")[0], "." + rest.rpartition(".")[2])
            )
            if stem == "attn.qkv":
                for part, third in zip(parts, np.split(array, 3), strict=True):
                    ours[f"{blocks}.{number}.{inside['qkv'].format(part)}{leaf}"] = third.copy()
            else:
                ours[f"{blocks}.{number}.{inside.get(stem, stem)}{leaf}"] = array
        elif name in OUTSIDE:
            ours[prefix + OUTSIDE[name]] = array
        elif name.rpartition(".")[0] in OUTSIDE:
            stem, _, leaf = name.rpartition(".")
            ours[f"{prefix}{OUTSIDE[stem]}.{leaf}"] = array
        else:
            ours[
                {"head.weight": "classifier.weight", "head_dist.weight": "distillation_classifier.weight"}[
                    name
                ]
            ] = array
    return ours


@pytest.mark.parametrize("family", TABLES)
def test_hand_made_names_compute_what_pytorch_computes(family, tmp_path, capsys):
    source, inside, blocks, parts = TABLES[family]
    network, tensors = published(source)
    tensors = {name: array for name, array in tensors.items() if not name.startswith("pre_logits")}
    save_file(renamed(tensors, inside, blocks, parts), tmp_path / "vit.safetensors")
    main([str(tmp_path / "vit.safetensors"), str(tmp_path / "weights")])
    spec = load_metadata(tmp_path / "weights").spec
    images = np.random.default_rng(0).standard_normal((2, *[spec.image_size] * 2, 3), np.float32)
    tokens = network(sys.modules["torch"].from_numpy(images).permute(0, 3, 1, 2))[0]
    got = features(tmp_path / "weights", images)
    assert relative_error(flat(got.patch_tokens), tokens[:, spec.prefix_tokens :]) < 2e-5


def test_unequal_query_key_and_value_are_one_line(tmp_path, capsys):
    _, tensors = published("AugReg")
    tensors.pop("pre_logits.fc.weight")
    names = renamed(tensors, VIT, "vit.encoder.layer", ["query", "key", "value"])
    names["vit.encoder.layer.0.attention.attention.key.weight"] = np.zeros((3, 5), np.float32)
    save_file(names, tmp_path / "vit.safetensors")
    message = refusal(tmp_path / "vit.safetensors", tmp_path / "weights", capsys=capsys)
    assert "query, key and value have shapes" in message


MODELS = ("ViT", "DeiT", "ViTMAE", "Dinov2", "Dinov2WithRegisters")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MODELS)
def test_the_file_that_transformers_writes_computes_what_its_model_computes(name, tmp_path):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    sizes = {
        "hidden_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 8,
    }
    sizes |= {"layer_norm_eps": 1e-6, "attn_implementation": "eager"}
    sizes |= {} if name.startswith("Dinov2") else {"intermediate_size": 512}
    sizes |= {"mask_ratio": 0.0} if name == "ViTMAE" else {}
    torch.manual_seed(0)
    model = getattr(transformers, f"{name}Model")(getattr(transformers, f"{name}Config")(**sizes)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.1)
    model.save_pretrained(tmp_path)
    main([str(tmp_path / "model.safetensors"), str(tmp_path / "weights")])
    images = np.random.default_rng(0).standard_normal((2, 32, 32, 3), np.float32)
    options = (
        {"noise": torch.arange(16.0).repeat(2, 1)} if name == "ViTMAE" else {}
    )  # keeps the patches' order
    with torch.no_grad():
        tokens = model(torch.from_numpy(images).permute(0, 3, 1, 2), **options).last_hidden_state.numpy()
    if name == "DeiT":
        return  # its distillation token takes part in attention: without it the function is another one
    got = features(tmp_path / "weights", images)
    error = relative_error(flat(got.patch_tokens), tokens[:, -16:])
    print(f"{name}: {error:.1e}")
    assert error < 2e-5
