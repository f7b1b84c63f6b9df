"""Ctrl-C, and the stop button of a notebook: a training stops between two steps instead of within one."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any


class TrainingInterrupted(KeyboardInterrupt):
    """A training that was asked to stop, and did so after a complete step.

    Attributes:
      training: what `train` would have returned, as it stood: model, history, checkpoint, seconds.
      saved: the folder of its checkpoint, or None without a checkpointer.
    """

    def __init__(self, training: Any, steps: int, saved: Path | None):
        self.training, self.saved = training, saved
        kept = (
            "There is no checkpointer, so nothing was saved; the model as it stood is this exception's training.model"
            if saved is None
            else f"All of it is saved as {saved}: the same call goes on from there"
        )
        super().__init__(f"Training was interrupted after step {training.checkpoint.step} of {steps}. {kept}.")


@contextlib.contextmanager
def noted_interrupts() -> Iterator[Callable[[], bool]]:
    """While this is open the first interrupt is only noted, the second acts at once, as all do otherwise.

    Yields:
      A function that says whether there was one. In a thread, which no interrupt reaches, it always says no.
    """
    asked = []
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield lambda: False
        return

    def note(number, frame):
        if asked:
            before(number, frame)
        asked.append(number)

    signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(asked)
    finally:
        signal.signal(signal.SIGINT, before)
