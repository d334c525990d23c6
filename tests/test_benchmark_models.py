"""The networks used for comparison in benchmarks compute the same as ours, so the comparison is fair."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from jax.sharding import Mesh

from benchmarks.naive_lctr import naive_forward, naive_train_step
from benchmarks.programs import OPTIMIZER, OPTIONS, SCHEDULE
from lctr_jax.data.augmentation import Augmentation
from lctr_jax.distributed.mesh import BATCH_AXES
from lctr_jax.models.parameters import bind
from lctr_jax.training.state import new_state
from lctr_jax.training.steps import train_step

GOLDEN = np.load(reference.GOLDENS / "tiny_lctr.npz")


def golden_map(maps: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Of the predicted class, from the maps of all classes, classes first."""
    return np.maximum([frame[top] for frame, top in zip(maps, logits.argmax(1), strict=True)], 0)


@pytest.mark.usefixtures("implicit_promotion")
def test_the_naive_port_equals_the_reference():
    spec, parameters = reference.TINY, reference.parameters(reference.TINY)
    logits, relation, maps = jax.jit(naive_forward, static_argnums=0)(
        spec, parameters, reference.images(2, 0)
    )
    assert reference.relative_error(logits, GOLDEN["logits"]) < 1e-4
    assert reference.relative_error(relation, GOLDEN["rpam"]) < 1e-4
    chosen = golden_map(np.moveaxis(maps, -1, 1), np.asarray(logits))
    assert reference.relative_error(chosen, GOLDEN["cam"]) < 1e-4


@pytest.mark.slow
@pytest.mark.usefixtures("implicit_promotion")
def test_the_naive_ports_step_equals_ours():
    spec = reference.TINY
    images = jnp.asarray(np.random.default_rng(0).integers(0, 256, (4, 224, 224, 3), np.uint8))
    labels = jnp.arange(4)
    state = new_state(reference.parameters(spec), OPTIMIZER)
    options = {"spec": spec, "optimizer": OPTIMIZER, "schedule": SCHEDULE}
    naive, loss = jax.jit(lambda state: naive_train_step(state, images, labels, **options))(state)
    batch = {"image": images, "label": labels}
    ours, metrics = jax.jit(
        lambda state: train_step(
            state,
            batch,
            mesh=Mesh(np.array(jax.devices()[:1]).reshape(1, 1), BATCH_AXES),
            seed=0,
            augmentation=Augmentation(erasing=0.0),
            options=OPTIONS,
            **options,
        )
    )(state)
    assert float(loss) == pytest.approx(float(metrics.loss), rel=1e-5)
    for a, b in zip(jax.tree.leaves(naive.optimizer), jax.tree.leaves(ours.optimizer), strict=True):
        assert np.linalg.norm(a - b) <= 1e-3 * np.linalg.norm(b)


def torch_model(spec):
    torch = pytest.importorskip("torch")
    from benchmarks.torch_lctr import TorchLCTR

    model = TorchLCTR(spec)
    state = reference.torch_state(spec)
    model.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})
    return torch, model


def test_the_pytorch_side_equals_the_reference_and_learns_from_the_same_gradients():
    torch, model = torch_model(reference.TINY)
    from benchmarks.torch_lctr import localization_map

    images = torch.from_numpy(np.array(reference.images(2, 0))).permute(0, 3, 1, 2)
    logits, maps, relation = model(images)
    assert reference.relative_error(logits.detach(), GOLDEN["logits"]) < 1e-4
    assert reference.relative_error(relation, GOLDEN["rpam"]) < 1e-4
    chosen = golden_map(maps.detach().numpy(), logits.detach().numpy())
    assert reference.relative_error(chosen, GOLDEN["cam"]) < 1e-4
    with torch.no_grad():
        _, combined = localization_map(model, images)
    assert reference.relative_error(combined, GOLDEN["rpam"] * GOLDEN["cam"]) < 1e-4
    labels = torch.from_numpy(np.array(reference.labels(2, 7, 0))).long()
    torch.nn.functional.cross_entropy(logits, labels).backward()
    for name, parameter in model.named_parameters():
        if f"grad/{name}" in GOLDEN:
            expected = GOLDEN[f"grad/{name}"]
            assert parameter.grad is not None
            error = np.linalg.norm(parameter.grad.numpy() - expected)
            assert error < 1e-3 * np.linalg.norm(expected), name


def test_the_pytorch_sides_step_lowers_the_loss_and_drops_paths_only_in_training():
    torch, model = torch_model(reference.TINY)
    from benchmarks.torch_lctr import train_step as torch_train_step

    images = torch.from_numpy(np.array(reference.images(2, 0))).permute(0, 3, 1, 2)
    labels = torch.tensor([0, 1])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    losses = [float(torch_train_step(model, optimizer, images, labels)) for _ in range(3)]
    assert losses[2] < losses[0]
    dropping = torch_model(reference.ModelSpec(num_classes=7, width=48, depth=3, heads=3, drop_path=0.9))[1]
    torch.manual_seed(0)
    assert not torch.equal(dropping(images)[0], dropping(images)[0])
    dropping.eval()
    torch.testing.assert_close(dropping(images)[0], dropping(images)[0])


@pytest.mark.slow
@pytest.mark.usefixtures("implicit_promotion")
def test_ours_and_the_naive_port_agree_in_bfloat16_as_well():
    spec = reference.ModelSpec(num_classes=7, width=48, depth=3, heads=3, dtype="bfloat16")
    parameters, images = reference.parameters(spec), reference.images(2, 0)
    logits, *_ = naive_forward(spec, parameters, images)
    assert reference.relative_error(logits, np.asarray(bind(spec, parameters)(images).logits)) < 0.05
