"""TPUs to compile for, without having one."""

import importlib.util
import os

from jax.experimental import topologies
from jax.sharding import Mesh

from lctr_jax.distributed.mesh import BATCH_AXES

MISSING = "libtpu is not installed: pip install -e '.[tpu-compiler]'"


def has_tpu_compiler() -> bool:
    """Whether programs for TPUs can be compiled here."""
    return importlib.util.find_spec("libtpu") is not None


def tpu_mesh(name: str, *, fsdp: int = 1) -> Mesh:
    """A mesh as training makes it, over devices that exist on paper only; `name` is such as "v5e:2x4".

    Raises:
        ModuleNotFoundError: libtpu, the compiler, is not installed.
    """
    if not has_tpu_compiler():
        raise ModuleNotFoundError(MISSING)
    # Or libtpu asks the cloud's metadata server which TPU this machine has.
    os.environ["TPU_SKIP_MDS_QUERY"] = "1"
    # A compiler needs no TPU to itself: let several of them run at once.
    os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
    os.environ.setdefault("TPU_ACCELERATOR_TYPE", "v5litepod-8")
    os.environ.setdefault("TPU_WORKER_HOSTNAMES", "localhost")
    topology = topologies.get_topology_desc(platform="tpu", topology_name=name)
    devices = len(topology.devices)
    return topologies.make_mesh(topology, (devices // fsdp, fsdp), BATCH_AXES)
