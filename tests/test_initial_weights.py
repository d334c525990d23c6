"""`--config.init_from` with PyTorch's weights: converted on the way, once, and the network follows."""

import io
import json
import shutil
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from rich.console import Console
from safetensors.numpy import save_file
from small_run import draw_folder

from lctr_jax.checkpoints import converted_once
from lctr_jax.checkpoints.torch_files import read_tensors
from lctr_jax.checkpoints.transfer import read_initial_metadata, weights_digest
from lctr_jax.convert import main as convert
from lctr_jax.train import main

torch = pytest.importorskip("torch")
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder of pictures, and a tiny ViT at random weights as .safetensors and as .pth."""
    from torch_vit import Vit

    root = tmp_path_factory.mktemp("place")
    draw_folder(root / "pictures")
    torch.manual_seed(0)
    network = Vit(width=64, depth=1, heads=1, patch=8, side=4)
    tensors = {name: tensor.detach().numpy() for name, tensor in network.state_dict().items()}
    save_file(tensors, root / "vit.safetensors")
    torch.save({"model": network.state_dict()}, root / "vit.pth")
    return root


@pytest.fixture
def train(place, tmp_path, monkeypatch, capsys):
    """Run train.py by configs/folder.py, and return what it says on the terminal."""

    def run(source: str, *arguments: str) -> str:
        options = [
            f"--config={ROOT / 'configs/folder.py'}",
            f"--workdir={tmp_path / 'run'}",
            f"--config.data.root={place / 'pictures'}",
            f"--config.data.data_dir={tmp_path / 'data'}",
            f"--config.init_from={source}",
            "--config.train.epochs=1",
            "--config.eval.untrained_baseline=False",
            "--config.eval.batch_size=8",
        ]
        monkeypatch.setattr(sys, "argv", ["train.py", *options, *arguments])
        capsys.readouterr()
        main()
        return capsys.readouterr().err

    return run


@pytest.mark.slow
def test_a_file_is_converted_once_and_the_network_follows(train, place, tmp_path, monkeypatch):
    said = train(str(place / "vit.pth"))
    assert "blocks.*.attn.qkv.weight" in said  # the converter's table
    assert "tensors read, 0 dropped, 0 parameters newly initialized" in said
    assert "assumed to expect images normalized with ImageNet's mean" in said
    assert "chosen: --config.model.width=64 (the network of the initial weights)" in said
    assert "chosen: --config.model.image_size=32 (4 x 4 patches, those of the initial weights)" in said
    assert "chosen: --config.train.lr=0.0004 (for fine-tuning; a peak of 6.25e-06 at batch size 8)" in said
    assert f"init_from: {place / 'vit.pth'}, as {tmp_path / 'data/initial_weights'}" in said
    config = json.loads((tmp_path / "run/config.json").read_text())
    assert config["init_from"] == str(place / "vit.pth")
    assert config["train"]["epochs"] == 1  # given, not chosen

    started = (tmp_path / "run/config.json").read_text()
    shutil.rmtree(tmp_path / "run/eval")
    monkeypatch.setitem(sys.modules, "torch", None)  # not needed once the weights are converted
    said = train(str(place / "vit.pth"))
    assert "blocks.*.attn.qkv.weight" not in said
    assert f"options that the config leaves open: as {tmp_path / 'run'} was started" in said
    assert "resuming at step 3" in said
    assert (tmp_path / "run/config.json").read_text() == started


def test_processes_that_start_together_convert_once(place, tmp_path, monkeypatch):
    """Threads stand in for the processes of a host: their locks belong to open files, too."""
    both_have_read = threading.Barrier(2)

    def read(path):
        tensors = read_tensors(path)
        both_have_read.wait(timeout=60)
        return tensors

    monkeypatch.setattr(converted_once, "read_tensors", read)
    said = io.StringIO()
    with ThreadPoolExecutor(2) as threads:
        starting = [
            threads.submit(
                converted_once.convert_once, str(place / "vit.safetensors"), tmp_path, Console(file=said)
            )
            for _ in range(2)
        ]
        first, second = (start.result() for start in starting)
    assert first == second
    assert said.getvalue().count("tensors read") == 1


def test_what_is_kept_equals_what_the_converter_makes(place, tmp_path, capsys):
    from rich.console import Console

    from lctr_jax.checkpoints.converted_once import convert_once

    kept = [
        convert_once(str(place / f"vit.{suffix}"), tmp_path, Console()) for suffix in ("safetensors", "pth")
    ]
    assert len(set(kept)) == 2
    assert "tensors read" in capsys.readouterr().out
    convert([str(place / "vit.pth"), str(tmp_path / "converted")])
    assert {weights_digest(path) for path in kept} == {weights_digest(tmp_path / "converted")}
    assert read_initial_metadata(kept[0]).spec.image_size == 32
    assert convert_once(kept[0], tmp_path, Console()) == kept[0]  # our own file is taken as it is
    assert convert_once(str(tmp_path / "converted"), tmp_path, Console()) == str(tmp_path / "converted")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("vit.pth", "vit.pth: .pth files need torch: pip install -e '.[torch]'"),
        ("hf://nobody/nothing", "hf://nobody/nothing: hub names need huggingface_hub"),
        ("none.safetensors", "none.safetensors: no such file"),
    ],
)
def test_what_cannot_be_converted_is_one_line_before_the_data_is_prepared(
    train, place, tmp_path, monkeypatch, capsys, source, message
):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.chdir(place)
    with pytest.raises(SystemExit, match="2"):
        train(source)
    assert [line for line in capsys.readouterr().err.splitlines() if message in line]
    assert not (tmp_path / "data").exists()


def test_a_place_that_cannot_be_written_to_is_named(train, place, tmp_path, capsys):
    (tmp_path / "data").write_text("no folder")
    with pytest.raises(SystemExit, match="2"):
        train(str(place / "vit.safetensors"))
    assert "init_from: converted weights are kept in" in capsys.readouterr().err
