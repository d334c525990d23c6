import dataclasses
import functools
import json
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from lctr_jax.checkpoints.metadata import Metadata
from lctr_jax.checkpoints.store import load_weights, save_weights
from lctr_jax.data.geometry import Geometry
from lctr_jax.export import main
from lctr_jax.exporters.check import require_agreement
from lctr_jax.exporters.program import make_program
from lctr_jax.inference.loading import load
from lctr_jax.inference.localizer import Localizer
from lctr_jax.localization.maps import resize_map
from lctr_jax.localization.protocols import LCTR_PROTOCOL
from lctr_jax.localization.thresholds import Threshold
from lctr_jax.models.methods import METHODS
from lctr_jax.models.normalization import normalize
from lctr_jax.models.parameters import initialize
from lctr_jax.models.spec import ModelSpec

NAMES = ("cat", "dog", "naïve", "wren", "fox", "owl")
DOC = Path(__file__).parents[1] / "docs" / "export.md"


def spec_of(method="lctr", **fields):
    sizes = {"num_classes": 6, "width": 16, "depth": 2, "heads": 2, "image_size": 32, "patch_size": 8}
    return ModelSpec(method=method, initialization="fan_in", **sizes, **fields)


@pytest.fixture(scope="module")
def checkpoint_of(tmp_path_factory):
    @functools.cache
    def make(method):
        path = tmp_path_factory.mktemp(method) / "weights"
        spec = spec_of(method)
        parameters = initialize(spec, jax.random.key(0))
        save_weights(path, Metadata(kind="network", spec=spec, class_names=NAMES), parameters)
        return path

    return make


@pytest.fixture
def checkpoint(checkpoint_of):
    return checkpoint_of("lctr")


def run_main(checkpoint, destination, *, to="stablehlo", options=(), status=0):
    command = ["--checkpoint", str(checkpoint), "--format", to, str(destination), *options]
    if status:
        with pytest.raises(SystemExit) as exit_:
            main(command)
        assert exit_.value.code == status
    else:
        main(command)


def images_of(count, input_type, side=32):
    pixels = np.random.default_rng(1).integers(0, 255, (count, side, side, 3), np.uint8)
    return pixels, pixels if input_type == "uint8" else np.asarray(normalize(jnp.asarray(pixels)))


def assert_as_the_network_says(outputs, checkpoint, pixels):
    output = load(checkpoint)(normalize(jnp.asarray(pixels)))
    maps = np.asarray(output.relation_map * output.class_map)
    score_maps = np.stack(
        [resize_map(score_map, protocol=LCTR_PROTOCOL, image_size=32) for score_map in maps]
    )
    assert np.ptp(score_maps, axis=(1, 2)).min() == 1  # none is flat: there is something to compare
    np.testing.assert_allclose(outputs["logits"], output.logits, atol=1e-5 * np.abs(output.logits).max())
    np.testing.assert_allclose(outputs["localization_map"], maps, atol=1e-5 * maps.max())
    np.testing.assert_allclose(outputs["score_map"], score_maps, atol=1e-5)


# JAX exports what it compiles, whatever the method; a converter has to know every operation.
@pytest.mark.parametrize(
    ("method", "input_type"), [("lctr", "uint8"), ("lctr", "float32"), ("rollout", "uint8")]
)
def test_stablehlo_computes_what_the_network_does(checkpoint_of, tmp_path, method, input_type, capsys):
    checkpoint = checkpoint_of(method)
    file = tmp_path / "model.stablehlo"
    run_main(checkpoint, file, options=["--input", input_type])
    said = capsys.readouterr().out
    assert re.search(r"largest errors .*logits \d.*localization_map \d.*score_map \d", said)
    exported = jax.export.deserialize(bytearray(file.read_bytes()))
    assert exported.platforms == ("cpu", "cuda", "tpu")
    for count in (1, 3):
        pixels, images = images_of(count, input_type)
        assert_as_the_network_says(exported.call(images), checkpoint, pixels)
    facts = json.loads((tmp_path / "model.stablehlo.json").read_text())
    assert facts["class_names"] == list(NAMES)
    assert facts["mean"] == [0.485, 0.456, 0.406]
    assert facts["image_size"] == 32
    assert facts["input"].startswith(f"{input_type} [batch, 32, 32, 3]")
    assert facts["exported_with"]["jax"] == jax.__version__


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "input_type"), [*((method, "uint8") for method in METHODS), ("lctr", "float32")]
)
def test_onnxruntime_computes_what_the_network_does(checkpoint_of, tmp_path, method, input_type):
    checkpoint = checkpoint_of(method)
    onnx = pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("jax2onnx")
    file = tmp_path / "model.onnx"
    run_main(checkpoint, file, to="onnx", options=["--input", input_type])
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    onnx.checker.check_model(str(file), full_check=True)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == ["batch", 32, 32, 3]
    names = [output.name for output in session.get_outputs()]
    for count in (1, 3):
        pixels, images = images_of(count, input_type)
        outputs = dict(zip(names, session.run(None, {"images": images}), strict=True))
        assert_as_the_network_says(outputs, checkpoint, pixels)
    facts = {key: json.loads(value) for key, value in session.get_modelmeta().custom_metadata_map.items()}
    assert facts["class_names"] == list(NAMES)
    assert facts["image_size"] == 32
    assert "jax2onnx" in facts["exported_with"]


