"""Perceiver AR in training, where inputs and latents are hidden; and what it refuses."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.adapters import TokenInput
from perceiver_lab.layers import LearnedPositions
from perceiver_lab.models import PerceiverAR, PerceiverARConfig
from perceiver_lab.models.placement import drop, place
from tests.drawn import drawn

SIZES = {"num_latents": 3, "latent_channels": 8, "max_context": 8, "num_self_attends": 1, "num_self_heads": 2}
TOKENS = jnp.array([[2, 4, 5, 6, 7, 8], [2, 4, 0, 0, 0, 0]])


def make(*, table=None, **sizes):
    """With weights of NumPy; `table`: how many absolute positions there are."""

    def build():
        rngs = nnx.Rngs(0)
        config = PerceiverARConfig(**SIZES | {"num_cross_heads": 2} | sizes)
        positions = [] if table is None else [LearnedPositions((table,), 8, rngs=rngs)]
        adapter = TokenInput(9, 8, positions=positions, rngs=rngs)
        return PerceiverAR(config, input_adapter=adapter, zero_output=False, rngs=rngs)

    return drawn(build)


shared = functools.cache(make)


@nnx.jit(static_argnames="train")
def call(model, tokens, rngs=None, train=False):
    return model(tokens, train=train, rngs=rngs)


def placed(num_inputs=400):
    tokens = jnp.full((2, num_inputs), 5)
    return place(tokens, jnp.zeros((2, num_inputs, 1), int), num_inputs)


def test_inputs_are_hidden_from_all_latents_of_an_example():
    before, after = placed(), drop(placed(), 0.25, 0.0, nnx.Rngs(dropout=0))
    hidden = np.asarray(before.input_key != after.input_key)
    assert 0.18 < hidden.mean() < 0.32
    assert (hidden[0] != hidden[1]).any()
    reads = np.asarray(after.read_mask)
    assert not reads[np.broadcast_to(hidden[:, None], reads.shape)].any()
    np.testing.assert_array_equal(before.latent_mask, after.latent_mask)


def test_hidden_latents_still_attend_to_themselves():
    before, after = placed(), drop(placed(), 0.0, 0.25, nnx.Rngs(dropout=0))
    hidden = np.asarray(before.latent_key != after.latent_key)
    assert 0.18 < hidden.mean() < 0.32
    mask = np.asarray(after.latent_mask)
    np.testing.assert_array_equal(mask.sum(axis=1)[hidden], 1)
    assert mask[:, np.arange(400), np.arange(400)].all()
    np.testing.assert_array_equal(before.read_mask, after.read_mask)


def test_hiding_follows_its_seed_and_acts_in_training_only():
    model = make(input_dropout_rate=0.4, latent_dropout_rate=0.4, dropout_rate=0.1)
    rngs = [nnx.Rngs(dropout=seed) for seed in (0, 0, 1)]
    first, again, other = (np.asarray(call(model, TOKENS, one, train=True)) for one in rngs)
    np.testing.assert_array_equal(first, again)
    assert np.isfinite(first).all() and np.abs(first - other).max() > 1e-3
    np.testing.assert_array_equal(call(model, TOKENS, nnx.Rngs(dropout=0)), call(model, TOKENS))
    with pytest.raises(ValueError, match=r"hides inputs \(rate 0.4\) and latents \(0.4\) at random"):
        call(model, TOKENS, train=True)


def test_no_hidden_input_lets_the_future_through():
    """Where all that a latent could read is hidden, it reads nothing."""
    model, placement = shared(), place(TOKENS, jnp.zeros((2, 6, 1), int), 3)
    hidden = placement._replace(input_key=jnp.full_like(placement.input_key, jnp.iinfo(jnp.int32).max))

    @nnx.jit
    def jacobian(model, hidden):
        inputs = model.embed(TOKENS, hidden.positions)
        return jax.jacrev(lambda inputs: model.read(inputs, hidden)[0, 0])(inputs)

    seen = np.abs(jacobian(model, hidden)).max(axis=(0, 3))[0]
    np.testing.assert_array_equal(seen > 0, [False, False, False, True, False, False])  # its own, as a query


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"num_latents": 0}, "num_latents=0 must be at least 1"),
        ({"num_latents": 9}, "num_latents=9 is more than max_context=8"),
        ({"max_context": 0, "num_latents": 1}, "max_context=0 must be at least 1"),
        ({"dropout_rate": 1.0}, "dropout_rate=1.0 must be at least 0 and below 1"),
        ({"input_dropout_rate": -0.1}, "input_dropout_rate=-0.1 must be"),
        ({"latent_dropout_rate": 2.0}, "latent_dropout_rate=2.0 must be"),
        ({"num_self_heads": 3}, "num_heads=3 does not divide latent_channels=8"),
        ({"num_cross_heads": 5}, "num_heads=5 does not divide latent_channels=8"),
        ({"position_source": "middle"}, "position_source='middle' is unknown; choose one of data, terminal"),
        ({"rotary_fraction": 0.0, "position_source": "negative_terminal"}, "is for rotary positions"),
        ({"max_wavelength": 7}, "max_wavelength=7 is below max_context=8"),
        ({"rotary_fraction": 0.1}, "fraction=0.1 of 4 channels per head is no pair"),
        ({"rotary_fraction": 0.0}, "rotary_fraction=0.0, and the input adapter has absolute positions on 0 axes"),
        ({"table": 9}, "absolute positions on 1 axes: a model has either"),
    ],
)
def test_sizes_that_do_not_fit_are_named(sizes, message):
    with pytest.raises(ValueError, match=message):
        make(**sizes)


@pytest.mark.parametrize(
    ("tokens", "options", "message"),
    [
        (jnp.full((1, 9), 4), {}, "9 tokens were given, but the context is 8. Keep the last 8"),
        (TOKENS[:, :2], {}, "num_latents=3 must be from 1 to the number of tokens, 2"),
        (TOKENS, {"num_latents": 7}, "num_latents=7 must be from 1 to the number of tokens, 6"),
        (TOKENS, {"num_latents": 0}, "num_latents=0 must be from 1"),
        (jnp.array([[2, 4, 5], [2, 0, 5]]), {}, r"In row 1 a token follows padding \(0\)"),
        (jnp.array([[2, 4, 9]]), {}, "tokens from 2 to 9 were given, but they are numbers from 0 to 8"),
        (jnp.array([[2, 4, -1]]), {}, "tokens from -1 to 4 were given"),
        (TOKENS.astype(jnp.float32), {}, r"tokens must be integers \(B, M\), at least one; got float32"),
        (TOKENS[0], {}, r"tokens must be integers \(B, M\)"),
        (TOKENS[:0], {}, "at least one"),
        (TOKENS, {"positions": jnp.zeros((2, 6, 2), int)}, r"positions must be integers \(B, M, axes\) = \(2, 6, 1\)"),
    ],
)
def test_inputs_that_do_not_fit_are_named(tokens, options, message):
    with pytest.raises(ValueError, match=message):
        shared()(tokens, **options)


def test_a_model_that_counts_takes_no_positions():
    with pytest.raises(ValueError, match="position_source='terminal': this model counts positions back"):
        make(position_source="terminal")(TOKENS, positions=jnp.zeros((2, 6, 1), int))


def test_positions_beyond_the_table_are_named():
    model = make(table=5, rotary_fraction=0.0)
    with pytest.raises(
        ValueError, match="positions of axis 0 from 0 to 6 were given, but they are numbers from 0 to 4"
    ):
        model(TOKENS)
    compiled = call(model, TOKENS)
    assert np.isnan(compiled[0]).all()
