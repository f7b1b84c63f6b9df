"""Models as trainings start from them, and their first steps: made by one program each, not by one for every shape."""

import itertools

import jax
import numpy as np
from flax import nnx

from perceiver_lab.training import make_train_step


def at_start(recipe):
    """The untrained model, drawn as users draw it."""
    return nnx.jit(lambda: recipe.make_model(nnx.Rngs(0)))()


def train(recipe, model, batches, steps, *, planned):
    """The model after its first steps of those that are planned, and what each of them reported."""
    step = make_train_step(model, recipe.optimizer.make(planned), recipe.loss)
    params, state = (jax.tree.map(np.array, part) for part in nnx.split(model, nnx.Param, ...)[1:])
    carried, reports, key = (params, state, jax.jit(step.optimizer.init)(params)), [], jax.random.key(0)
    for batch in itertools.islice(batches, steps):
        read = {name: value for name, value in batch.items() if name != "record"}
        *carried, report = step(*carried, read, key)
        reports.append({name: float(value) for name, value in report.items()})
    return step.merge(*carried[:2]), reports