def test_weights_of_a_network_trained_in_bfloat16_are_exported_in_float32(checkpoint, tmp_path):
    metadata, parameters = load_weights(checkpoint)
    spec = dataclasses.replace(metadata.spec, dtype="bfloat16")
    save_weights(tmp_path / "bfloat16", dataclasses.replace(metadata, spec=spec), parameters)
    run_main(tmp_path / "bfloat16", tmp_path / "model")
    pixels, images = images_of(3, "uint8")
    exported = jax.export.deserialize(bytearray((tmp_path / "model").read_bytes()))
    assert_as_the_network_says(exported.call(images), checkpoint, pixels)


def test_a_flat_map_has_a_score_map_of_zeros():
    spec = spec_of()
    parameters = initialize(spec, jax.random.key(0))
    parameters["cdm"]["bias"] = jnp.full_like(parameters["cdm"]["bias"], -1e3)  # relu(F_c) is 0 everywhere
    outputs = jax.jit(make_program(spec, parameters))(images_of(2, "uint8")[1])
    assert not np.any(outputs["localization_map"])
    assert not np.any(outputs["score_map"])


@pytest.mark.parametrize("to", ["stablehlo", "onnx"])
def test_the_docs_lines_box_as_this_package_does_without_it(checkpoint, tmp_path, to):
    if to == "onnx":
        pytest.importorskip("jax2onnx")
        pytest.importorskip("onnxruntime")
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    run_main(checkpoint, folder / f"digits.{to}", to=to)
    coarse = np.random.default_rng(18).integers(0, 255, (5, 5, 3), np.uint8)
    Image.fromarray(coarse).resize((90, 60)).save(folder / "photo.jpg")
    (lines,) = [
        block for block in re.findall(r"```python\n(.*?)```", DOC.read_text(), re.S) if f".{to}" in block
    ]
    assert len([line for line in lines.splitlines() if line and "import" not in line]) <= 10
    # -I: neither the working folder nor PYTHONPATH is searched, so this package is not there.
    clean = subprocess.run(
        [sys.executable, "-I", "-c", lines + "\nimport sys; assert 'lctr_jax' not in sys.modules"],
        cwd=folder, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    name, *corners = re.findall(r"[^\s\[\]]+", clean.stdout)
    localizer = Localizer(load(checkpoint), geometry=Geometry("wsoleval", 32), threshold=Threshold(0.3))
    (prediction,) = localizer([np.asarray(Image.open(folder / "photo.jpg"))])
    assert name == prediction.top[0].name
    np.testing.assert_allclose([float(corner) for corner in corners], prediction.boxed[0].box_xyxy, atol=1e-3)
    assert prediction.boxed[0].box_xyxy.tolist() != [0, 0, 90, 60]


def test_a_file_that_computes_something_else_is_not_written(checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("lctr_jax.export.open_stablehlo", lambda content: lambda images: {
        "logits": np.ones((len(images), 6)), "localization_map": np.ones((len(images), 4, 4)),
        "score_map": np.full((len(images), 32, 32), np.nan),
    })  # fmt: skip
    run_main(checkpoint, tmp_path / "model", status=2)
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert "score_map by nan" in said
    assert "logits by" in said
    assert not (tmp_path / "model").exists()
    require_agreement({"logits": 1e-5})


def test_mistakes_are_reported_in_one_line(checkpoint, tmp_path, monkeypatch, capsys):
    (tmp_path / "there").write_text("mine")
    run_main(checkpoint, tmp_path / "there", status=2)
    assert (tmp_path / "there").read_text() == "mine"
    run_main(checkpoint, tmp_path / "no" / "model", status=2)
    run_main(tmp_path / "nothing", tmp_path / "model", status=2)
    monkeypatch.setitem(sys.modules, "jax2onnx", None)
    run_main(checkpoint, tmp_path / "model", to="onnx", status=2)
    said = capsys.readouterr().err.splitlines()
    for line, words in zip(said, ("--overwrite", "create it", "no such", "pip install"), strict=True):
        assert line.startswith("error: ")
        assert words in line
    run_main(checkpoint, tmp_path / "there", options=["--overwrite"])
    assert jax.export.deserialize(bytearray((tmp_path / "there").read_bytes()))


def test_a_network_too_large_for_a_file_is_refused():
    spec = spec_of()
    parameters = initialize(spec, jax.random.key(0)) | {"more": np.broadcast_to(np.float32(0), (2**29,))}
    with pytest.raises(ValueError, match="less than 2 GiB"):
        make_program(spec, parameters)
