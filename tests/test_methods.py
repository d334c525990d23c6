"""All methods but LCTR: maps and logits compared with naive sums, PyTorch, and each other."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from flax.traverse_util import flatten_dict
from safetensors.numpy import load_file, save_file

from lctr_jax.checkpoints.metadata import Metadata
from lctr_jax.checkpoints.store import load_weights, require_spec, save_weights
from lctr_jax.convert import main
from lctr_jax.models.methods import METHODS
from lctr_jax.models.parameters import bind, parameter_shapes
from lctr_jax.models.rollout import attention_rollout
from lctr_jax.models.spec import ModelSpec
from lctr_jax.training.steps import gradients

SPEC = ModelSpec(
    num_classes=5, width=32, depth=3, heads=2, image_size=32, patch_size=8, initialization="fan_in"
)
IMAGES = jnp.asarray(np.random.default_rng(0).standard_normal((2, 32, 32, 3), np.float32))
EVERY = jnp.tile(jnp.arange(5), (2, 1))


def spec_of(method, **changes):
    return dataclasses.replace(SPEC, method=method, **changes)


def parameters_of(spec):
    """Random in every entry, so that attention is far from uniform and each bias is seen."""
    rng = np.random.default_rng(1)

    def draw(path, leaf):
        values = 0.3 * rng.standard_normal(leaf.shape, np.float32)
        return jnp.asarray(np.abs(values) if path[-1].key == "var" else values)

    return jax.tree.map_with_path(draw, parameter_shapes(spec))


def network_of(method, **changes) -> Any:
    spec = spec_of(method, **changes)
    return bind(spec, parameters_of(spec))


def backbone_of(network):
    return jax.jit(lambda images: network.backbone(images, statistics="matrix"))(IMAGES)


def run(network, classes):
    return jax.jit(lambda classes: network(IMAGES, classes))(classes)


@functools.cache
def output_of(method):
    """Logits, and maps of every class."""
    return run(network_of(method), EVERY)


def double(array):
    return np.asarray(array, np.float64)


def naive_conv(tokens, kernel, bias):
    """[batch, classes, grid_h, grid_w] of a padded 3x3 convolution, position after position."""
    batch, height, width, _ = tokens.shape
    padded = np.pad(tokens, [(0, 0), (1, 1), (1, 1), (0, 0)])
    maps = np.zeros((batch, len(bias), height, width))
    for y in range(height):
        for x in range(width):
            window = padded[:, y : y + 3, x : x + 3]
            maps[:, :, y, x] = np.einsum("byxd,yxdk->bk", window, kernel) + bias
    return maps


def assert_close(got, expected):
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def training_logits(network):
    return jax.jit(network.loss)(IMAGES, jnp.full((2, 5), 0.2))[1]


def test_cam_is_the_head_at_each_patch_and_its_mean_the_logit():
    network, output = network_of("cam"), output_of("cam")
    tokens, kernel = double(output.patch_tokens), double(network.head.kernel[...])
    bias = double(network.head.bias[...])
    maps = np.stack([[tokens[b] @ kernel[:, k] + bias[k] for k in range(5)] for b in range(2)])
    assert_close(output.localization_map, maps)
    assert_close(output.logits, maps.mean((2, 3)))
    assert_close(training_logits(network), output.logits)


@pytest.mark.parametrize("method", ["tscam", "lctr_without_cdm"])
def test_tscam_couples_a_convolution_of_the_tokens_with_attention_or_rpam(method):
    network, output = network_of(method), output_of(method)
    maps = naive_conv(
        double(output.patch_tokens), double(network.head.kernel[...]), double(network.head.bias[...])
    )
    assert_close(output.logits, maps.mean((2, 3)))
    assert_close(training_logits(network), output.logits)
    layers = double(backbone_of(network).attention)
    coupled = {
        "tscam": np.mean([layer[:, 0, 1:] for layer in layers], axis=0),
        "lctr_without_cdm": np.mean([layer[:, :1] @ layer[:, :, 1:] / 17 for layer in layers], axis=0)[:, 0],
    }[method]
    assert_close(output.localization_map, coupled.reshape(2, 1, 4, 4) * maps)
    assert maps.min() < 0  # so that a relu would be seen


def test_rollout_is_clss_row_of_the_product_of_all_layers():
    network = network_of("rollout", registers=3)
    output, features = run(network, EVERY[:, :3]), backbone_of(network)
    product = np.eye(20)
    for layer in double(features.attention):
        product = (layer + np.eye(20)) / 2 @ product
    rollout = product[:, 0, 4:].reshape(2, 4, 4)
    assert_close(output.relation_map, rollout)
    assert_close(output.localization_map, np.tile(rollout[:, None], (1, 3, 1, 1)))
    assert_close(output.logits, run(network_of("deit", registers=3), None).logits)


def test_rollout_of_one_layer_by_hand():
    attention = jnp.array([[[[0.5, 0.5], [0.25, 0.75]]]])
    np.testing.assert_array_equal(attention_rollout(attention), [[0.75, 0.25]])
    np.testing.assert_array_equal(attention_rollout(jnp.tile(attention, (2, 1, 1, 1))), [[0.59375, 0.40625]])


def test_without_rpam_lctr_has_clss_attention_in_its_place_and_nothing_else_changes():
    whole, without = output_of("lctr"), output_of("lctr_without_rpam")
    np.testing.assert_array_equal(without.logits, whole.logits)
    np.testing.assert_array_equal(without.class_map, whole.class_map)
    np.testing.assert_array_equal(without.relation_map, whole.cls_attention)
    assert not np.allclose(whole.relation_map, whole.cls_attention)


@pytest.mark.parametrize("method", ["tscam", "cam", "rollout"])  # one a head; LCTR's gradients have goldens
def test_every_head_learns(method):
    spec = spec_of(method)
    parameters = parameters_of(spec)
    targets = jax.nn.one_hot(jnp.array([1, 4]), 5)
    loss, _, gradient, _ = jax.jit(gradients, static_argnums=0)(spec, parameters, IMAGES, targets)
    flat: dict[str, Any] = flatten_dict(gradient, sep=".")
    assert np.isfinite(loss)
    assert all(np.isfinite(leaf).all() and np.any(leaf) for leaf in flat.values())


@pytest.mark.parametrize("method", METHODS)
def test_maps_are_float32_whatever_the_networks_type(method):
    spec = spec_of(method, dtype="bfloat16")
    output = jax.eval_shape(lambda: bind(spec, parameters_of(spec))(IMAGES, EVERY))
    for name in ("logits", "class_map", "relation_map", "cls_attention"):
        assert getattr(output, name).dtype == jnp.float32, name
    assert output.class_map.shape == (2, 5, 4, 4)
    assert output.relation_map.shape == (2, 4, 4)


@pytest.mark.parametrize("method", METHODS)
def test_the_localization_map_of_one_class_is_that_of_several(method):
    every, one = output_of(method), run(network_of(method), jnp.array([3, -1]))
    predicted = int(jnp.argmax(every.logits[1]))
    assert one.localization_map.shape == (2, 4, 4)
    assert_close(one.localization_map[0], every.localization_map[0, 3])
    assert_close(one.localization_map[1], every.localization_map[1, predicted])


@pytest.mark.parametrize("method", METHODS)
def test_checkpoints_and_pytorchs_files_know_the_method(method, tmp_path):
    spec = spec_of(method)
    parameters = parameters_of(spec)
    save_weights(tmp_path / "weights", Metadata(kind="network", spec=spec), parameters)
    main(["--to-torch", str(tmp_path / "weights"), str(tmp_path / "torch.safetensors")])
    main([str(tmp_path / "torch.safetensors"), str(tmp_path / "again"), "--heads", "2"])
    metadata, again = load_weights(tmp_path / "again")
    assert metadata.spec == spec
    jax.tree.map(np.testing.assert_array_equal, again, parameters)


def test_methods_of_one_head_read_each_others_checkpoints_and_others_do_not():
    trained = Metadata(kind="network", spec=spec_of("lctr"))
    require_spec(trained, spec_of("lctr_without_rpam"), path="here")
    with pytest.raises(
        ValueError, match="here: checkpoint of another model: method got lctr, expected tscam"
    ):
        require_spec(trained, spec_of("tscam"), path="here")


@pytest.fixture
def published_tscam(tmp_path):
    """A TS-CAM in PyTorch by its published names; its logits and maps as its authors define them."""
    torch = pytest.importorskip("torch")
    from torch_vit import Vit

    backbone = Vit(width=64, depth=3, heads=1, patch=8, side=4)
    head = torch.nn.Conv2d(64, 5, 3, padding=1)
    tensors = backbone.state_dict() | {f"head.{name}": tensor for name, tensor in head.state_dict().items()}
    save_file(
        {name: tensor.detach().numpy() for name, tensor in tensors.items()}, tmp_path / "tscam.safetensors"
    )
    with torch.no_grad():
        tokens, layers = backbone(torch.from_numpy(np.array(IMAGES)).permute(0, 3, 1, 2))
        semantic = head(tokens[:, 1:].transpose(1, 2).reshape(2, 64, 4, 4))
        attention = layers.mean(2).mean(0)[:, 0, 1:].reshape(2, 1, 4, 4)
        rollout = torch.eye(17)
        for layer in layers.mean(2):
            rollout = (layer + torch.eye(17)) / 2 @ rollout
    return semantic.mean((2, 3)), semantic * attention, rollout[:, 0, 1:]


def test_a_published_tscam_is_recognized_and_computes_what_pytorch_computes(published_tscam, tmp_path):
    logits, maps, rollout = published_tscam
    main([str(tmp_path / "tscam.safetensors"), str(tmp_path / "weights")])
    metadata, parameters = load_weights(tmp_path / "weights")
    assert metadata.kind == "network"
    assert (metadata.spec.method, metadata.spec.num_classes) == ("tscam", 5)
    network = bind(metadata.spec, jax.device_put(parameters))
    output = run(network, EVERY)
    assert reference.relative_error(output.logits, logits.numpy()) < 2e-5
    assert reference.relative_error(output.localization_map, maps.numpy()) < 2e-5
    attention = attention_rollout(backbone_of(network).attention)
    assert reference.relative_error(attention[:, 1:], rollout.numpy()) < 2e-5
    main(["--to-torch", str(tmp_path / "weights"), str(tmp_path / "back.safetensors")])
    back, first = load_file(tmp_path / "back.safetensors"), load_file(tmp_path / "tscam.safetensors")
    assert back.keys() == first.keys()
    for name, tensor in first.items():
        np.testing.assert_array_equal(back[name], tensor, err_msg=name)
