"""A run for another process to kill: `python resumable.py FOLDER` trains, from where it was, to the end.

Everything that must survive is in it: several kinds of variables, dropout, Adam's moments, a shuffled and augmented
grain pipeline, checkpoints every few steps. At the end it writes one line per array and one per fact.
"""

import hashlib
import sys
import time
from pathlib import Path

import jax
import numpy as np
from flax import nnx

from perceiver_lab.datasets import pipeline, random_crop
from perceiver_lab.training import Checkpointer, History, adamw, train

STEPS = 100


class Net(nnx.Module):
    """Batch norm and dropout on a linear layer."""

    def __init__(self, *, rngs):
        self.hidden = nnx.Linear(25, 16, rngs=rngs)
        self.norm = nnx.BatchNorm(16, rngs=rngs)
        self.dropout = nnx.Dropout(0.3, deterministic=False)
        self.out = nnx.Linear(16, 4, rngs=rngs)

    def __call__(self, x, *, train=False, rngs=None):
        x = self.norm(self.hidden(x.reshape(x.shape[0], -1)), use_running_average=not train)
        return self.out(self.dropout(nnx.relu(x), deterministic=not train, rngs=rngs))


def to_float(record, rng):
    """Scale, with noise of this record in this epoch."""
    noise = rng.normal(size=record["image"].shape).astype(np.float32)
    return {**record, "image": record["image"].astype(np.float32) / 255 + 0.1 * noise}


def data():
    """50 made-up records of 6 x 6 pixels: epochs of 5 batches."""
    rng = np.random.default_rng(3)
    return {"image": rng.integers(256, size=(50, 6, 6, 1)).astype(np.uint8), "label": rng.integers(4, size=50)}


class Noted:
    """The pipeline, with the record ids of every batch written down."""

    def __init__(self, batches, path):
        self.batches, self.path, self.order = batches, path, []

    def __next__(self):
        batch = next(self.batches)
        self.order.append(batch["record"].tolist())
        return batch

    def get_state(self):
        return {"batches": self.batches.get_state(), "order": self.order}

    def set_state(self, state):
        self.batches.set_state(state["batches"])
        self.order = [list(ids) for ids in state["order"]]


def facts(result, batches):
    """All of the end of a run as lines of text."""
    lines = [
        f"{name} {np.asarray(array).dtype} {hashlib.sha256(np.asarray(array).tobytes()).hexdigest()}"
        for name, array in sorted(result.checkpoint.arrays().items())
    ]
    losses = [(record["step"], record["loss"]) for record in result.history]
    return [*lines, f"order {batches.order}", f"iterator {result.checkpoint.iterator['batches']}", f"losses {losses}"]


def main(folder, pause):
    """Train to the end; `pause` seconds between records leave time to be killed."""
    batches = Noted(pipeline(data(), batch_size=10, seed=5, transforms=(random_crop(5), to_float)), folder)

    def slowly(history: History):
        print(f"at {history[-1]['step']}", flush=True)
        time.sleep(pause)

    result = train(
        Net(rngs=nnx.Rngs(1)),
        batches,
        steps=STEPS,
        optimizer=adamw(1e-2, weight_decay=0.1),
        seed=2,
        checkpointer=Checkpointer(folder, fingerprint={"config": "resumable"}),
        checkpoint_every=4,
        log_file=folder / "metrics.jsonl",
        log_every=3,
        callbacks=[slowly],
        progress=False,
    )
    (folder / "facts.txt").write_text("\n".join(facts(result, batches)))


if __name__ == "__main__":
    jax.config.update("jax_platforms", "cpu")
    main(Path(sys.argv[1]), float(sys.argv[2]))
