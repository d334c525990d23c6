"""Hyperparameters of a network, and the table of published sizes."""

import dataclasses
import difflib
import math
from dataclasses import dataclass
from typing import Any

from lctr_jax.models.methods import get_method

_CHOICES = {
    "dtype": ("auto", "float32", "bfloat16", "float16"),
    "precision": ("auto", "highest", "high", "default"),
    "initialization": ("deit", "fan_in"),
    "attention": ("auto", "plain", "tpu", "cpu", "cudnn", "xla"),
    "rematerialize": ("elementwise", "nothing", "blocks"),
    "layer_loop": ("auto", "scan", "unroll"),
}


_BOUNDS = {  # far beyond every published network, so that a damaged file cannot request arbitrary memory
    "num_classes": (1, 100_000),
    "width": (1, 16_384),
    "depth": (1, 512),
    "heads": (1, 1024),
    "image_size": (1, 16_384),
    "patch_size": (1, 1024),
    "mlp_ratio": (1, 64),
    "experts": (1, 64),
    "registers": (0, 1024),
}


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """Every hyperparameter of a network.

    Attributes:
        num_classes: number of classes.
        method: localization method, one of `methods.METHODS` or a module path.
        width: width of a token.
        depth: number of blocks.
        heads: attention heads per block.
        image_size: side of the square input, in pixels.
        patch_size: side of a square patch, in pixels.
        mlp_ratio: hidden width of the MLP divided by `width`.
        experts: number of kernels that CDM mixes.
        layer_scale: whether each residual branch has a learned factor per channel.
        registers: number of register tokens, which belong to no patch.
        cls_position: whether the position embedding has a row for CLS.
        tokens_before_norm: whether TriLite uses the tokens before the backbone's final norm, as published for
            DINOv2.
        alpha: weight of the background term in TriLite's loss.
        loc_dropout: TriLite's dropout rate of foreground and background features.
        cls_dropout: TriLite's dropout rate of CLS's token.
        drop_path: drop-path rate of the last block; it rises linearly from 0 at the first.
        dtype: compute type. Parameters, softmax, LayerNorm and the loss are always float32. This and the next
            fields say how to compute; "auto" is replaced by `execution.resolve` according to the devices.
        precision: precision of float32 matrix products, as in JAX: "highest" is float32; "high" and "default"
            depend on the platform (docs/precision.md).
        initialization: of the backbone's kernels: "deit" has a standard deviation of 0.02; "fan_in", 1 /
            sqrt(fan-in), lets narrow networks learn from the start.
        attention: "plain"; fused as "tpu", "cudnn" or "xla"; or "cpu", plain attention on parts of the batch.
        rematerialize: what the backward pass recomputes: "elementwise", all cheap operations; "nothing"; or
            "blocks", everything but the input of each block, for a third more FLOPs and the least memory.
        layer_loop: how training runs the blocks: "scan", one compiled block in a loop, which compiles in half
            the time and needs the least memory; or "unroll", which is faster on GPUs, where a loop copies
            what the backward pass needs into and out of stacked arrays.
    """

    num_classes: int
    method: str = "lctr"
    width: int
    depth: int
    heads: int
    image_size: int = 224
    patch_size: int = 16
    mlp_ratio: int = 4
    experts: int = 4
    layer_scale: bool = False
    registers: int = 0
    cls_position: bool = True
    tokens_before_norm: bool = False
    alpha: float = 100.0
    loc_dropout: float = 0.5
    cls_dropout: float = 0.5
    drop_path: float = 0.0
    dtype: str = "float32"
    precision: str = "highest"
    initialization: str = "deit"
    attention: str = "plain"
    rematerialize: str = "elementwise"
    layer_loop: str = "scan"

    def __post_init__(self) -> None:
        """Check the fields.

        Raises:
            ValueError: a field is out of range, two fields disagree, or there is no such method.
            ModuleNotFoundError: there is no module of the method's path.
        """
        for name, (least, most) in _BOUNDS.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
                raise ValueError(
                    f"model.{name}: got {str(value)[:40]}, expected a whole number from {least} to {most}"
                )
        for name in ("layer_scale", "cls_position", "tokens_before_norm"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"model.{name}: got {str(getattr(self, name))[:40]}, expected true or false")
        if self.width % self.heads:
            raise ValueError(
                f"model.width: got {self.width}, expected a multiple of model.heads = {self.heads}"
            )
        if self.image_size % self.patch_size:
            raise ValueError(
                f"model.image_size: got {self.image_size}, "
                f"expected a multiple of model.patch_size = {self.patch_size}"
            )
        for name in ("drop_path", "loc_dropout", "cls_dropout"):
            if not 0 <= (rate := getattr(self, name)) < 1:
                raise ValueError(f"model.{name}: got {rate}, expected 0 <= rate < 1")
        if not 0 <= self.alpha < math.inf:
            raise ValueError(f"model.alpha: got {self.alpha}, expected 0 or more, finite")
        for name, choices in _CHOICES.items():
            if (value := getattr(self, name)) not in choices:
                raise ValueError(f"model.{name}: got {value!r}, expected one of {', '.join(choices)}")
        get_method(self.method)

    @property
    def head(self) -> str:
        """Name of the method's trained parameters (`Method.head`)."""
        return get_method(self.method).head

    @property
    def grid(self) -> tuple[int, int]:
        """Patches along height and width."""
        side = self.image_size // self.patch_size
        return side, side

    @property
    def prefix_tokens(self) -> int:
        """Number of tokens before the patches: CLS and registers."""
        return 1 + self.registers

    @property
    def tokens(self) -> int:
        """Number of tokens of an image of `image_size`."""
        return self.prefix_tokens + self.grid[0] * self.grid[1]

    @property
    def head_width(self) -> int:
        """Width of one attention head."""
        return self.width // self.heads


