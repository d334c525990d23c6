"""Damaged, synthetic and unusual checkpoint files: one line each, in bounded time and memory."""

import json
import re
import resource
import zipfile

import numpy as np
import pytest
from goldens import seeded
from safetensors.numpy import save, save_file
from test_converter import SHAPES, lctr

from lctr_jax.checkpoints.store import load_weights
from lctr_jax.checkpoints.torch_files import read_tensors
from lctr_jax.checkpoints.transfer import read_initial_metadata
from lctr_jax.convert import main

torch = pytest.importorskip("torch")


def tensors():
    return {name: torch.from_numpy(array) for name, array in lctr().items()}


@pytest.fixture
def refused(tmp_path, capsys):
    """The one line about content that torch.save wrote."""

    def run(content, name="odd.pth"):
        torch.save(content, tmp_path / name)
        return refusal(tmp_path / name)

    def refusal(path):
        capsys.readouterr()  # discard earlier output
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(SystemExit, match="2"):
            main([str(path), str(tmp_path / "weights")])
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # KB
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("\n") == 1
        assert str(path) in err
        return err

    run.file = refusal  # pyright: ignore[reportFunctionMemberAccess]
    return run


ODD = {
    "sparse": lambda: torch.eye(3).to_sparse(),
    "nested": lambda: torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)]),
    "quantized": lambda: torch.quantize_per_tensor(torch.zeros(3), 0.1, 0, torch.qint8),
    "meta": lambda: torch.empty(2**40, device="meta"),
    "float8": lambda: torch.zeros(3).to(torch.float8_e4m3fn),
    "int64": lambda: torch.arange(3),
    "complex64": lambda: torch.zeros(3, dtype=torch.complex64),
    "bool": lambda: torch.zeros(3, dtype=torch.bool),
}


@pytest.mark.filterwarnings("ignore")  # torch's, of prototypes
@pytest.mark.parametrize("kind", ODD)
def test_tensors_that_are_not_plain_numbers_are_named(kind, refused):
    message = refused(tensors() | {"norm.weight": ODD[kind]()})
    assert f"norm.weight: got a tensor that is not plain floating point ({kind}" in message


def test_an_expanded_view_is_refused_before_it_is_copied(refused):
    assert "declares tensors of 400," in refused(tensors() | {"norm.weight": torch.zeros(1).expand(10**11)})


@pytest.mark.parametrize("name", [0, (1, 2), None, 1.5, True])
def test_names_that_are_no_text_are_reported(name, refused):
    assert f"got a tensor named {name!r}, expected names that are text" in refused(
        tensors() | {name: torch.zeros(3)}
    )


@pytest.mark.parametrize("name", ["norm.weight", "cls_token", "pos_embed", "patch_embed.proj.weight"])
def test_tensors_of_zero_size_are_reported(name, refused):
    refused(tensors() | {name: torch.zeros(0, *SHAPES[name][1:])})
    refused(tensors() | {name: torch.zeros(*SHAPES[name][:-1], 0)})


def test_entries_that_hold_each_other_end(refused):
    loop = {}
    loop["model"] = loop
    assert "nested more than 8 deep" in refused(loop)


