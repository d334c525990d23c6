"""Checkpoint files: .safetensors, .pth, and tensors of any name and shape, through the converter."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from hypothesis import strategies as st

from benchmarks.fuzz.case import Case
from benchmarks.fuzz.damage import changed_json, damaged, json_values
from lctr_jax.checkpoints.conversion import convert
from lctr_jax.checkpoints.metadata import Metadata
from lctr_jax.checkpoints.torch_files import OURS, TensorFile, read_tensors
from lctr_jax.models.spec import ModelSpec

SPEC = ModelSpec(num_classes=2, width=8, depth=1, heads=1, image_size=4, patch_size=2)
METADATA = Metadata(kind="network", spec=SPEC).to_json()
SHAPES: dict[str, tuple[int, ...]] = {
    "cls_token": (1, 1, 8),
    "pos_embed": (1, 5, 8),
    "patch_embed.proj.weight": (8, 3, 2, 2),
    "patch_embed.proj.bias": (8,),
    "blocks.0.norm1.weight": (8,),
    "blocks.0.norm1.bias": (8,),
    "blocks.0.attn.qkv.weight": (24, 8),
    "blocks.0.attn.qkv.bias": (24,),
    "blocks.0.attn.proj.weight": (8, 8),
    "blocks.0.attn.proj.bias": (8,),
    "blocks.0.norm2.weight": (8,),
    "blocks.0.norm2.bias": (8,),
    "blocks.0.mlp.fc1.weight": (32, 8),
    "blocks.0.mlp.fc1.bias": (32,),
    "blocks.0.mlp.fc2.weight": (8, 32),
    "blocks.0.mlp.fc2.bias": (8,),
    "norm.weight": (8,),
    "norm.bias": (8,),
}
NAMES = (*SHAPES, "dist_token", "CDM.weight", "conv3x3.bias", "reg_token", "head.weight", "blocks.9.x")
PREFIXES = ("", "module.", "model.", "_orig_mod.", "vit.", "module._orig_mod.", "net.")
DIMENSIONS = st.sampled_from([0, 1, -1, 5, 2**31, 2**40, 2**63, 10**30, 0.5, None, "8"])


def vit(**changes: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Return a tiny ViT's tensors, some with other shapes."""
    return {name: np.zeros(shape, np.float32) for name, shape in (SHAPES | changes).items()}


def safetensors_file(metadata: Any = None) -> bytes:
    """Return a valid file, with our metadata if given."""
    notes = {"format": "pt"} if metadata is None else {"format": "pt", OURS: json.dumps(metadata)}
    return safetensors.numpy.save(vit(), notes)


def with_header(changes: dict[str, dict[str, Any]]) -> bytes:
    """Return a valid file whose header is changed for some tensors."""
    content = safetensors_file()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    for name, change in changes.items():
        header[name] = header.get(name, {}) | change
    encoded = json.dumps(header).encode()
    return len(encoded).to_bytes(8, "little") + encoded + content[8 + size :]


_HEADERS = st.dictionaries(
    st.sampled_from([*SHAPES, "extra", "__metadata__", "module.x"]),
    st.fixed_dictionaries(
        {},
        optional={
            "dtype": st.sampled_from(
                ["F8_E4M3", "F8_E5M2", "F4", "F64", "BF16", "BOOL", "I64", "U8", "C64", "F32"]
            ),
            "shape": st.lists(DIMENSIONS | st.integers(0, 40), max_size=4),
            "data_offsets": st.lists(DIMENSIONS | st.integers(0, 5000), min_size=2, max_size=2),
        },
    ),
    max_size=3,
).map(with_header)
_STORED = (changed_json(METADATA) | json_values([*METADATA, *METADATA["model"]])).map(safetensors_file)


def _read(suffix: str):
    def read(folder: Path, content: bytes) -> None:
        path = folder / f"weights{suffix}"
        path.write_bytes(content)
        convert(read_tensors(path), source="fuzz", heads=1)

    return read


