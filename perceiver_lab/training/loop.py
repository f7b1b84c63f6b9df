"""The training loop: batches in, a trained model and its history out; interruptible at any moment."""

import contextlib
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from perceiver_lab.training.checkpoint import Checkpoint
from perceiver_lab.training.checkpoints import Checkpointer
from perceiver_lab.training.forward import Batch, LossFunction, split_records
from perceiver_lab.training.history import History
from perceiver_lab.training.interrupts import TrainingInterrupted, noted_interrupts
from perceiver_lab.training.memory import memory_explained
from perceiver_lab.training.sharding import Layout, others_needed
from perceiver_lab.training.step import make_train_step


class NonFiniteLossError(FloatingPointError):
    """A loss or gradient that is NaN or infinite.

    Attributes:
      step: the step, counted from 1.
      records: the "record" ids of its batch, or None.
      checkpoint: the last good checkpoint, or None.
    """

    def __init__(self, step: int, metrics: dict[str, float], records: np.ndarray | None, checkpoint: Path | None):
        self.step, self.records, self.checkpoint = step, records, checkpoint
        first = ["loss", "grad_norm"]
        numbers = ", ".join(f"{name} {metrics[name]:g}" for name in first + sorted(metrics.keys() - set(first)))
        whose = "whose batches have no record ids" if records is None else f"on records {records.tolist()}"
        kept = "No checkpoint was kept" if checkpoint is None else f"The last good checkpoint is {checkpoint}"
        super().__init__(
            f"Training stopped at step {step}, {whose}: {numbers}. {kept}. Look at these records first (broken pixels, "
            "a label out of range); if they are sound, lower the learning rate, lengthen the warm-up or clip harder."
        )


@dataclass(frozen=True, kw_only=True)
class Training:
    """The outcome of `train`.

    Attributes:
      model: a new module with the trained parameters.
      history: what was reported on the way.
      checkpoint: the end of the run: step, parameters, optimiser state, key, iterator state.
      seconds: spent on training, those before an interruption included.
    """

    model: nnx.Module
    history: History
    checkpoint: Checkpoint
    seconds: float


def train(
    model: nnx.Module,
    batches: Iterator[Batch],
    *,
    steps: int,
    optimizer: optax.GradientTransformation,
    loss_fn: LossFunction | None = None,
    seed: int = 0,
    evaluate: Callable[[nnx.Module], dict[str, float]] | None = None,
    evaluate_every: int | None = None,
    checkpointer: Checkpointer | None = None,
    checkpoint_every: int = 100,
    log_file: Path | None = None,
    log_every: int = 10,
    callbacks: Sequence[Callable[[History], None]] = (),
    progress: bool = True,
    layout: Layout | None = None,
) -> Training:
    """Train a model, from the newest checkpoint if there is one.

    Args:
      model: where to start; left untouched.
      batches: endless, dicts of arrays with "record" ids. With a checkpointer it must have get_state/set_state.
      steps: to train in all, those before an interruption included.
      optimizer: an optax transformation.
      loss_fn: see `make_train_step`.
      seed: of dropout; step i uses `fold_in(key(seed), i)`.
      evaluate: model -> numbers, reported with "test_" before their names.
      evaluate_every: in steps; at the end always. None: only at the end.
      checkpointer: where to keep checkpoints; None keeps none.
      checkpoint_every: in steps; at the end always.
      log_file: receives the history as JSON lines.
      log_every: in steps; a record holds the means over the steps since the last one.
      callbacks: called with the history after each new record, such as a live curve.
      progress: show a tqdm bar.
      layout: how arrays lie on more than one device, and on those of other processes. Each process then calls this, and
        its batches are its own share of each; checkpoints, which hold whole arrays, and the log are written by one.

    An interrupt (Ctrl-C, the stop button of a notebook) is obeyed after the step in progress, and what was reached is
    saved; a second one stops at once.

    Raises:
      LostProcessError: another process of the run is gone.
      NonFiniteLossError: the loss or the gradient's norm is NaN or infinite.
      TrainingInterrupted: as above; it holds what was reached.
      OutOfMemoryError: a step needs more memory than there is.
      CheckpointError: the newest checkpoint cannot be used.
      OSError: a checkpoint or the history cannot be written.
      ValueError: no steps, or batches that cannot be resumed although there is a checkpointer.
    """
    if steps < 1 or log_every < 1 or checkpoint_every < 1 or (evaluate_every is not None and evaluate_every < 1):
        raise ValueError(
            f"steps, log_every, checkpoint_every and evaluate_every must be at least 1, got {steps}, {log_every}, "
            f"{checkpoint_every} and {evaluate_every}."
        )
    if checkpointer is not None and not (hasattr(batches, "get_state") and hasattr(batches, "set_state")):
        raise ValueError(
            f"A run with checkpoints needs batches that can be resumed (get_state, set_state), and "
            f"{type(batches).__name__} cannot. Use `datasets.pipeline(...)`, or train without a checkpointer."
        )
    run = _Run(model, batches, steps, optimizer, loss_fn, seed, checkpointer, layout)
    run.evaluate, run.callbacks = evaluate, callbacks
    run.every = {"log": log_every, "evaluate": evaluate_every, "checkpoint": checkpoint_every}
    if not run.writes:
        log_file, progress = None, False
    if checkpointer is None:
        return run.go(log_file, progress)
    with checkpointer.writing() if run.writes else contextlib.nullcontext():
        run.restore()
        return run.go(log_file, progress)


