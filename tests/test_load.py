import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from goldens import seeded
from safetensors.numpy import save_file

import lctr_jax
from lctr_jax import convert
from lctr_jax.checkpoints.metadata import Metadata
from lctr_jax.checkpoints.store import save_weights
from lctr_jax.models.spec import ModelSpec

GOLDENS = Path(__file__).parent / "goldens"


def relative_error(got, expected):
    return np.abs(np.asarray(got) - expected).max() / np.abs(expected).max()


def assert_golden(path, golden, num_images=2):
    out = lctr_jax.load(path)(seeded.images(num_images, 0))
    golden = np.load(GOLDENS / golden)
    for got, expected in ((out.logits, "logits"), (out.class_map, "cam"), (out.relation_map, "rpam")):
        assert got.shape == golden[expected].shape
        assert relative_error(got, golden[expected]) < 1e-4, expected


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The golden tiny LCTR, converted from a .safetensors file."""
    folder = tmp_path_factory.mktemp("tiny")
    save_file(seeded.state_dict(seeded.lctr_shapes(7, 48, 3), 0), folder / "lctr.safetensors")
    convert.main([str(folder / "lctr.safetensors"), str(folder / "weights"), "--heads", "3"])
    return folder / "weights"


def test_a_converted_reference_gives_the_golden_outputs(tiny):
    assert_golden(tiny, "tiny_lctr.npz")


def test_a_converted_reference_pth_gives_the_golden_outputs(tmp_path):
    torch = pytest.importorskip("torch")
    tensors = seeded.state_dict(seeded.lctr_shapes(7, 48, 3), 0)
    model = {name: torch.from_numpy(array) for name, array in tensors.items()}
    torch.save({"model": model}, tmp_path / "lctr.pth")
    convert.main([str(tmp_path / "lctr.pth"), str(tmp_path / "weights"), "--heads", "3"])
    assert_golden(tmp_path / "weights", "tiny_lctr.npz")


def test_the_full_size_needs_no_hint_and_gives_the_golden_outputs(tmp_path):
    save_file(seeded.state_dict(seeded.lctr_shapes(200), 0), tmp_path / "lctr.safetensors")
    convert.main([str(tmp_path / "lctr.safetensors"), str(tmp_path / "weights")])
    assert_golden(tmp_path / "weights", "deit_small_lctr_200.npz")


def test_classes_chooses_the_class_maps(tiny):
    model, images = lctr_jax.load(tiny), seeded.images(2, 0)
    predicted = model(images)
    top = np.asarray(predicted.logits).argmax(-1)
    asked = model(images, classes=np.stack([top, (top + 1) % 7], axis=1))
    assert asked.class_map.shape == (2, 2, 14, 14)
    np.testing.assert_allclose(asked.class_map[:, 0], predicted.class_map, rtol=1e-4, atol=1e-5)
    assert model(images, classes=jnp.array([3, 4])).class_map.shape == (2, 14, 14)


def test_attributes_tell_what_was_loaded(tmp_path):
    from test_checkpoint_store import METADATA, parameters_of

    save_weights(tmp_path / "weights", METADATA, parameters_of())
    model = lctr_jax.load(str(tmp_path / "weights"))
    assert model.spec == METADATA.spec
    assert model.class_names == ("ant", "bee", "cat")
    assert model.metadata.source == "a test"


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (
            np.zeros((32, 32, 3), np.float32),
            r"images: got float32 \[32, 32, 3\], expected .* \[batch, height",
        ),
        (np.zeros((1, 3, 32, 32), np.float32), r"images: got float32 \[1, 3, 32, 32\]"),
        (
            np.zeros((1, 32, 32, 3), np.uint8),
            r"images: got uint8 \[1, 32, 32, 3\], expected normalized float32",
        ),
        (
            np.zeros((1, 30, 32, 3), np.float32),
            r"images: got 30 x 32 pixels, expected multiples of the patch size 16",
        ),
    ],
)
def test_images_of_another_form_are_refused(tiny, images, said):
    with pytest.raises(ValueError, match=said):
        lctr_jax.load(tiny)(images)


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (np.array([7]), "classes: got 7 to 7, expected 0 to 6, or -1"),
        (np.array([-2]), "classes: got -2 to -2"),
        (np.array([1, 2]), r"classes: got int64 \[2\], expected integers \[1\]"),
        (np.array([0.5]), "classes: got float64"),
    ],
)
def test_classes_of_another_form_are_refused(tiny, classes, said):
    with pytest.raises(ValueError, match=said):
        lctr_jax.load(tiny)(np.zeros((1, 32, 32, 3), np.float32), classes=classes)


def test_a_backbone_alone_is_refused(tmp_path):
    from test_checkpoint_store import parameters_of

    spec = ModelSpec(num_classes=1, width=64, depth=2, heads=1, image_size=32, patch_size=8)
    backbone = {"backbone": parameters_of()["backbone"]}
    save_weights(tmp_path / "weights", Metadata(kind="backbone", spec=spec), backbone)
    with pytest.raises(ValueError, match=r"got a backbone without a head.*--config\.init_from="):
        lctr_jax.load(tmp_path / "weights")


def test_a_missing_path_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        lctr_jax.load(tmp_path / "nowhere")


def test_importing_the_package_imports_no_jax():
    code = "import sys, lctr_jax; assert 'jax' not in sys.modules; assert callable(lctr_jax.load)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_attribute_is_an_error():
    with pytest.raises(AttributeError, match="has no attribute 'lode'"):
        getattr(lctr_jax, "lode")  # noqa: B009
