import json

import pytest

from benchmarks import data_parallel
from benchmarks.compiled import Costs
from benchmarks.data_parallel import CASES, GIB, Case, Row, find_faults, gradient_bytes
from benchmarks.hlo import Collective
from benchmarks.prediction import Machine, predict
from benchmarks.scaling import main

GRADIENTS = 4 * 25_761_232  # the published CUB network, in float32


def row(*collectives: Collective, flops=1e12, temporary=GIB, devices=8) -> Row:
    costs = Costs(flops, 1e9, temporary, GIB, GIB, GIB, list(collectives), 0)
    return Row("cub", "v5e:2x4", devices, costs)


def test_a_step_that_reduces_its_gradients_alone_is_faultless():
    assert gradient_bytes(CASES["cub"].spec) == GRADIENTS
    sound = row(Collective("all-reduce", GRADIENTS, 1), Collective("all-reduce", 12, 1))
    assert find_faults(sound, alone=row(devices=1)) == []


@pytest.mark.parametrize(
    ("faulty", "message"),
    [
        (row(Collective("all-gather", 64, 1)), "all-gather, where only all-reduces belong"),
        (row(Collective("all-reduce", GRADIENTS, 12)), "bytes exchanged, gradients and metrics are"),
        (row(flops=1.1e12), "1.1e+12 FLOPs a device, 1e+12 on 1"),
        (row(temporary=16 * GIB), "needs 17.0 GiB, the chip has 16"),
    ],
)
def test_what_does_not_scale_is_named(faulty, message):
    (fault,) = find_faults(faulty, alone=row(devices=1))
    assert message in fault


def test_the_published_step_scales_at_a_small_size(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(data_parallel.CASES, "cub", Case("deit_demo", 10, 4))
    file = tmp_path / "scaling.json"
    status = main(["--configs", "cub", "--devices", "1", "4", "--topologies", "--json", str(file)])
    assert status == 0, capsys.readouterr().out
    alone, four = json.loads(file.read_text())["rows"]
    assert alone["collectives"] == []
    assert {each["kind"] for each in four["collectives"]} == {"all-reduce"}
    exchanged = sum(each["num_bytes"] * each["executions"] for each in four["collectives"])
    # CLS's gradient is that of its position too, so it is sent once; loss and accuracy come on top.
    assert exchanged == four["gradient_bytes"] - 4 * CASES["cub"].spec.width + 2 * 4


def test_a_prediction_is_the_arithmetic_that_it_says():
    machine = Machine("paper", devices=4, flops=1e12, memory=1e9, exchange=1e8, source="")
    prediction = predict(machine, flops=1e12, bytes_accessed=3e9, exchanged_bytes=2e8)
    assert prediction.exchange == pytest.approx(2 * 2 * 3 / 4)
    assert prediction.step == pytest.approx(3 + 3)
    assert prediction.efficiency == pytest.approx(0.5)
