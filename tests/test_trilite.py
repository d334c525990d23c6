"""TriLite against its published code's golden run, by the functions that a training run calls."""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from flax.traverse_util import flatten_dict
from test_training import mesh_of

from lctr_jax.checkpoints.conversion import convert, to_torch_tensors
from lctr_jax.checkpoints.metadata import Metadata
from lctr_jax.checkpoints.torch_files import TensorFile
from lctr_jax.models.parameters import bind, initialize, split_trained
from lctr_jax.models.spec import ModelSpec
from lctr_jax.models.trilite import RegionLogits, TriLite, dropout, training_losses
from lctr_jax.models.vit import BackboneOutput, VisionTransformer
from lctr_jax.training.steps import data_parallel_gradients

GOLDEN = dict(np.load(reference.GOLDENS / "trilite.npz"))
SIDE = 4  # pixels of a patch: 48 numbers, 32 for its token and 16 for a part of CLS's
SPEC = ModelSpec(
    num_classes=7,
    method="trilite",
    width=32,
    depth=1,
    heads=1,
    image_size=32,
    patch_size=SIDE,
    loc_dropout=0.0,
    cls_dropout=0.0,
    alpha=float(GOLDEN["in_alpha"]),
)
TOLERANCE = 1e-5


@pytest.fixture
def spec(monkeypatch, request):
    """The network's spec; its backbone reads the golden run's tokens out of the images.

    It puts them where the head is to read: after the final norm or, for `[True]`, before it.
    """

    def tokens_of(backbone, images, *, statistics, drop_path_keys=None):
        batch, height, width, _ = images.shape
        grid = (batch, height // SIDE, width // SIDE)
        pixels = images.reshape(batch, grid[1], SIDE, grid[2], SIDE, 3).transpose(0, 1, 3, 2, 4, 5)
        numbers = pixels.reshape(*grid, SIDE * SIDE * 3)
        cls, patches = numbers[:, 0, :2, 32:].reshape(batch, 32), numbers[..., :32]
        read, other = (cls, patches), (jnp.full_like(cls, jnp.nan), jnp.full_like(patches, jnp.nan))
        normed, before = (other, read) if backbone.spec.tokens_before_norm else (read, other)
        return BackboneOutput(*normed, *before, jnp.zeros(grid), None, None)

    monkeypatch.setattr(VisionTransformer, "__call__", tokens_of)
    return ModelSpec(**{**vars(SPEC), "tokens_before_norm": getattr(request, "param", False)})


def images():
    """Images that hold the golden run's tokens."""
    patches = GOLDEN["in_patches"]
    batch, grid_h, grid_w, width = patches.shape
    numbers = np.zeros((batch, grid_h, grid_w, 48), np.float32)
    numbers[..., :width] = patches
    numbers[:, 0, :2, width:] = GOLDEN["in_cls"].reshape(batch, 2, 16)
    pixels = numbers.reshape(batch, grid_h, grid_w, SIDE, SIDE, 3).transpose(0, 1, 3, 2, 4, 5)
    return jnp.asarray(pixels.reshape(batch, grid_h * SIDE, grid_w * SIDE, 3))


def targets():
    return jax.nn.one_hot(GOLDEN["in_labels"], 7)


def parameters():
    """The golden run's weights as ours."""
    fresh = initialize(SPEC, jax.random.key(0))
    golden = {name: jnp.asarray(array) for name, array in GOLDEN.items()}
    norm = {"scale": "weight", "bias": "bias", "mean": "mean", "var": "var"}
    return {
        "backbone": fresh["backbone"],
        "regions": {
            "kernel": golden["in_conv"].transpose(2, 3, 1, 0),
            "norm": {ours: golden[f"in_bn_{theirs}"] for ours, theirs in norm.items()},
            "classifier": {"kernel": golden["in_patch_weight"].T, "bias": golden["in_patch_bias"]},
        },
        "classifier": {"kernel": golden["in_cls_weight"].T, "bias": golden["in_cls_bias"]},
    }


def assert_close(got, expected):
    assert reference.relative_error(np.asarray(got), np.asarray(expected)) < TOLERANCE


@pytest.mark.parametrize(("devices", "fsdp"), [(1, 1), (2, 1), (4, 2)])
def test_a_steps_loss_gradient_and_running_statistics_are_the_golden_ones(spec, devices, fsdp):
    trained, others = split_trained(spec, parameters())
    assert "backbone" not in trained
    run = jax.jit(
        functools.partial(data_parallel_gradients, spec, mesh=mesh_of(devices, fsdp=fsdp), micro_batches=1)
    )
    found = run(trained, images(), targets(), jax.random.split(jax.random.key(0), 4), others)
    assert_close(found.loss, GOLDEN["train_losses"][3])
    assert_close(found.logits, GOLDEN["train_logits"])
    expected = {
        "regions.kernel": GOLDEN["grad_activation_head_weight"].transpose(2, 3, 1, 0),
        "regions.norm.scale": GOLDEN["grad_bn_head_weight"],
        "regions.norm.bias": GOLDEN["grad_bn_head_bias"],
        "regions.classifier.kernel": GOLDEN["grad_patch_classifier_weight"].T,
        "regions.classifier.bias": GOLDEN["grad_patch_classifier_bias"],
        "classifier.kernel": GOLDEN["grad_global_classifier_weight"].T,
        "classifier.bias": GOLDEN["grad_global_classifier_bias"],
    }
    gradient = flatten_dict(found.gradient, sep=".")
    assert gradient.keys() == expected.keys()
    for name, array in expected.items():
        assert reference.relative_error(np.asarray(gradient[name]), array) < TOLERANCE, name
    statistics = found.others["regions"]["norm"]
    assert_close(statistics["mean"], GOLDEN["running_mean_after_one_step"])
    assert_close(statistics["var"], GOLDEN["running_var_after_one_step"])


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_the_heads_numbers_are_the_golden_ones(spec, mode):
    network = bind(spec, parameters())
    tokens = jnp.asarray(GOLDEN["in_patches"])
    assert isinstance(network, TriLite)
    found = network.regions(tokens, training=mode == "train")
    assert isinstance(found, RegionLogits)
    assert_close(found.scores, GOLDEN[f"{mode}_pre_softmax"])
    assert_close(found.foreground, GOLDEN[f"{mode}_logits_fg"])
    assert_close(found.background, GOLDEN[f"{mode}_logits_bg"])
    assert_close(found.foreground_map, GOLDEN[f"{mode}_map"])
    losses = training_losses(jnp.asarray(GOLDEN[f"{mode}_logits"]), found, targets(), alpha=spec.alpha)
    assert_close(jnp.stack([*losses, sum(losses)]), GOLDEN[f"{mode}_losses"])


@pytest.mark.parametrize("spec", [False, True], ids=["normed", "before_norm"], indirect=True)
def test_evaluation_gives_the_golden_logits_and_map(spec):
    output = jax.jit(bind(spec, parameters()))(images(), jnp.array([0, 1, 2, 3]))
    assert_close(output.logits, GOLDEN["eval_logits"])
    assert_close(output.localization_map, GOLDEN["eval_map"])


def test_dropout_keeps_the_mean_and_depends_on_the_samples_own_key():
    keys, ones = jax.random.split(jax.random.key(0), 3), jnp.ones((3, 2, 1000))
    dropped = dropout(ones, keys, rate=0.25)
    assert set(np.unique(dropped)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs(float(dropped.mean()) - 1) < 0.05
    np.testing.assert_array_equal(dropout(ones[1:], keys[1:], rate=0.25), dropped[1:])
    np.testing.assert_array_equal(dropout(ones, None, rate=0.25), ones)


@pytest.mark.parametrize("dinov2", [True, False])
def test_a_checkpoint_with_the_published_names_is_recognized(dinov2):
    spec = replace(SPEC, layer_scale=dinov2, tokens_before_norm=dinov2)
    ours = jax.tree.map(np.asarray, initialize(spec, jax.random.key(0)))
    tensors = {
        name if name.startswith(("triHead.", "global_")) else f"backbone.model.{name}": array
        for name, array in to_torch_tensors(Metadata(kind="network", spec=spec), ours).items()
    }
    tensors["triHead.bn_head.num_batches_tracked"] = np.array(7)
    found = convert(TensorFile(tensors), source="best_combined.pth", heads=1)
    training = {"alpha": 100.0, "loc_dropout": 0.5, "cls_dropout": 0.5}  # the file does not say
    assert found.metadata.spec == replace(spec, **training)
    assert list(found.dropped) == ["triHead.bn_head.num_batches_tracked"]
    jax.tree.map(np.testing.assert_array_equal, found.parameters, ours)
