"""Weights from the Hugging Face hub through the converter's command line."""

import importlib
import sys
import types

import pytest
from safetensors.numpy import save_file
from test_vit_families import published, refusal

from lctr_jax.checkpoints.hub import download
from lctr_jax.checkpoints.store import load_metadata
from lctr_jax.convert import main


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A huggingface_hub that has one file of one repository."""
    _, tensors = published("DeiT")
    save_file(tensors, tmp_path / "cached.safetensors")
    asked = []

    def hf_hub_download(repository, file):
        asked.append((repository, file))
        if repository != "timm/deit_tiny":
            raise OSError(f"404 for {repository}\nand a long story")
        return str(tmp_path / "cached.safetensors")

    module = types.SimpleNamespace(
        hf_hub_download=hf_hub_download, try_to_load_from_cache=lambda repository, file: None
    )
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    return asked


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("timm/deit_tiny", "model.safetensors"),
        ("hf://timm/deit_tiny", "model.safetensors"),
        ("hf://timm/deit_tiny/weights/w.safetensors", "weights/w.safetensors"),
    ],
)
def test_hub_names_are_fetched(name, file, hub, tmp_path):
    main([name, str(tmp_path / "weights")])
    assert hub == [("timm/deit_tiny", file)]
    assert load_metadata(tmp_path / "weights").source == name


def test_a_file_in_the_hub_s_cache_needs_no_network(tmp_path, monkeypatch):
    client = pytest.importorskip("huggingface_hub")
    commit = "0123456789" * 4
    stored = tmp_path / "hub/models--timm--deit_tiny/snapshots" / commit
    stored.mkdir(parents=True)
    (stored / "model.safetensors").touch()
    (stored.parents[1] / "refs").mkdir()
    (stored.parents[1] / "refs/main").write_text(commit)
    constants = importlib.import_module("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(client, "hf_hub_download", None)  # it would ask the hub first
    assert download("timm/deit_tiny") == stored / "model.safetensors"


def test_what_the_hub_does_not_have_is_one_line(hub, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["hf://timm/no_such", str(tmp_path / "weights")])
    downloading, error = capsys.readouterr().err.splitlines()
    assert downloading == "downloading model.safetensors of timm/no_such from the Hugging Face hub"
    said = (
        "error: hf://timm/no_such: cannot be downloaded from the hub: 404 for timm/no_such; without a network"
    )
    assert error.startswith(said)
    message = refusal("hf://timm", tmp_path / "weights", capsys=capsys)
    assert "expected hf://OWNER/REPOSITORY[/FILE] or timm/NAME" in message


def test_hub_names_without_the_package_say_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    message = refusal("timm/deit_tiny", tmp_path / "weights", capsys=capsys)
    assert "pip install huggingface_hub" in message
