"""Number and speed of a run's data workers."""

import jax
from jax.sharding import Mesh

from lctr_jax.data.feeding import Workers, choose_workers, measure_resources
from lctr_jax.data.pipeline import TrainIterator
from lctr_jax.distributed.processes import count_processes_here
from lctr_jax.run.config import RunConfig

_SECONDS = 0.5  # duration of the measurement on one core


def decide_workers(config: RunConfig, mesh: Mesh, *, trains: bool) -> Workers:
    """Return the number of worker processes of this process. A collective call.

    Raises:
        ValueError: there are not enough resources for the requested number.
    """
    spec = config.spec(num_classes=1)
    batches = [(config.eval.batch_size, config.eval.image_size or spec.image_size)]
    if trains:
        batches.append((config.train.batch_size, config.training_side(spec)))
    on_host, sharing_cores = count_processes_here()
    return choose_workers(
        config.data.num_workers,
        measure_resources(processes=on_host, sharing_cores=sharing_cores),
        batch_bytes=[size // jax.process_count() * side * side * 3 for size, side in batches],
        on_cpu=mesh.devices.flat[0].platform == "cpu",
    )


def images_made(workers: Workers, batches: TrainIterator) -> float:
    """Estimate the images per second of all processes' workers, from a short measurement on one core."""
    return batches.measure_rate(_SECONDS) * max(1, workers.count) * jax.process_count()


def describe_feeding(workers: Workers, batches: TrainIterator) -> str:
    """Format the number of workers and, if there are any, their speed."""
    made = f"; they provide about {images_made(workers, batches):,.0f} images/s" if workers.count else ""
    return f"{workers}{made}"


def compare_rates(*, taken: float, made: float) -> str:
    """Describe whether devices or data loading limit the speed, given the images per second of each."""
    rates = f"devices process {taken:,.0f} images/s, the data workers provide about {made:,.0f}"
    if made >= taken:
        return f"{rates}: the data keeps up"
    return (
        f"{rates}: the data limits the speed; give the run more cores, or set data.num_workers or "
        "augmentation.fast_decode=True"
    )
