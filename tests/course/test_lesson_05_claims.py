"""Lesson 05: what its text claims of the shipped weights."""

import numpy as np
import pytest

from perceiver_lab import recipes
from perceiver_lab.datasets import pipeline, to_float
from perceiver_lab.explorers import AttentionExplorer
from perceiver_lab.introspect import ablate, attention_maps, deletion_curves, position_share, rollout

pytestmark = pytest.mark.usefixtures("optimised")


@pytest.fixture(scope="module")
def digits():
    """The small model and 700 digits, the first 297 held out: maps, answers."""
    model = recipes.load_shipped(recipes.get("digits_perceiver"))[0]
    batches = [
        next(pipeline("digits", split=split, batch_size=size, transforms=(to_float,), repeat=False, shuffle=False))
        for split, size in (("test", 297), ("train[:403]", 403))
    ]
    images, labels = (np.concatenate([batch[key] for batch in batches]) for key in ("image", "label"))
    logits, maps = attention_maps(model, images)
    return model, images, labels, logits.argmax(axis=-1), maps


def test_the_second_read_may_look_anywhere_and_the_first_may_not(digits):
    model, images, _, said, maps = digits
    own = {name: weights for name, weights in maps if name.startswith("read")}

    def stay(name):
        """One of the two looks evenly; the other is given its own weights, so that both are one program."""
        even = np.full_like(own[name], 1 / 64)
        return (attention_maps(model, images, replace=own | {name: even})[0].argmax(axis=-1) == said).sum()

    assert stay("read 1") == 700
    assert stay("read 0") < 140


def test_the_first_reads_map_deletes_as_well_as_ink_and_the_seconds_hardly_better_than_chance(digits):
    model, images, _, said, maps = digits
    weights = dict(maps)
    orders = {
        "random": np.random.default_rng(5).random((700, 64)).astype(np.float32),
        "ink": images.reshape(700, 64),
        "first": weights["read 0"][:, 0].mean(axis=1),
        "second": weights["read 1"][:, 0].mean(axis=1),
        "rollout": rollout(maps).mean(axis=1),
    }
    curves = {
        name: deletion_curves(model, images, rating, said, [4, 8, 16, 32]).mean() for name, rating in orders.items()
    }
    assert abs(curves["first"] - curves["ink"]) < 0.1
    assert curves["first"] < curves["rollout"] < curves["second"] < curves["random"]
    assert curves["random"] - curves["second"] < 0.4 * (curves["random"] - curves["first"])


def test_latents_that_are_off_do_what_the_lesson_says(digits):
    model, images, labels, said, _ = digits
    without = ablate(model, images).ablated.argmax(axis=-1)
    changed = (without != said).sum(axis=1)
    assert changed.argmax() == 10 and changed[10] > 2 * np.sort(changed)[-3]
    assert list(zip(*np.nonzero((said == 4) & (without == 9)), strict=True)) == [(10, 613), (10, 677)]
    mended = {i: np.flatnonzero(without[:, i] == labels[i]).tolist() for i in np.flatnonzero(said != labels)}
    assert mended == {23: [0, 2, 6, 12, 14, 15], 33: [3], 179: []}
    pair = ~np.isin(np.arange(16), (10, 13))
    assert ablate(model, images[238:239], pair[None]).ablated.argmax() == 9
    assert said[238] == labels[238] == 4


def test_the_examples_of_the_explorer_hold_what_there_is_to_find(digits):
    model, images, labels, _, _ = digits
    chosen = [613, 238, 1, 33, 23, 26, 3, 5]
    explorer = AttentionExplorer.from_model(model, images[chosen], labels=labels[chosen].tolist(), turn=("4", "9"))

    def said(example, off=()):
        reply, _ = explorer.answer({"what": "predict", "example": example, "off": list(off)})
        return int(np.argmax(reply["probabilities"]))

    assert [said(example) for example in range(5)] == [4, 4, 4, 7, 8]
    assert labels[chosen[:5]].tolist() == [4, 4, 4, 4, 1]
    assert said(0, [10]) == said(1, [10, 13]) == 9
    assert said(3, [3]) == 4 and said(4, [0]) == 1
    assert said(2, range(8)) == 4  # half of the latents are off


def test_three_latents_of_the_wide_model_watch_places():
    recipe = recipes.get("jittered_perceiver")
    model = recipes.load_shipped(recipe)[0]
    digits = next(iter(recipe.test_batches("ci")))["image"][:32]
    weights = dict(attention_maps(model, digits)[1])
    first, second = (position_share(weights[name])[0] for name in ("read 0", "read 1"))
    assert np.flatnonzero(first > 0.7).tolist() == [7, 19, 23]
    assert np.sort(first)[-4] < 0.5 and second.max() < 0.5
