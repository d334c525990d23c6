"""TPUs as compilation targets, without having one."""

import importlib.util
import os

from jax.experimental import topologies
from jax.sharding import Mesh

from lctr_jax.distributed.mesh import BATCH_AXES

MISSING = "libtpu is not installed: pip install -e '.[tpu-compiler]'"


def has_tpu_compiler() -> bool:
    """Return whether programs for TPUs can be compiled here."""
    return importlib.util.find_spec("libtpu") is not None


def tpu_mesh(name: str, *, fsdp: int = 1) -> Mesh:
    """Build a mesh like training does, over TPUs that need not exist; `name` is e.g. "v5e:2x4".

    Raises:
        ModuleNotFoundError: libtpu, the compiler, is not installed.
    """
    if not has_tpu_compiler():
        raise ModuleNotFoundError(MISSING)
    # Otherwise libtpu asks the cloud's metadata server for this machine's TPU.
    os.environ["TPU_SKIP_MDS_QUERY"] = "1"
    # Compiling does not need exclusive access, so several processes may use libtpu.
    os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
    os.environ.setdefault("TPU_ACCELERATOR_TYPE", "v5litepod-8")
    os.environ.setdefault("TPU_WORKER_HOSTNAMES", "localhost")
    topology = topologies.get_topology_desc(platform="tpu", topology_name=name)
    devices = len(topology.devices)
    return topologies.make_mesh(topology, (devices // fsdp, fsdp), BATCH_AXES)
