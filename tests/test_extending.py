"""The examples of docs/extending.md, taken from the page and run, and what they rely on."""

import csv
import importlib
import json
import re
import shlex
import sys

import jax
import numpy as np
import pytest
from small_run import ROOT, draw_folder, train

import lctr_jax
from lctr_jax import convert, prepare
from lctr_jax.checkpoints.metadata import Metadata
from lctr_jax.checkpoints.store import load_weights
from lctr_jax.models.methods import METHODS, get_method
from lctr_jax.models.parameters import initialize
from lctr_jax.models.spec import ModelSpec

PAGE = (ROOT / "docs/extending.md").read_text()
MODULES = dict(re.findall(r"```python\n# (\S+\.py)\n(.*?)```", PAGE, re.DOTALL))
COMMANDS = [
    shlex.split(command.replace("\\\n", " ")) for command in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
]


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The page's modules as files on the path of imports."""
    for name, text in MODULES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_package"]:
        del sys.modules[name]
    get_method.cache_clear()


def options_of(command):
    """What a page's command adds to the small run of tests: all but config and folder."""
    return [option for option in command if option.startswith(("--config.model", "--config.data.name"))]


def test_the_page_shows_what_is_run_here():
    assert list(MODULES) == ["my_package/lse_cam.py", "my_package/csv_images.py"]
    assert [command[1:3] for command in COMMANDS] == [
        ["train.py", "--config"],
        ["train.py", "--config"],
        ["-m", "lctr_jax.prepare"],
    ]


@pytest.mark.slow
def test_a_method_from_outside_trains_evaluates_loads_and_converts(package, tmp_path):
    draw_folder(tmp_path / "pictures")
    workdir = tmp_path / "run"
    options = options_of(COMMANDS[0])
    assert options == ["--config.model.method=my_package.lse_cam"]
    train(tmp_path / "pictures", workdir, *options)

    metrics = json.loads((workdir / "eval/metrics.json").read_text())
    assert 0 <= metrics["gt_known_loc"] <= 100
    metadata, parameters = load_weights(workdir)
    assert metadata.spec.method == "my_package.lse_cam"
    fresh = initialize(metadata.spec, jax.random.key(0))
    jax.tree.map(np.testing.assert_array_equal, parameters["backbone"], fresh["backbone"])  # frozen
    assert np.abs(parameters["head"]["kernel"] - fresh["head"]["kernel"]).max() > 0  # trained
    assert np.abs(parameters["head_norm"]["mean"]).max() > 0  # running statistics were kept
    log = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    assert all(np.isfinite(line["train/loss"]) for line in log if "train/loss" in line)

    images = np.random.default_rng(0).standard_normal((2, 32, 32, 3), np.float32)
    assert lctr_jax.load(workdir)(images).localization_map.shape == (2, 4, 4)
    convert.main(["--to-torch", str(workdir), str(tmp_path / "torch.safetensors")])
    convert.main([str(tmp_path / "torch.safetensors"), str(tmp_path / "again")])
    again, arrays = load_weights(tmp_path / "again")
    assert again.spec == metadata.spec
    jax.tree.map(np.testing.assert_array_equal, arrays, parameters)


@pytest.mark.slow
def test_a_data_set_from_outside_is_prepared_trained_on_and_evaluated(package, tmp_path):
    root = tmp_path / "pictures"
    draw_folder(root)
    with (root / "annotations.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["split", "file", "class", "x0", "y0", "x1", "y1"])
        for split in ("train", "val"):
            for line in (root / f"list/{split}_boxes.txt").read_text().splitlines():
                name, _, *box = line.split()
                writer.writerow([split, f"{split}/{name}", name.partition("/")[0], *box])
    command = [{"ROOT": str(root), "data": str(tmp_path / "data")}.get(part, part) for part in COMMANDS[2]]
    prepare.main([*command[3:], "--num_processes=1"])
    prepared = tmp_path / "data/csv_images/1.0.0"
    written = {path: path.stat().st_mtime_ns for path in prepared.iterdir()}
    options = [*options_of(COMMANDS[1]), "--config.model.method=cam", "--config.train.epochs=1"]
    assert options[0] == "--config.data.name=my_package.csv_images"
    train(root, tmp_path / "run", *options)
    assert {path: path.stat().st_mtime_ns for path in prepared.iterdir()} == written  # read, not made again
    metrics = json.loads((tmp_path / "run/eval/metrics.json").read_text())
    assert metrics["num_images"] == metrics["num_images_with_boxes"] == 10
    line = json.loads((tmp_path / "run/eval/predictions.jsonl").read_text().splitlines()[0])
    assert line["id"].startswith("val/")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--config.model.method=my_package.nothing", "no module 'my_package.nothing'; install it"),
        ("--config.model.method=my_package.lse_cam:OTHER", "my_package.lse_cam has no OTHER"),
        ("--config.model.method=my_package.lse_cam:LseCam", "expected a Method"),
        ("--config.model.method=my_package.lse_cam:", "expected a Method"),
        ("--config.model.method=lse", "expected one of lctr,"),
        ("--config.data.name=my_package.csv_images:Path", "expected a RecordBuilder"),
    ],
)
def test_a_wrong_module_path_is_one_line(package, tmp_path, capsys, option, message):
    draw_folder(tmp_path / "pictures")
    with pytest.raises(SystemExit, match="2"):
        train(tmp_path / "pictures", tmp_path / "run", option)
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert message in error
    assert option.partition("=")[0].removeprefix("--config.") in error


def test_a_checkpoint_does_not_get_to_import_code(package, monkeypatch):
    stored = Metadata(kind="network", spec=ModelSpec(num_classes=2, width=8, depth=1, heads=1)).to_json()
    stored["model"]["method"] = "my_package.lse_cam"
    with pytest.raises(ValueError, match=r"set LCTR_JAX_METHODS=my_package\.lse_cam"):
        Metadata.from_json(stored)
    assert "my_package" not in sys.modules
    monkeypatch.setenv("LCTR_JAX_METHODS", "my_package.lse_cam")
    assert Metadata.from_json(stored).spec.head == "lse"
    monkeypatch.delenv("LCTR_JAX_METHODS")
    assert Metadata.from_json(stored).spec.head == "lse"  # imported already


def test_every_method_of_the_package_is_described_in_the_docs():
    page = (ROOT / "docs/methods.md").read_text()
    for name in METHODS:
        assert get_method(name).description
        assert f"| `{name}` |" in page
