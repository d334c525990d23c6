import json

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest
from goldens import seeded

from lctr_jax.checkpoints import store
from lctr_jax.checkpoints.checksummed import ChecksummedCheckpoints
from lctr_jax.checkpoints.checksums import CHECKSUMS, write_checksums
from lctr_jax.checkpoints.conversion import convert
from lctr_jax.checkpoints.metadata import Metadata
from lctr_jax.checkpoints.parameter_paths import by_path, misfits
from lctr_jax.checkpoints.torch_files import TensorFile
from lctr_jax.models.spec import ModelSpec

SPEC = ModelSpec(num_classes=3, width=64, depth=2, heads=1, image_size=32, patch_size=8)
METADATA = Metadata(kind="network", spec=SPEC, class_names=("ant", "bee", "cat"), source="a test")


def parameters_of(seed=0):
    shapes = seeded.lctr_shapes(3, dim=64, depth=2, patch=8, size=32)
    return convert(TensorFile(seeded.state_dict(shapes, seed)), source="seeded").parameters


def assert_same(got, expected):
    got, expected = by_path(got), by_path(expected)
    assert got.keys() == expected.keys()
    for path, array in expected.items():
        np.testing.assert_array_equal(got[path], array, err_msg=path)


def one_line(error):
    assert "\n" not in str(error.value)
    return str(error.value)


def test_weights_come_back_as_they_went(tmp_path):
    store.save_weights(tmp_path / "weights", METADATA, parameters_of())
    metadata, parameters = store.load_weights(tmp_path / "weights")
    assert metadata == METADATA
    assert metadata.versions["lctr_jax"]
    assert_same(parameters, parameters_of())


