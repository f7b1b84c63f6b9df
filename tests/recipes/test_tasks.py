"""Several questions: what tokens tell and what queries ask, the loss of each record's own question, fair recipes."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy.special import log_softmax

from perceiver_lab import recipes
from perceiver_lab.datasets import encode_text, pad_ids
from perceiver_lab.datasets.play_tasks import TASKS, labelled_pieces
from perceiver_lab.recipes import tasks_measure as measure
from perceiver_lab.recipes.starting import take_parts
from perceiver_lab.training import Accuracy
from tests.drawn import drawn
from tests.recipes.steps import at_start, train

ALL = ("tasks_queries", "tasks_tokens", "tasks_shared")
SINGLE = tuple(f"tasks_only_{task}" for task in TASKS)
SMALL = {"model.num_latents": 4, "model.latent_channels": 16, "model.qk_channels": 16, "options.channels": 8,
         "options.num_bands": 4}  # fmt: skip


def made(part, count=None, tasks=tuple(TASKS)):
    """Records of all tasks in turn, as arrays."""
    found = {task: labelled_pieces(task, part) for task in tasks}
    count = max(map(len, found.values())) if count is None else count
    rows = [(number, task, *found[task][row]) for row in range(count) for number, task in enumerate(tasks)
            if row < len(found[task])]  # fmt: skip
    return {
        "bytes": np.stack([pad_ids(encode_text(piece), 64) for _, _, piece, _ in rows]),
        "task": np.array([tuple(TASKS).index(task) for _, task, _, _ in rows]),
        "label": np.array([TASKS[task].index(label) for _, task, _, label in rows]),
    }


@pytest.fixture
def records(monkeypatch):
    monkeypatch.setattr(recipes.Recipe, "_source", lambda self, split: made("train", 20, self.options["tasks"]))


@functools.cache
def untrained(name):
    return at_start(recipes.get(name).override(SMALL))


@functools.cache
def loud(name):
    """Untrained, but with louder weights: at the start, reading changes little."""
    graphdef, state = nnx.split(untrained(name))
    return nnx.merge(graphdef, jax.tree.map(lambda leaf: jnp.asarray(2.0 * np.asarray(leaf)), state))


IDS = jnp.asarray(made("test", 1)["bytes"])
answer = nnx.jit(lambda model, ids, task=None: model(ids, task))


def test_shapes_of_the_answers():
    for name in (*ALL, *SINGLE):
        recipe = recipes.get(name)
        model = nnx.eval_shape(lambda recipe=recipe: recipe.make_model(nnx.Rngs(0)))
        said = nnx.eval_shape(lambda model: model(IDS, jnp.zeros(4, int)), model)
        assert {task: part.shape for task, part in said.items()} == {
            task: (4, len(TASKS[task])) for task in recipe.options["tasks"]
        }


def test_a_token_tells_and_a_query_asks():
    """With tokens another task changes every answer; with queries or one token nothing is told, all are answered."""
    queries, tokens, shared = (loud(name) for name in ALL)
    first, second = (answer(tokens, IDS, np.full(4, number)) for number in (0, 1))
    assert all(np.abs(np.asarray(first[task] - second[task])).max() > 1e-4 for task in TASKS)
    for model in (queries, shared):
        whole = answer(model, IDS)
        for task, part in answer(model, IDS, np.full(4, 1)).items():
            np.testing.assert_array_equal(part, whole[task])
    assert [model.decoder.queries.num_queries(None) for model in (queries, tokens, shared)] == [4, 1, 1]
    assert [model.tokens.table.shape[0] for model in (tokens, shared)] == [4, 1]


def test_a_shared_token_is_read():
    said = answer(loud("tasks_shared"), IDS)
    other = nnx.clone(loud("tasks_shared"))
    other.tokens.table[...] = -other.tokens.table[...]
    changed = answer(other, IDS)
    assert all(np.abs(np.asarray(said[task] - changed[task])).max() > 1e-4 for task in TASKS)


@pytest.mark.parametrize("name", ALL)
def test_padding_is_not_read(name):
    model, task = loud(name), np.zeros(2, int)
    ids = np.stack([encode_text(b"What ho! what news, my lord, from Rome?")] * 2)
    padded = np.pad(ids, ((0, 0), (0, 64 - ids.shape[1])))
    whole = answer(model, ids, task)
    for name, part in answer(model, padded, task).items():
        np.testing.assert_allclose(part, whole[name], atol=1e-4)


def test_a_task_must_be_told():
    model = untrained("tasks_tokens")
    with pytest.raises(ValueError, match=r"give task, one number for each text, 0 to 3 for speaker, kind.*got None"):
        model(IDS)
    with pytest.raises(ValueError, match=r"got \(3,\)"):
        model(IDS, jnp.zeros(3, int))


def test_own_logits():
    logits = {"a": jnp.array([[1.0, 2.0, 3.0]] * 2), "b": jnp.array([[4.0, 5.0]] * 2)}
    own = np.asarray(measure.own_logits(logits, jnp.array([1, 0])))
    np.testing.assert_array_equal(own[0, :2], [4, 5])
    assert own[0, 2] < -1e20
    np.testing.assert_array_equal(own[1], [1, 2, 3])


@pytest.mark.parametrize("name", [*ALL, "tasks_only_verse"])
def test_the_loss_is_that_of_each_records_own_question(name, records):
    recipe, model = recipes.get(name).override(SMALL), loud(name)
    batch = {key: np.asarray(value) for key, value in next(recipe.train_batches("ci")).items() if key != "record"}
    both = nnx.jit(lambda model, batch: (measure.predict(model, batch), recipe.loss(model, batch, nnx.Rngs(0))))
    said, (loss, report) = both(model, batch)
    said = {task: np.asarray(part) for task, part in said.items()}
    own = [-log_softmax(said[tuple(TASKS)[task]][row])[batch["label"][row]] for row, task in enumerate(batch["task"])]
    assert float(loss) == pytest.approx(float(np.mean(own)), rel=1e-5) and 0 <= report["accuracy"] <= 1
    numbers = measure.measure(model, [batch])
    assert numbers["loss"] == pytest.approx(float(loss), rel=1e-4)


@pytest.mark.parametrize("name", [*ALL, "tasks_only_kind"])
def test_steps_make_the_loss_smaller(name, records):
    recipe = recipes.get(name).override(SMALL)
    batches = itertools.repeat(next(recipe.train_batches("ci")))
    model, reports = train(recipe, untrained(name), batches, 60, planned=100)
    assert reports[-1]["loss"] < 0.7 * reports[0]["loss"]
    numbers = recipe.metrics(model, "ci")
    assert numbers["total"] == 20 * len(recipe.options["tasks"]) and recipe.tell(numbers).startswith("test accuracy ")


class Oracle(nnx.Module):
    """Answers rightly, but the question of verse always with verse."""

    tasks = tuple(TASKS)

    def __init__(self, batch):
        self.label = jnp.asarray(batch["label"])

    def __call__(self, ids, task, *, train, rngs):
        wrong = jnp.where(task == self.tasks.index("verse"), 1, self.label)
        return {name: 20.0 * jax.nn.one_hot(wrong, len(answers)) for name, answers in TASKS.items()}


def test_measure_of_an_oracle():
    batch = made("test", 10)
    batch["label"][np.flatnonzero(batch["task"] == 2)[:5]] = 0
    numbers = measure.measure(Oracle(batch), [batch])
    assert numbers["total"] == 40 and numbers["speaker_accuracy"] == numbers["kind_accuracy"] == 1.0
    verse = (batch["label"][batch["task"] == 2] == 1).mean()
    assert numbers["verse_accuracy"] == pytest.approx(verse) and numbers["verse_total"] == 10
    assert numbers["accuracy"] == pytest.approx((3 + verse) / 4)
    assert numbers["accuracy_low"] < numbers["accuracy"] < numbers["accuracy_high"]


def test_the_interval_of_an_average():
    found = measure.average({"a": Accuracy(correct=50, total=100), "b": Accuracy(correct=90, total=100)})
    assert found["accuracy"] == pytest.approx(0.7)
    draws = np.random.default_rng(0).binomial(100, [[0.5, 0.9]] * 20000).mean(axis=1) / 100
    half = (found["accuracy_high"] - found["accuracy_low"]) / 2
    assert half == pytest.approx(1.96 * draws.std(), rel=0.03)
    alone = measure.average({"a": Accuracy(correct=50, total=100)})
    assert (alone["accuracy_low"], alone["accuracy_high"]) == Accuracy(correct=50, total=100).interval


def test_baselines(monkeypatch):
    monkeypatch.setattr(measure, "arrays", lambda name, split: made(split))
    found = measure.baselines(recipes.get("tasks_queries"))
    assert found["majority"]["speaker_accuracy"] == pytest.approx(62 / 548)
    for kind in found:
        assert all(found[kind][f"{task}_total"] == len(labelled_pieces(task, "test")) for task in TASKS)
    assert 0.25 < found["naive Bayes"]["speaker_accuracy"] < 0.4
    assert found["naive Bayes"]["accuracy"] > found["majority"]["accuracy"]
    assert found["naive Bayes"]["continues_accuracy"] < 0.6  # a bag of bytes does not know the order


def test_what_is_handed_on_fits():
    donor = drawn(lambda: recipes.get("bytes_perceiver_io").make_model(nnx.Rngs(0)))
    for name in (*ALL, *SINGLE):
        recipe = recipes.get(name)
        model = drawn(lambda recipe=recipe: recipe.make_model(nnx.Rngs(0)), seed=1)
        take_parts(model, donor, recipe.start_from.parts)
        assert recipe.num_parameters() * 4 < 2 * 2**20


def test_recipes_to_compare_differ_only_in_how_they_are_asked():
    first = recipes.get("tasks_queries")
    for name in (*ALL[1:], *SINGLE):
        other = recipes.get(name)
        for field in ("build", "model", "optimizer", "loss", "measure", "start_from"):
            assert getattr(other, field) == getattr(first, field)
        seen = [one.budget("full").steps * one.budget("full").batch_size / len(one.options["tasks"])
                for one in (first, other)]  # fmt: skip
        assert seen[0] == seen[1]  # examples of each task
