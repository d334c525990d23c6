import json
import re
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from rich.console import Console
from small_run import draw_folder, train

from lctr_jax.models.parameters import bind, parameter_shapes
from lctr_jax.models.spec import model_spec
from lctr_jax.training.flops import product_flops
from lctr_jax.training.parameter_table import count_parameters, parameter_table


def shape(*sides):
    return jax.ShapeDtypeStruct(sides, jnp.float32)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run train.py in its own folder, which is returned."""
    root = tmp_path_factory.mktemp("run")
    draw_folder(root / "pictures")

    def run_command(*arguments):
        train(root / "pictures", root / "work", "--config.train.epochs=1", *arguments)
        return root / "work"

    return run_command


def test_it_says_what_the_run_then_is_and_leaves_nothing(run, capsys):
    workdir = run("--dry_run")
    said = capsys.readouterr()
    assert not workdir.exists()
    assert re.search(r"input +image uint8\[8, 32, 32, 3\], label int32\[8\]", said.out)
    assert "logits float32[8, 2]" in said.out
    assert "class_map float32[8, 4, 4]" in said.out
    assert re.search(r"memory +[\d,]+ MiB per device", said.out)
    assert re.search(r"training +3 steps, 0:00:\d\d", said.out)
    (total,) = re.findall(r"total .* (\S+) │ +\S+ │", said.out)
    assert f"{total} parameters, " in said.err

    run()
    assert f"{total} parameters, " in capsys.readouterr().err
    first = json.loads((workdir / "metrics.jsonl").read_text().splitlines()[0])
    loss = re.findall(r"loss +(\S+)", said.out)[0]
    assert float(loss) == pytest.approx(first["train/loss"], abs=1e-4)


def test_a_folder_with_a_run_stays_as_it_was(run):
    def contents():
        return {path: path.read_bytes() for path in workdir.rglob("*") if path.is_file()}

    workdir = run()
    before = contents()
    run("--dry_run", "--config.train.lr=1")  # another config: nothing of the folder's is asked
    assert contents() == before


def test_an_evaluation_has_no_dry_run(run, capsys):
    with pytest.raises(SystemExit) as stop:
        run("--dry_run", "--eval", "--checkpoint=nowhere")
    assert stop.value.code == 2
    assert "error: --dry_run estimates a training" in capsys.readouterr().err


def test_it_refuses_what_the_training_would_refuse(run, capsys):
    validation = ["--config.train.epochs=2", "--config.train.eval_every_epochs=1"]
    with pytest.raises(SystemExit):
        run("--dry_run", "--config.train.keep_best=eval/top1", *validation)
    assert "error: train.keep_best: got 'eval/top1'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run("--dry_run", "--config.eval.split=tset")
    assert "tset" in capsys.readouterr().err


def test_the_table_adds_up_to_the_published_count():
    parameters = parameter_shapes(model_spec("deit_small", num_classes=200))
    assert count_parameters(parameters) == "25,761,232 parameters, 98.27 MiB"
    table = parameter_table(parameters)
    modules, _, counts, mebibytes = (list(map(str, column.cells)) for column in table.columns)
    assert len(modules) == len(set(modules))
    assert sum(int(count.replace(",", "")) for count in counts) == 25_761_232
    assert sum(map(float, mebibytes)) == pytest.approx(98.27, abs=0.005 * len(modules))
    console = Console(width=200)
    with console.capture() as printed:
        console.print(table)
    assert "kernel 12x384x1152" in printed.get()


def test_a_scanned_product_counts_as_often_as_it_runs():
    def looped(x, weights):
        return jax.lax.scan(lambda x, weight: (jnp.tanh(x @ weight), None), x, weights)[0]

    arguments = shape(8, 16), shape(5, 16, 16)
    assert product_flops(looped, *arguments) == 5 * 2 * 8 * 16 * 16
    assert product_flops(jax.jit(looped), *arguments) == 5 * 2 * 8 * 16 * 16
    # Backward: a product for the input's gradient and one for the weight's.
    gradient = jax.grad(lambda *arguments: looped(*arguments).sum(), argnums=(0, 1))
    assert product_flops(gradient, *arguments) == 3 * product_flops(looped, *arguments)


def test_of_the_cases_of_a_conditional_the_largest_counts():
    def either(x, weights):
        twice = lambda x, weights: x @ weights @ weights  # noqa: E731
        return jax.lax.platform_dependent(x, weights, cpu=lambda x, weights: x @ weights, default=twice)

    assert product_flops(either, shape(8, 16), shape(16, 16)) == 2 * 2 * 8 * 16 * 16


@pytest.mark.parametrize("groups", [1, 4])
def test_a_convolution_counts_as_xla_counts_it(groups):
    def convolve(x, kernel):
        return jax.lax.conv_general_dilated(x, kernel, (1, 1), "VALID", feature_group_count=groups)

    arguments = shape(2, 8, 12, 11), shape(16, 8 // groups, 3, 3)
    costs: Any = jax.jit(convolve).lower(*arguments).cost_analysis()
    assert product_flops(convolve, *arguments) == costs["flops"]


def test_a_block_counts_as_its_formula_says():
    """2 n (3 + 1 + 8) d^2 for the dense layers, 4 n^2 d for the attention (Vaswani et al., 2017)."""

    def flops(depth):
        spec = model_spec("deit_small", num_classes=200, depth=depth)

        def logits(parameters, images):
            network = bind(spec, parameters)
            return network.head_logits(network.backbone(images, statistics="cls"))

        return product_flops(logits, parameter_shapes(spec), shape(1, 224, 224, 3))

    tokens, width = 197, 384
    assert flops(3) - flops(2) == 24 * tokens * width**2 + 4 * tokens**2 * width
