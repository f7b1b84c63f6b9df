"""Runs in forked processes whose checkpoints anybody can tell right from wrong: each is a function of its step.

JAX is imported by the parent but computes nothing there, which makes a fork safe and cheap.
"""

import concurrent.futures.thread  # noqa: F401 (loaded before a child gives up root, who may be the only one to read it)
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint  # noqa: F401 (once, in the parent)

from perceiver_lab.training import Checkpoint, Checkpointer, CheckpointError

FINGERPRINT = {"config": "faults", "data": "0"}
SECONDS = 600  # for one child: what takes longer hangs
CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir")


def made(step: int) -> Checkpoint:
    """The checkpoint of a step."""
    rng = np.random.default_rng(step)
    params = {"kernel": rng.normal(size=(24, 16)).astype(np.float32), "bias": rng.normal(size=7).astype(np.float32)}
    moments = {"count": np.int32(step), "mu": rng.normal(size=9).astype(np.float32)}
    return Checkpoint(
        step=step,
        params=params,
        state={"mean": rng.normal(size=3).astype(np.float32)},
        opt_state=moments,
        key=jax.random.key(3),
        iterator={"place": 5 * step},
        notes={"window": [{"loss": float(rng.normal())}], "seconds": 0.5},
    )


def is_right(found: Checkpoint) -> bool:
    """Whether a checkpoint is the one of its step, bit for bit."""
    wanted = made(found.step)
    arrays, others = found.arrays(), wanted.arrays()
    same = arrays.keys() == others.keys() and all(
        np.asarray(arrays[name]).tobytes() == np.asarray(others[name]).tobytes() for name in arrays
    )
    return same and (found.iterator, found.notes) == (wanted.iterator, wanted.notes)


def checkpointer(folder: Path, **changes: object) -> Checkpointer:
    return Checkpointer(folder, **{"fingerprint": FINGERPRINT, **changes})


def newest(folder: Path) -> int:
    """The step that a run would go on from: 0 if it would begin.

    Raises:
      AssertionError: it would go on from something else than what was saved.
    """
    found = checkpointer(folder).restore(made(1))
    assert found is None or is_right(found), f"{folder}: a wrong resume at step {found.step}"
    return 0 if found is None else found.step


def told(error: BaseException, *named: object) -> bool:
    """A refusal must be of one of the documented kinds and name the file; True, so that it can be counted."""
    assert isinstance(error, OSError | CheckpointError), f"{type(error).__name__}: {error}"
    for name in named:
        assert str(name) in str(error), f"the message does not say {name}: {error}"
    return True


class Child:
    """A forked process that runs `body(say)`; what it says is read line by line."""

    def __init__(self, body: Callable[[Callable[[object], None]], None]):
        reading, writing = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.close(reading)
            self._run(body, writing)
        os.close(writing)
        self.lines = os.fdopen(reading)

    def _run(self, body, writing):
        status = 1
        try:
            signal.alarm(SECONDS)
            body(lambda value: os.write(writing, (json.dumps(value) + "\n").encode()))
            status = 0
        except BaseException as error:
            os.write(writing, (json.dumps({"failed": f"{type(error).__name__}: {error}"}) + "\n").encode())
        finally:
            os._exit(status)

    def __iter__(self) -> Iterator[object]:
        return (json.loads(line) for line in self.lines if line.endswith("\n"))

    def end(self) -> tuple[int, list]:
        """Wait; returns the exit status (negative: the signal) and what else was said."""
        rest = list(self)
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.lines.close()
        return status, rest


def results(body: Callable[[Callable[[object], None]], None]) -> list:
    """What a child says that must end well."""
    status, said = Child(body).end()
    assert status == 0, said[-1:] or f"died with status {status}"
    return said


def saving(folder: Path, steps: int) -> Callable:
    """A run: restore, then save step after step, saying which was restored, begun and done."""

    def body(say):
        with checkpointer(folder).writing():
            start = newest(folder)
            say(["restored", start])
            for step in range(start + 1, start + 1 + steps):
                say(["begun", step])
                checkpointer(folder).save(made(step))
                say(["done", step])

    return body


class Operations:
    """Python reports what it does with files; this calls `act(event)` before each that changes something in a folder.

    What Orbax's own threads write by other means it does not see: see `disks.no_room_to_grow`.
    """

    def __init__(self, folder: Path, act: Callable[[str], None]):
        self.folder, self.act, self.on = str(folder), act, False
        sys.addaudithook(self)

    def __call__(self, event, arguments):
        if not self.on or not (event in CHANGES or event == "open"):
            return
        if event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR):
            return
        # What is removed within a folder is named without it.
        if event in ("os.remove", "os.rmdir") or self.folder in str(arguments[0]):
            self.act(event)

    def __enter__(self):
        self.on = True

    def __exit__(self, *_):
        self.on = False
