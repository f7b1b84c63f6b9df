"""Recipes that see: what they are trained by and measured with, what stays frozen, and that the comparison is fair."""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab import recipes
from perceiver_lab.datasets import captions_builder, shipped
from perceiver_lab.datasets.bytes import EOS, PAD
from perceiver_lab.datasets.captions import KINDS
from perceiver_lab.datasets.captions_text import IMAGE, as_prompt, few_shot, other_colours
from perceiver_lab.recipes import captions_measure as measure
from perceiver_lab.recipes.starting import take_parts
from perceiver_lab.training import adamw, make_train_step
from tests.drawn import drawn
from tests.recipes.steps import at_start, train

SEEING = ("captions_flamingo", "captions_mean", "captions_transformer", "captions_mlp")
SMALL = {
    "model.language.channels": 16, "model.language.num_layers": 1, "model.gated.channels": 16,
    "model.gated.media_channels": 16, "model.resampler.latent_channels": 16, "model.resampler.num_layers": 1,
    "model.resampler.head_dim": 4, "options.vision": (4, 8, 16), "options.embedding": 8, "options.num_bands": 4,
}  # fmt: skip


@pytest.fixture(scope="module")
def sources():
    photos = shipped.photos()
    return {
        part: [
            {**one, "kind": KINDS.index(one["kind"])}
            for one in (captions_builder.record(photos, shipped.mnist_digits(part), part, i) for i in range(48))
        ]
        for part in ("train", "test")
    }


@pytest.fixture
def records(sources, monkeypatch):
    """The first records of each part instead of the prepared set."""
    monkeypatch.setattr(recipes.Recipe, "_source", lambda self, split: sources[split.split("[")[0]])
    return sources


def small(name):
    text = {key.replace("model.language.", "model."): value for key, value in SMALL.items()
            if "language" in key or "options.e" in key or "options.n" in key}  # fmt: skip
    return recipes.get(name).override(text if name == "captions_language" else SMALL)


@functools.cache
def untrained(name):
    """The small model; no test changes it."""
    return at_start(small(name))


def opened(name):
    """A copy with its gates half open: what is seen counts."""
    model = nnx.clone(untrained(name))
    for layer in model.gated.layers:
        layer.attention_gate[...] = layer.mlp_gate[...] = jnp.full(1, 0.8)
    return model


def test_batches(records):
    batch, tested = (
        next(getattr(recipes.get("captions_flamingo"), name)("ci")) for name in ("train_batches", "test_batches")
    )
    assert batch["ids"].shape == (4, 128) and batch["frames"].shape == (4, 4, 4, 32, 32, 3)
    assert tested["ids"].shape == tested["other"].shape == (24, 44) and tested["frames"].shape == (24, 1, 4, 32, 32, 3)
    text = next(recipes.get("captions_language").train_batches("ci"))
    assert "frames" not in text and text["ids"].shape == (4, 128)


@pytest.mark.parametrize("name", ["captions_language", *SEEING])
def test_steps_make_the_loss_smaller(name, records):
    recipe, model = small(name), untrained(name)
    batches = itertools.repeat(next(recipe.train_batches("ci")))
    trained, reports = train(recipe, model, batches, 30, planned=40)
    # Around a language model drawn by chance there is not much to learn.
    assert reports[-1]["loss"] < (0.7 if name == "captions_language" else 0.97) * reports[0]["loss"]
    if name != "captions_language":
        before, after = (jax.tree.leaves(nnx.state(one.language_model)) for one in (model, trained))
        assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
        before, after = (jax.tree.leaves(nnx.state(one.vision)) for one in (model, trained))
        assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
        for part in ("resampler", "gated"):
            before, after = (jax.tree.leaves(nnx.state(getattr(one, part))) for one in (model, trained))
            assert any(not np.array_equal(a, b) for a, b in zip(before, after, strict=True)), part
    numbers = recipe.metrics(trained, "ci")
    assert recipe.headline.replace("_", " ") in recipe.tell(numbers)
    assert numbers["total"] == (28 if name == "captions_language" else 20)


@pytest.mark.parametrize("name", SEEING)
def test_at_first_it_is_the_language_model(name, records):
    """To rounding: compiled, the two are fused in two ways."""
    recipe = small(name)
    graphdef, state = nnx.split(untrained(name))
    batch = next(recipe.test_batches("ci"))
    shown, alone = (
        jax.jit(lambda state, batch, say=say: say(nnx.merge(graphdef, state), batch))(state, _only(batch))
        for say in (measure.predict, measure.predict_text)
    )
    for key, value in shown.items():
        np.testing.assert_allclose(np.float64(value), np.float64(alone[key]), rtol=1e-6, err_msg=key)


