"""Perceiver AR: what its latents are made of and may see, positions of every kind, padding, dropout."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from perceiver_lab.adapters import TokenInput
from perceiver_lab.introspect import cost
from perceiver_lab.layers import LearnedPositions, SinusoidalPositions, record_attention
from perceiver_lab.models import PerceiverAR, PerceiverARConfig
from perceiver_lab.training import token_losses
from tests.drawn import drawn

VOCABULARY, CHANNELS, CONTEXT = 11, 12, 10
CONFIG = PerceiverARConfig(
    num_latents=4, latent_channels=8, max_context=CONTEXT, num_self_attends=2, num_cross_heads=2, num_self_heads=2
)
KINDS = ("data", "terminal", "negative_terminal", "sinusoidal", "learned")
properties = settings(max_examples=6, derandomize=True)


def make(kind="data", *, axes=1, **sizes):
    """A model whose positions are rotary (the first three kinds) or absolute (the others)."""
    rngs = nnx.Rngs(0)

    def build():
        absolute = {
            "sinusoidal": lambda: [SinusoidalPositions(CONTEXT + 1, CHANNELS)],
            "learned": lambda: [LearnedPositions((CONTEXT + 1,), CHANNELS, rngs=rngs) for _ in range(axes)],
        }.get(kind, list)()
        kept = {"rotary_fraction": 0.0 if absolute else 1.0, "position_source": "data" if absolute else kind}
        adapter = TokenInput(VOCABULARY, CHANNELS, positions=absolute, rngs=rngs)
        config = dataclasses.replace(CONFIG, **kept | sizes)
        return PerceiverAR(config, input_adapter=adapter, zero_output=False, rngs=rngs)

    return drawn(build)


def tokens_of(lengths, seed=1):
    """Sequences of these lengths, and padding up to the context."""
    tokens = np.random.default_rng(seed).integers(3, VOCABULARY, size=(len(lengths), CONTEXT), dtype=np.int32)
    return np.where(np.arange(CONTEXT) < np.array(lengths)[:, None], tokens, 0)


def valid(tokens, num_latents=CONFIG.num_latents):
    """Which latents stand on a token: the last ones."""
    return np.arange(num_latents) >= num_latents - (tokens > 0).sum(axis=1)[:, None]


MODELS = {kind: make(kind) for kind in KINDS}
LENGTHS = (10, 6, 2)
TOKENS = tokens_of(LENGTHS)
called = nnx.jit(
    lambda model, tokens, positions=None, num_latents=None: model(tokens, positions=positions, num_latents=num_latents),
    static_argnames="num_latents",
)
placed = nnx.jit(
    lambda model, tokens, num_latents=None: model.place(tokens, num_latents=num_latents), static_argnames="num_latents"
)


def run(model, tokens, positions=None, **options):
    given = None if positions is None else jnp.asarray(positions, jnp.int32)
    return np.asarray(called(model, jnp.asarray(tokens), given, **options))


def test_one_prediction_per_latent():
    logits = run(MODELS["data"], TOKENS)
    assert logits.shape == (3, 4, VOCABULARY) and logits.dtype == np.float32
    assert np.isfinite(logits).all()
    assert run(MODELS["data"], TOKENS[2:, :2], num_latents=2).shape == (1, 2, VOCABULARY)


def test_the_call_is_its_steps():
    @nnx.jit
    def steps(model, tokens):
        placement = model.place(tokens)
        latents = model.read(model.embed(tokens, placement.positions), placement)
        return model.predict(model.process(latents, placement))

    np.testing.assert_allclose(steps(MODELS["data"], jnp.asarray(TOKENS)), run(MODELS["data"], TOKENS), atol=1e-5)


def test_the_first_loss_is_the_logarithm_of_the_vocabulary():
    @nnx.jit
    def output():
        config = dataclasses.replace(CONFIG, rotary_fraction=1.0)
        return PerceiverAR(
            config, input_adapter=MODELS["data"].input_adapter, zero_output=True, rngs=nnx.Rngs(0)
        ).output

    model = nnx.clone(MODELS["data"])
    model.output = output()
    logits = run(model, TOKENS)
    losses, _ = token_losses(jnp.asarray(logits), jnp.ones((3, 4), int))
    np.testing.assert_allclose(losses, np.log(VOCABULARY), rtol=1e-6)


def test_masks_of_a_small_case_by_hand():
    placement = placed(MODELS["data"], jnp.array([[5, 6, 7, 8], [5, 6, 0, 0], [5, 0, 0, 0]]), num_latents=2)
    np.testing.assert_array_equal(placement.latent_index, [[2, 3], [0, 1], [-1, 0]])
    np.testing.assert_array_equal(
        placement.read_mask,
        [
            [[1, 1, 1, 0], [1, 1, 1, 1]],
            [[1, 0, 0, 0], [1, 1, 0, 0]],
            [[0, 0, 0, 0], [1, 0, 0, 0]],
        ],
    )
    # The latent without an input attends to itself, and nobody attends to it.
    np.testing.assert_array_equal(placement.latent_mask, [[[1, 0], [1, 1]], [[1, 0], [1, 1]], [[1, 0], [0, 1]]])


@pytest.mark.parametrize("kind", ["terminal", "learned"])
def test_no_latent_sees_the_future_and_each_sees_all_of_the_past(kind):
    """Turned and absolute positions; the other kinds are these with other numbers."""

    @nnx.jit
    def jacobian(model, tokens):
        placement = model.place(tokens)

        def answers(inputs):
            return (model.predict(model.process(model.read(inputs, placement), placement)) ** 2).sum(axis=-1)

        return jax.jacrev(answers)(model.embed(tokens, placement.positions)), placement.latent_index

    sees, indices = jacobian(MODELS[kind], jnp.asarray(TOKENS))
    sees = np.abs(sees).max(axis=-1)
    sees = sees[np.arange(3), :, np.arange(3)]  # examples do not see each other
    for example, length in enumerate(LENGTHS):
        for latent, place in enumerate(indices[example].tolist()):
            if place >= 0:
                assert (sees[example, latent, : place + 1] > 0).all()
                assert (sees[example, latent, place + 1 :] == 0).all(), (example, latent)
        assert (sees[example, valid(TOKENS)[example], length:] == 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_another_future_changes_no_prediction(kind):
    changed = TOKENS.copy()
    changed[0, -1] = 3 + (TOKENS[0, -1] - 2) % 8
    assert changed[0, -1] != TOKENS[0, -1]
    before, after = run(MODELS[kind], TOKENS)[0], run(MODELS[kind], changed)[0]
    np.testing.assert_allclose(after[:-1], before[:-1], atol=1e-6)
    assert np.abs(after[-1] - before[-1]).max() > 1e-3


@pytest.mark.parametrize("kind", ["data", "terminal", "learned"])
@properties
@given(lengths=st.tuples(*[st.integers(1, 7)] * 3), seed=st.integers(0, 99))
def test_padding_changes_no_valid_output(kind, lengths, seed):
    """Three places more of it, whatever the length of the sequence before it."""
    padded = tokens_of(lengths, seed)
    shorter, whole = run(MODELS[kind], padded[:, :7]), run(MODELS[kind], padded)
    np.testing.assert_allclose(whole[valid(padded)], shorter[valid(padded)], atol=1e-5)


def test_a_short_sequence_answers_as_with_fewer_latents():
    short = TOKENS[2:, :2]
    np.testing.assert_allclose(
        run(MODELS["data"], short, num_latents=2), run(MODELS["data"], TOKENS)[2:, 2:], atol=1e-5
    )


def test_only_differences_of_rotary_positions_count():
    places = np.where(TOKENS > 0, np.arange(1, CONTEXT + 1), 0)[..., None]
    counted, given = run(MODELS["data"], TOKENS), run(MODELS["data"], TOKENS, places)
    np.testing.assert_array_equal(given, counted)
    np.testing.assert_allclose(
        run(MODELS["data"], TOKENS, places + 700)[valid(TOKENS)], counted[valid(TOKENS)], atol=1e-4
    )
    assert np.abs(run(MODELS["data"], TOKENS, 2 * places) - counted)[0].max() > 1e-3


def test_counting_from_the_end_is_counting_backwards():
    """With the sign turned round it is the same as counting from the start; as published, time runs backwards."""
    forwards, negative, published = (run(MODELS[kind], TOKENS) for kind in ("data", "negative_terminal", "terminal"))
    np.testing.assert_allclose(negative[valid(TOKENS)], forwards[valid(TOKENS)], atol=1e-5)
    assert np.abs(published - forwards)[0].max() > 1e-3
    places = np.broadcast_to(-np.arange(1, CONTEXT + 1)[:, None], (3, CONTEXT, 1))
    np.testing.assert_allclose(run(MODELS["data"], TOKENS, places)[:1], published[:1], atol=1e-5)


def test_absolute_positions_are_those_of_the_data_or_counted_from_the_end():
    model, same = MODELS["learned"], make("learned", position_source="terminal")
    from_end = jnp.array([range(9, -1, -1)] * 3)[..., None]
    embed, tokens = nnx.jit(lambda model, tokens, places: model.embed(tokens, places)), jnp.asarray(TOKENS)
    np.testing.assert_allclose(embed(same, tokens, from_end)[0], embed(model, tokens, from_end)[0])
    np.testing.assert_array_equal(placed(same, tokens).positions[0], from_end[0])


def test_pictures_have_several_axes():
    model, tokens = make("learned", axes=3), jnp.asarray(TOKENS)
    places = np.random.default_rng(0).integers(CONTEXT + 1, size=(3, CONTEXT, 3), dtype=np.int32)
    tables = [np.asarray(one.table[...]) for one in model.input_adapter.positions]
    expected = np.asarray(model.input_adapter.embedding[...])[TOKENS]
    expected = expected + sum(table[places[..., axis]] for axis, table in enumerate(tables))
    np.testing.assert_allclose(model.embed(tokens, jnp.asarray(places)), expected, atol=1e-6)
    assert np.isfinite(run(model, TOKENS, places)).all()
    with pytest.raises(ValueError, match=r"positions must be integers \(B, M, axes\) = \(3, 10, 3\); got None"):
        model(tokens)


def test_a_scanned_stack_predicts_what_a_loop_does():
    loop, scan = MODELS["data"], nnx.clone(MODELS["data"])
    options = {"num_heads": 2, "widening_factor": 4, "activation": "squared_relu"}
    scan.stack = drawn(lambda: type(scan.stack)(2, 8, scan=True, rngs=nnx.Rngs(0), **options))
    layers = [nnx.state(loop.stack.layer(index)) for index in range(2)]
    nnx.update(scan.stack.layers, jax.tree.map(lambda *each: jnp.asarray(np.stack(each)), *layers))
    np.testing.assert_allclose(run(scan, TOKENS), run(loop, TOKENS), atol=1e-5)


def test_attention_is_recorded():
    names = []

    @nnx.jit
    def look(model, tokens):
        with record_attention() as maps:
            answers = model(tokens)
        names.extend(one.name for one in maps)
        return answers, [one.weights for one in maps], model.place(tokens)

    recorded, weights, placement = look(MODELS["data"], jnp.asarray(TOKENS))
    np.testing.assert_allclose(recorded, run(MODELS["data"], TOKENS), atol=1e-5)
    assert names == ["read 0", "block 0 layer 0", "block 0 layer 1"]
    assert (np.asarray(weights[0])[0][:, ~np.asarray(placement.read_mask)[0]] == 0).all()
    assert (np.asarray(weights[1])[:, :, ~np.asarray(placement.latent_mask)[0]][0] == 0).all()


def test_a_training_step_at_the_published_context_holds_no_scores():
    """131,072 tokens: the memory of the step stays far below that of the scores alone."""
    context, num_latents, heads = 131_072, 64, 2
    config = PerceiverARConfig(
        num_latents=num_latents, latent_channels=8, max_context=context, num_self_attends=1, num_cross_heads=heads,
        num_self_heads=heads, rotary_fraction=1.0,
    )  # fmt: skip
    adapter = nnx.eval_shape(lambda: TokenInput(VOCABULARY, 8, rngs=nnx.Rngs(0)))
    model = nnx.eval_shape(lambda: PerceiverAR(config, input_adapter=adapter, rngs=nnx.Rngs(0)))

    def step(model, tokens):
        def loss(model):
            logits = model(tokens, train=True, rngs=nnx.Rngs(dropout=0))
            return token_losses(logits, tokens[:, -num_latents:])[0].sum()

        return nnx.grad(loss)(model)

    tokens = jax.ShapeDtypeStruct((1, context), jnp.int32)
    scores = 4 * heads * num_latents * context
    assert cost(step, model, tokens, compiled=True).temporary_bytes < scores / 2