_SHAPED = st.tuples(
    st.dictionaries(
        st.sampled_from(NAMES) | st.from_regex(r"\Ablocks\.[0-9]{1,9}\.[a-z1]{1,4}\Z"),
        st.lists(st.integers(0, 5), max_size=5).map(tuple),
        max_size=6,
    ),
    st.sampled_from(PREFIXES),
    st.sampled_from([None, 0, 1, 3, 10**12]),
    st.sampled_from([None, 0, -1, 10**9]),
)


def _convert_shaped(
    folder: Path, content: tuple[dict[str, tuple[int, ...]], str, int | None, int | None]
) -> None:
    shapes, prefix, heads, num_classes = content
    tensors = {prefix + name: array for name, array in vit(**shapes).items()}
    convert(TensorFile(tensors), source="fuzz", heads=heads, num_classes=num_classes)


def _torch_cases() -> list[Case]:
    try:
        import torch
    except ModuleNotFoundError:  # the readers of .pth files need torch as well
        return []

    def save(content: Any) -> bytes:
        file = io.BytesIO()
        torch.save(content, file)
        return file.getvalue()

    def sound() -> dict[Any, Any]:
        return {name: torch.from_numpy(array) for name, array in vit().items()}

    values = {
        "sparse": lambda: torch.eye(3).to_sparse(),
        "csr": lambda: torch.eye(3).to_sparse_csr(),
        "quantized": lambda: torch.quantize_per_tensor(torch.zeros(3), 0.1, 0, torch.qint8),
        "meta": lambda: torch.empty(2**40, device="meta"),
        "nested": lambda: torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)]),
        "expanded": lambda: torch.zeros(1).expand(10**11),
        "float8": lambda: torch.zeros(3).to(torch.float8_e4m3fn),
        "complex": lambda: torch.zeros(3, dtype=torch.complex64),
        "integers": lambda: torch.arange(3),
        "booleans": lambda: torch.zeros(3, dtype=torch.bool),
        "empty": lambda: torch.zeros(0, 5),
        "scalar": lambda: torch.tensor(1.0),
        "nan": lambda: torch.full((3,), float("nan")),
        "number": lambda: 3,
        "text": lambda: "x" * 10_000,
        "list": lambda: [1, [2, [3]]],
        "numpy scalar": lambda: np.float64(0.5),
        "dict": lambda: {"model": {"a": torch.zeros(1)}},
    }
    names = st.sampled_from(
        [*NAMES, "model", "state_dict", "model_ema", "teacher", "epoch", OURS]
    ) | st.sampled_from([0, (1, 2), None, 1.5, b"bytes", True, "", "x" * 10_000, "\x1b[31m\n"])
    nests = st.lists(
        st.sampled_from(["model", "state_dict", "teacher", "model_ema", "state_dict_ema", "x"]), max_size=4
    )

    def odd(content: tuple[dict[Any, str], list[str], str, bool]) -> bytes:
        changes, nests, prefix, loop = content
        tensors = {prefix + name: tensor for name, tensor in sound().items()}
        tensors |= {name: values[kind]() for name, kind in changes.items()}
        whole: dict[Any, Any] = tensors
        for nest in nests:
            whole = {nest: whole}
        if loop:
            tensors["model"] = whole
        return save(whole)

    oddities = st.dictionaries(names, st.sampled_from(sorted(values)), max_size=3)
    files = st.tuples(oddities, nests, st.sampled_from(PREFIXES), st.booleans()).map(odd)
    return [
        Case("tensors", "damaged .pth", damaged(save({"model": sound()})), _read(".pth")),
        Case("tensors", "odd contents of .pth", files, _read(".pth")),
    ]


CASES = (
    Case("tensors", "damaged .safetensors", damaged(safetensors_file(METADATA)), _read(".safetensors")),
    Case("tensors", "headers of .safetensors", _HEADERS, _read(".safetensors")),
    Case("tensors", "stored metadata", _STORED, _read(".safetensors")),
    Case("tensors", "names and shapes", _SHAPED, _convert_shaped),
    *_torch_cases(),
)
