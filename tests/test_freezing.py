"""A frozen backbone, layer-wise rates, and TriLite with both, by the functions that a run calls."""

import dataclasses
import functools
import shutil
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from small_run import draw_folder, train
from test_training import SPEC, mesh_of, run_steps, start

from lctr_jax.checkpoints.store import load_weights
from lctr_jax.data.augmentation import Augmentation
from lctr_jax.data.datasets import open_split
from lctr_jax.data.pipeline import fixed_crops
from lctr_jax.evaluation import forward
from lctr_jax.models.methods import get_method
from lctr_jax.models.normalization import normalize
from lctr_jax.models.parameters import initialize
from lctr_jax.run.assembly import make_optimizer
from lctr_jax.training.feature_cache import compute_features, open_features
from lctr_jax.training.flops import product_flops
from lctr_jax.training.training_config import TrainingOptions

BATCH = {"image": jax.ShapeDtypeStruct((8, 32, 32, 3), "uint8"), "label": jax.ShapeDtypeStruct((8,), "int32")}
TRILITE = {"method": "trilite", "alpha": 10.0}
one_device = functools.cache(lambda: run_steps(1, **TRILITE))


def flat(tree) -> dict[str, Any]:
    """Return the leaves by path, joined by dots."""
    return {".".join(map(str, path)): leaf for path, leaf in flatten_dict(tree).items()}


@pytest.mark.slow
@pytest.mark.parametrize("layout", [{"num_devices": 2}, {"num_devices": 4, "fsdp": 2}], ids=str)
def test_trilites_steps_do_not_depend_on_the_layout(layout):
    """Twenty steps with dropout, and BatchNorm over the batch of all devices."""
    losses, weights = one_device()
    other_losses, other_weights = run_steps(**layout, **TRILITE)
    np.testing.assert_allclose(other_losses, losses, rtol=2e-4)
    others = flat(other_weights)
    for path, leaf in flat(weights).items():
        np.testing.assert_allclose(others[path], leaf, atol=2e-3, rtol=1e-3, err_msg=path)


@pytest.mark.slow
def test_trilite_learns_its_heads_and_leaves_the_backbone_as_it_was():
    losses, weights = one_device()
    fresh = initialize(dataclasses.replace(SPEC, **TRILITE), jax.random.key(0))
    jax.tree.map(np.testing.assert_array_equal, weights["backbone"], fresh["backbone"])
    for path in ("regions.kernel", "regions.norm.var", "regions.classifier.bias", "classifier.kernel"):
        before, after = (flat(tree)[path] for tree in (fresh, weights))
        assert np.abs(np.asarray(after - before)).max() > 1e-3, path
    assert np.isfinite(losses).all()


@pytest.mark.parametrize("method", ["lctr", "tscam"])
def test_a_frozen_backbone_has_no_gradient_no_optimizer_state_and_only_a_forward_pass(method):
    spec = dataclasses.replace(SPEC, method=method)
    state, step = start(mesh_of(1), rate=1e-3, spec=spec)
    frozen, frozen_step = start(mesh_of(1), rate=1e-3, spec=spec, freeze="backbone")
    head = get_method(method).torch_names
    assert {path.split(".")[0] for path in head} == frozen.parameters.keys()
    assert "backbone" not in "".join(
        map(jax.tree_util.keystr, dict(jax.tree.leaves_with_path(frozen.optimizer)))
    )
    forward, whole = (
        product_flops(each, each_state, BATCH) for each, each_state in ((frozen_step, frozen), (step, state))
    )
    assert forward < 0.6 * whole


