"""One set of weights for all senses: each record is read by its own sense alone, and the comparison is fair."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab import recipes
from perceiver_lab.datasets import plays, shipped
from perceiver_lab.datasets.bytes import encode_text, pad_ids
from perceiver_lab.datasets.one_sense import NOTHING, SENSES
from perceiver_lab.datasets.sound import spoken_digits
from perceiver_lab.recipes import one_for_all
from perceiver_lab.training import make_train_step

ALONE = tuple(f"one_for_{sense}" for sense in SENSES)


def records(senses=SENSES, count=8):
    """As the data set has them, in turn."""
    images, labels = shipped.mnist_digits("test")
    clips, pieces = spoken_digits(), plays.spoken_pieces("test")
    made = []
    for index in range(count):
        clip = clips.record(index)
        piece, speaker = pieces[7 * index]
        each = {
            "bytes": {"bytes": pad_ids(encode_text(piece), 64), "label": plays.SPEAKERS.index(speaker)},
            "image": {"image": images[index][..., None], "label": int(labels[index])},
            "sound": {name: clip[name] for name in ("sound", "length", "label")},
        }
        made += [{**NOTHING, **each[sense], "sense": SENSES.index(sense)} for sense in senses]
    return made


@pytest.fixture
def source(monkeypatch):
    monkeypatch.setattr(recipes.Recipe, "_source", lambda self, split: records(self.options["senses"]))


@pytest.fixture
def batch(source):
    """24 records of all senses, as they are tested."""
    batch = next(recipes.get("one_for_all").override({"budgets.ci.test_batch_size": 24}).test_batches("ci"))
    return {name: jnp.asarray(value) for name, value in batch.items() if name != "record"}


@pytest.fixture(scope="module")
def model():
    return recipes.get("one_for_all").make_model(nnx.Rngs(0))


def test_each_record_is_read_by_its_own_sense(model, batch):
    """What stands in the place of the other senses changes nothing; its own does."""
    said, rng = np.asarray(one_for_all.predict(model, batch)), np.random.default_rng(0)
    assert said.shape == (24, 10)
    other = {
        "bytes": jnp.asarray(rng.integers(6, 262, (24, 64)), jnp.int32),
        "image": jnp.asarray(rng.uniform(-1, 1, (24, 32, 32, 1)), jnp.float32),
        "sound": jnp.asarray(rng.uniform(-1, 1, (24, 8000, 1)), jnp.float32),
    }
    for number, sense in enumerate(SENSES):
        own = np.asarray(batch["sense"]) == number
        changed = np.asarray(one_for_all.predict(model, {**batch, sense: other[sense]}))
        np.testing.assert_allclose(changed[~own], said[~own], atol=1e-5)
        assert (np.abs(changed[own] - said[own]).max(axis=1) > 1e-5).all()


def test_padding_of_texts_is_not_read(model, batch):
    mask = np.asarray(one_for_all.own_mask(model.input_adapter, batch))
    assert mask.shape == (24, 64 + 64 + 100)
    parts = dict(zip(SENSES, np.split(mask, [64, 128], axis=1), strict=True))
    for number, sense in enumerate(SENSES):
        own = np.asarray(batch["sense"]) == number
        assert not parts[sense][~own].any()
        expected = np.asarray(batch["bytes"])[own] != 0 if sense == "bytes" else True
        assert (parts[sense][own] == expected).all()


def test_each_sense_is_asked_its_own_question(model, batch):
    x = {sense: batch[sense] for sense in SENSES}
    said = model(x, mask=one_for_all.own_mask(model.input_adapter, batch))
    chosen = one_for_all.predict(model, batch)
    for row, number in enumerate(np.asarray(batch["sense"])):
        question = "speaker" if SENSES[number] == "bytes" else "digit"
        np.testing.assert_array_equal(chosen[row], said[question][row])


@pytest.mark.parametrize("name", ["one_for_all", *ALONE])
def test_steps_make_the_loss_smaller(name, source):
    recipe = recipes.get(name).override({"model.dropout_rate": 0.0})
    step = make_train_step(recipe.make_model(nnx.Rngs(0)), recipe.optimizer.make(60), recipe.loss)
    batch = {key: value for key, value in next(recipe.train_batches("ci")).items() if key != "record"}
    assert len(batch["label"]) == 4 * len(recipe.options["senses"])
    state, losses = step.init(), []
    for _ in range(20):
        *state, metrics = step(*state, batch, jax.random.key(0))
        losses.append(float(metrics["loss"]))
    assert losses[-1] < 0.8 * losses[0]
    numbers = recipe.metrics(step.merge(*state[:2]), "ci")
    assert numbers["total"] == 8 * len(recipe.options["senses"]) and recipe.tell(numbers).startswith("test accuracy ")
    assert {f"{sense}_accuracy" for sense in recipe.options["senses"]} <= numbers.keys()


class Oracle(nnx.Module):
    """Answers rightly, but of sounds always 3."""

    def __init__(self, batch):
        self.label = jnp.where(batch["sense"] == SENSES.index("sound"), 3, batch["label"])


def test_measure_of_an_oracle(batch, monkeypatch):
    monkeypatch.setattr(one_for_all, "predict", lambda model, batch: 20.0 * jax.nn.one_hot(model.label, 10))
    numpy = {name: np.asarray(value) for name, value in batch.items()}
    numbers = one_for_all.measure(Oracle(batch), [numpy])
    heard = (numpy["label"][numpy["sense"] == 2] == 3).mean()
    assert numbers["bytes_accuracy"] == numbers["image_accuracy"] == 1.0
    assert numbers["sound_accuracy"] == pytest.approx(heard) and numbers["sound_total"] == 8
    assert numbers["accuracy"] == pytest.approx((2 + heard) / 3) and numbers["total"] == 24


def test_all_encoders_are_of_the_same_size():
    """And all see as many records of each sense."""
    first = recipes.get("one_for_all")
    sizes = set()
    for name in ("one_for_all", *ALONE):
        recipe = recipes.get(name)
        model = nnx.eval_shape(lambda recipe=recipe: recipe.make_model(nnx.Rngs(0)))
        sizes.add(sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model.encoder))))
        assert (recipe.model, recipe.optimizer, recipe.build) == (first.model, first.optimizer, first.build)
        budget, whole = recipe.budget("full"), first.budget("full")
        assert budget.steps == whole.steps
        assert budget.batch_size / len(recipe.options["senses"]) == whole.batch_size / 3
        assert recipe.num_parameters() * 4 < 2 * 2**20
    assert len(sizes) == 1
