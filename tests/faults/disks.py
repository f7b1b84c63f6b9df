"""Saves that a disk refuses: full, too small, read-only."""

import contextlib
import errno
import itertools
import os
import resource
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from tests.faults.runs import Operations, checkpointer, made, newest, results, told

NOBODY = 65534


def attempt(folder: Path, fault: contextlib.AbstractContextManager) -> bool:
    """Save the next step under a fault; returns whether it was refused.

    Raises:
      AssertionError: the refusal names no file, something was lost or left behind, or once the fault is over it still
        cannot be saved.
    """
    before = newest(folder)
    try:
        with fault:
            checkpointer(folder).save(made(before + 1))
        refused = False
    except Exception as error:
        told(error, folder)
        assert newest(folder) == before
        assert not list(folder.glob(".saving-*")), "what was written of it takes room"
        checkpointer(folder).save(made(before + 1))
        refused = True
    assert newest(folder) == before + 1
    return refused


@contextlib.contextmanager
def failing(folder: Path, number: int, lasting: bool, seen: list[str]) -> Iterator[None]:
    """A disk on which the `number`-th operation that wants room fails, and perhaps all after it."""

    def act(event):
        if event in ("os.remove", "os.rmdir"):  # which a full disk allows
            return
        seen.append(event)
        if len(seen) == number or (lasting and len(seen) > number):
            raise OSError(errno.ENOSPC, "No space left on device")

    with Operations(folder, act), mock.patch("os.fsync", side_effect=lambda _: act("os.fsync")):
        yield


def full_disk(folder: Path, every: int) -> dict[str, int]:
    """ENOSPC at each open, mkdir, rename and fsync of a save in turn, once and from then on."""

    def body(say):
        with checkpointer(folder).writing():
            for lasting in (False, True):
                for number in itertools.count(1, every):
                    seen = []
                    refused = attempt(folder, failing(folder, number, lasting, seen))
                    if len(seen) < number:  # a save has fewer operations
                        break
                    # Not everything is needed: a folder that is made once more is there already.
                    say(seen[number - 1] if refused else "of no consequence")

    said = results(body)
    return {"tried": len(said)} | {name.removeprefix("os."): said.count(name) for name in sorted(set(said))}


@contextlib.contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """No file of this process can grow beyond `size` bytes: each write beyond it fails, those of Orbax's own too."""
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def no_room_to_grow(folder: Path, every: int) -> dict[str, int]:
    """Writes that fail at each size that a file of a checkpoint has, and at half of it."""

    def body(say):
        with checkpointer(folder).writing():
            step = checkpointer(folder).save(made(1))
            sizes = {file.stat().st_size for file in step.rglob("*") if file.is_file()}
            for size in sorted({0} | {max(0, one - 1) for one in sizes} | {one // 2 for one in sizes})[::every]:
                assert attempt(folder, no_file_above(size)), f"no file could have more than {size} bytes"
                say(size)

    return {"tried": len(results(body))}


def read_only(folder: Path) -> dict[str, int]:
    """A folder that another user may read: nothing can be saved, what is there can be restored. Also halfway."""

    def body(say):
        if os.getuid() == 0:  # whom no mode keeps out
            os.chown(folder, NOBODY, NOBODY)
            os.setuid(NOBODY)
        run = folder / "run"
        with checkpointer(run).writing():
            checkpointer(run).save(made(1))
            for part in (run, run / "step_00000001", run / "step_00000001" / "arrays"):
                part.chmod(0o555)
            try:
                checkpointer(run).save(made(2))
            except OSError as error:
                told(error, run)
                say("halfway")
        assert newest(run) == 1
        for name in (run, run / "below"):
            with contextlib.suppress(FileNotFoundError):
                (run / ".lock").chmod(0o444)
            try:
                with checkpointer(name).writing():
                    raise AssertionError(f"{name} could be written to")
            except OSError as error:
                told(error, name)
                say("from the start")

    folder.chmod(0o755)
    said = results(body)
    assert said == ["halfway", "from the start", "from the start"], said
    return {"tried": len(said)}
