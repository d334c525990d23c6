"""A line-by-line port of LCTR to JAX, the baseline of the roofline.

It has the same parameters and results as ours. Blocks are unrolled; the residual stream, LayerNorm and
softmax are float32, products use the compute type; every layer's attention is stored, and the logits are the
mean of a dynamic convolution's output for every class of every sample.
"""

import functools

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Float32, Int32, Key, UInt8

from lctr_jax.models.layers import branch_scales
from lctr_jax.models.normalization import normalize
from lctr_jax.models.parameters import Parameters
from lctr_jax.models.spec import ModelSpec
from lctr_jax.training.state import TrainState

_LAYOUT = ("NHWC", "HWIO", "NHWC")


def naive_train_step(
    state: TrainState,
    images: UInt8[Array, "batch height width 3"],
    labels: Int32[Array, " batch"],
    *,
    spec: ModelSpec,
    optimizer: optax.GradientTransformation,
    schedule: optax.Schedule,
) -> tuple[TrainState, Float32[Array, ""]]:
    """Take one step of cross entropy with drop path; images are only normalized."""
    keys = jax.random.split(jax.random.fold_in(jax.random.key(0), state.step), len(images))

    def loss(parameters: Parameters) -> Array:
        logits, *_ = naive_forward(spec, parameters, normalize(images), drop_path_keys=keys)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    value, gradient = jax.value_and_grad(loss)(state.parameters)
    updates, optimizer_state = optimizer.update(gradient, state.optimizer, state.parameters)
    rate = schedule(state.step)
    parameters = jax.tree.map(lambda old, update: old - rate * update, state.parameters, updates)
    return TrainState(state.step + 1, parameters, optimizer_state, {}, {}), value


def naive_forward(
    spec: ModelSpec,
    parameters: Parameters,
    images: Float[Array, "batch height width 3"],
    *,
    drop_path_keys: Key[Array, " batch"] | None = None,
) -> tuple[
    Float[Array, "batch classes"],
    Float[Array, "batch grid_h grid_w"],
    Float[Array, "batch grid_h grid_w classes"],
]:
    """Compute logits, RPAM's map, and the class maps F of every class (before ReLU)."""
    backbone, batch = parameters["backbone"], len(images)
    patches = _conv(spec, backbone["patch_embed"], images, stride=spec.patch_size, padding="VALID")
    grid = patches.shape[1:3]
    cls = jnp.broadcast_to(backbone["cls_token"], (batch, 1, spec.width))
    tokens = jnp.concatenate([cls, patches.reshape(batch, -1, spec.width)], 1) + backbone["pos_embed"]
    scales = jnp.ones((spec.depth, 2, batch))
    if drop_path_keys is not None:
        scales = branch_scales(drop_path_keys, depth=spec.depth, rate=spec.drop_path)
    attentions = []
    for index in range(spec.depth):
        block = jax.tree.map(lambda leaf, index=index: leaf[index], backbone["blocks"])
        tokens, attention = _block(spec, block, tokens, scales[index, :, :, None, None])
        attentions.append(attention)
    tokens = _layer_norm(backbone["norm"], tokens)
    attention = jnp.stack(attentions).mean(2)  # [layers, batch, tokens, tokens], mean over heads
    relation = (attention[:, :, :1] @ attention[..., 1:] / attention.shape[-1]).mean((0, 2))
    cls_attention = attention[:, :, 0, 1:].mean(0).reshape(batch, *grid, 1)
    logits, maps = _cue_digging(
        spec, parameters["cdm"], tokens[:, 1:].reshape(batch, *grid, -1), cls_attention
    )
    return logits, relation.reshape(batch, *grid), maps


def _block(spec: ModelSpec, block: Parameters, tokens: Array, scales: Array) -> tuple[Array, Array]:
    batch, count, width = tokens.shape
    qkv = _dense(spec, block["attn"]["qkv"], _layer_norm(block["norm1"], tokens))
    query, key, value = qkv.reshape(batch, count, 3, spec.heads, -1).transpose(2, 0, 3, 1, 4)
    product = functools.partial(jnp.einsum, preferred_element_type=jnp.float32)
    scores = product("bhqd,bhkd->bhqk", query.astype(spec.dtype), key.astype(spec.dtype))
    attention = jax.nn.softmax(scores * (width // spec.heads) ** -0.5)
    mixed = product("bhqk,bhkd->bqhd", attention.astype(spec.dtype), value.astype(spec.dtype))
    tokens = tokens + scales[0] * _dense(spec, block["attn"]["proj"], mixed.reshape(batch, count, width))
    hidden = _dense(spec, block["mlp"]["fc1"], _layer_norm(block["norm2"], tokens))
    hidden = jax.nn.gelu(hidden, approximate=False)
    return tokens + scales[1] * _dense(spec, block["mlp"]["fc2"], hidden), attention


def _cue_digging(spec: ModelSpec, cdm: Parameters, patches: Array, attention: Array) -> tuple[Array, Array]:
    cues = _conv(spec, cdm["conv3x3"], patches * (1 - attention))
    routes = _dense(spec, cdm["route_mean"], cues.mean((1, 2))) + _dense(
        spec, cdm["route_max"], cues.max((1, 2))
    )
    kernels = jnp.einsum("be,yxdek->byxdk", jax.nn.sigmoid(routes), cdm["kernels"])

    def convolve(sample: Array, kernel: Array) -> Array:
        return _conv(spec, {"kernel": kernel, "bias": cdm["bias"]}, sample[None])[0]

    maps = jax.vmap(convolve)(patches, kernels)
    pooled = jax.lax.reduce_window(maps, 0.0, jax.lax.add, (1, 3, 3, 1), (1, 1, 1, 1), "SAME") / 9
    return pooled.mean((1, 2)), maps


def _dense(spec: ModelSpec, layer: Parameters, x: Array) -> Array:
    kernel = layer["kernel"].astype(spec.dtype)
    return jnp.dot(x.astype(spec.dtype), kernel, preferred_element_type=jnp.float32) + layer["bias"]


def _conv(spec: ModelSpec, layer: Parameters, x: Array, *, stride: int = 1, padding: str = "SAME") -> Array:
    kernel = layer["kernel"].astype(spec.dtype)
    out = jax.lax.conv_general_dilated(
        x.astype(spec.dtype), kernel, (stride, stride), padding, dimension_numbers=_LAYOUT
    )
    return out.astype(jnp.float32) + layer["bias"]


def _layer_norm(layer: Parameters, x: Array) -> Array:
    centered = x - x.mean(-1, keepdims=True)
    return (
        centered * jax.lax.rsqrt((centered**2).mean(-1, keepdims=True) + 1e-6) * layer["scale"]
        + layer["bias"]
    )