_DEIT3 = {"layer_scale": True, "cls_position": False}
_DINOV2 = {"layer_scale": True, "patch_size": 14}
_DINOV2_REG4 = {**_DINOV2, "registers": 4, "cls_position": False}

BACKBONES: dict[str, dict[str, Any]] = {
    # Touvron et al., "Training data-efficient image transformers & distillation through attention", table 1.
    "deit_tiny": {"width": 192, "depth": 12, "heads": 3},
    "deit_small": {"width": 384, "depth": 12, "heads": 6},
    "deit_base": {"width": 768, "depth": 12, "heads": 12},
    # Dosovitskiy et al., "An Image is Worth 16x16 Words", table 1; its Ti, S and B are DeiT's.
    "vit_large": {"width": 1024, "depth": 24, "heads": 16},
    "vit_huge": {"width": 1280, "depth": 32, "heads": 16, "patch_size": 14},
    # Touvron et al., "DeiT III: Revenge of the ViT", table 1.
    "deit3_small": {**_DEIT3, "width": 384, "depth": 12, "heads": 6},
    "deit3_medium": {**_DEIT3, "width": 512, "depth": 12, "heads": 8},
    "deit3_base": {**_DEIT3, "width": 768, "depth": 12, "heads": 12},
    "deit3_large": {**_DEIT3, "width": 1024, "depth": 24, "heads": 16},
    # Oquab et al., "DINOv2: Learning Robust Visual Features without Supervision", table 17.
    "dinov2_small": {**_DINOV2, "width": 384, "depth": 12, "heads": 6},
    "dinov2_base": {**_DINOV2, "width": 768, "depth": 12, "heads": 12},
    "dinov2_large": {**_DINOV2, "width": 1024, "depth": 24, "heads": 16},
    # Darcet et al., "Vision Transformers Need Registers", in timm's form: CLS's position is added to CLS.
    "dinov2_small_reg4": {**_DINOV2_REG4, "width": 384, "depth": 12, "heads": 6},
    "dinov2_base_reg4": {**_DINOV2_REG4, "width": 768, "depth": 12, "heads": 12},
    "dinov2_large_reg4": {**_DINOV2_REG4, "width": 1024, "depth": 24, "heads": 16},
    # Of this project: learns the embedded digits on two CPU cores in minutes.
    "deit_demo": {
        "width": 96,
        "depth": 4,
        "heads": 4,
        "patch_size": 8,
        "image_size": 48,
        "initialization": "fan_in",
    },
}


def model_spec(name: str, **overrides: Any) -> ModelSpec:
    """Return the spec of a size in `BACKBONES`, with some fields replaced.

    Raises:
            ValueError: there is no such size or field, or a value is out of range.
    """
    if name not in BACKBONES:
        raise ValueError(
            f"model.name: got {name!r}, expected one of {', '.join(BACKBONES)}{_nearest(name, BACKBONES)}"
        )
    fields = {field.name for field in dataclasses.fields(ModelSpec)}
    for key in overrides:
        if key not in fields:
            raise ValueError(f"model.{key}: no such field{_nearest(key, fields)}")
    return ModelSpec(**{**BACKBONES[name], **overrides})


def _nearest(got: str, expected) -> str:
    close = difflib.get_close_matches(got, list(expected), 1)
    return f"; did you mean {close[0]!r}?" if close else ""
