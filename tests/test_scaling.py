import json
from typing import Any

import pytest

from benchmarks import data_parallel
from benchmarks.compiled import Costs
from benchmarks.data_parallel import CASES, GIB, Case, Row, find_faults, gradient_bytes
from benchmarks.hlo import Collective
from benchmarks.prediction import Machine, predict
from benchmarks.scaling import main

GRADIENTS = 4 * 25_761_232  # the published CUB network, in float32


def row(
    *collectives: Collective, temporary=GIB, devices=8, fsdp=1, kind="v5e", arguments=GIB, **fields
) -> Row:
    costs = Costs(1e12, 1e9, temporary, arguments, GIB, GIB, list(collectives), 0)._replace(**fields)
    return Row("cub", f"{kind}:2x4", devices, costs, fsdp)


STATE = 3 * GRADIENTS + 128 * (3 * 224**2 + 4)
SPLIT: dict[str, Any] = {"fsdp": 8, "arguments": STATE // 7}


def test_a_step_that_reduces_its_gradients_alone_is_faultless():
    assert gradient_bytes(CASES["cub"].spec) == GRADIENTS
    sound = row(Collective("all-reduce", GRADIENTS, 1), Collective("all-reduce", 12, 1))
    assert find_faults(sound, alone=row(devices=1)) == []


def test_a_step_that_gathers_parameters_and_scatters_gradients_is_faultless():
    crossing = Collective("all-gather", GRADIENTS, 2), Collective("reduce-scatter", GRADIENTS // 8, 1)
    assert find_faults(row(*crossing, Collective("collective-permute", 64, 12), **SPLIT), alone=None) == []
    assert find_faults(row(*crossing, **SPLIT), alone=row(devices=8)) == []
    assert find_faults(row(*crossing), alone=None) != []  # without fsdp, there is nothing to gather


@pytest.mark.parametrize(
    ("faulty", "message"),
    [
        (row(Collective("all-gather", 64, 1)), "all-gather, where only all-reduces belong"),
        (row(Collective("all-reduce", GRADIENTS, 12)), "bytes exchanged, gradients and metrics are"),
        (row(flops=1.1e12), "1.1e+12 FLOPs per device, 1e+12 on 1"),
        (row(temporary=16 * GIB), "needs 17.0 GiB, the chip has 16"),
        (row(Collective("all-to-all", 64, 1), **SPLIT), "all-to-all, where parameters are gathered"),
        (row(Collective("collective-permute", GRADIENTS // 99, 1), **SPLIT), "collective-permute, where"),
        (row(Collective("all-gather", GRADIENTS, 4), **SPLIT), "bytes exchanged, 3 times the parameters are"),
        (row(fsdp=8, arguments=STATE // 2), "bytes of state and images, a share of them is"),
        (
            row(kind="h100", flops=None, float32_scores=("f32[128,6,197,197]",)),
            "attention's scores in float32: f32[128,6,197,197]",
        ),
    ],
)
def test_what_does_not_scale_is_named(faulty, message):
    (fault,) = find_faults(faulty, alone=row(devices=1))
    assert message in fault


@pytest.mark.slow
def test_the_published_step_scales_at_a_small_size(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(data_parallel.CASES, "cub", Case("deit_demo", 10, 4))
    file = tmp_path / "scaling.json"
    status = main(["--configs", "cub", "--devices", "1", "4", "--topologies", "--json", str(file)])
    assert status == 0, capsys.readouterr().out
    alone, four = json.loads(file.read_text())["rows"]
    assert alone["collectives"] == []
    assert {each["kind"] for each in four["collectives"]} == {"all-reduce"}
    exchanged = sum(each["num_bytes"] * each["executions"] for each in four["collectives"])
    # The routing's two biases have one gradient, which is sent once; loss and accuracy come on top.
    assert exchanged == four["gradient_bytes"] - 4 * CASES["cub"].spec.experts + 2 * 4


def test_a_prediction_is_the_arithmetic_that_it_says():
    machine = Machine("paper", devices=4, flops=1e12, memory=1e9, exchange=1e8, source="")
    prediction = predict(machine, flops=1e12, bytes_accessed=3e9, exchanged_bytes=2e8)
    assert prediction.exchange == pytest.approx(2 * 2 * 3 / 4)
    assert prediction.step == pytest.approx(3 + 3)
    assert prediction.efficiency == pytest.approx(0.5)