def _only(batch):
    return {name: batch[name] for name in measure.READS}


def test_the_loss_counts_answers_only(records):
    batch = next(small("captions_flamingo").train_batches("ci"))

    @nnx.jit
    def both(model, batch):
        judged = measure.judge(model, batch["ids"], batch["answers"], measure._look(model, batch))
        return measure.captions_loss(model, batch, nnx.Rngs(0)), judged

    read = {name: jnp.asarray(value) for name, value in batch.items() if name != "record"}
    (loss, report), (log_prob, exact) = both(opened("captions_flamingo"), read)
    assert float(loss) == pytest.approx(-float(log_prob.sum()) / float(batch["answers"].sum()), rel=1e-5)
    assert float(report["bits"]) == pytest.approx(float(loss) / np.log(2), rel=1e-6)
    assert not np.asarray(exact).any()


class Knows(nnx.Module):
    """Reads which answer belongs to a picture from the picture's first pixel, and says it.

    Of a question, it likes the right answer better in a share of cases.
    """

    def __init__(self, texts, share=1.0):
        self.texts, self.share = jnp.asarray(texts), share

    def see(self, frames, *, frame_mask=None, interpolate=False):
        return jnp.round((frames[:, 0, 0, 0, 0, :1] + 1) * 127.5)[..., None, None]

    def read(self, ids, media=None, *, train=False, rngs=None):
        if media is None:
            return jnp.zeros((*ids.shape, 262))
        number = media[:, 0, 0, 0].astype(int)
        said = jax.nn.one_hot(self.texts[number][:, 1:], 262)
        doubt = (number % 100) >= 100 * self.share
        return 20 * jnp.where(doubt[:, None, None], -said, said)


def numbered(records):
    """Records whose first pixel is their number."""
    batch = [as_prompt(record) for record in records]
    batch = {name: np.stack([np.asarray(one[name]) for one in batch]) for name in batch[0]}
    batch["frames"][:, 0, 0, 0, 0, 0] = np.arange(len(records))
    return batch


def test_measures_of_one_who_sees(records):
    batch = numbered(records["test"])
    numbers = measure.measure_captions(Knows(batch["ids"]), [batch])
    for name in ("exact_match", "order_accuracy", "digit_exact_match", "clip_exact_match"):
        assert numbers[name] == 1.0
    assert numbers["shuffled_exact_match"] == numbers["text_exact_match"] == 0.0
    assert numbers["total"] == 20 and 0.8 < numbers["exact_match_low"] < numbers["exact_match_high"] == 1.0
    assert numbers["loss"] == pytest.approx(0, abs=1e-5)
    halves = [{name: value[part] for name, value in batch.items()} for part in (slice(24), slice(24, 48))]
    again = measure.measure_captions(Knows(batch["ids"]), halves)
    assert again == pytest.approx(numbers)


def test_measures_of_one_who_sees_some(records):
    batch = numbered(records["test"])
    numbers = measure.measure_captions(Knows(batch["ids"], share=0.24), [batch])
    held, order = (np.flatnonzero(one) for one in (batch["held_out"], batch["kind"] == KINDS.index("order")))
    assert numbers["exact_match"] == pytest.approx((held < 24).mean())
    assert numbers["order_accuracy"] == pytest.approx((order < 24).mean())


def test_the_partner_says_something_else():
    rng = np.random.default_rng(0)
    texts = rng.integers(0, 3, (40, 1))
    texts[:20] = 7  # exactly half
    found = measure.others(texts)
    assert sorted(found) == list(range(40)) and (texts[found] != texts).all()
    with pytest.raises(ValueError, match="21 of 40 texts are the same"):
        measure.others(np.where(np.arange(40)[:, None] < 21, 7, texts))