def test_a_relative_path_and_a_string_serve(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store.save_weights("weights", METADATA, parameters_of())
    assert store.load_metadata("weights") == METADATA


def test_metadata_survives_json():
    backbone = Metadata(
        kind="backbone", spec=ModelSpec(num_classes=1, width=64, depth=2, heads=1), source="DeiT"
    )
    for metadata in (METADATA, backbone):
        assert Metadata.from_json(json.loads(json.dumps(metadata.to_json()))) == metadata
    assert "num_classes" not in backbone.to_json()["model"]


def test_metadata_of_a_newer_version_says_so():
    stored = METADATA.to_json()
    stored["model"]["wings"] = 2
    stored["versions"] = {"lctr_jax": "99.0"}
    with pytest.raises(ValueError, match=r"written by lctr_jax 99\.0.*wings"):
        Metadata.from_json(stored)


@pytest.mark.parametrize(
    "damaged", ["[]", '"text"', '{"kind": "network"}', '{"kind": "network", "versions": 3, "model": []}']
)
def test_metadata_that_is_none_is_one_clear_line(damaged, tmp_path):
    store.save_weights(tmp_path / "weights", METADATA, parameters_of())
    (tmp_path / "weights" / "metadata" / "metadata").write_text(damaged)
    write_checksums(tmp_path / "weights")
    with pytest.raises(
        ValueError, match="damaged checkpoint: metadata written by lctr_jax an unknown ver"
    ) as error:
        store.load_weights(tmp_path / "weights")
    one_line(error)


def test_class_names_must_be_one_a_class():
    with pytest.raises(ValueError, match="class names: got 1, expected 3"):
        Metadata(kind="network", spec=SPEC, class_names=("ant",))


def save_step(workdir, step, parameters):
    """As training saves: sharded over all devices, with the optimizer's state beside the weights."""
    mesh = jax.make_mesh((jax.device_count(),), ("data",))
    copies = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    items = store.weights_items(METADATA, jax.device_put(parameters, copies))
    training = {"step": np.int32(step), "moments": jax.device_put(parameters, copies)}
    checkpoints = ChecksummedCheckpoints(workdir / store.CHECKPOINTS)
    checkpoints.save(step, items | {store.TRAINING: ocp.args.StandardSave(training)})
    checkpoints.wait()


def test_a_training_runs_newest_step_is_read(tmp_path):
    for step in (9, 10):
        save_step(tmp_path, step, parameters_of(seed=step))
    checkpoints = tmp_path / store.CHECKPOINTS
    for path, seed in ((tmp_path, 10), (checkpoints, 10), (checkpoints / "9", 9)):
        metadata, parameters = store.load_weights(path)
        assert metadata == METADATA
        assert_same(parameters, parameters_of(seed=seed))


def test_an_unfinished_step_is_passed_over(tmp_path):
    save_step(tmp_path, 1, parameters_of())
    (tmp_path / store.CHECKPOINTS / "2.orbax-checkpoint-tmp").mkdir()
    (tmp_path / store.CHECKPOINTS / "3").mkdir()
    assert store.find_checkpoint(tmp_path).name == "1"


def test_a_missing_path_is_one_clear_line(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: no such file or folder") as error:
        store.load_weights(tmp_path / "nowhere")
    one_line(error)


def test_a_folder_without_a_checkpoint_is_one_clear_line(tmp_path):
    with pytest.raises(
        ValueError, match=r"no checkpoint in this folder: expected params/ and metadata/"
    ) as error:
        store.load_weights(tmp_path)
    one_line(error)


def test_a_pytorch_file_points_to_the_converter(tmp_path):
    (tmp_path / "deit.pth").write_bytes(b"weights")
    with pytest.raises(ValueError, match=r"python convert_deit_weights\.py .*deit\.pth DEST") as error:
        store.load_weights(tmp_path / "deit.pth")
    one_line(error)


def test_another_size_lists_what_differs(tmp_path):
    expected = ModelSpec(
        num_classes=7, width=128, depth=2, heads=2, image_size=32, patch_size=8, drop_path=0.1
    )
    with pytest.raises(ValueError, match="checkpoint of another model") as error:
        store.require_spec(METADATA, expected, path=tmp_path / "weights")
    message = one_line(error)
    assert str(tmp_path / "weights") in message
    for part in ("num_classes got 3, expected 7", "width got 64, expected 128", "heads got 1, expected 2"):
        assert part in message
    assert "depth" not in message
    assert "drop_path" not in message  # shapes nothing


def test_a_damaged_checkpoint_is_reported(tmp_path):
    store.save_weights(tmp_path / "weights", METADATA, parameters_of())
    (tmp_path / "weights" / "metadata" / "metadata").write_text('{"kind": "netw')
    write_checksums(tmp_path / "weights")
    with pytest.raises(ValueError, match="damaged checkpoint"):
        store.load_weights(tmp_path / "weights")


def test_any_flipped_bit_of_the_converters_checkpoint_is_found(tmp_path):
    weights = tmp_path / "weights"
    store.save_weights(weights, METADATA, parameters_of())
    rng = np.random.default_rng(0)
    files = [
        file for item in ("params", "metadata") for file in (weights / item).rglob("*") if file.is_file()
    ]
    assert any(file.stat().st_size > 100_000 for file in files)  # the arrays
    for file in files:
        content = file.read_bytes()
        flipped = bytearray(content)
        flipped[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
        file.write_bytes(flipped)
        with pytest.raises(
            ValueError, match=r"damaged checkpoint: .* has changed since it was written"
        ) as error:
            store.load_weights(weights)
        assert str(file.relative_to(weights)) in one_line(error)
        file.write_bytes(content)
    store.load_weights(weights)
    (weights / CHECKSUMS).unlink()
    with pytest.raises(ValueError, match=r"checksums\.json is missing"):
        store.load_weights(weights)


def test_a_failed_save_leaves_nothing_behind(tmp_path, monkeypatch):
    store.save_weights(tmp_path / "weights", METADATA, parameters_of())
    monkeypatch.setattr(store, "write_checksums", failing)
    with pytest.raises(OSError, match="disk full"):
        store.save_weights(tmp_path / "weights", METADATA, parameters_of(seed=1), overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["weights"]
    assert_same(store.load_weights(tmp_path / "weights")[1], parameters_of())


def failing(folder):
    raise OSError("disk full")


def test_parameters_that_are_not_the_metadatas_are_reported(tmp_path):
    parameters = parameters_of()
    parameters["cdm"]["bias"] = np.zeros(4, np.float32)
    del parameters["backbone"]["cls_token"]
    store.save_weights(tmp_path / "weights", METADATA, parameters)
    with pytest.raises(
        ValueError, match=r"missing: backbone\.cls_token; misshapen: cdm\.bias got \(4,\) expect"
    ):
        store.load_weights(tmp_path / "weights")


def test_nothing_is_overwritten_unasked(tmp_path):
    path = tmp_path / "weights"
    store.save_weights(path, METADATA, parameters_of())
    with pytest.raises(FileExistsError, match="already exists"):
        store.save_weights(path, METADATA, parameters_of(seed=1))
    store.save_weights(path, METADATA, parameters_of(seed=1), overwrite=True)
    assert_same(store.load_weights(path)[1], parameters_of(seed=1))


def test_only_a_weights_checkpoint_is_ever_replaced(tmp_path):
    (tmp_path / "thesis.txt").write_text("irreplaceable")
    save_step(tmp_path / "run", 1, parameters_of())
    for path in (tmp_path, tmp_path / "run", tmp_path / "run" / store.CHECKPOINTS / "1"):
        with pytest.raises(FileExistsError, match="is not overwritten"):
            store.save_weights(path, METADATA, parameters_of(), overwrite=True)
    assert (tmp_path / "thesis.txt").exists()


def test_misfits_names_each_kind():
    shape = jax.ShapeDtypeStruct
    got = {"a": {"b": shape((2,), "f4"), "extra": shape((), "f4")}}
    expected = {"a": {"b": shape((3,), "f4"), "c": shape((1,), "f4")}}
    assert misfits(got, expected) == [
        "missing: a.c",
        "unexpected: a.extra",
        "misshapen: a.b got (2,) expected (3,)",
    ]
    assert misfits(expected, expected) == []
