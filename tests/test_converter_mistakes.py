"""User errors in the converter: one line that names the input, exit status 2, and no files written."""

import os
import sys

import numpy as np
import pytest
from goldens import seeded
from safetensors.numpy import save_file
from test_checkpoint_store import METADATA, parameters_of
from test_converter import lctr

from lctr_jax.checkpoints.store import load_weights, save_weights
from lctr_jax.convert import main


@pytest.fixture
def refusal(capsys):
    """Run the converter on a mistake; returns its one line."""

    def run(*arguments):
        capsys.readouterr()  # discard earlier output
        with pytest.raises(SystemExit) as exit_:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert exit_.value.code == 2
        assert out == ""
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        return err

    return run


@pytest.fixture
def refused(tmp_path, refusal):
    """The one line about a .safetensors file that cannot be converted."""

    def run(tensors, *options):
        save_file(tensors, tmp_path / "source.safetensors")
        message = refusal(tmp_path / "source.safetensors", tmp_path / "weights", *options)
        assert "source.safetensors" in message
        assert not (tmp_path / "weights").exists()
        return message

    return run


def test_num_classes_of_an_lctr_must_be_its_own(tmp_path, refused):
    assert "got 4, but the file has 3 classes" in refused(lctr(), "--num_classes", "4")
    main([str(tmp_path / "source.safetensors"), str(tmp_path / "weights"), "--num_classes", "3"])


def test_every_misfit_is_listed_in_one_line(refused):
    tensors = lctr()
    del tensors["blocks.1.mlp.fc2.bias"], tensors["norm.weight"]
    tensors["blocks.1.attn.rel_pos"] = np.zeros(4, np.float32)
    tensors["CDM.bias"] = np.zeros(4, np.float32)
    message = refused(tensors)
    assert "missing: blocks.1.mlp.fc2.bias, norm.weight" in message
    assert "unexpected: blocks.1.attn.rel_pos" in message
    assert "misshapen: CDM.bias got (4,) expected (3,)" in message


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"pos_embed": None}, "got no tensor 'pos_embed', expected a ViT, DeiT or LCTR"),
        ({"pos_embed": (1, 15, 64)}, "pos_embed: got 15 rows, expected a square number of patches"),
        ({"pos_embed": (17, 64)}, "pos_embed: got shape [17, 64], expected 3 dimensions"),
        ({"patch_embed.proj.weight": (64, 1, 8, 8)}, "patch_embed.proj.weight: got [64, 1, 8, 8]"),
        (
            {"blocks.0.mlp.fc1.weight": (100, 64)},
            "blocks.0.mlp.fc1.weight: got 100 rows, expected a multiple of 64",
        ),
    ],
)
def test_tensors_of_no_vit_are_reported(change, said, refused):
    tensors = lctr()
    for name, shape in change.items():
        del tensors[name]
        if shape is not None:
            tensors[name] = np.zeros(shape, np.float32)
    assert said in refused(tensors)


def test_heads_must_be_said_where_they_cannot_be_known(tmp_path, refused):
    shapes = seeded.lctr_shapes(3, dim=48, depth=2, patch=8, size=32)
    tensors = seeded.state_dict(shapes, 0)
    assert "48 is not a multiple of 64; pass --heads N" in refused(tensors)
    assert "expected a multiple of model.heads = 5" in refused(tensors, "--heads", "5")
    main([str(tmp_path / "source.safetensors"), str(tmp_path / "weights"), "--heads", "3"])
    assert load_weights(tmp_path / "weights")[0].spec.heads == 3


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(value, refused):
    tensors = lctr()
    tensors["conv3x3.bias"][5] = value
    assert "got NaN or infinity in conv3x3.bias" in refused(tensors)


def test_integers_are_refused(refused):
    assert "not floating point: CDM.bias" in refused(lctr() | {"CDM.bias": np.arange(3)})


