"""Checkpoints that are not what was saved, or not this run's."""

import dataclasses
import os
import random
import shutil
import signal
from pathlib import Path
from unittest import mock

import numpy as np

from perceiver_lab.training import CheckpointError
from tests.faults.runs import FINGERPRINT, Child, checkpointer, made, newest, results, saving, told

CURE = "goes on from step_00000001"


def damaged(folder: Path, every: int, rng: random.Random) -> dict[str, int]:
    """Each region of each file with a flipped bit, and each file cut, lengthened and gone."""

    def body(say):
        with checkpointer(folder).writing():
            for step in (1, 2):
                checkpointer(folder).save(made(step))
        for path in sorted(file for file in checkpointer(folder).path(2).rglob("*") if file.is_file()):
            whole = path.read_bytes()
            for place in range(0, len(whole), every):
                place = min(place + rng.randrange(every), len(whole) - 1)
                changed = bytes([whole[place] ^ 1 << rng.randrange(8)])
                say(_told_of(folder, path, whole[:place] + changed + whole[place + 1 :]))
            for content in (b"", whole[: len(whole) // 2], whole[:-1], whole + b"\0"):
                say(content == whole or _told_of(folder, path, content))
            path.unlink()
            say(_told_of(folder, path, None))
            path.write_bytes(whole)
        assert newest(folder) == 2
        shutil.rmtree(checkpointer(folder).path(2))  # what the message says
        assert newest(folder) == 1

    said = results(body)
    return {"tried": len(said), "of no consequence": said.count(False)}


def _told_of(folder, path, content):
    """Whether a damaged file is refused; if not, it must make no difference."""
    if content is not None:
        path.write_bytes(content)
    try:
        assert newest(folder) == 2
        return False
    except CheckpointError as error:
        return told(error, path.name if path.name != "manifest.json" else checkpointer(folder).path(2), CURE)
    finally:
        path.write_bytes(content or b"")


def strangers(folder: Path) -> dict[str, int]:
    """Two runs on one folder; the checkpoint of another recipe, of other data and of another model."""
    first = Child(saving(folder, 1000))
    for what, step in first:
        if (what, step) == ("done", 2):
            break

    def second(say):
        try:
            saving(folder, 1)(say)
        except CheckpointError as error:
            told(error, folder)
            say("refused")

    assert results(second) == ["refused"]
    os.kill(first.pid, signal.SIGKILL)
    first.end()

    def other(say):
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        model = made(1)
        wider = dataclasses.replace(model, params={**model.params, "bias": np.zeros(8, np.float32)})
        renamed = dataclasses.replace(model, opt_state={"nu": model.opt_state["mu"], **model.opt_state})
        own = FINGERPRINT
        others = [
            (own | {"config": "x"}, model),
            (own | {"data": "1"}, model),
            ({}, model),
            (own, wider),
            (own, renamed),
        ]
        for fingerprint, like in others:
            try:
                found = checkpointer(folder, fingerprint=fingerprint).restore(like)
                raise AssertionError(f"step {found.step} of something else was resumed")
            except CheckpointError as error:
                told(error, folder)
                say("refused")
        assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    return {"tried": 1 + len(results(other))}


def clock(folder: Path) -> dict[str, int]:
    """A clock that goes backwards, and files that say they are from 1970 or 2100: the step counts, not the time."""

    def body(say):
        now = [4e9]

        def backwards():
            now[0] -= 86_400
            return now[0]

        with (
            mock.patch("time.time", backwards),
            mock.patch("time.time_ns", side_effect=lambda: int(backwards() * 1e9)),
            checkpointer(folder, keep=3).writing(),
        ):
            for step in range(1, 7):
                checkpointer(folder, keep=3).save(made(step))
                moment = (4_102_444_800 - step, step)[step % 2]  # of 2100, of 1970
                os.utime(checkpointer(folder).path(step), (moment, moment))
                assert newest(folder) == step
                assert checkpointer(folder).steps() == list(range(max(1, step - 2), step + 1))
                say(step)

    return {"tried": len(results(body))}
