"""The backbone: a ViT with a CLS token, as in DeiT (Touvron et al., ICML 2021).

Options of `ModelSpec` turn it into DeiT III's (LayerScale) or DINOv2's (register tokens).
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Key

from lctr_jax.models.attention import Statistics
from lctr_jax.models.dense import PatchEmbedding
from lctr_jax.models.initializers import initialize_embedding, kernel_initializer
from lctr_jax.models.layers import Block, LayerNorm, branch_scales, keep_products
from lctr_jax.models.positions import resample_positions
from lctr_jax.models.spec import ModelSpec


class BackboneOutput(NamedTuple):
    """Tokens and attention statistics for the heads.

    Attributes:
        cls_token: after the final norm.
        patch_tokens: after the final norm.
        cls_before_norm: CLS's token after the last block, before the norm.
        patches_before_norm: the patches' tokens after the last block, before the norm.
        cls_attention: CLS's attention to the patches, mean over heads and layers.
        relation: RPAM's map, mean over layers; None unless requested.
        attention: attention between all tokens in every layer, mean over heads; None unless requested.
    """

    cls_token: Float[Array, "batch width"]
    patch_tokens: Float[Array, "batch grid_h grid_w width"]
    cls_before_norm: Float[Array, "batch width"]
    patches_before_norm: Float[Array, "batch grid_h grid_w width"]
    cls_attention: Float[Array, "batch grid_h grid_w"]
    relation: Float[Array, "batch grid_h grid_w"] | None
    attention: Float[Array, "layers batch tokens tokens"] | None


def features_from(fields: Mapping[str, Array]) -> BackboneOutput:
    """Return the output with these fields alone; the others, which a head does not use, are None."""
    return BackboneOutput(**{name: fields.get(name) for name in BackboneOutput._fields})  # pyright: ignore[reportArgumentType]


class VisionTransformer(nnx.Module):
    """DeiT without its classification head.

    The blocks' parameters are stacked along a leading layer axis and run by `lax.scan`. As a loop, compile
    time does not grow with depth, and XLA cannot recompute the residual chain in the backward pass. Unrolled
    (`ModelSpec.layer_loop`), training needs no stacked copies of what the backward pass uses.
    """

    def __init__(self, spec: ModelSpec, *, rngs: nnx.Rngs):
        patch = (spec.patch_size, spec.patch_size)
        self.patch_embed = PatchEmbedding(
            3,
            spec.width,
            patch,
            patch,
            padding="VALID",
            dtype=spec.dtype,
            kernel_init=kernel_initializer(spec),
            rngs=rngs,
        )
        positions = spec.cls_position + spec.grid[0] * spec.grid[1]
        self.cls_token = nnx.Param(initialize_embedding(rngs.params(), (1, 1, spec.width)))
        self.pos_embed = nnx.Param(initialize_embedding(rngs.params(), (1, positions, spec.width)))
        if spec.registers:
            self.registers = nnx.Param(initialize_embedding(rngs.params(), (1, spec.registers, spec.width)))
        self.blocks = _stack_blocks(spec, rngs)
        self.norm = LayerNorm(spec)
        self.spec = spec
        self.gather_layer: Callable[[dict[str, Any]], dict[str, Any]] | None = None

    def __call__(
        self,
        images: Float[Array, "batch height width 3"],
        *,
        statistics: Statistics,
        drop_path_keys: Key[Array, " batch"] | None = None,
    ) -> BackboneOutput:
        """Run the backbone.

        Args:
            images: normalized images.
            statistics: attention statistics to return.
            drop_path_keys: one random key per sample enables drop path, as in training.

        Raises:
            ValueError: the image's sides are not multiples of the patch size.
        """
        tokens, grid = self._embed(images)
        tokens, cls_attention, relation, attention = self._run_blocks(tokens, statistics, drop_path_keys)
        normed = self.norm(tokens)
        batch, _, width = tokens.shape

        def patches_of(tokens: Array) -> Array:
            return tokens[:, self.spec.prefix_tokens :].reshape(batch, *grid, width)

        return BackboneOutput(
            cls_token=normed[:, 0],
            patch_tokens=patches_of(normed),
            cls_before_norm=tokens[:, 0],
            patches_before_norm=patches_of(tokens),
            cls_attention=cls_attention.reshape(batch, *grid),
            relation=None if relation is None else relation.reshape(batch, *grid),
            attention=attention,
        )

    def _embed(self, images: Array) -> tuple[Array, tuple[int, int]]:
        batch, height, width, _ = images.shape
        patch = self.spec.patch_size
        if height % patch or width % patch:
            raise ValueError(
                f"images: got {height} x {width} pixels, expected multiples of the patch size {patch}"
            )
        patches = self.patch_embed(images)
        grid = (height // patch, width // patch)
        positions = resample_positions(self.pos_embed[...], grid=self.spec.grid, to_grid=grid)
        cls, dtype = self.cls_token[...], patches.dtype
        if self.spec.cls_position:
            cls, positions = cls + positions[:, :1], positions[:, 1:]
        prefix = jnp.concatenate([cls, self.registers[...]], axis=1) if self.spec.registers else cls
        # In float32, because the gradients of these parameters are sums over the batch.
        prefix = jnp.broadcast_to(prefix, (batch, *prefix.shape[1:])).astype(dtype)
        patches = (patches.astype(jnp.float32) + positions).astype(dtype)
        return jnp.concatenate([prefix, patches], axis=1), grid

    def _run_blocks(self, tokens: Array, statistics: Statistics, drop_path_keys: Array | None):
        graph, stacked = nnx.split(self.blocks)
        scales = None
        if drop_path_keys is not None and self.spec.drop_path > 0:
            scales = branch_scales(drop_path_keys, depth=self.spec.depth, rate=self.spec.drop_path)

        def run(tokens, layer):
            parameters, scales = layer
            if self.gather_layer is not None:
                whole = self.gather_layer(nnx.to_pure_dict(parameters))
                nnx.replace_by_pure_dict(parameters, whole)
            return nnx.merge(graph, parameters)(tokens, statistics=statistics, scales=scales)

        unroll = self.spec.layer_loop == "unroll" and drop_path_keys is not None  # in training
        if self.spec.rematerialize != "nothing" or self.gather_layer is not None:
            policy = _POLICIES[self.spec.rematerialize]
            # A loop prevents CSE already. Unrolled, XLA may keep values instead, but not with "blocks".
            prevent_cse = unroll and self.spec.rematerialize == "blocks"
            run = jax.checkpoint(run, policy=policy, prevent_cse=prevent_cse)
        tokens, layers = jax.lax.scan(run, tokens, (stacked, scales), unroll=unroll)
        relation = None if layers.relation is None else layers.relation.mean(0)
        return tokens, layers.cls.mean(0), relation, layers.matrix


def _unless_gathered(primitive: Any, *_: Any, **__: Any) -> bool:
    """Keep everything but gathered parameters, which would hold the full parameters of all layers."""
    return primitive.name != "all_gather"


_POLICIES = {
    "elementwise": keep_products,
    "blocks": jax.checkpoint_policies.nothing_saveable,
    "nothing": _unless_gathered,
}


def _stack_blocks(spec: ModelSpec, rngs: nnx.Rngs) -> Block:
    @nnx.split_rngs(splits=spec.depth)
    @nnx.vmap(in_axes=(0,), out_axes=0)
    def make(rngs: nnx.Rngs) -> Block:
        return Block(spec, rngs=rngs)

    return make(rngs)
