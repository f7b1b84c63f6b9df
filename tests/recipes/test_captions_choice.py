"""Captions that are chosen by what a picture changes."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab import recipes
from perceiver_lab.datasets import pad_ids
from perceiver_lab.datasets.captions import HELD_OUT, KNOWN
from perceiver_lab.datasets.captions_text import CHUNK, encode_chunk
from perceiver_lab.recipes.captions_choice import STILL_CAPTIONS, caption_log_probs, pointwise_information
from perceiver_lab.recipes.captions_measure import predict
from tests.drawn import drawn
from tests.recipes.test_captions import SMALL


def test_every_caption_of_a_picture_is_there_once():
    assert len(set(STILL_CAPTIONS)) == len(STILL_CAPTIONS) == 3 * 24 + 60
    assert {f"a {colour} {shape}." for colour, shape in KNOWN + HELD_OUT} < set(STILL_CAPTIONS)
    assert {"two green circles.", "three cyan stars.", "a red 7."} < set(STILL_CAPTIONS)


@pytest.mark.recipe
def test_log_probs_are_those_that_the_recipe_measures():
    recipe = recipes.get("captions_flamingo").override(SMALL)
    model = drawn(lambda: recipe.make_model(nnx.Rngs(0)))
    frames = np.random.default_rng(0).integers(256, size=(2, 1, 32, 32, 3), dtype=np.uint8)
    found = caption_log_probs(model, frames)
    assert found.shape == (2, 132)
    for row, column in ((0, 3), (1, 131)):
        ids = pad_ids(encode_chunk("", STILL_CAPTIONS[column]), CHUNK)[None]
        wanted = (np.arange(CHUNK) >= 1)[None] & (ids != 0)
        batch = {"ids": ids, "answers": wanted, "other": ids, "other_answers": wanted}
        batch |= {"frames": frames[row][None, None], "frame_mask": np.ones((1, 1, 1), bool)}
        said = predict(model, {name: jnp.asarray(value) for name, value in batch.items()})
        np.testing.assert_allclose(found[row, column], said["log_prob"][0], rtol=1e-4)


def test_what_every_picture_says_alike_cancels():
    log_probs = np.log([[0.7, 0.2, 0.1], [0.5, 0.2, 0.3]])
    others = np.log([[0.8, 0.1, 0.1], [0.6, 0.3, 0.1]])
    expected = np.log([[0.7 / 0.7, 0.2 / 0.2, 0.1 / 0.1], [0.5 / 0.7, 0.2 / 0.2, 0.3 / 0.1]])
    np.testing.assert_allclose(pointwise_information(log_probs, others), expected, atol=1e-12)
    handicap = np.array([0.0, -30.0, 0.0])  # a caption that is hardly ever said, after any picture
    again = pointwise_information(log_probs + handicap, others + handicap)
    np.testing.assert_allclose(again, expected, atol=1e-9)