def test_an_archive_that_declares_more_than_it_holds_is_refused(tmp_path, refused):
    torch.save({"model": tensors()}, tmp_path / "whole.pth")
    with (
        zipfile.ZipFile(tmp_path / "whole.pth") as whole,
        zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for entry in whole.infolist():
            bomb.writestr(entry.filename, whole.read(entry))
        bomb.writestr("archive/data/999", bytes(300 << 20))
    assert "torch.save does not compress" in refused.file(tmp_path / "bomb.pth")


def stored(tmp_path, note):
    save_file(
        lctr(),
        tmp_path / "odd.safetensors",
        {"lctr_jax": note if isinstance(note, str) else json.dumps(note)},
    )
    return tmp_path / "odd.safetensors"


NETWORK = {"width": 64, "depth": 2, "heads": 1, "image_size": 32, "patch_size": 8, "num_classes": 3}


@pytest.mark.parametrize("field", NETWORK)
@pytest.mark.parametrize("value", [10**9, 2**70, -1, 0.5, "64", None, [64], True])
def test_absurd_sizes_in_stored_metadata_are_refused(field, value, tmp_path, refused):
    metadata = {"kind": "network", "class_names": None, "source": "", "versions": {}}
    message = refused.file(stored(tmp_path, metadata | {"model": NETWORK | {field: value}}))
    assert f"model.{field}: got" in message or "metadata written by" in message


@pytest.mark.parametrize("note", ["[" * 100_000, '{"a":' * 100_000, "[]", "{", "nothing", {}, {"kind": 3}])
def test_stored_metadata_that_is_none_is_reported(note, tmp_path, refused):
    refused.file(stored(tmp_path, note))


@pytest.mark.parametrize("kind", ["F8_E4M3", "F8_E5M2", "U8", "BOOL"])
def test_one_byte_numbers_in_safetensors_are_named(kind, tmp_path, refused):
    content = save({"norm.weight": np.zeros(64, np.uint8)})
    (tmp_path / "odd.safetensors").write_bytes(
        content.replace(b'"U8"', f'"{kind}"'.encode()).replace(
            content[:8], (int.from_bytes(content[:8], "little") + len(kind) - 2).to_bytes(8, "little"), 1
        )
    )
    assert f"not floating point: norm.weight ({kind})" in refused.file(tmp_path / "odd.safetensors")


def test_numbers_and_options_beside_the_weights_are_left_alone(tmp_path, capsys):
    import argparse
    import collections
    import datetime
    import pathlib

    beside = {
        "best": np.float64(0.5),
        "curve": np.arange(3.0),
        "when": datetime.datetime(2024, 1, 1),
        "where": pathlib.PurePosixPath("a"),
        "args": argparse.Namespace(lr=1),
        "seen": collections.defaultdict(list, a=[1]),
    }
    torch.save(
        {"model": tensors() | {"num_batches": torch.tensor(3), "lr": np.float32(1)}, **beside},
        tmp_path / "a.pth",
    )
    main([str(tmp_path / "a.pth"), str(tmp_path / "weights")])
    printed = " ".join(capsys.readouterr().out.split())
    assert "ignored: best, curve, when, where, args, seen, num_batches, lr" in printed


class Opaque:
    """A class of somebody's training script."""

    def __init__(self):
        self.value = 3


@pytest.mark.parametrize(
    "wrap",
    [
        lambda weights: {"model": weights, "config": Opaque()},
        lambda weights: {"state_dict": {"model": weights}, "config": Opaque()},
        lambda weights: weights | {"config": Opaque()},
        lambda weights: {"model": module_of(weights), "epoch": 3},
        lambda weights: module_of(weights),
    ],
)
@pytest.mark.parametrize("legacy", [False, True])
def test_the_advice_works_for_that_very_file(wrap, legacy, tmp_path, refused):
    path = tmp_path / "odd.pth"
    torch.save(wrap(tensors()), path, _use_new_zipfile_serialization=not legacy)
    message = refused.file(path)
    assert "refused, because it would have to run" in message
    exec(re.findall(r"torch\.save\(.*", message)[0], {"torch": torch})
    main([str(tmp_path / "odd_tensors.pth"), str(tmp_path / "weights")])
    assert load_weights(tmp_path / "weights")[0].spec.width == 64


def module_of(weights):
    """A module with tensors of these names."""
    root = torch.nn.Module()
    for name, tensor in weights.items():
        *places, leaf = name.split(".")
        module = root
        for place in places:
            if place not in module._modules:
                module.add_module(place, torch.nn.Module())
            module = module._modules[place]
        module.register_parameter(leaf, torch.nn.Parameter(tensor))
    return root


@pytest.mark.parametrize(
    "prefix", ["_orig_mod.", "model.", "net.", "module._orig_mod.", "_orig_mod.model.net."]
)
def test_prefixes_and_their_nestings_are_undone(prefix, tmp_path):
    save_file({prefix + name: array for name, array in lctr().items()}, tmp_path / "a.safetensors")
    main([str(tmp_path / "a.safetensors"), str(tmp_path / "weights")])
    assert load_weights(tmp_path / "weights")[0].spec.num_classes == 3


def test_a_network_inside_something_larger_is_found(tmp_path, refused):
    inside = {f"model.{name}": tensor for name, tensor in tensors().items()}
    torch.save({"state_dict": inside | {"n_averaged": torch.tensor(3)}}, tmp_path / "a.ckpt")
    main([str(tmp_path / "a.ckpt"), str(tmp_path / "weights")])
    both = inside | {f"other.{name}": tensor for name, tensor in tensors().items()}
    assert "got several networks, under model., other." in refused({"state_dict": both})


@pytest.mark.parametrize("name", ["model_ema", "state_dict_ema"])
def test_a_file_with_only_the_moving_average_gives_it(name, tmp_path):
    torch.save({name: tensors(), "epoch": 3}, tmp_path / "a.pth")
    assert read_tensors(tmp_path / "a.pth").tensors.keys() == lctr().keys()
    assert read_tensors(tmp_path / "a.pth", ema=True).tensors.keys() == lctr().keys()


def test_the_moving_average_is_taken_by_ema_alone(tmp_path, capsys):
    zeros = {name: torch.zeros_like(tensor) for name, tensor in tensors().items()}
    torch.save({"model": tensors(), "model_ema": zeros}, tmp_path / "a.pth")
    main([str(tmp_path / "a.pth"), str(tmp_path / "weights")])
    assert "to use the moving average in model_ema, add --ema" in " ".join(capsys.readouterr().out.split())
    assert load_weights(tmp_path / "weights")[1]["backbone"]["norm"]["scale"].any()
    main([str(tmp_path / "a.pth"), str(tmp_path / "weights"), "--ema", "--overwrite"])
    assert not load_weights(tmp_path / "weights")[1]["backbone"]["norm"]["scale"].any()
    torch.save({"model": tensors()}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match="--ema: got no moving average, expected an entry model_ema"):
        read_tensors(tmp_path / "a.pth", ema=True)


@pytest.mark.parametrize(
    "name", ["a.pth.tar", "a.ckpt", "a.bin", "A.PTH", "a.PT", "a.SafeTensors", "safetensors.bin"]
)
def test_suffixes_of_any_case_and_content_recognized_by_itself(name, tmp_path):
    if "safetensors" in name.lower():
        save_file(seeded.state_dict(SHAPES, 0), tmp_path / name)
    else:
        torch.save(tensors(), tmp_path / name)
    assert read_tensors(tmp_path / name).tensors.keys() == lctr().keys()
    read_initial_metadata(tmp_path / name)
