"""The converter through its command line: what it makes of each kind of file, and of each mistake."""

import argparse
import os
import sys

import numpy as np
import pytest
from goldens import seeded
from safetensors.numpy import save_file
from test_checkpoint_store import METADATA, assert_same, parameters_of

from lctr_jax.checkpoints.converter import main
from lctr_jax.checkpoints.store import load_weights, save_weights
from lctr_jax.models.sizes import ModelSpec

SHAPES = seeded.lctr_shapes(3, dim=64, depth=2, patch=8, size=32)
SPEC = ModelSpec(num_classes=3, width=64, depth=2, heads=1, image_size=32, patch_size=8)


def lctr():
    return seeded.state_dict(SHAPES, 0)


def deit(*, classes=10, distilled=False):
    tensors = {name: array for name, array in lctr().items() if not name.startswith(("conv3x3", "CDM"))}
    head = {"weight": (classes, 64), "bias": (classes,)}
    heads = ["head", "head_dist"] if distilled else ["head"]
    tensors |= {
        f"{name}.{leaf}": np.ones(shape, np.float32) for name in heads for leaf, shape in head.items()
    }
    if distilled:
        tensors["dist_token"] = np.full((1, 1, 64), 7, np.float32)
        tensors["pos_embed"] = np.insert(tensors["pos_embed"], 1, 9, axis=1)  # CLS, distillation, patches
    return tensors


@pytest.fixture
def convert(tmp_path, capsys):
    """Convert tensors through a .safetensors file; returns the checkpoint's path and what was printed."""

    def run(tensors, *options):
        save_file(tensors, tmp_path / "source.safetensors")
        main([str(tmp_path / "source.safetensors"), str(tmp_path / "weights"), *options])
        return tmp_path / "weights", capsys.readouterr().out

    return run


@pytest.fixture
def refusal(tmp_path, capsys):
    """Run the converter on a mistake; returns its one line."""

    def run(*arguments):
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


def test_an_lctr_is_converted_whole(convert):
    path, printed = convert(lctr())
    metadata, parameters = load_weights(path)
    assert (metadata.kind, metadata.spec) == ("network", SPEC)
    assert_same(parameters, parameters_of())
    assert "source.safetensors" in metadata.source
    assert "blocks.*.attn.qkv.weight" in printed
    assert "lctr of 3 classes, width 64, depth 2, 1 heads, 4 x 4 patches of 8 px" in printed
    assert "38 tensors read, 0 dropped, 0 parameters newly initialised" in printed


def test_a_deit_gives_a_backbone_and_says_what_it_dropped(convert):
    path, printed = convert(deit())
    metadata, parameters = load_weights(path)
    assert metadata.kind == "backbone"
    assert_same(parameters, {"backbone": parameters_of()["backbone"]})
    assert "head.weight: classification head" in printed
    assert "30 tensors read, 2 dropped" in printed
    assert "newly initialised by the training" in " ".join(printed.split())


def test_a_distilled_deit_loses_its_token_and_that_tokens_position(convert):
    path, printed = convert(deit(distilled=True))
    assert_same(load_weights(path)[1], {"backbone": parameters_of()["backbone"]})
    assert "dist_token: distillation token" in printed
    assert "30 tensors read, 5 dropped" in printed


def test_num_classes_gives_a_deit_a_new_head(convert):
    path, printed = convert(deit(), "--num_classes", "5")
    metadata, parameters = load_weights(path)
    assert metadata.kind == "network"
    assert metadata.spec.num_classes == 5
    assert_same({"backbone": parameters["backbone"]}, {"backbone": parameters_of()["backbone"]})
    assert parameters["cdm"]["kernels"].shape == (3, 3, 64, 4, 5)
    assert printed.count("newly initialised") == 9  # eight arrays and the summary


def test_num_classes_of_an_lctr_must_be_its_own(convert, refused):
    assert "got 4, but the file has 3 classes" in refused(lctr(), "--num_classes", "4")
    convert(lctr(), "--num_classes", "3")


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("nests", [(), ("model",), ("state_dict",), ("state_dict", "model")])
def test_nesting_and_prefixes_are_undone(prefix, nests, tmp_path, capsys):
    torch = pytest.importorskip("torch")
    content = {prefix + name: torch.from_numpy(array) for name, array in lctr().items()}
    for nest in nests:
        content = {nest: content, "epoch": 3}
    torch.save(content, tmp_path / "lctr.pth")
    main([str(tmp_path / "lctr.pth"), str(tmp_path / "weights")])
    assert_same(load_weights(tmp_path / "weights")[1], parameters_of())
    assert ("left alone: epoch" in capsys.readouterr().out) == bool(nests)


def test_a_prefix_in_safetensors_is_undone(convert):
    path, _ = convert({f"module.{name}": array for name, array in lctr().items()})
    assert_same(load_weights(path)[1], parameters_of())


def test_half_precision_is_widened_exactly(convert):
    halves = {name: array.astype(np.float16) for name, array in lctr().items()}
    _, parameters = load_weights(convert(halves)[0])
    widened = {name: array.astype(np.float32) for name, array in halves.items()}
    assert parameters["cdm"]["bias"].dtype == np.float32
    np.testing.assert_array_equal(parameters["cdm"]["bias"], widened["CDM.bias"])


