"""Texts as users have them: whole models read any bytes, and say what is wrong with what they cannot read."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab import recipes
from perceiver_lab.datasets import decode_ids, encode_text, pad_ids
from perceiver_lab.recipes import speakers

SMALL = {"options.channels": 8, "options.num_bands": 4}
PERCEIVER = {"model.num_latents": 4, "model.latent_channels": 16, "model.qk_channels": 16}
FILLS_IN, TELLS = ("bytes_perceiver_io", "bytes_transformer"), ("speaker_scratch", "tasks_queries")


def make(name):
    recipe = recipes.get(name).override(SMALL)
    recipe = recipe if name == "bytes_transformer" else recipe.override(PERCEIVER)
    return recipe.make_model(nnx.Rngs(0))


@pytest.fixture(scope="module")
def models():
    return {name: make(name) for name in (*FILLS_IN, *TELLS)}


@pytest.mark.parametrize("name", FILLS_IN)
def test_what_is_no_utf8_is_read_and_answered(name, models):
    """Latin-1, and every byte there is."""
    for content in (b"A caf\xe9 in M\xfcnchen", bytes(range(64)), bytes(range(192, 256))):
        ids = jnp.asarray(encode_text(content))[None]
        logits = models[name](ids)[:, : len(content)]
        assert logits.shape == (1, len(content), 262) and np.isfinite(logits).all()
    assert decode_ids(encode_text(b"A caf\xe9")) == "A caf\ufffd"


@pytest.mark.parametrize("name", [*FILLS_IN, *TELLS])
def test_a_text_longer_than_the_positions_is_refused(name, models):
    ids = jnp.asarray(encode_text("a" * 65))[None]
    with pytest.raises(
        ValueError, match=r"M from 1 to 64, the length of this adapter; got int32 of shape \(1, 65\). Cut"
    ):
        models[name](ids)


@pytest.mark.parametrize("name", FILLS_IN)
def test_a_mask_that_reaches_beyond_the_text_is_refused(name, models):
    ids = jnp.asarray(encode_text("What ho!"))[None]
    with pytest.raises(ValueError, match=r"mask must be a bool array of shape \(B, M\) = \(1, 8\).*shape \(1, 9\)"):
        models[name](ids, mask=jnp.ones((1, 9), bool))
    with pytest.raises(ValueError, match="An integer mask becomes one by mask == 1"):
        models[name](ids, mask=jnp.ones((1, 8), int))


def test_a_text_of_nothing_but_padding_is_answered_as_every_other():
    """Nothing is read: what is said depends on no padded place, and is a number."""
    model = make("speaker_scratch")
    said = [speakers.predict(model, {"bytes": jnp.asarray(pad_ids([], length))[None]}) for length in (1, 64)]
    assert np.isfinite(said[0]).all()
    np.testing.assert_allclose(said[0], said[1], atol=1e-6)
