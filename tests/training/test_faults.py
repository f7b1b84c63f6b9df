"""What goes wrong in the middle of a training: it stops in words, and nothing that was reached is lost."""

import re
import signal
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from perceiver_lab.datasets import pipeline
from perceiver_lab.training import (
    Checkpointer,
    CheckpointError,
    History,
    OutOfMemoryError,
    TrainingInterrupted,
    classification_loss,
)
from perceiver_lab.training.memory import memory_explained


@pytest.fixture(autouse=True)
def _interrupts_arrive():
    """Started in the background by a shell, Python ignores SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupting(at: int, times: int = 1):
    """A callback that presses Ctrl-C when a record of step `at` is written."""

    def callback(history: History):
        if history[-1]["step"] == at:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)

    return callback


def test_an_interrupt_saves_what_was_reached(start, assert_same, tmp_path):
    whole = start(10, tmp_path / "whole")
    with pytest.raises(TrainingInterrupted, match=r"after step 6 of 10. All of it is saved as .*step_00000006") as e:
        start(10, tmp_path / "run", callbacks=[interrupting(6)])
    assert e.value.saved == tmp_path / "run" / "step_00000006"
    assert e.value.training.checkpoint.step == 6
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert_same(start(10, tmp_path / "run"), whole)


def test_an_interrupt_at_a_checkpoint_or_at_the_end(start, assert_same, tmp_path):
    whole = start(8, tmp_path / "whole", log_every=2)
    for at in (4, 8):
        with pytest.raises(TrainingInterrupted, match=f"after step {at} of 8"):
            start(8, tmp_path / f"at-{at}", log_every=2, callbacks=[interrupting(at)])
        assert_same(start(8, tmp_path / f"at-{at}", log_every=2), whole)


def test_without_a_checkpointer_the_model_comes_with_the_error(start):
    with pytest.raises(TrainingInterrupted, match=r"nothing was saved; .* training.model") as e:
        start(10, callbacks=[interrupting(3)])
    assert e.value.saved is None
    wanted = start(3)
    np.testing.assert_array_equal(e.value.training.model.latents[...], wanted.model.latents[...])
    assert e.value.training.history.records[0]["loss"] == wanted.history.records[0]["loss"]


def test_a_second_interrupt_stops_at_once(start, assert_same, tmp_path):
    with pytest.raises(KeyboardInterrupt) as e:
        start(10, tmp_path / "run", callbacks=[interrupting(6, times=2)])
    assert not isinstance(e.value, TrainingInterrupted)
    assert [path.name for path in (tmp_path / "run").glob("step_*")] == ["step_00000004"]
    assert_same(start(10, tmp_path / "run"), start(10, tmp_path / "whole"))


def test_a_thread_is_not_interrupted_and_can_train(start):
    ended = []
    thread = threading.Thread(target=lambda: ended.append(start(3).checkpoint.step))
    thread.start()
    thread.join()
    assert ended == [3]


def test_memory_that_runs_out(start):
    classify = classification_loss()

    def greedy(model, batch, rngs):
        loss, metrics = classify(model, batch, rngs)
        many = jnp.resize(batch["image"], 10**6)
        return loss + jnp.sort(many[:, None] * many[None], axis=0).mean(), metrics

    with pytest.raises(OutOfMemoryError) as e:
        start(2, loss_fn=greedy)
    told = str(e.value)
    assert re.search(r"Step [12] needs more memory than there is \(.*Out of memory allocating \d+ bytes", told)
    assert re.search(r"Its largest array is \w+\(1000000, 1000000\) of a \w+, \d+.0 MB", told)
    assert "the largest that it is given, float32(" in told
    assert "Make the batch smaller first" in told


def test_another_error_of_xla_is_not_about_memory():
    with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL: something else"), memory_explained(1, jnp.sin, 1.0):
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")


class Disk:
    """Records that are read one by one, of which one is beyond reading."""

    def __init__(self, broken: int, error: BaseException):
        self.broken, self.error = broken, error

    def __len__(self):
        return 10**7  # too many for memory: read by a thread, ahead of the training

    def __getitem__(self, index):
        if index == self.broken:
            raise self.error
        rng = np.random.default_rng(index)
        return {"image": rng.normal(size=4).astype(np.float32), "label": np.int64(index % 3)}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("error", [OSError("a bad sector"), SystemExit(3), MemoryError("no room")], ids=type)
def test_the_reading_thread_dies(error, start, tmp_path):
    """Its error comes out of the training, with the record's number; the checkpoint before it stays the last one."""
    options = {"batch_size": 6, "shuffle": False}
    with pytest.raises(type(error)) as e:
        start(10, tmp_path / "run", stream=pipeline(Disk(40, error), **options))
    assert "record 40" in "".join(getattr(e.value, "__notes__", []))
    assert [path.name for path in (tmp_path / "run").glob("step_*")] == ["step_00000004"]
    mended = start(10, tmp_path / "run", stream=pipeline(Disk(-1, error), **options))
    assert mended.checkpoint.step == 10


def test_a_history_that_cannot_be_written(tmp_path):
    history = History(tmp_path / "metrics.jsonl")
    (tmp_path / "metrics.jsonl").unlink()
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(OSError, match=r"metrics.jsonl could not be written"):
        history.append({"step": 1})


def test_a_step_is_saved_once(start, tmp_path):
    result = start(4, tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"There is a checkpoint .*step_00000004 already"):
        Checkpointer(tmp_path / "run", fingerprint={}).save(result.checkpoint)
