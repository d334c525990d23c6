import dataclasses

import jax
import numpy as np
import pytest
from PIL import Image
from test_checkpoint_store import METADATA, SPEC, assert_same, parameters_of

from lctr_jax.checkpoints.metadata import Metadata
from lctr_jax.checkpoints.parameter_paths import by_path
from lctr_jax.checkpoints.store import save_weights
from lctr_jax.checkpoints.transfer import initialize_from
from lctr_jax.models.parameters import initialize, parameter_shapes


def fresh(spec):
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: rng.standard_normal(leaf.shape, np.float32), parameter_shapes(spec))


@pytest.fixture
def network(tmp_path):
    save_weights(tmp_path / "network", METADATA, parameters_of())
    return tmp_path / "network"


@pytest.fixture
def backbone(tmp_path):
    metadata = Metadata(kind="backbone", spec=dataclasses.replace(SPEC, num_classes=1))
    save_weights(tmp_path / "backbone", metadata, {"backbone": parameters_of()["backbone"]})
    return tmp_path / "backbone"


def test_the_same_network_is_taken_whole(network):
    started, report = initialize_from(network, SPEC, fresh(SPEC))
    assert_same(started, parameters_of())
    assert report.fresh == ()
    assert str(report) == f"initialized from {network}: 26 arrays read, 0 newly initialized"


def test_a_backbone_leaves_the_head_fresh(backbone):
    parameters = fresh(SPEC)
    started, report = initialize_from(backbone, SPEC, parameters)
    assert_same(started["backbone"], parameters_of()["backbone"])
    assert_same(started["cdm"], parameters["cdm"])
    assert len(report.read) == 18
    assert set(report.fresh) == {path for path in by_path(parameters) if path.startswith("cdm.")}
    assert "head newly initialized: the checkpoint has none" in str(report)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"num_classes": 5}, "head newly initialized: num_classes got 3, expected 5"),
        ({"experts": 2}, "head newly initialized: experts got 4, expected 2"),
        ({"method": "deit"}, "head newly initialized: method got lctr, expected deit"),
    ],
)
def test_another_head_stays_fresh_and_says_why(network, changed, said):
    spec = dataclasses.replace(SPEC, **changed)
    parameters = fresh(spec)
    started, report = initialize_from(network, spec, parameters)
    assert_same(started["backbone"], parameters_of()["backbone"])
    assert_same({**started, "backbone": {}}, {**parameters, "backbone": {}})
    assert said in str(report)


def test_positions_are_resampled_to_another_grid(network):
    spec = dataclasses.replace(SPEC, image_size=72)  # 4 x 4 patches in the file, 9 x 9 here
    started, report = initialize_from(network, spec, fresh(spec))
    got, stored = started["backbone"]["pos_embed"], parameters_of()["backbone"]["pos_embed"]
    assert got.shape == (1, 82, 64)
    np.testing.assert_array_equal(got[:, 0], stored[:, 0])
    for channel in (0, 31, 63):  # PIL's bicubic filter is the same Keys cubic
        patches = Image.fromarray(np.ascontiguousarray(stored[0, 1:, channel].reshape(4, 4)))
        expected = np.asarray(patches.resize((9, 9), Image.Resampling.BICUBIC))
        np.testing.assert_allclose(got[0, 1:, channel].reshape(9, 9), expected, atol=1e-6)
    assert "position embedding resampled from 4 x 4 to 9 x 9 patches" in str(report)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"width": 128, "heads": 2}, r"width got 64, expected 128; heads got 1, expected 2"),
        ({"depth": 3}, r"depth got 2, expected 3"),
        ({"patch_size": 16}, r"patch_size got 8, expected 16"),
        ({"mlp_ratio": 2}, r"mlp_ratio got 4, expected 2"),
    ],
)
def test_another_backbone_is_refused(backbone, changed, said):
    spec = dataclasses.replace(SPEC, **changed)
    with pytest.raises(ValueError, match=rf"{backbone}: backbone of another shape: .*{said}"):
        initialize_from(backbone, spec, fresh(spec))


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        initialize_from(tmp_path / "nowhere", SPEC, fresh(SPEC))


def test_residual_branches_start_at_a_hundred_thousandth():
    """CaiT (Touvron et al., ICCV 2021), section 2.3: 1e-5 for deep networks."""
    parameters = initialize(dataclasses.replace(SPEC, layer_scale=True), jax.random.key(0))
    scales = {path: leaf for path, leaf in by_path(parameters).items() if ".ls" in path}
    assert len(scales) == 2
    for path, scale in scales.items():
        np.testing.assert_array_equal(scale, np.float32(1e-5), err_msg=path)
