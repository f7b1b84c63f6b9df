"""Commanders: any number of units in any order, padding never chosen, and the comparison is fair."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from perceiver_lab import recipes
from perceiver_lab.datasets import battle, pad_units
from perceiver_lab.recipes import battle as battle_recipes
from perceiver_lab.recipes import battle_measure as measure
from perceiver_lab.training import make_train_step

NAMES = ("battle_perceiver_io", "battle_transformer", "battle_mlp")
SEES_OTHERS = NAMES[:2]


def drawn(seed, part="train"):
    return battle.battle(np.random.default_rng([6, seed]), part)


def record(seed, length=None, part="train"):
    units = drawn(seed, part)
    padded = pad_units(length or len(units))({"units": units, "target": battle.targets(units)})
    return {name: np.asarray(value)[None] for name, value in padded.items()}


@pytest.fixture(scope="module")
def models():
    """Untrained, but with loud attention: at the start, reading changes little."""
    made = {}
    for name in NAMES:
        model = recipes.get(name).make_model(nnx.Rngs(0))
        graphdef, state = nnx.split(model)
        made[name] = nnx.merge(graphdef, jax.tree.map(lambda leaf: 1.5 * leaf, state))
    return made


@pytest.fixture
def records(monkeypatch):
    found = []
    for seed in range(12):
        units = drawn(seed)
        found.append({"units": units, "target": battle.targets(units)})
    monkeypatch.setattr(recipes.Recipe, "_source", lambda self, split: found)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_vector_and_a_pointer_for_any_number_of_units(name, models):
    for count in (1, 16):
        units = jnp.asarray(np.random.default_rng(count).normal(size=(2, count, 9)), jnp.float32)
        assert models[name].vectors(units).shape == (2, count, 64)
        logits = models[name](units)
        assert logits.shape == (2, count, count) and np.isfinite(logits).all()


def some_units(count, seed):
    """Any numbers at all, in a set that is padded to 24 with others."""
    units = 2.0 * np.random.default_rng(seed).normal(size=(24, 9)).astype(np.float32)
    return jnp.asarray(units)[None], jnp.arange(24)[None] < count


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=10)
@given(count=st.integers(1, 24), seed=st.integers(0, 1000))
def test_in_another_order_all_say_the_same(name, count, seed, models):
    units, mask = some_units(count, seed)
    order = np.concatenate([np.random.default_rng(seed).permutation(count), np.arange(count, 24)])
    pointer = np.asarray(measure.predict(models[name], {"units": units, "mask": mask})["pointer"])
    moved = np.asarray(measure.predict(models[name], {"units": units[:, order], "mask": mask})["pointer"])
    # Logits are rounded at their own size, which is beyond 70 here: compared is log p, down to 1e-30.
    found, wanted = (np.log(np.maximum(one, 1e-30)) for one in (moved, pointer[:, order][:, :, order]))
    np.testing.assert_allclose(found[:, :count], wanted[:, :count], atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=10)
@given(count=st.integers(1, 24), seed=st.integers(0, 1000))
def test_padding_is_never_chosen_and_changes_nothing(name, count, seed, models):
    """Whatever stands in the padded rows: their probability is exactly 0, and the others' stay."""
    units, mask = some_units(count, seed)
    pointer, without = (
        np.asarray(measure.predict(models[name], {"units": one, "mask": mask})["pointer"])[0]
        for one in (units, jnp.where(mask[..., None], units, 0.0))
    )
    assert (pointer[:, count:] == 0).all() and (pointer.argmax(axis=-1) < count).all()
    np.testing.assert_allclose(pointer[:count].sum(axis=-1), 1, rtol=1e-5)
    np.testing.assert_allclose(pointer[:count], without[:count], atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_padded_battle_is_the_battle(name, models):
    whole, padded = record(4), record(4, 128)
    count = whole["units"].shape[1]
    said, among = (measure.predict(models[name], {key: jnp.asarray(one[key]) for key in ("units", "mask")})
                   for one in (whole, padded))  # fmt: skip
    np.testing.assert_allclose(among["pointer"][:, :count, :count], said["pointer"], atol=1e-4)
    np.testing.assert_allclose(among["vectors"][:, :count], said["vectors"], atol=1e-3)


def test_who_sees_others(models):
    """A comrade is hurt: whoever sees the others says something else, and the MLP of the others does not."""
    units = jnp.asarray(drawn(1))[None]
    hurt = units.at[0, 0, battle.HEALTH].set(0.01)
    for name, model in models.items():
        moved = np.abs(np.asarray(model.vectors(hurt) - model.vectors(units)))[0, 1:].max()
        assert (moved > 1e-5) == (name in SEES_OTHERS), name


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_set_is_refused(name, models):
    with pytest.raises(ValueError, match=r"Entities must be \(B, M, 9\), one row of features for each, M at least 1"):
        models[name](jnp.zeros((1, 0, 9)))
    with pytest.raises(ValueError, match=r"The sets \[0\] of this batch have no elements"):
        models[name](jnp.zeros((1, 4, 9)), mask=jnp.zeros((1, 4), bool))


class Oracle(nnx.Module):
    """Points where it is told, or at the first unit."""

    def __init__(self, target, wrong=()):
        self.target = jnp.asarray(np.maximum(target, 0)).at[:, np.array(wrong, int)].set(0)

    def vectors(self, units, *, mask):
        return units

    def pointer(self, vectors, *, mask):
        return 30.0 * jax.nn.one_hot(self.target, vectors.shape[1])


def test_measure_of_an_oracle():
    batch = {
        name: np.concatenate([record(seed, 512, "test")[name] for seed in (0, 1, 2)])
        for name in ("units", "mask", "target")
    }
    numbers = measure.measure_battles(Oracle(batch["target"]), [batch])
    assert numbers["accuracy"] == numbers["near_accuracy"] == numbers["far_accuracy"] == 1.0
    assert numbers["squad_accuracy"] == 1.0 and numbers["loss"] < 1e-4
    assert numbers["total"] == 3 and numbers["units"] == (batch["target"] >= 0).sum()
    first = batch["target"][0]
    wrong = [index for index in np.flatnonzero(first >= 0) if first[index]][:2]
    worse = measure.measure_battles(Oracle(batch["target"], wrong), [batch])
    mistaken = (np.maximum(batch["target"], 0)[:, wrong] != 0) & (batch["target"][:, wrong] >= 0)
    assert worse["accuracy"] == pytest.approx(1 - mistaken.sum() / numbers["units"])
    assert worse["accuracy_low"] <= worse["accuracy"] <= worse["accuracy_high"]
    groups = [name for name in worse if name.startswith("accuracy_") and name[9:].isdigit()]
    assert groups and set(groups) <= {f"accuracy_{size}" for size in measure.SIZES[:-1]}


def test_units_that_know_nothing_of_each_other():
    units = drawn(0, "test")
    guess, target = measure.alone(units), battle.targets(units)
    ours = target >= 0
    assert (guess[~ours] == -1).all() and (guess[ours] >= 0).all()
    assert 0 < (guess == target)[ours].mean() < 1


def test_baselines(records, monkeypatch):
    monkeypatch.setattr(measure, "load", lambda name, split: records)
    found = measure.baselines(recipes.get("battle_mlp"))
    assert 0 < found["any of theirs"] < 0.2 < found["alone"] < 0.8


@pytest.mark.parametrize("name", NAMES)
def test_steps_make_the_loss_smaller(name, records):
    recipe = recipes.get(name)
    step = make_train_step(recipe.make_model(nnx.Rngs(0)), recipe.optimizer.make(40), recipe.loss)
    batch = {key: value for key, value in next(recipe.train_batches("ci")).items() if key != "record"}
    assert batch["units"].shape == (8, 128, 9) and batch["mask"].dtype == bool
    state, losses = step.init(), []
    for _ in range(12):
        *state, metrics = step(*state, batch, jax.random.key(0))
        losses.append(float(metrics["loss"]))
    assert losses[-1] < 0.9 * losses[0]
    numbers = recipe.metrics(step.merge(*state[:2]), "ci")
    assert numbers["total"] == 12 and recipe.tell(numbers).startswith("test accuracy ")


def test_only_our_units_count(models):
    batch = {name: jnp.asarray(value) for name, value in record(2, 128).items()}
    value = battle_recipes.loss(models["battle_mlp"], batch, nnx.Rngs(0))[0]
    logits = models["battle_mlp"](batch["units"], mask=batch["mask"])
    own = np.take_along_axis(np.asarray(jax.nn.log_softmax(logits)), np.maximum(batch["target"], 0)[..., None], axis=-1)
    assert float(value) == pytest.approx(-own[..., 0][np.asarray(batch["target"]) >= 0].mean(), rel=1e-5)


def test_the_three_differ_only_in_their_encoder():
    first, *others = (recipes.get(name) for name in NAMES)
    for other in others:
        for field in ("data", "optimizer", "budgets", "loss", "measure", "headline"):
            assert getattr(other, field) == getattr(first, field), field
    assert recipes.get("battle_mlp").model == recipes.get("battle_transformer").model
    assert first.model.num_latents == 32


def test_what_the_encoders_cost():
    """As the recipe says: the more units, the more a Transformer costs."""
    names, sizes = NAMES[:2], (32, 512)
    counted = [[battle_recipes.cost_of(recipes.get(name), size) for name in names] for size in sizes]
    ratios = [transformer.flops / perceiver.flops for perceiver, transformer in counted]
    assert ratios == pytest.approx([1.0, 5.1], rel=0.03)
    perceiver, transformer = counted[0]
    assert transformer.parameters == pytest.approx(perceiver.parameters, rel=0.02)
    assert all(recipes.get(name).num_parameters() * 4 < 2 * 2**20 for name in NAMES)
