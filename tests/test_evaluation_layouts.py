"""Byte-identical files for any number of devices and processes."""

import functools
import json
from pathlib import Path

import jax
import numpy as np
import pytest
from evaluation_run import FILES, SIZE, SPEC, evaluate, make_mesh, run_processes

from lctr_jax.data import samples
from lctr_jax.distributed.mesh import replicated
from lctr_jax.evaluation.forward import ForwardOutput, compile_forward, fetch_local_rows
from lctr_jax.models.parameters import initialize

TESTS = Path(__file__).parent


DECODED = []


@pytest.fixture(scope="module")
def on_one_device(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("one_device")
    decode = samples.decode_record
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "decode_record", lambda record: DECODED.append(record["id"]) or decode(record))
        evaluate(folder, make_mesh(1))
    return folder


def test_every_image_is_decoded_once_whatever_is_compared(on_one_device):
    """There are 21 test images, a reference network, baselines, and 9 images to choose the threshold on."""
    assert "untrained" in json.loads((on_one_device / "metrics.json").read_text())["baselines"]
    assert len(DECODED) == 21 + 9


def assert_same_files(folder: Path, expected: Path):
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    for name in FILES:
        assert (folder / name).read_text() == (expected / name).read_text(), name


@pytest.mark.parametrize("num_devices", [2, 8])
def test_the_number_of_devices_changes_no_byte(on_one_device, tmp_path, num_devices):
    evaluate(tmp_path, make_mesh(num_devices))
    assert_same_files(tmp_path, on_one_device)


@pytest.mark.slow
def test_two_processes_change_no_byte(on_one_device, tmp_path):
    run_processes([str(TESTS / "evaluation_run.py")], [str(tmp_path)])
    assert_same_files(tmp_path, on_one_device)


@functools.cache
def maps_on(num_devices: int) -> ForwardOutput:
    """Maps of 48 images, six on every device at a time."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (48, SIZE, SIZE, 3)).astype(np.uint8)
    labels = rng.integers(0, SPEC.num_classes, 48).astype(np.int32)
    mesh = make_mesh(num_devices)
    forward = compile_forward(SPEC, mesh)
    parameters = jax.device_put(initialize(SPEC, jax.random.key(0)), replicated(mesh))
    batches = np.split(np.arange(48), 48 // (6 * num_devices))
    parts = [fetch_local_rows(forward(parameters, images[rows], labels[rows])) for rows in batches]
    return jax.tree.map(lambda *arrays: np.concatenate(arrays), *parts)


@pytest.mark.slow
@pytest.mark.optimized
@pytest.mark.parametrize("num_devices", [2, 8])
def test_the_number_of_devices_changes_no_bit_of_the_maps(num_devices):
    for name, expected, array in zip(ForwardOutput._fields, maps_on(1), maps_on(num_devices), strict=True):
        np.testing.assert_array_equal(array, expected, err_msg=name)