@pytest.mark.slow
@pytest.mark.usefixtures("implicit_promotion")  # by Optax
def test_rates_fall_from_layer_to_layer_and_the_class_head_has_its_own():
    options = TrainingOptions(layer_decay=0.5, lr_multiplier=10.0, weight_decay=0.0)
    parameters = initialize(SPEC, jax.random.key(0))
    optimizer = make_optimizer(options, SPEC)
    ones = jax.tree.map(jnp.ones_like, parameters)
    updates, _ = optimizer.update(ones, optimizer.init(parameters), parameters)
    by_path = flat(updates)
    whole = by_path["backbone.norm.scale"][0]  # AdamW's first update is the same everywhere
    assert float(whole) == pytest.approx(1, rel=1e-4)
    factors = {path: np.unique((leaf / whole).round(4)).tolist() for path, leaf in by_path.items()}
    for name in ("patch_embed.kernel", "pos_embed", "cls_token"):
        assert factors[f"backbone.{name}"] == [0.0625]
    for name in ("mlp.fc1.kernel", "norm1.scale"):
        assert factors[f"backbone.blocks.{name}"] == [0.125, 0.25, 0.5]
    assert (by_path["backbone.blocks.mlp.fc1.bias"][:, 0] / whole).round(4).tolist() == [0.125, 0.25, 0.5]
    assert factors["backbone.norm.scale"] == [1.0]
    assert factors["cdm.kernels"] == [10.0]


@pytest.mark.usefixtures("implicit_promotion")  # by Optax
def test_trilites_class_head_alone_has_the_multiplied_rate():
    spec = dataclasses.replace(SPEC, method="trilite")
    heads = {name: initialize(spec, jax.random.key(0))[name] for name in ("classifier",)}
    heads["regions"] = {"kernel": jnp.ones((3, 3, 32, 3))}
    optimizer = make_optimizer(TrainingOptions(lr_multiplier=50.0, weight_decay=0.0), spec)
    updates, _ = optimizer.update(jax.tree.map(jnp.ones_like, heads), optimizer.init(heads), heads)
    np.testing.assert_allclose(flat(updates)["classifier.bias"], 50.0, rtol=1e-5)
    np.testing.assert_allclose(flat(updates)["regions.kernel"], 1.0, rtol=1e-5)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    root = tmp_path_factory.mktemp("freezing") / "pictures"
    draw_folder(root)
    return root


@pytest.mark.slow
def test_a_run_with_trilite_resumes_bit_for_bit_and_evaluates(pictures, monkeypatch, capsys):
    whole, resumed = pictures.parent / "whole", pictures.parent / "resumed"
    seen = set()

    def note(images):
        seen.add(images.shape[1:])
        return normalize(images)

    monkeypatch.setattr(forward, "normalize", note)
    options = ["--config.model.method=trilite", "--config.train.lr_multiplier=10.0", "--config.train.lr=0.1"]
    options += ["--config.augmentation.resize=40", "--config.eval.image_size=48"]
    options += ["--config.eval.untrained_baseline=False"]
    train(pictures, whole, *options)
    said = capsys.readouterr().err
    assert "the backbone is frozen, at random weights (set init_from to start from trained ones)" in said
    assert seen == {(48, 48, 3)}
    steps = sorted(int(path.name) for path in (whole / "checkpoints").iterdir() if path.name.isdecimal())
    assert len(steps) == 2
    shutil.copytree(whole, resumed)
    shutil.rmtree(resumed / "checkpoints" / str(steps[1]))
    train(pictures, resumed, *options)
    assert f"resuming at step {steps[0]}" in capsys.readouterr().err
    assert load_weights(whole)[0].spec.drop_path == 0
    jax.tree.map(np.testing.assert_array_equal, *(load_weights(each)[1] for each in (whole, resumed)))
    for name in ("eval/metrics.json", "eval/predictions.jsonl"):
        assert (whole / name).read_bytes() == (resumed / name).read_bytes()


