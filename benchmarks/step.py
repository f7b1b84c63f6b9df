"""What the training step costs over one written by hand: python benchmarks/step.py

The hand-written step is the least that can be done: `jax.jit` over bare lists of arrays, donated, `value_and_grad`, the
same optax chain, nothing returned but the loss. Ours also carries state and a key, and reports accuracy and gradient
norm. Both train the same model on the same batch, in turns within one process, so that whatever else the machine does
hits both; the median over the turns is reported.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import jax
import optax
from flax import nnx

from perceiver_lab import recipes
from perceiver_lab.recipes.fingerprints import versions
from perceiver_lab.training import cross_entropy, make_train_step
from perceiver_lab.training.forward import forward, split_records

RESULTS = Path(__file__).parent / "results" / "step.json"
LIMIT = 0.05


def by_hand(model, optimizer):
    """The plain step: (list of arrays, optimiser state, batch) -> the same and the loss."""
    graphdef, params = nnx.split(model, nnx.Param)
    leaves, treedef = jax.tree.flatten(jax.tree.map(jax.numpy.copy, params))

    def loss_of(leaves, batch):
        model = nnx.merge(graphdef, jax.tree.unflatten(treedef, leaves))
        logits = forward(model, batch, train=True)
        return cross_entropy(logits, batch["label"])

    def step(leaves, opt_state, batch):
        loss, grads = jax.value_and_grad(loss_of)(leaves, batch)
        updates, opt_state = optimizer.update(grads, opt_state, leaves)
        return optax.apply_updates(leaves, updates), opt_state, loss

    return jax.jit(step, donate_argnums=(0, 1)), leaves, optimizer.init(leaves)


class Hand:
    """Turns of the hand-written step."""

    def __init__(self, model, optimizer, batch):
        self.step, self.leaves, self.opt_state = by_hand(model, optimizer)
        self.batch = batch

    def turn(self, steps):
        for _ in range(steps):
            self.leaves, self.opt_state, loss = self.step(self.leaves, self.opt_state, self.batch)
        return loss.block_until_ready()


class Ours:
    """Turns of `make_train_step`, with the key of each step as the loop makes it."""

    def __init__(self, model, optimizer, batch):
        self.step = make_train_step(model, optimizer)
        self.carry = self.step.init()
        self.batch, self.key, self.done = batch, jax.random.key(0), 0
        self.fold = jax.jit(jax.random.fold_in)

    def turn(self, steps):
        for _ in range(steps):
            *self.carry, metrics = self.step(*self.carry, self.batch, self.fold(self.key, self.done))
            self.done += 1
        return metrics["loss"].block_until_ready()


def measure(name, *, turns, steps):
    """Medians in seconds per step of both, and of the ratio within each pair of turns."""
    recipe = recipes.get(name)
    model = recipe.make_model(nnx.Rngs(0))
    # Without decay: by hand there are no names to tell biases by.
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.scale_by_adam(), optax.scale_by_learning_rate(1e-4))
    batch, _ = split_records(next(recipe.train_batches("lab")))
    batch = {key: jax.device_put(value) for key, value in batch.items()}
    sides = {"by_hand": Hand(model, optimizer, batch), "ours": Ours(model, optimizer, batch)}
    seconds = {side: [] for side in sides}
    for side in sides.values():
        side.turn(3)  # compiles
    for number in range(turns):
        for side in list(sides)[:: 1 if number % 2 else -1]:
            began = time.perf_counter()
            sides[side].turn(steps)
            seconds[side].append((time.perf_counter() - began) / steps)
    ratios = [ours / hand for ours, hand in zip(seconds["ours"], seconds["by_hand"], strict=True)]
    return {
        "recipe": name,
        "batch_size": len(batch["label"]),
        "parameters": recipe.num_parameters(),
        "milliseconds_by_hand": round(1e3 * statistics.median(seconds["by_hand"]), 3),
        "milliseconds_ours": round(1e3 * statistics.median(seconds["ours"]), 3),
        "overhead": round(statistics.median(ratios) - 1, 4),
        "turns": turns,
        "steps_per_turn": steps,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="digits_perceiver")
    parser.add_argument("--turns", type=int, default=60)
    parser.add_argument("--steps", type=int, default=10, help="per turn")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    result = measure(options.recipe, turns=options.turns, steps=options.steps)
    result |= {"limit": LIMIT, "device": jax.devices()[0].device_kind, "versions": versions()}
    print(
        f"{result['recipe']}, batch {result['batch_size']}: by hand {result['milliseconds_by_hand']} ms, ours "
        f"{result['milliseconds_ours']} ms per step, overhead {100 * result['overhead']:.1f} % "
        f"(at most {100 * LIMIT:.0f} %)"
    )
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
