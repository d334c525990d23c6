"""The same families compared with timm itself, if installed, and timm reading our files."""

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file
from test_vit_families import features, flat, relative_error

import lctr_jax
from lctr_jax.checkpoints.metadata import Metadata
from lctr_jax.checkpoints.store import load_metadata, save_weights
from lctr_jax.convert import main
from lctr_jax.models.parameters import parameter_shapes
from lctr_jax.models.spec import ModelSpec

NAMES = [
    "deit_tiny_patch16_224",
    "deit3_small_patch16_224",
    "vit_tiny_patch16_224.augreg_in21k_ft_in1k",
    "vit_small_patch8_224.dino",
    "vit_base_patch16_224.mae",
    "vit_small_patch14_dinov2",
    "vit_small_patch14_reg4_dinov2",
]


@pytest.fixture(scope="module")
def timm():
    torch = pytest.importorskip("torch")
    # Beside a CPU torch, PyPI's torchvision lacks operators that its import asks for and timm never uses.
    library = torch.library.Library("torchvision", "FRAGMENT")
    try:
        for name in ("nms", "qnms"):
            if not hasattr(torch.ops.torchvision, name):
                library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        yield pytest.importorskip("timm")
    finally:
        library._destroy()


def random_model(timm, name):
    import torch

    model = timm.create_model(name, pretrained=False, img_size=112).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            is_scale = "norm" in parameter_name and parameter_name.endswith("weight")
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(float(is_scale) + (0.5 if ".ls" in parameter_name else 0.05) * noise)
    return model


@pytest.mark.filterwarnings("ignore")  # timm's and torchvision's own
@pytest.mark.parametrize("name", NAMES)
def test_timms_model_and_ours_agree_both_ways(name, timm, tmp_path):
    import torch

    model = random_model(timm, name)
    tensors = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    save_file(tensors, tmp_path / "vit.safetensors")
    main([str(tmp_path / "vit.safetensors"), str(tmp_path / "weights")])
    images = np.random.default_rng(0).standard_normal((2, 112, 112, 3), np.float32)
    with torch.no_grad():
        tokens = model.forward_features(torch.from_numpy(images).permute(0, 3, 1, 2))
    got, spec = features(tmp_path / "weights", images), load_metadata(tmp_path / "weights").spec
    errors = (
        relative_error(got.cls_token, tokens[:, 0]),
        relative_error(flat(got.patch_tokens), tokens[:, spec.prefix_tokens :]),
    )
    print(f"{name}: {max(errors):.1e}")
    assert max(errors) < 2e-5

    main(["--to-torch", str(tmp_path / "weights"), str(tmp_path / "back.pth")])
    again = timm.create_model(name, pretrained=False, img_size=112, num_classes=0)
    again.load_state_dict(torch.load(tmp_path / "back.pth", weights_only=True)["model"], strict=True)
    again.eval()
    with torch.no_grad():
        assert torch.equal(again.forward_features(torch.from_numpy(images).permute(0, 3, 1, 2)), tokens)


@pytest.mark.filterwarnings("ignore")
def test_timms_deit_reads_a_classifier_trained_here(timm, tmp_path):
    import torch

    spec = ModelSpec(num_classes=3, method="deit", width=192, depth=12, heads=3, image_size=32)
    rng = np.random.default_rng(0)
    parameters = jax.tree.map(
        lambda leaf: 0.05 * rng.standard_normal(leaf.shape, np.float32), parameter_shapes(spec)
    )
    save_weights(tmp_path / "weights", Metadata(kind="network", spec=spec), parameters)
    main(["--to-torch", str(tmp_path / "weights"), str(tmp_path / "deit.pth")])
    model = timm.create_model("deit_tiny_patch16_224", pretrained=False, img_size=32, num_classes=3).eval()
    model.load_state_dict(torch.load(tmp_path / "deit.pth", weights_only=True)["model"], strict=True)
    images = rng.standard_normal((2, 32, 32, 3), np.float32)
    with torch.no_grad():
        theirs = model(torch.from_numpy(images).permute(0, 3, 1, 2))
    assert relative_error(lctr_jax.load(tmp_path / "weights")(images).logits, theirs) < 2e-5