def test_exact_is_what_writing_on_greedily_gives(records):
    """Of a model that was taught four records by heart, some of which it says to the end."""
    recipe = small("captions_language")
    chosen = [records["test"][number] for number in (0, 1, 5, 10)]
    prompts = [as_prompt({name: one[name] for name in one if "frames" not in name}) for one in chosen]
    batch = {name: jnp.asarray(np.stack([one[name] for one in prompts])) for name in ("ids", "answers")}
    step = make_train_step(untrained("captions_language"), adamw(2e-2), recipe.loss)
    state, judge = step.init(), nnx.jit(measure.judge)
    met = set()
    for number in range(150):
        *state, _ = step(*state, batch, jax.random.key(0))
        if number % 15 == 14:
            model = step.merge(*jax.tree.map(jnp.copy, state[:2]))
            exact = np.asarray(judge(model, batch["ids"], batch["answers"], None)[1])
            starts = np.asarray(batch["answers"]).argmax(axis=1)
            written = measure.write_on(model, np.asarray(batch["ids"]), starts)
            np.testing.assert_array_equal((written == np.asarray(batch["ids"])).all(axis=1), exact == 1)
            met |= set(exact.tolist())
    assert met == {0.0, 1.0}


def test_writing_on_with_pictures(records):
    model = opened("captions_flamingo")
    prompts = [few_shot(records["train"][:2], records["test"][number], 128) for number in (0, 5)]
    ids, frames, mask, answers = (
        np.stack([one[name] for one in prompts]) for name in ("ids", "frames", "frame_mask", "answers")
    )
    starts = answers.argmax(axis=1)
    written = measure.write_on(model, ids, starts, frames, mask)
    for row, start in enumerate(starts):
        np.testing.assert_array_equal(written[row, :start], ids[row, :start])
        rest = written[row, start:]
        ends = np.flatnonzero(rest == EOS)
        assert (rest[ends[0] + 1 :] == PAD).all() if len(ends) else (rest != PAD).any()
    said = nnx.jit(lambda model, ids, frames, mask: model(ids, measure.pixels(frames), frame_mask=mask))
    first = said(model, *map(jnp.asarray, (ids[:, :-1], frames, mask)))
    np.testing.assert_array_equal(
        written[np.arange(2), starts], np.asarray(first)[np.arange(2), starts - 1].argmax(axis=-1)
    )
    twice = np.repeat(frames, 2, axis=2)
    longer = measure.write_on(model, ids, starts, twice, np.repeat(mask, 2, axis=2), interpolate=True)
    assert longer.shape == ids.shape


def test_what_is_handed_on_fits():
    def whole(name, seed):
        return drawn(lambda: recipes.get(name).make_model(nnx.Rngs(0)), seed)

    donors = {name: whole(name, 0) for name in ("captions_language", "captions_eyes")}
    for name in ("captions_eyes", *SEEING):
        recipe = recipes.get(name)
        model, donor = whole(name, 1), donors[recipe.start_from.recipe]
        take_parts(model, donor, recipe.start_from.parts)
        for part in recipe.start_from.parts:
            taken, given = (jax.tree.leaves(nnx.state(getattr(one, part))) for one in (model, donor))
            assert all(np.array_equal(a, b) for a, b in zip(taken, given, strict=True))


def test_models_are_of_equal_size_and_can_ship():
    count = {name: recipes.get(name).num_parameters() for name in SEEING}
    assert max(count.values()) < 1.01 * min(count.values()), count
    assert 4 * max(count.values()) < 2 * 2**20


def test_other_colours_are_all_that_is_different():
    one, other = recipes.get("captions_flamingo"), recipes.get("captions_other_colours")
    assert (one.model, one.options, one.optimizer, one.budgets) == (
        other.model,
        other.options,
        other.optimizer,
        other.budgets,
    )
    assert other.data.train_transforms == (*one.data.train_transforms, other_colours)
    assert other.data.test_transforms == one.data.test_transforms


def test_recipes_to_compare_differ_only_in_what_reads():
    first, *others = (recipes.get(name) for name in SEEING)
    for other in others:
        assert other.options | {"reader": "resampler"} == first.options
        same = dataclasses.replace(other.model.resampler, widening_factor=4)
        assert dataclasses.replace(other.model, resampler=same) == first.model
        for field in ("optimizer", "budgets", "loss", "measure", "predict", "reads", "start_from"):
            assert getattr(other, field) == getattr(first, field), field
        assert other.data.name == first.data.name and other.data.test_transforms == first.data.test_transforms
    assert first.optimizer.frozen == first.start_from.parts == ("language_model", "vision")


def test_the_marker_is_no_byte():
    assert IMAGE < 6 and IMAGE not in (PAD, EOS)
