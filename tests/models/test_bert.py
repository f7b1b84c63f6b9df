"""The Transformer that answers at every byte: it sees all of them, and no padding."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.adapters import ByteInput, ByteOutput, EntityInput
from perceiver_lab.models.baselines import Bert, BertConfig
from tests.drawn import drawn, normal

IDS = jnp.asarray(np.random.default_rng(0).integers(6, 262, (2, 7)), jnp.int32)


@pytest.fixture(scope="module")
def model():
    rngs = nnx.Rngs(0)
    config = BertConfig(channels=16, num_layers=2, num_heads=2, widening_factor=2)

    def build():
        return Bert(config, input_adapter=ByteInput(8, 10, rngs=rngs), output_adapter=ByteOutput(), rngs=rngs)

    return drawn(build)


@nnx.jit
def call(model, x, mask=None):
    return model(x, mask=mask)


def test_one_row_of_logits_per_byte(model):
    logits = call(model, IDS)
    assert logits.shape == (2, 7, 262) and np.isfinite(logits).all()


def test_every_answer_sees_every_byte(model):
    changed = IDS.at[0, 3].set((IDS[0, 3] - 6 + 1) % 256 + 6)
    moved = np.abs(np.asarray(call(model, changed) - call(model, IDS))).max(axis=-1)
    assert (moved[0] > 1e-6).all() and (moved[1] == 0).all()


def test_padding_changes_nothing(model):
    whole = call(model, IDS)
    padded = jnp.pad(IDS, ((0, 0), (0, 3)))
    mask = jnp.asarray(np.arange(10) < 7)[None].repeat(2, axis=0)
    np.testing.assert_allclose(call(model, padded, mask)[:, :7], whole, atol=1e-5)
    assert np.abs(np.asarray(call(model, padded)[:, :7] - whole)).max() > 1e-3  # without the mask it is read


def test_the_embedding_is_that_of_the_inputs(model):
    """A byte that occurs nowhere is known by its embedding alone."""
    before = call(model, IDS)
    table = model.input_adapter.embedding[...]
    absent = next(byte for byte in range(6, 262) if byte not in np.asarray(IDS))
    model.input_adapter.embedding[...] = table.at[absent].set(0.0)
    after = call(model, IDS)
    model.input_adapter.embedding[...] = table
    bias = model.output_adapter.bias[...][absent]
    np.testing.assert_allclose(after[..., absent], jnp.full((2, 7), bias), atol=1e-6)
    np.testing.assert_array_equal(np.delete(after, absent, axis=-1), np.delete(before, absent, axis=-1))


def test_without_an_output_adapter_there_is_a_vector_per_element():
    """As for the units of a game."""
    rngs, units = nnx.Rngs(0), normal(2, 5, 3, seed=1)
    config = BertConfig(channels=16, num_layers=1, num_heads=2)

    def build():
        return Bert(config, input_adapter=EntityInput(3, 8, rngs=rngs), output_adapter=None, rngs=rngs)

    encoder = drawn(build)
    vectors = call(encoder, units)
    assert vectors.shape == (2, 5, 16)
    np.testing.assert_allclose(call(encoder, units[:, ::-1]), vectors[:, ::-1], atol=1e-5)  # a set has no order


def test_bad_sizes_and_masks(model):
    with pytest.raises(ValueError, match="num_layers=0 must be at least 1"):
        BertConfig(num_layers=0)
    with pytest.raises(ValueError, match="num_heads=5"):
        BertConfig(num_heads=5)
    with pytest.raises(ValueError, match=r"mask must be .*\(2, 7\)"):
        call(model, IDS, jnp.ones((2, 6), bool))
