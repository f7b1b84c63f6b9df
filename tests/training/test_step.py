"""The compiled step: same numbers as by hand, state and dropout, donation, one compilation."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from perceiver_lab.training.evaluation import evaluate
from perceiver_lab.training.forward import classification_loss, forward, split_records
from perceiver_lab.training.optimizers import adamw
from perceiver_lab.training.step import make_train_step


class Classifier(nnx.Module):
    """Batch norm for state, dropout for keys."""

    def __init__(self, *, rngs, rate=0.5):
        self.hidden = nnx.Linear(6, 16, rngs=rngs)
        self.norm = nnx.BatchNorm(16, momentum=0.5, rngs=rngs)
        self.dropout = nnx.Dropout(rate, deterministic=False)
        self.out = nnx.Linear(16, 3, rngs=rngs)

    def __call__(self, x, *, train=False, rngs=None):
        x = self.norm(self.hidden(x), use_running_average=not train)
        return self.out(self.dropout(nnx.relu(x), deterministic=not train, rngs=rngs))


def batch(seed=0, size=8):
    rng = np.random.default_rng(seed)
    return {"image": rng.normal(size=(size, 6)).astype(np.float32), "label": rng.integers(3, size=size)}


def leaves(tree):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]


def test_same_as_by_hand():
    model = Classifier(rngs=nnx.Rngs(0), rate=0.0)
    optimizer = optax.sgd(0.1)  # Adam would blow up the rounding of the one gradient that is 0, before the batch norm
    graphdef, params, rest = nnx.split(model, nnx.Param, ...)

    def loss_of(params):
        copy = nnx.merge(graphdef, params, jax.tree.map(jnp.copy, rest))
        return classification_loss()(copy, jax.tree.map(jnp.asarray, batch()), nnx.Rngs(0))[0]

    loss, grads = jax.value_and_grad(loss_of)(params)
    updates, _ = optimizer.update(grads, optimizer.init(params), params)
    expected = optax.apply_updates(params, updates)

    step = make_train_step(model, optimizer)
    params, _, _, metrics = step(*step.init(), batch(), jax.random.key(0))
    np.testing.assert_allclose(metrics["loss"], loss, rtol=1e-6)
    norm = np.sqrt(sum((leaf**2).sum() for leaf in leaves(grads)))
    np.testing.assert_allclose(metrics["grad_norm"], norm, rtol=1e-5)
    for found, wanted in zip(leaves(params), leaves(expected), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_the_model_keeps_its_arrays_and_state_comes_out():
    model = Classifier(rngs=nnx.Rngs(0))
    before = leaves(nnx.state(model))
    step = make_train_step(model, adamw(1e-2))
    params, state, opt_state = step.init()
    given = jax.tree.leaves(params)
    params, state, opt_state, _ = step(params, state, opt_state, batch(), jax.random.key(0))
    assert all(leaf.is_deleted() for leaf in given), "the parameters were copied instead of updated in place"
    for now, then in zip(leaves(nnx.state(model)), before, strict=True):
        np.testing.assert_array_equal(now, then)
    trained = step.merge(params, state)
    assert not np.allclose(trained.norm.mean[...], 0.0), "the batch statistics did not move"


def test_the_key_decides_about_dropout():
    step = make_train_step(Classifier(rngs=nnx.Rngs(0)), adamw(1e-2))

    def loss(seed):
        return float(step(*step.init(), batch(), jax.random.key(seed))[3]["loss"])

    assert loss(1) == loss(1) != loss(2)


def test_compiled_once():
    traced = []

    def loss_fn(model, batch, rngs):
        traced.append(1)
        return classification_loss()(model, batch, rngs)

    step = make_train_step(Classifier(rngs=nnx.Rngs(0)), adamw(1e-2), loss_fn)
    carry = step.init()
    for seed in range(3):
        *carry, _ = step(*carry, batch(seed), jax.random.key(seed))
    assert len(traced) == 1


def test_it_learns_and_is_evaluated():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(60, 6)).astype(np.float32)
    labels = images[:, :3].argmax(axis=1)
    step = make_train_step(Classifier(rngs=nnx.Rngs(0), rate=0.1), adamw(1e-2))
    params, state, opt_state = step.init()
    for number in range(60):
        rows = rng.integers(60, size=20)
        one = {"image": images[rows], "label": labels[rows]}
        params, state, opt_state, _ = step(params, state, opt_state, one, jax.random.key(number))
    model = step.merge(params, state)
    # 60 records in batches of 25: the last one has 10 rows and is filled up.
    parts = [slice(0, 25), slice(25, 50), slice(50, 60)]
    batches = [{"image": images[p], "label": labels[p], "record": np.arange(60)[p]} for p in parts]
    found = evaluate(model, batches)
    np.testing.assert_array_equal(found.records, np.arange(60))
    np.testing.assert_allclose(found.logits, forward(model, {"image": images}), atol=1e-5)
    assert found.accuracy.total == 60
    assert found.accuracy.value > 0.9
    assert found.as_dict()["loss"] == pytest.approx(found.loss)
    assert found.loss < 0.6


def test_evaluate_wants_batches():
    with pytest.raises(ValueError, match="There were no batches to evaluate"):
        evaluate(Classifier(rngs=nnx.Rngs(0)), iter(()))


def test_a_logit_that_is_no_number_is_wrong():
    class Broken(nnx.Module):
        def __call__(self, x, *, train=False, rngs=None):
            return jnp.full((x.shape[0], 3), jnp.nan)

    one = {"image": np.zeros((4, 6), np.float32), "label": np.zeros(4, np.int64)}
    assert evaluate(Broken(), [one]).accuracy.correct == 0


def test_positions_reach_only_models_that_ask():
    class Placed(nnx.Module):
        def __call__(self, x, *, positions=None, train=False, rngs=None):
            return jnp.asarray(x[:, :3]) * (0.0 if positions is None else 1.0)

    one = batch()
    assert forward(Classifier(rngs=nnx.Rngs(0)), one).shape == (8, 3)
    assert not forward(Placed(), one).any()
    assert forward(Placed(), one | {"positions": np.zeros((8, 6, 2), np.float32)}).any()


def test_records_and_texts_stay_on_the_host():
    arrays, records = split_records(batch() | {"record": np.arange(8), "name": np.array(["a"] * 8)})
    assert set(arrays) == {"image", "label"}
    assert records.tolist() == list(range(8))
    assert split_records(batch())[1] is None


def test_a_forward_pass_that_stores_is_refused():
    class Growing(nnx.Module):
        def __init__(self, *, rngs):
            self.linear = nnx.Linear(6, 3, rngs=rngs)

        def __call__(self, x, *, train=False, rngs=None):
            self.seen = nnx.BatchStat(jnp.mean(x))
            return self.linear(x)

    step = make_train_step(Growing(rngs=nnx.Rngs(0)), adamw(1e-2))
    with pytest.raises(ValueError, match="changes which variables the model has: seen"):
        step(*step.init(), batch(), jax.random.key(0))
