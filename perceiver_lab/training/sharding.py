"""Where the arrays of a training lie when there is more than one device: a mesh, and what goes where on it.

The mesh has three axes. Along `data` and `fsdp` the devices share out the records of a batch; along `fsdp` they share
out parameters and optimiser state as well, each keeping a part and fetching the rest when it is needed. Along `inputs`
they share out one huge input, of which each reads a slice (`ops.cross_attend_slices`). The compiler places everything
in between: a training step is the same function on one device and on all.

Several processes (`start_processes`) see one mesh of all their devices. Each reads its own records, process 0 writes.
"""

import contextlib
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from perceiver_lab.ops.slices import INPUTS_AXIS
from perceiver_lab.training.checkpoints import Checkpointer

AXES = ("data", "fsdp", INPUTS_AXIS)
_BATCH = ("data", "fsdp")
_ENVIRONMENT = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")


class LostProcessError(ConnectionError):
    """Another process of the run, or the way to it, is gone; the message says how to go on."""


def parse_mesh(text: str) -> dict[str, int]:
    """ "data=2,inputs=4" -> {"data": 2, "fsdp": 1, "inputs": 4}.

    Raises:
      ValueError: an unknown axis, one that is named twice, or a size that is no whole number of at least 1.
    """
    sizes = {}
    for part in text.split(","):
        axis, _, size = (word.strip() for word in part.partition("="))
        if axis not in AXES or axis in sizes or not size.isdecimal() or int(size) < 1:
            raise ValueError(
                f"{part.strip()!r} in the mesh {text!r} is no axis with its size. Write each of {', '.join(AXES)} at "
                "most once, with a whole number of devices, such as data=2,fsdp=2,inputs=2."
            )
        sizes[axis] = int(size)
    return {axis: sizes.get(axis, 1) for axis in AXES}


def make_mesh(sizes: Mapping[str, int]) -> Mesh:
    """A mesh of all devices, or of the first ones where a part of them is asked for.

    Args:
      sizes: devices along each of `AXES`, from `parse_mesh`.

    Raises:
      ValueError: the sizes' product does not divide the number of devices, or leaves out devices of other processes.
    """
    count, devices = math.prod(sizes.values()), jax.devices()
    told = " x ".join(f"{axis}={sizes[axis]}" for axis in AXES)
    if len(devices) % count:
        raise ValueError(
            f"The mesh {told} takes {count} devices, which does not divide the {len(devices)} there are "
            f"({devices[0].platform}). Choose sizes whose product does. To try a mesh on a CPU, set "
            f"XLA_FLAGS=--xla_force_host_platform_device_count={count}."
        )
    if jax.process_count() > 1 and count < len(devices):
        raise ValueError(
            f"The mesh {told} takes {count} of the {len(devices)} devices of {jax.process_count()} processes, so that "
            "some process would have none. Let the mesh take them all, or start fewer processes."
        )
    # In the devices' own order, so that the slices of one input lie on devices that are near each other.
    grid = np.array(devices[:count]).reshape([sizes[axis] for axis in AXES])
    return Mesh(grid, AXES, axis_types=(AxisType.Auto,) * len(AXES))