class _Run:
    """The loop's variables. One object, because a checkpoint must see all of them."""

    def __init__(self, model, batches, steps, optimizer, loss_fn, seed, checkpointer, layout):
        self.batches, self.steps, self.checkpointer, self.layout = batches, steps, checkpointer, layout
        self.writes = layout is None or layout.writes
        self.train_step = make_train_step(model, optimizer, loss_fn, layout=layout)
        self.params, self.state, self.opt_state = self.train_step.init()
        self.key = jax.random.key(seed)
        self.step, self.seconds = 0, 0.0
        self.window = []  # metrics of the steps since the last record
        self.waiting = None  # the last step, whose metrics have not been read yet
        self.last_good = None
        self.shapes = ()  # of what the step is given

    def restore(self):
        found = self.checkpointer.restore(self.checkpoint())
        if self.layout is not None:
            self.layout.agree(-1 if found is None else found.step, "the last checkpoint's step")
        if found is None:
            return
        if found.step > self.steps:
            raise ValueError(
                f"{self.checkpointer.folder} holds a run of {found.step} steps already, and {self.steps} were asked "
                "for. Ask for at least as many, or use another folder."
            )
        self.params, self.state, self.opt_state = self.train_step.put(found.params, found.state, found.opt_state)
        self.step, self.key = found.step, found.key
        self.window, self.seconds = found.notes["window"], found.notes["seconds"]
        self.batches.set_state(found.iterator)
        self.last_good = self.checkpointer.latest()

    def whole(self, *trees):
        """Arrays as they are on one device, whatever they lie on."""
        return trees if self.layout is None else self.layout.whole(trees)

    def model(self):
        return self.train_step.merge(*jax.tree.map(jnp.asarray, self.whole(self.params, self.state)))

    def checkpoint(self):
        params, state, opt_state = self.whole(self.params, self.state, self.opt_state)
        return Checkpoint(
            step=self.step,
            params=params,
            state=state,
            opt_state=opt_state,
            key=self.key,
            iterator=_plain(self.batches.get_state()) if hasattr(self.batches, "get_state") else None,
            notes={"window": self.window, "seconds": self.seconds},
        )

    def go(self, log_file, progress):
        from tqdm.auto import tqdm

        self.history = History(Path(log_file) if log_file else None, until=self.step)
        # TQDM_DISABLE counts only where `disable` is not given.
        options = {} if progress else {"disable": True}
        with (
            # One process of several cannot stop between two steps by itself: its interrupt is an end like any other.
            noted_interrupts() if jax.process_count() == 1 else contextlib.nullcontext(lambda: False) as interrupted,
            others_needed(self.checkpointer),
            tqdm(total=self.steps, initial=self.step, unit="step", dynamic_ncols=True, **options) as bar,
        ):
            while self.step < self.steps and not interrupted():
                self.advance()
                bar.update()
                if self.history and "loss" in self.history[-1] and self.history[-1]["step"] == self.step:
                    bar.set_postfix_str(f"loss {self.history[-1]['loss']:.3f}", refresh=False)
            if interrupted():
                self.settle()
                if self.checkpointer is not None and self.last_good != self.checkpointer.path(self.step):
                    self.last_good = self.checkpointer.save(self.checkpoint())
                raise TrainingInterrupted(self.outcome(), self.steps, self.last_good)
            return self.outcome()

    def outcome(self):
        return Training(model=self.model(), history=self.history, checkpoint=self.checkpoint(), seconds=self.seconds)

    def advance(self):
        began = time.perf_counter()
        batch, records = split_records(next(self.batches))
        batch = batch if self.layout is None else self.layout.put_batch(batch)
        arguments = (self.params, self.state, self.opt_state, batch, _fold(self.key, self.step))
        self.shapes = self.shapes or jax.tree.map(jax.typeof, arguments)  # the arrays themselves are given away
        with self.explained(self.step + 1):
            self.params, self.state, self.opt_state, metrics = self.train_step(*arguments)
        # The numbers of the step before are read while this one runs: checking each of them costs no waiting.
        self.settle()
        self.step += 1
        self.waiting = (self.step, records, metrics)
        if self.due("log") or self.due("evaluate") or self.due("checkpoint"):
            self.settle()
        self.seconds += time.perf_counter() - began
        if self.due("log"):
            means = {name: float(np.mean([one[name] for one in self.window])) for name in self.window[-1]}
            self.window = []
            self.report({"step": self.step, **means, "seconds": round(self.seconds, 3)})
        if self.evaluate is not None and self.due("evaluate"):
            numbers = self.evaluate(self.model())
            self.report({"step": self.step, **{f"test_{name}": value for name, value in numbers.items()}})
        if self.checkpointer is not None and self.due("checkpoint"):
            checkpoint = self.checkpoint()  # by all processes together
            if self.writes:
                self.last_good = self.checkpointer.save(checkpoint)

    def settle(self):
        """Read the metrics of the step in waiting; stop if they are not numbers."""
        if self.waiting is None:
            return
        step, records, metrics = self.waiting
        self.waiting = None
        with self.explained(step):
            numbers = {name: float(value) for name, value in jax.device_get(metrics).items()}
        if not all(math.isfinite(numbers[name]) for name in ("loss", "grad_norm")):
            raise NonFiniteLossError(step, numbers, records, self.last_good)
        self.window.append(numbers)

    def explained(self, step):
        return memory_explained(step, self.train_step.compiled, *self.shapes)

    def due(self, what):
        every = self.every[what]
        return self.step == self.steps or (every is not None and self.step % every == 0)

    def report(self, record):
        self.history.append(record)
        for callback in self.callbacks:
            callback(self.history)


_fold = jax.jit(jax.random.fold_in)


def _plain(state):
    """The iterator's state as JSON has it, so that what is stored is what is restored."""
    try:
        return json.loads(json.dumps(state))
    except TypeError as error:
        raise ValueError(
            f"The batches' get_state() returned {type(state).__name__} that is not JSON ({error}). Return a dict of "
            "numbers and strings."
        ) from error
