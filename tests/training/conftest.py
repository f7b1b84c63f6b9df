"""A model and a resumable stream of batches, small enough for runs within a test."""

import jax
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.training import Checkpointer, adamw, train


class Mixed(nnx.Module):
    """Parameters of several ranks, batch statistics and dropout: all that a checkpoint must hold."""

    def __init__(self, *, rngs, width=8):
        self.latents = nnx.Param(jax.random.normal(rngs.params(), (3, width)) * 0.02)
        self.layers = nnx.data([nnx.Linear(4, width, rngs=rngs), nnx.BatchNorm(width, rngs=rngs)])
        self.dropout = nnx.Dropout(0.2, deterministic=False)
        self.out = nnx.Linear(width, 3, rngs=rngs)

    def __call__(self, x, *, train=False, rngs=None):
        x = self.layers[1](self.layers[0](x), use_running_average=not train)
        x = self.dropout(nnx.relu(x), deterministic=not train, rngs=rngs)
        return self.out(x + self.latents[...].mean(axis=0)[None])


class Stream:
    """Endless random batches whose state is one number."""

    def __init__(self, size=6):
        self.place, self.size = 0, size
        self.spoilt = None  # the batch in which a pixel is broken

    def __iter__(self):
        return self

    def __next__(self):
        rng = np.random.default_rng([7, self.place])
        image = rng.normal(size=(self.size, 4)).astype(np.float32)
        if self.place == self.spoilt:
            image[2, 1] = np.nan
        record = np.arange(self.size, dtype=np.int64) + self.size * self.place
        self.place += 1
        return {"image": image, "label": rng.integers(3, size=self.size), "record": record}

    def get_state(self):
        return {"place": self.place}

    def set_state(self, state):
        self.place = state["place"]


@pytest.fixture
def start():
    """A function that trains: start(steps, folder) -> Training."""

    def begin(steps, folder=None, *, stream=None, width=8, fingerprint=None, **options):
        checkpointer = folder and Checkpointer(folder, fingerprint=fingerprint or {"config": "a", "data": "b"})
        defaults = {"checkpoint_every": 4, "log_every": 3, "progress": False}
        log_file = folder / "metrics.jsonl" if folder else None
        return train(
            Mixed(rngs=nnx.Rngs(0), width=width),
            stream or Stream(),
            steps=steps,
            optimizer=adamw(1e-2, weight_decay=0.1),
            checkpointer=checkpointer,
            log_file=log_file,
            **defaults | options,
        )

    begin.stream = Stream
    return begin


@pytest.fixture
def assert_same():
    """A function that compares two ends of runs, bit for bit."""

    def compare(one, other):
        first, second = one.checkpoint, other.checkpoint
        arrays, others = first.arrays(), second.arrays()
        assert arrays.keys() == others.keys()
        for name, array in arrays.items():
            assert np.asarray(array).tobytes() == np.asarray(others[name]).tobytes(), name
        assert (first.step, first.iterator) == (second.step, second.iterator)
        without_time = [[{k: v for k, v in r.items() if k != "seconds"} for r in run.history] for run in (one, other)]
        assert without_time[0] == without_time[1]

    return compare
