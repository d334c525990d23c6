"""The number of workers that a host has resources for, and the message on what limits the speed."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from ml_collections import ConfigDict
from small_batches import training

from lctr_jax.data import workers
from lctr_jax.data.feeding import MOST, HostResources, choose_workers
from lctr_jax.run.config import default_config, parse_config
from lctr_jax.run.data_workers import compare_rates
from lctr_jax.training.log import progress_line

BATCH = 128 * 224 * 224 * 3
ROOMY = HostResources(cores=16, processes=1, shared_memory=32 << 30, memory=64 << 30, open_files=60_000)


def choose(option: int | str = "auto", host=ROOMY, batch_bytes=(BATCH,), on_cpu=False):
    return choose_workers(option, host, batch_bytes=batch_bytes, on_cpu=on_cpu)


def test_auto_takes_the_cores_up_to_a_bound():
    assert choose().count == 16
    assert "16 cores" in choose().reason
    assert choose(host=dataclasses.replace(ROOMY, cores=224, memory=None)).count == MOST
    assert choose(on_cpu=True).count == 0


def test_a_number_is_taken_as_it_is_where_it_fits():
    assert choose(3).count == 3
    assert choose(3, on_cpu=True).count == 3
    assert choose(0, dataclasses.replace(ROOMY, shared_memory=0, open_files=0)).count == 0


DOCKER = dataclasses.replace(ROOMY, shared_memory=64 << 20)


def test_a_small_shared_memory_is_named_with_size_need_and_remedy():
    with pytest.raises(ValueError, match="shared memory") as error:
        choose(8, DOCKER)
    message = str(error.value)
    assert "\n" not in message
    assert f"8 worker processes need {30 * BATCH / 1e6:,.0f} MB, 67 MB are free" in message
    assert "docker run --shm-size=.." in message
    assert message.endswith("or data.num_workers=0, threads instead")
    chosen = choose(host=DOCKER)
    assert chosen.count == 0
    assert "auto: 16 cores, but shared memory (/dev/shm): 16 worker processes need" in chosen.reason


def test_auto_takes_as_many_as_fit():
    host = dataclasses.replace(ROOMY, shared_memory=20 * BATCH)
    assert choose(host=host).count == (20 - 6) // 3
    assert choose(host=host, batch_bytes=(BATCH, BATCH)).count == (20 - 12) // 6
    assert choose(host=dataclasses.replace(host, processes=2)).count == (10 - 6) // 3


@pytest.mark.parametrize(
    ("lack", "what"), [({"open_files": 200}, "open files"), ({"memory": 1 << 30}, "memory")]
)
def test_other_resources_are_named(lack, what):
    with pytest.raises(ValueError, match=f"data.num_workers: {what}: 16 worker processes need") as error:
        choose(16, dataclasses.replace(ROOMY, **lack))
    assert "ulimit -n" in str(error.value) or what != "open files"


@pytest.mark.parametrize(
    ("code", "said"), [(-7, "shared memory"), (-9, "memory ran out"), (1, "newest checkpoint")]
)
def test_a_lost_worker_is_explained(code, said):
    error = RuntimeError(
        f"Worker process was terminated unexpectedly with exit code {code}. Search the logs."
    )
    with pytest.raises(ChildProcessError, match=said) as raised:
        workers.tell_loss(error)
    assert ("repeat the command" in str(raised.value)) == (code != -7)
    workers.tell_loss(RuntimeError("something else"))


@pytest.mark.parametrize("value", ["auto", 4])
def test_the_option_is_a_number_or_auto_in_files_and_on_the_command_line(value):
    assert isinstance(default_config(), ConfigDict)
    config: Any = default_config()
    config.data.num_workers = value
    assert parse_config(config).data.num_workers == value


@pytest.mark.parametrize("value", ["all", -1, True])
def test_other_values_are_refused(value):
    config: Any = default_config()
    config.data.num_workers = value
    with pytest.raises(ValueError, match=r"data.num_workers: got .*, expected 0 or more, or 'auto'"):
        parse_config(config)


def test_the_rate_of_a_core_is_measured_and_the_batches_stay_the_same():
    batches, untouched = training(), training()
    assert batches.measure_rate(0.05) > 0
    np.testing.assert_array_equal(next(batches)["image"], next(untouched)["image"])


def test_the_short_side_is_named():
    assert compare_rates(taken=2000.0, made=500.0).startswith(
        "devices process 2,000 images/s, the data workers provide about 500: the data limits the speed"
    )
    assert compare_rates(taken=500.0, made=2000.0).endswith("provide about 2,000: the data keeps up")


@pytest.mark.parametrize(("waiting", "said"), [(0.0, False), (0.5, True)])
def test_the_log_says_when_devices_wait(waiting, said):
    scalars = {
        "train/epoch": 1.0,
        "train/learning_rate": 1.0,
        "train/images_per_second": 100.0,
        "train/replaced": 0.0,
    }
    scalars["train/waiting_for_data"] = waiting
    line = progress_line(1, total_steps=2, scalars=scalars, seconds_left=1.0)
    assert ("limiting: devices could process 200 img/s" in line) == said