def test_bfloat16_is_widened_exactly(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file as save_torch

    tensors = {name: torch.from_numpy(array).bfloat16() for name, array in lctr().items()}
    torch.save(tensors, tmp_path / "lctr.pt")
    save_torch(tensors, tmp_path / "lctr.safetensors")
    for name in ("lctr.pt", "lctr.safetensors"):
        main([str(tmp_path / name), str(tmp_path / "weights"), "--overwrite"])
        _, parameters = load_weights(tmp_path / "weights")
        expected = tensors["CDM.bias"].float().numpy()
        np.testing.assert_array_equal(parameters["cdm"]["bias"], expected)


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
def test_tensors_of_no_vit_are_told(change, said, refused):
    tensors = lctr()
    for name, shape in change.items():
        del tensors[name]
        if shape is not None:
            tensors[name] = np.zeros(shape, np.float32)
    assert said in refused(tensors)


def test_heads_must_be_said_where_they_cannot_be_known(convert, refused):
    shapes = seeded.lctr_shapes(3, dim=48, depth=2, patch=8, size=32)
    tensors = seeded.state_dict(shapes, 0)
    assert "nor 48 / 64; say --heads N" in refused(tensors)
    assert "expected a multiple of model.heads = 5" in refused(tensors, "--heads", "5")
    path, _ = convert(tensors, "--heads", "3")
    assert load_weights(path)[0].spec.heads == 3


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
    assert "evil.pth: refused, as it would have to run posix.mkdir" in message
    assert "keep the tensors alone" in message
    assert not (tmp_path / "owned").exists()
    torch.load(tmp_path / "evil.pth", weights_only=False)
    assert (tmp_path / "owned").exists()  # it would have


def test_a_whole_pickled_module_is_refused(tmp_path, refusal):
    torch = pytest.importorskip("torch")
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pth")
    message = refusal(tmp_path / "module.pth", tmp_path / "weights")
    assert "would have to run torch.nn.modules.linear.Linear" in message


def test_training_options_beside_the_weights_do_no_harm(tmp_path, capsys):
    torch = pytest.importorskip("torch")
    model = {name: torch.from_numpy(array) for name, array in lctr().items()}
    torch.save({"model": model, "args": argparse.Namespace(lr=1e-3)}, tmp_path / "lctr.pth")
    main([str(tmp_path / "lctr.pth"), str(tmp_path / "weights")])
    assert "left alone: args" in capsys.readouterr().out


@pytest.mark.parametrize("content", ["a list", "a number by name"])
def test_pth_files_without_named_tensors_are_told(content, tmp_path, refusal):
    torch = pytest.importorskip("torch")
    torch.save([1, 2] if content == "a list" else {"epoch": 3}, tmp_path / "odd.pth")
    assert "expected tensors by name" in refusal(tmp_path / "odd.pth", tmp_path / "weights")


@pytest.mark.parametrize("name", ["source.pth", "source.safetensors"])
@pytest.mark.parametrize("content", [b"", b"not a checkpoint at all" * 40])
def test_damaged_files_are_told(name, content, tmp_path, refusal):
    if name.endswith(".pth"):
        pytest.importorskip("torch")
    (tmp_path / name).write_bytes(content)
    assert "not a" in refusal(tmp_path / name, tmp_path / "weights")


def test_without_torch_a_pth_says_what_to_install(tmp_path, refusal, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # as if it were not installed
    (tmp_path / "deit.pth").write_bytes(b"")
    message = refusal(tmp_path / "deit.pth", tmp_path / "weights")
    assert "pip install -r requirements-torch.txt" in message


def test_wrong_paths_are_told(tmp_path, refusal):
    assert "nowhere.pth: no such file" in refusal(tmp_path / "nowhere.pth", tmp_path / "weights")
    (tmp_path / "weights.h5").write_bytes(b"")
    message = refusal(tmp_path / "weights.h5", tmp_path / "weights")
    assert "got suffix '.h5', expected one of .pth, .pt, .safetensors" in message
    assert "no such file or folder" in refusal("--to-torch", tmp_path / "nowhere", tmp_path / "a.safetensors")


def test_nothing_is_overwritten_unasked(convert, refusal, tmp_path):
    path, _ = convert(lctr())
    source = tmp_path / "source.safetensors"
    assert "exists already" in refusal(source, path)
    before = source.read_bytes()
    assert "exists already" in refusal("--to-torch", path, source)
    assert source.read_bytes() == before
    main([str(source), str(path), "--overwrite"])
    main(["--to-torch", str(path), str(source), "--overwrite"])


def test_a_file_with_an_unknown_suffix_is_not_written(tmp_path, refusal):
    save_weights(tmp_path / "weights", METADATA, parameters_of())
    assert "got suffix '.onnx'" in refusal("--to-torch", tmp_path / "weights", tmp_path / "a.onnx")
    assert not (tmp_path / "a.onnx").exists()
