"""The same seed gives the same bytes: the first steps of recipes, twice, in two processes whose hashes differ.

`python -m tests.determinism` trains every recipe whose data ship for 20 steps of its `ci` budget in each of two
processes, and compares the batches, the loss of every step and all arrays at the end, bit for bit.
`python -m tests.determinism digits_ar 5` does it for one recipe and five steps.
"""

import hashlib
import os
import subprocess
import sys
import time

import jax
import numpy as np

from perceiver_lab import datasets, recipes
from perceiver_lab.recipes.starting import initial_model
from perceiver_lab.training import make_train_step
from perceiver_lab.training.forward import split_records
from perceiver_lab.training.trees import array_sha256, named_leaves

STEPS = 20


def digest(recipe: recipes.Recipe, steps: int, seed: int = 0) -> str:
    """The sha256 over everything that the first steps of a recipe read and make."""
    told = hashlib.sha256()
    batches = recipe.train_batches("ci", seed)
    step = make_train_step(initial_model(recipe, seed), recipe.optimizer.make(recipe.budget("ci").steps), recipe.loss)
    state, key = step.init(), jax.random.key(seed)
    for number in range(steps):
        batch, records = split_records(next(batches))
        for name, array in sorted(named_leaves({"batch": batch, "records": records}).items()):
            told.update(f"{name} {array_sha256(array)}".encode())
        *state, metrics = step(*state, batch, jax.random.fold_in(key, number))
        told.update(np.float32(metrics["loss"]).tobytes())
    for name, array in named_leaves(tuple(state)).items():
        told.update(f"{name} {array_sha256(array)}".encode())
    return told.hexdigest()


def shipping() -> list[str]:
    """The recipes that can be trained without a network."""
    return [name for name in recipes.names() if recipes.get(name).data.name in datasets.names()]


class Trainer:
    """A process that trains what it is told, one recipe a line, and answers with digests."""

    def __init__(self, hash_seed: int):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.determinism", "answer"],
            env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def digest(self, name: str, steps: int) -> str:
        """The answer of the process.

        Raises:
          RuntimeError: it died; what it said is on stderr.
        """
        print(name, steps, file=self.process.stdin, flush=True)
        for line in self.process.stdout:  # data sets that are prepared say so
            if line.startswith("digest "):
                return line.split()[1]
        raise RuntimeError(f"The training of {name} ended with {self.process.wait()}.")

    def close(self) -> None:
        self.process.communicate()


def _answer():
    for line in sys.stdin:
        name, steps = line.split()
        print("digest", digest(recipes.get(name), int(steps)), flush=True)
        jax.clear_caches()


def compare(names: list[str], steps: int) -> list[str]:
    """Train each twice and say how it went; returns those that differed."""
    first, second = Trainer(1), Trainer(2)
    differed = []
    for name in names:
        began = time.perf_counter()
        one, other = first.digest(name, steps), second.digest(name, steps)
        differed += [name] * (one != other)
        verdict = "same bytes" if one == other else "DIFFERENT"
        print(f"{name:<28} {verdict} {one[:16]} {time.perf_counter() - began:6.1f} s", flush=True)
    first.close()
    second.close()
    return differed


def main() -> int:
    arguments = sys.argv[1:]
    if arguments == ["answer"]:
        _answer()
        return 0
    steps = next((int(one) for one in arguments if one.isdigit()), STEPS)
    names = [one for one in arguments if not one.isdigit()] or shipping()
    differed = compare(names, steps)
    without = sorted(set(recipes.names()) - set(shipping()))
    print(f"{len(names) - len(differed)} of {len(names)} recipes gave the same bytes twice over {steps} steps.")
    print(f"Not trained, for their data do not ship: {', '.join(without)}.")
    return int(bool(differed))


if __name__ == "__main__":
    sys.exit(main())