class Layout:
    """What lies where on a mesh.

    Attributes:
      mesh: the devices.
    """

    def __init__(self, mesh: Mesh):
        self.mesh = mesh
        self.replicated = NamedSharding(mesh, P())
        self._gather = jax.jit(lambda leaf: leaf, out_shardings=self.replicated)

    @property
    def writes(self) -> bool:
        """Whether this process is the one that writes."""
        return jax.process_index() == 0

    @property
    def share(self) -> tuple[int, int]:
        """Which part of each batch this process reads, and of how many, such as (1, 4).

        Processes that hold slices of the same records read the same part.

        Raises:
          ValueError: the devices of a process do not hold parts that follow each other.
        """
        blocks = self.mesh.devices.reshape(-1, self.mesh.shape[INPUTS_AXIS])
        mine = [number for number, row in enumerate(blocks) if any(d.process_index == jax.process_index() for d in row)]
        count, left = divmod(len(blocks), len(mine))
        if left or mine != list(range(mine[0], mine[0] + len(mine))) or mine[0] % len(mine):
            raise ValueError(
                f"The devices of process {jax.process_index()} hold the parts {mine} of {len(blocks)} of each batch. "
                "Start processes with the same number of devices each, and let the axes divide it."
            )
        return mine[0] // len(mine), count

    def check(self, model: nnx.Module, batch_size: int) -> None:
        """Refuse a batch that cannot be shared out, and slices of inputs that no part of the model would read.

        Raises:
          ValueError: saying which.
        """
        parts = math.prod(self.mesh.shape[axis] for axis in _BATCH)
        if batch_size % parts:
            raise ValueError(
                f"The mesh shares each batch out to data x fsdp = {parts} devices, which does not divide its "
                f"{batch_size} records. Choose another mesh or batch size (--set budgets.MODE.batch_size=...)."
            )
        sliced = self.mesh.shape[INPUTS_AXIS] > 1
        if sliced and not any(getattr(part, "axis_name", None) == INPUTS_AXIS for _, part in nnx.iter_graph(model)):
            raise ValueError(
                f"The mesh slices the inputs {self.mesh.shape[INPUTS_AXIS]} times, but {type(model).__name__} reads "
                "them whole: only the Perceiver's and Perceiver IO's encoder reads slices. Use data and fsdp."
            )

    def shardings(self, tree: Any) -> Any:
        """For parameters or optimiser state: each array split over fsdp along its longest axis that can be."""
        return jax.tree.map(lambda leaf: NamedSharding(self.mesh, self._split(leaf.shape)), tree)

    def put(self, tree: Any, shardings: Any) -> Any:
        """Arrays that every process has whole, laid out; each device receives its part."""
        return jax.tree.map(_lay_out, tree, shardings)

    def put_batch(self, batch: Mapping[str, Any]) -> dict[str, jax.Array]:
        """This process's part of a batch -> the whole batch, laid out.

        Records go along data and fsdp; what can be is split along its second axis too, over inputs.
        """
        number, parts = self.share

        def put(array):
            array = np.asarray(array)
            sliced = array.ndim > 1 and array.shape[1] % self.mesh.shape[INPUTS_AXIS] == 0
            sharding = NamedSharding(self.mesh, P(_BATCH, INPUTS_AXIS) if sliced else P(_BATCH))
            return _lay_out(array, sharding, (len(array) * parts, *array.shape[1:]), number * len(array))

        return {name: put(array) for name, array in batch.items()}

    def whole(self, tree: Any) -> Any:
        """The tree in this process's memory, every array whole. All processes must call this together."""

        def fetch(leaf):
            if leaf.is_fully_addressable:
                return np.asarray(leaf)
            return np.asarray(self._gather(leaf).addressable_data(0))

        return jax.tree.map(fetch, tree)

    def agree(self, number: int, what: str) -> None:
        """Refuse to go on when processes hold different numbers; also waits until all have come here.

        Raises:
          ValueError: naming them.
        """
        if jax.process_count() == 1:
            return
        from jax.experimental import multihost_utils

        numbers = multihost_utils.process_allgather(np.int32(number)).ravel().tolist()
        if len(set(numbers)) > 1:
            raise ValueError(
                f"The processes disagree about {what}: {numbers}, in their order. The run's folder must be the same "
                "for all of them, on a file system that they share (--folder)."
            )

    def _split(self, shape: Sequence[int]) -> P:
        size = self.mesh.shape["fsdp"]
        lengths = [length if length % size == 0 else 0 for length in shape]
        if size == 1 or not any(lengths):
            return P()
        axis = lengths.index(max(lengths))
        return P(*(None,) * axis, "fsdp")


@contextlib.contextmanager
def others_needed(checkpointer: Checkpointer | None) -> Iterator[None]:
    """While this is open, what fails because another process is gone is told as that.

    Args:
      checkpointer: of the run, for what to do next.

    Raises:
      LostProcessError: what several processes compute together fails in all when one fails.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if jax.process_count() == 1:
            raise
        kept = None if checkpointer is None else checkpointer.latest()
        goes_on = f" with --resume, on what is left or on more: it goes on from the checkpoint {kept}"
        raise LostProcessError(
            f"Process {jax.process_index()} of {jax.process_count()} had to stop: another one, or the way to it, is "
            f"gone. Start the run again{'; no checkpoint was kept' if kept is None else goes_on}. JAX says: "
            f"{str(error).splitlines()[0][:300]}"
        ) from error


def start_processes() -> None:
    """Join the processes of a run into one, from the environment; call it before anything else of JAX.

    On a TPU pod, under Slurm, Open MPI or Kubernetes, JAX knows by itself. Elsewhere, start each process with
    JAX_COORDINATOR_ADDRESS (host:port of process 0), JAX_NUM_PROCESSES and JAX_PROCESS_ID (from 0).

    Raises:
      ValueError: neither.
    """
    given = [os.environ.get(name) for name in _ENVIRONMENT]
    told = f"Start each process with {', '.join(_ENVIRONMENT)} set, such as 10.0.0.1:1234, 2 and 0."
    if any(given) and not (all(given) and given[1].isdecimal() and given[2].isdecimal()):
        raise ValueError(f"The environment has {dict(zip(_ENVIRONMENT, given, strict=True))}. {told}")
    by_hand = {}
    if all(given):
        by_hand = {"coordinator_address": given[0], "num_processes": int(given[1]), "process_id": int(given[2])}
    try:
        # A process that hangs is given up after half a minute; one that dies is noticed at once.
        jax.distributed.initialize(**by_hand, heartbeat_timeout_seconds=30)
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"The processes of this run could not be joined ({error}). {told}") from error


def _lay_out(array, sharding, shape=None, first=0):
    """One array of `shape` over devices; `array` has its rows from `first` on, all of them that this process needs."""
    array = np.asarray(array)

    def part(index):
        if not index:
            return array
        rows = index[0]
        return array[slice((rows.start or 0) - first, None if rows.stop is None else rows.stop - first), *index[1:]]

    return jax.make_array_from_callback(array.shape if shape is None else shape, sharding, part)
