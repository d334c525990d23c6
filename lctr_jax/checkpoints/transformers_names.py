"""Rename the tensors of Hugging Face's ViT, DeiT, ViT-MAE and DINOv2 to timm's names."""

import re
from collections.abc import Mapping

import numpy as np

_MARK = "embeddings.patch_embeddings.projection.weight"
_MODEL = re.compile(r"(vit|deit|dinov2|dinov2_with_registers)\.")
_BLOCK = re.compile(r"(?:encoder\.)?layers?\.(?P<number>\d+)\.(?P<rest>.+)")
_QKV = ("query", "key", "value")
_OUTSIDE = {
    "embeddings.cls_token": "cls_token",
    "embeddings.distillation_token": "dist_token",
    "embeddings.mask_token": "mask_token",
    "embeddings.register_tokens": "reg_token",
    "embeddings.position_embeddings": "pos_embed",
    "embeddings.patch_embeddings.projection.": "patch_embed.proj.",
    "layernorm.": "norm.",
    "classifier.": "head.",
    "cls_classifier.": "head.",
    "distillation_classifier.": "head_dist.",
}
_INSIDE = {
    "layernorm_before.": "norm1.",
    "layernorm_after.": "norm2.",
    "attention.attention.": "attn.",
    "attention.q_proj.": "attn.query.",  # module names of transformers 5, which writes the older ones
    "attention.k_proj.": "attn.key.",
    "attention.v_proj.": "attn.value.",
    "attention.output.dense.": "attn.proj.",
    "attention.o_proj.": "attn.proj.",
    "intermediate.dense.": "mlp.fc1.",
    "output.dense.": "mlp.fc2.",
    "layer_scale1.lambda1": "ls1.gamma",
    "layer_scale2.lambda1": "ls2.gamma",
}


def from_transformers(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Rename tensors to timm's names and merge query, key and value; those of other models are unchanged.

    Raises:
        ValueError: two tensors get the same name, or the shapes of query, key and value differ.
    """
    if not any(_MODEL.sub("", name, count=1) == _MARK for name in tensors):
        return dict(tensors)
    renamed: dict[str, np.ndarray] = {}
    for name, array in tensors.items():
        if (new := _rename(name)) in renamed:
            raise ValueError(f"got two tensors for {new!r}, one of them as {name!r}")
        renamed[new] = array
    return _with_joined_qkv(renamed)


def _rename(name: str) -> str:
    name = _MODEL.sub("", name, count=1) if _MODEL.match(name) else name
    if block := _BLOCK.fullmatch(name):
        return f"blocks.{block['number']}.{_replace_start(block['rest'], _INSIDE)}"
    return _replace_start(name, _OUTSIDE)


def _replace_start(name: str, table: Mapping[str, str]) -> str:
    for old, new in table.items():
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name


def _with_joined_qkv(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    joined = dict(tensors)
    for name in tensors:
        if ".attn.query." not in name:
            continue
        parts = [name.replace(".query.", f".{part}.") for part in _QKV]
        if any(part not in joined for part in parts):
            continue  # reported as missing and unexpected
        arrays = [joined.pop(part) for part in parts]
        if len({array.shape for array in arrays}) > 1 or not arrays[0].ndim:
            shapes = ", ".join(str(list(array.shape)) for array in arrays)
            raise ValueError(f"{name}: query, key and value have shapes {shapes}, expected equal ones")
        joined[name.replace(".query.", ".qkv.")] = np.concatenate(arrays)
    return joined
