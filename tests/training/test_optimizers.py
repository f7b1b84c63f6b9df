"""LAMB, Adam and the schedules against the reference file, and what decays."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.training import schedules
from perceiver_lab.training.optimizers import (
    OptimizerConfig,
    adamw,
    decay_mask,
    decays,
    lamb,
    release_decays,
    replay_release,
)
from perceiver_lab.training.trees import named_leaves

REFERENCE = Path(__file__).parents[1] / "parity" / "vectors" / "perceiver_io" / "optimizer.npz"


@pytest.fixture(scope="module")
def reference():
    with np.load(REFERENCE, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def test_the_release_step_by_step(reference):
    expected = {key: value for key, value in reference.items() if key.startswith("output/")}
    found = replay_release(json.loads(str(reference["config"])), reference)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=0, atol=1e-6 if "/lr_" not in key else 1e-9, err_msg=key)


def test_a_reference_without_lengths_is_refused(reference):
    config = json.loads(str(reference["config"])) | {"what": "something else"}
    with pytest.raises(ValueError, match="should name batch, steps per epoch and steps"):
        replay_release(config, reference)


class Small(nnx.Module):
    def __init__(self, *, rngs):
        self.latents = nnx.Param(jax.random.normal(rngs.params(), (3, 4)))
        self.query_norm = nnx.LayerNorm(4, rngs=rngs)
        self.layers = nnx.data([nnx.Linear(4, 4, rngs=rngs)])


def test_what_decays():
    params = nnx.state(Small(rngs=nnx.Rngs(0)), nnx.Param)
    assert {name for name, decayed in named_leaves(decay_mask(params)).items() if decayed} == {
        "latents",
        "layers.0.kernel",
    }
    assert not decays("encoder.read_norm.kernel")
    assert decays("positions.table")
    assert release_decays("embedding_decoder/bias")
    assert not release_decays("mlp/linear/b")


def test_lamb_by_hand():
    """One step: the clipped gradient's Adam step is its sign, plus decay, scaled to the length of the parameter."""
    params = {"kernel": jnp.array([3.0, -4.0]), "bias": jnp.array([2.0])}
    grads = {"kernel": jnp.array([30.0, 40.0]), "bias": jnp.array([0.0])}
    chain = lamb(0.1)
    updates, _ = chain.update(grads, chain.init(params), params)
    direction = np.array([1.0, 1.0]) + 0.1 * np.array([3.0, -4.0])
    np.testing.assert_allclose(updates["kernel"], -0.1 * 5 * direction / np.linalg.norm(direction), rtol=1e-5)
    np.testing.assert_array_equal(updates["bias"], 0.0)  # no gradient, no decay: the ratio is 1 and nothing moves


def test_a_zero_tensor_can_leave_zero():
    params, grads = {"kernel": jnp.zeros(2)}, {"kernel": jnp.ones(2)}
    chain = lamb(0.1)
    updates, _ = chain.update(grads, chain.init(params), params)
    np.testing.assert_allclose(updates["kernel"], -0.1, rtol=1e-5)


def test_adamw_clips_and_decays():
    params, grads = {"kernel": jnp.array([1.0])}, {"kernel": jnp.array([0.0])}
    chain = adamw(0.1, weight_decay=0.5)
    updates, _ = chain.update(grads, chain.init(params), params)
    np.testing.assert_allclose(updates["kernel"], -0.05, rtol=1e-6)


def test_schedules():
    flat = schedules.constant_cosine(2.0, 100)
    assert [float(flat(step)) for step in (0, 49, 50)] == [2.0, 2.0, 2.0]
    assert float(flat(100)) < 1e-6
    steps = schedules.steps(1.0, 120)
    np.testing.assert_allclose([float(steps(step)) for step in (83, 84, 102, 114)], [1, 0.1, 0.01, 0.001], rtol=1e-5)
    warm = schedules.warmup_constant(1.0, warmup_steps=4)
    np.testing.assert_allclose([float(warm(step)) for step in (0, 2, 4, 50)], [0, 0.5, 1, 1])
    assert schedules.scaled_rate(5e-4, 1024) == 2e-3
    with pytest.raises(ValueError, match="warmup_steps must be at least 0 and below total_steps = 10, got 10"):
        schedules.warmup_cosine(1.0, 10, warmup_steps=10)
    with pytest.raises(ValueError, match="between 0 and 1, got 84"):
        schedules.steps(1.0, 120, boundaries=(84,))
    with pytest.raises(ValueError, match="at least one step"):
        schedules.constant_cosine(1.0, 0)


def test_schedules_after_a_warmup_begin_at_their_own_start():
    plain = schedules.inverse_square_root(2.0, 4)
    found = schedules.after_warmup(plain, 2.0, warmup_steps=4)
    np.testing.assert_allclose([found(step) for step in (0, 2, 4, 16)], [0.0, 1.0, 2.0, 1.0], rtol=1e-6)
    assert float(plain(12)) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="at least one step, got total_steps = 0"):
        schedules.inverse_square_root(1.0, 0)


@pytest.mark.parametrize("schedule", ["constant", "constant_cosine", "warmup_cosine", "steps"])
@pytest.mark.parametrize("name", ["adamw", "lamb"])
def test_every_configuration_makes_a_step(name, schedule):
    config = OptimizerConfig(name=name, schedule=schedule, warmup_steps=30, clip=None)
    for steps in (1, 3, 100):  # a warm-up longer than the run is cut
        chain = config.make(steps)
        params = {"kernel": jnp.ones(2)}
        updates, _ = chain.update(params, chain.init(params), params)
        assert np.isfinite(updates["kernel"]).all()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": "sgd"}, "There is no optimiser 'sgd'; expected one of adamw, lamb"),
        ({"schedule": "linear"}, "There is no schedule 'linear'"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0, got 0.0"),
        ({"clip": 0.0}, "clip above 0 or None"),
    ],
)
def test_bad_configurations(wrong, said):
    with pytest.raises(ValueError, match=said):
        OptimizerConfig(**wrong)
