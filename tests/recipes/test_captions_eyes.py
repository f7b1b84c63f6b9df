"""Eyes: what a text names, what is learned of it, and that nothing else moves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab import recipes
from perceiver_lab.datasets import captions_builder, shipped
from perceiver_lab.datasets.captions import HELD_OUT, KINDS, SHAPES
from perceiver_lab.datasets.captions_text import chunk_record
from perceiver_lab.recipes.captions_eyes import NAMES, as_named, eyes_loss, measure_eyes
from perceiver_lab.training import make_train_step


def named(text, kind, question=""):
    record = {**chunk_record(question, text), "kind": KINDS.index(kind), "held_out": False}
    labels = as_named({**record, "frames": np.zeros((4, 32, 32, 3), np.uint8)})["labels"]
    return {what: NAMES[what][label] for what, label in zip(NAMES, labels, strict=True) if label >= 0}


def test_what_a_text_names():
    assert named("two green circles.", "shapes") == {"count": "two", "colour": "green", "shape": "circle"}
    assert named("a star.", "what", "what? ") == {"count": "a", "shape": "star"}
    assert named("a cyan 7.", "digit") == {"colour": "cyan", "digit": "7"}
    assert named("a red star then a blue circle.", "clip") == named("a red star.", "order", "first? ") == {}


@pytest.fixture
def records(monkeypatch):
    photos = shipped.photos()
    source = {
        part: [
            {**one, "kind": KINDS.index(one["kind"])}
            for one in (captions_builder.record(photos, shipped.mnist_digits(part), part, i) for i in range(48))
        ]
        for part in ("train", "test")
    }
    monkeypatch.setattr(recipes.Recipe, "_source", lambda self, split: source[split.split("[")[0]])
    return source


@pytest.mark.slow  # compiled without optimisations, the gradient of these convolutions is NaN after a step or two
def test_the_eyes_learn_and_the_rest_stays(records):
    recipe = recipes.get("captions_eyes").override({"options.vision": (4, 8, 16)})
    model = recipe.make_model(nnx.Rngs(0))
    step = make_train_step(model, recipe.optimizer.make(60), recipe.loss)
    batch = next(recipe.train_batches("ci"))
    assert batch["frame"].shape == (8, 32, 32, 3) and batch["labels"].shape == (8, 4)
    read = {name: batch[name] for name in ("frame", "labels")}
    state, losses = step.init(), []
    for _ in range(40):
        *state, metrics = step(*state, read, jax.random.key(0))
        losses.append(float(metrics["loss"]))
    assert losses[-1] < 0.7 * losses[0]
    trained = step.merge(*state[:2])
    for part, moves in (("language_model", False), ("vision", True)):
        before, after = (jax.tree.leaves(nnx.state(getattr(one, part))) for one in (model, trained))
        assert moves != all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    numbers = recipe.metrics(trained, "ci")
    assert numbers["total"] == 20 and {f"{what}_accuracy" for what in NAMES} < set(numbers)
    # Of nothing that is named, the loss is nothing.
    loss, _ = eyes_loss(model, {"frame": jnp.asarray(read["frame"]), "labels": jnp.full((8, 4), -1)}, nnx.Rngs(0))
    assert float(loss) == 0


class Knows(nnx.Module):
    """Reads the shape from the first pixel, and says that all else is the first of its kind."""

    def __call__(self, frames):
        shape = ((frames[:, 0, 0, 0] + 1) * 127.5).round().astype(int)
        logits = [np.eye(len(names))[np.zeros(len(frames), int)] for names in NAMES.values()]
        logits[2] = jax.nn.one_hot(shape, len(SHAPES))
        return jnp.concatenate(logits, axis=1)


def test_measures_of_pairs_that_are_held_out(records):
    batch = [as_named(record) for record in records["test"]]
    batch = {name: np.stack([np.asarray(one[name]) for one in batch]) for name in batch[0]}
    batch["frame"][:, 0, 0, 0] = batch["labels"][:, 2]
    numbers = measure_eyes(Knows(), [batch])
    assert numbers["shape_accuracy"] == 1 and numbers["total"] == 20
    held = batch["labels"][batch["held_out"]]
    assert numbers["count_accuracy"] == pytest.approx((held[:, 0] == 0).mean())
    assert numbers["colour_accuracy"] == pytest.approx((held[:, 1] == 0).mean())
    digits = batch["labels"][batch["labels"][:, 3] >= 0]
    assert numbers["digit_accuracy"] == pytest.approx((digits[:, 3] == 0).mean()) and len(digits) == 4
    assert len(HELD_OUT) == 6
