"""How a run's devices are fed: how many worker processes, what they make, and which side is short."""

import jax
from jax.sharding import Mesh

from lctr_jax.data.feeding import Workers, choose_workers, measure_resources
from lctr_jax.data.pipeline import TrainIterator
from lctr_jax.distributed.processes import count_processes_here
from lctr_jax.run.config import RunConfig

_SECONDS = 0.5  # of one core, to learn how many images it makes


def decide_workers(config: RunConfig, mesh: Mesh, *, trains: bool) -> Workers:
    """The number of worker processes of this process; called by all processes of the run.

    Raises:
        ValueError: the host cannot feed the number of workers asked for.
    """
    side = config.spec(num_classes=1).image_size
    sizes = [config.eval.batch_size, *([config.train.batch_size] if trains else [])]
    on_host, sharing_cores = count_processes_here()
    return choose_workers(
        config.data.num_workers,
        measure_resources(processes=on_host, sharing_cores=sharing_cores),
        batch_bytes=[size // jax.process_count() * side * side * 3 for size in sizes],
        on_cpu=mesh.devices.flat[0].platform == "cpu",
    )


def images_made(workers: Workers, batches: TrainIterator) -> float:
    """Images per second that the workers of all processes make, from a short try on one core."""
    return batches.measure_rate(_SECONDS) * max(1, workers.count) * jax.process_count()


def describe_feeding(workers: Workers, batches: TrainIterator) -> str:
    """The line of a run's start: how many workers, and what they make, where there are any."""
    made = f"; they make about {images_made(workers, batches):,.0f} images/s" if workers.count else ""
    return f"{workers}{made}"


def compare_rates(*, taken: float, made: float) -> str:
    """Say which of devices and data is short, from the images per second of each, over all processes."""
    rates = f"devices take {taken:,.0f} images/s, the data workers make about {made:,.0f}"
    if made >= taken:
        return f"{rates}: the data keeps up"
    return (
        f"{rates}: the data is short; give the run more cores, or set data.num_workers or "
        "augmentation.fast_decode=True"
    )