def test_a_pickle_that_runs_code_is_refused_unrun(tmp_path, refusal):
    torch = pytest.importorskip("torch")

    class Malicious:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "owned"),)

    torch.save({"model": {"cls_token": torch.zeros(1)}, "note": Malicious()}, tmp_path / "evil.pth")
    message = refusal(tmp_path / "evil.pth", tmp_path / "weights")
    assert "evil.pth: refused, because it would have to run posix.mkdir" in message
    assert "extract its tensors" in message
    assert not (tmp_path / "owned").exists()
    torch.load(tmp_path / "evil.pth", weights_only=False)
    assert (tmp_path / "owned").exists()  # the file would have executed it


def test_a_whole_pickled_module_is_refused(tmp_path, refusal):
    torch = pytest.importorskip("torch")
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pth")
    message = refusal(tmp_path / "module.pth", tmp_path / "weights")
    assert "would have to run torch.nn.modules.linear.Linear" in message


@pytest.mark.parametrize("content", ["a list", "a number by name"])
def test_pth_files_without_named_tensors_are_reported(content, tmp_path, refusal):
    torch = pytest.importorskip("torch")
    torch.save([1, 2] if content == "a list" else {"epoch": 3}, tmp_path / "odd.pth")
    assert "expected tensors by name" in refusal(tmp_path / "odd.pth", tmp_path / "weights")


@pytest.mark.parametrize("name", ["source.pth", "source.safetensors"])
@pytest.mark.parametrize("content", [b"", b"not a checkpoint at all" * 40])
def test_damaged_files_are_reported(name, content, tmp_path, refusal):
    if name.endswith(".pth"):
        pytest.importorskip("torch")
    (tmp_path / name).write_bytes(content)
    assert "not a" in refusal(tmp_path / name, tmp_path / "weights")


def test_without_torch_a_pth_says_what_to_install(tmp_path, refusal, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # as if it were not installed
    (tmp_path / "deit.pth").write_bytes(b"")
    message = refusal(tmp_path / "deit.pth", tmp_path / "weights")
    assert "pip install -e '.[torch]'" in message


def test_wrong_paths_are_reported(tmp_path, refusal):
    assert "nowhere.pth: no such file" in refusal(tmp_path / "nowhere.pth", tmp_path / "weights")
    (tmp_path / "weights.h5").write_bytes(b"")
    message = refusal(tmp_path / "weights.h5", tmp_path / "weights")
    assert "got suffix '.h5', expected one of .pth, .pt, .ckpt, .bin, .tar, .safetensors" in message
    assert "no such file or folder" in refusal("--to-torch", tmp_path / "nowhere", tmp_path / "a.safetensors")


def test_nothing_is_overwritten_unasked(refusal, tmp_path):
    source, path = tmp_path / "source.safetensors", tmp_path / "weights"
    save_file(lctr(), source)
    main([str(source), str(path)])
    assert "already exists" in refusal(source, path)
    before = source.read_bytes()
    assert "already exists" in refusal("--to-torch", path, source)
    assert source.read_bytes() == before
    main([str(source), str(path), "--overwrite"])
    main(["--to-torch", str(path), str(source), "--overwrite"])


def test_a_file_with_an_unknown_suffix_is_not_written(tmp_path, refusal):
    save_weights(tmp_path / "weights", METADATA, parameters_of())
    assert "got suffix '.onnx'" in refusal("--to-torch", tmp_path / "weights", tmp_path / "a.onnx")
    assert not (tmp_path / "a.onnx").exists()


def test_destinations_are_checked_before_anything_is_read(refusal, tmp_path):
    nowhere = tmp_path / "nowhere"
    assert "does not exist; create it" in refusal("--to-torch", nowhere, tmp_path / "none" / "a.safetensors")
    assert "expected one of" in refusal("--to-torch", nowhere, tmp_path / "a.onnx")
    (tmp_path / "file").write_text("")
    assert "is a file, expected a folder" in refusal(
        "--to-torch", nowhere, tmp_path / "file" / "a.safetensors"
    )
    assert "file is not a folder" in refusal(tmp_path / "a.safetensors", tmp_path / "file" / "weights")
    (tmp_path / "folder.safetensors").mkdir()
    line = refusal("--to-torch", nowhere, tmp_path / "folder.safetensors", "--overwrite")
    assert "is a folder, expected the name of a file" in line