@pytest.mark.slow
def test_a_head_trains_the_same_on_cached_features(pictures, capsys):
    """Without random augmentation, features of fixed crops are those that each step would compute."""
    folder = pictures.parent
    options = ["--config.model.method=trilite", "--config.model.tokens_before_norm=True"]
    options += ["--config.train.lr=0.1", "--config.augmentation.resize=32", "--config.train.epochs=3"]
    options += ["--config.augmentation.horizontal_flip=0.0", "--config.augmentation.erasing=0.0"]
    options += ["--config.eval.untrained_baseline=False"]
    cached = [*options, "--config.train.cached_crops=2"]
    train(pictures, folder / "computed", *options)
    train(pictures, folder / "cached", *cached)
    assert "features: 100 % computed" in capsys.readouterr().err
    train(pictures, folder / "shared", *cached)
    said = capsys.readouterr().err
    assert "features: 2 crops of 24 images, from" in said
    assert "computed" not in said
    computed, stored, shared = (
        flat(load_weights(folder / name)[1]) for name in ("computed", "cached", "shared")
    )
    for path, array in computed.items():
        np.testing.assert_allclose(stored[path], array, rtol=1e-4, atol=1e-5, err_msg=path)
        np.testing.assert_array_equal(shared[path], stored[path], err_msg=path)
    assert np.abs(computed["regions.norm.mean"]).max() > 1e-3


def test_cached_crops_differ_and_an_epoch_uses_one_of_them(pictures, tmp_path):
    split = open_split("folder", "train", data_dir=tmp_path, root=pictures)
    spec = dataclasses.replace(SPEC, **TRILITE)
    batches = fixed_crops(
        split,
        crops=2,
        batch_size=5,
        image_size=32,
        augmentation=Augmentation(repeats=1, erasing=0.0),
        num_workers=0,
        on_corrupt="error",
    )
    compute_features(
        tmp_path / "features",
        batches,
        spec,
        initialize(spec, jax.random.key(0)),
        mesh_of(1),
        num_images=len(split),
        crops=2,
        say=lambda _: None,
        check=lambda: None,
    )
    batches.close()
    cache = open_features(tmp_path / "features")
    assert cache is not None
    tokens, (first, second) = cache.arrays["patch_tokens"], np.split(cache.ids, 2)
    assert tokens.shape[0] == 2 * len(split)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, [split[index]["id"] for index in range(len(split))])
    batches = cache.batches(batch_size=len(split), seed=0)
    for crop in (0, 1, 0):
        batch = next(batches)
        for name, features in zip(batch["id"], batch["features"]["patch_tokens"], strict=True):
            row = first.tolist().index(name)
            np.testing.assert_array_equal(features, tokens[crop * len(split) + row])
            assert np.abs(features - tokens[(1 - crop) * len(split) + row]).max() > 1e-3


def test_features_need_a_folder_that_can_be_written_to(pictures, tmp_path, capsys):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/features").write_text("a file")
    options = ["--config.model.method=trilite", "--config.train.cached_crops=1"]
    with pytest.raises(SystemExit, match="2"):
        train(pictures, tmp_path / "run", *options, "--config.augmentation.erasing=0.0")
    said = capsys.readouterr().err.splitlines()[-1]
    assert "train.cached_crops: features are kept in" in said
    assert "choose another data.data_dir" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--config.model.method=lctr"], "expected 0: model.method=lctr trains the backbone"),
        (["--config.augmentation.erasing=0.5"], "which needs augmentation.erasing=0, got 0.5"),
        (["--config.augmentation.repeats=2"], "which needs augmentation.repeats=1, got 2"),
    ],
)
def test_crops_that_cannot_be_cached(pictures, capsys, options, message):
    trilite = ["--config.model.method=trilite", "--config.train.cached_crops=1"]
    trilite += ["--config.augmentation.erasing=0.0"]
    with pytest.raises(SystemExit, match="2"):
        train(pictures, pictures.parent / "refused", *trilite, *options)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "reason"),
    [("train.freeze=backbone", "train.freeze=backbone"), ("model.method=trilite", "model.method=trilite")],
)
def test_layer_wise_rates_of_a_frozen_backbone_are_refused(pictures, capsys, option, reason):
    with pytest.raises(SystemExit, match="2"):
        train(pictures, pictures.parent / "refused", "--config.train.layer_decay=0.7", f"--config.{option}")
    expected = f"train.layer_decay: got 0.7, expected 1: {reason} does not train the backbone"
    assert expected in capsys.readouterr().err
