"""An optimiser that leaves parts of a model alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.training import OptimizerConfig, make_train_step
from perceiver_lab.training.freezing import FrozenConfig


class Two(nnx.Module):
    def __init__(self):
        self.old, self.new, self.older = (nnx.Linear(3, 3, rngs=nnx.Rngs(seed)) for seed in range(3))

    def __call__(self, x):
        return self.older(self.new(self.old(x)))


def loss(model, batch, rngs):
    return (model(batch["x"]) ** 2).mean(), {}


def train(config, steps=3):
    model = Two()
    step = make_train_step(model, config.make(10), loss)
    state = step.init()
    for _ in range(steps):
        *state, _ = step(*state, {"x": jnp.ones((2, 3))}, jax.random.key(0))
    return model, step.merge(*state[:2]), state[2]


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(nnx.state(one)), jax.tree.leaves(nnx.state(other)),
                                                    strict=True))  # fmt: skip


def test_what_is_frozen_stays_bit_for_bit():
    before, after, _ = train(FrozenConfig(frozen=("old",), weight_decay=0.5, learning_rate=0.1))
    assert same(before.old, after.old)
    assert not same(before.new, after.new) and not same(before.older, after.older)  # "older" only begins like "old"


def test_the_rest_is_trained_as_without():
    """Without clipping, whose norm is that of what is trained."""
    sizes = {"learning_rate": 0.1, "clip": None}
    _, frozen, _ = train(FrozenConfig(frozen=("old",), **sizes), steps=1)
    _, free, _ = train(OptimizerConfig(**sizes), steps=1)
    assert same(frozen.new, free.new) and not same(frozen.old, free.old)


def test_no_moments_are_kept():
    sizes = [sum(leaf.size for leaf in jax.tree.leaves(train(FrozenConfig(frozen=frozen), steps=1)[2]))
             for frozen in ((), ("old",), ("old", "older"))]  # fmt: skip
    assert np.diff(sizes).tolist() == [-24, -24]  # two moments of 9 + 3 numbers


@pytest.mark.parametrize(
    ("frozen", "message"),
    [
        (("language_model",), "no parameters lie in language_model. Name modules"),
        (("old", "ol"), "no parameters lie in ol"),
        (("old", "new", "older"), "that is the whole model"),
    ],
)
def test_names_that_do_not_fit(frozen, message):
    with pytest.raises(ValueError, match=message):
        train(FrozenConfig(frozen=frozen))
