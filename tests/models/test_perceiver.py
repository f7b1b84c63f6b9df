import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from perceiver_lab.adapters import ClassOutput, ImageInput, MultimodalInput, OneHotInput
from perceiver_lab.layers import record_attention
from perceiver_lab.models import Perceiver, PerceiverConfig
from perceiver_lab.ops import grid_coordinates
from tests.drawn import drawn, normal

SHAPE, LATENTS, CHANNELS, CLASSES = (5, 6, 2), 7, 16, 3
properties = settings(max_examples=15, derandomize=True)


def config(**options):
    sizes = {"num_latents": LATENTS, "latent_channels": CHANNELS, "num_self_attends_per_block": 1, "num_self_heads": 2}
    return PerceiverConfig(**(sizes | options))


def make(adapter=None, **options):
    """A Perceiver whose readout is not zero and whose latents differ, so that logits tell something."""

    def build():
        rngs = nnx.Rngs(0)
        output = ClassOutput(CHANNELS, CLASSES, rngs=rngs)
        made = ImageInput(SHAPE, num_bands=3) if adapter is None else adapter(rngs)
        return Perceiver(config(**options), input_adapter=made, output_adapter=output, rngs=rngs)

    return drawn(build)


@functools.cache
def shared(num_reads=2):
    """With dropout, which acts in training only."""
    return make(num_reads=num_reads, num_blocks=2, dropout_rate=0.5)


@functools.cache
def embedded():
    return np.asarray(nnx.jit(lambda model, x: model.embed(x))(shared(), images()))


@nnx.jit
def run(model, x, positions=None, mask=None, latent_mask=None):
    return model(x, positions=positions, mask=mask, latent_mask=latent_mask)


@nnx.jit
def encode(model, inputs, mask=None, latent_mask=None):
    return model.encode(inputs, mask=mask, latent_mask=latent_mask)


def images(seed=0):
    return normal(2, *SHAPE, seed=seed)


@pytest.mark.parametrize(
    ("num_reads", "num_blocks", "share", "reads", "blocks"),
    [(1, 1, True, 1, 1), (1, 3, True, 1, 1), (4, 8, True, 2, 1), (1, 3, False, 1, 3), (4, 8, False, 4, 8)],
)
def test_how_many_reads_and_blocks_have_weights_of_their_own(num_reads, num_blocks, share, reads, blocks):
    model = make(num_reads=num_reads, num_blocks=num_blocks, share_weights=share)
    assert (len(model.encoder.reads), len(model.encoder.blocks)) == (reads, blocks)


def test_reads_are_spread_evenly_before_the_blocks():
    maps = []

    def look(model):
        with record_attention() as recorded:
            model(images())
        maps.extend(recorded)

    nnx.eval_shape(look, make(num_reads=2, num_blocks=4))
    assert [entry.name.split(" layer")[0] for entry in maps] == [
        "read 0", "block 0", "block 1", "read 1", "block 2", "block 3",
    ]  # fmt: skip
    assert maps[0].weights.shape == (2, 1, LATENTS, 30)
    assert maps[1].weights.shape == (2, 2, LATENTS, LATENTS)


def test_the_first_read_keeps_weights_of_its_own_and_the_others_share():
    model = make(num_reads=3, num_blocks=3)

    @nnx.jit
    def by_hand(model, inputs):
        x = jnp.broadcast_to(model.latents[...][None], (2, LATENTS, CHANNELS))
        first, later = model.encoder.reads
        for read in (first, later, later):
            x = model.encoder.blocks[0](read(x, inputs))
        return x

    inputs = model.embed(images())
    np.testing.assert_allclose(encode(model, inputs), by_hand(model, inputs), atol=1e-5)


def test_unshared_weights_are_used_in_order():
    model = make(num_reads=2, num_blocks=2, share_weights=False)

    @nnx.jit
    def by_hand(model, inputs):
        x = jnp.broadcast_to(model.latents[...][None], (2, LATENTS, CHANNELS))
        for read, block in zip(model.encoder.reads, model.encoder.blocks, strict=True):
            x = block(read(x, inputs))
        return x

    inputs = model.embed(images())
    np.testing.assert_allclose(encode(model, inputs), by_hand(model, inputs), atol=1e-5)


def test_a_call_is_embed_encode_decode():
    model, x = shared(), images()
    assert run(model, x).shape == (2, CLASSES)
    decode = nnx.jit(lambda model, latents: model.decode(latents))
    np.testing.assert_allclose(run(model, x), decode(model, encode(model, model.embed(x))), atol=1e-5)


def test_after_the_only_read_the_inputs_are_not_needed():
    model, x = shared(1), images()
    rest = nnx.jit(lambda model, inputs: model.encoder.process(model.encoder.first_read(inputs), None))
    np.testing.assert_allclose(rest(model, model.embed(x)), encode(model, model.embed(x)), atol=1e-5)


def test_sizes_of_the_parts():
    model = shared()
    assert model.latents.shape == (LATENTS, CHANNELS)
    assert model.config == config(num_reads=2, num_blocks=2, dropout_rate=0.5)
    assert model.encoder.input_channels == model.input_adapter.num_channels == 16


def test_the_latents_start_as_published():
    @nnx.jit
    def made():
        return Perceiver(
            config(num_latents=64, latent_channels=256),
            input_adapter=ImageInput(SHAPE, num_bands=3),
            output_adapter=ClassOutput(256, CLASSES, rngs=nnx.Rngs(0)),
            rngs=nnx.Rngs(0),
        ).latents[...]

    latents = np.asarray(made())
    assert latents.std() == pytest.approx(0.0176, rel=0.02)
    assert np.abs(latents).max() <= 0.04


@properties
@given(st.permutations(range(30)))
def test_pixels_shuffled_with_their_positions_change_nothing(order):
    model, x, order = shared(), images(), np.asarray(order)
    grid = np.broadcast_to(np.asarray(grid_coordinates(SHAPE[:2])), (2, 30, 2))
    shuffled = np.asarray(x).reshape(2, 30, 2)[:, order].reshape(2, *SHAPE)
    found = run(model, jnp.asarray(shuffled), jnp.asarray(grid[:, order]))
    np.testing.assert_allclose(found, run(model, x), atol=1e-4)


def test_pixels_shuffled_without_their_positions_change_the_answer():
    order = np.random.default_rng(0).permutation(30)
    shuffled = jnp.asarray(np.asarray(images()).reshape(2, 30, 2)[:, order].reshape(2, *SHAPE))
    assert np.abs(run(shared(), shuffled) - run(shared(), images())).max() > 1e-2


@properties
@given(st.integers(1, 30), st.sampled_from([0.0, 100.0, -1e4]))
def test_what_stands_in_padding_changes_nothing(valid, filling):
    model, filled = shared(), embedded().copy()
    filled[:, valid:] = filling
    mask = jnp.asarray(np.broadcast_to(np.arange(30) < valid, (2, 30)))
    found = encode(model, jnp.asarray(filled), mask)
    np.testing.assert_allclose(found, encode(model, jnp.asarray(embedded()), mask), atol=1e-4)


@pytest.mark.parametrize("valid", [1, 17])
def test_padding_is_as_if_it_were_not_there(valid):
    model, inputs = shared(), embedded()
    mask = jnp.asarray(np.broadcast_to(np.arange(30) < valid, (2, 30)))
    alone = encode(model, jnp.asarray(inputs[:, :valid]))
    np.testing.assert_allclose(encode(model, jnp.asarray(inputs), mask), alone, atol=1e-4)


def test_an_example_without_any_valid_input_is_finite_and_leaves_the_others_alone():
    mask = jnp.ones((2, 30), bool).at[1].set(False)
    found = run(shared(), images(), mask=mask)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[0], run(shared(), images())[0], atol=1e-4)


def test_examples_do_not_see_each_other():
    x = images()
    changed = x.at[1].set(0.0)
    np.testing.assert_allclose(run(shared(), changed)[0], run(shared(), x)[0], atol=1e-5)


@pytest.mark.parametrize("num_reads", [1, 2])
def test_a_latent_that_is_off_is_neither_attended_to_nor_read_out(num_reads):
    model, x, off = shared(num_reads), images(), 2
    on = jnp.ones((2, LATENTS), bool).at[:, off].set(False)
    found = run(model, x, latent_mask=on)
    assert np.abs(found - run(model, x)).max() > 1e-3
    before = model.latents[...]
    model.latents[...] = before.at[off].set(3.0)
    moved = run(model, x, latent_mask=on)
    seen = run(model, x)
    model.latents[...] = before
    np.testing.assert_allclose(moved, found, atol=1e-5)
    assert np.abs(seen - run(model, x)).max() > 1e-3


def test_latents_that_are_all_on_are_as_without_a_mask():
    found = run(shared(), images(), latent_mask=jnp.ones((2, LATENTS), bool))
    np.testing.assert_allclose(found, run(shared(), images()), atol=1e-5)


def test_with_all_latents_off_the_bias_is_left():
    found = run(shared(), images(), latent_mask=jnp.zeros((2, LATENTS), bool))
    bias = np.asarray(shared().output_adapter.linear.bias[...])
    np.testing.assert_allclose(found, np.broadcast_to(bias, (2, CLASSES)), atol=1e-6)


def test_every_parameter_learns():
    model = shared()

    @nnx.jit
    def gradients(model):
        return nnx.grad(lambda model: (model(images()) ** 2).sum())(model)

    for path, leaf in jax.tree_util.tree_flatten_with_path(gradients(model))[0]:
        name = jax.tree_util.keystr(path)
        assert np.isfinite(leaf).all(), name
        if not re.search(r"\bkey\b.*\bbias\b", name):  # it adds the same to all scores of a query
            assert np.abs(leaf).max() > 1e-6, name


def test_dropout_acts_in_training_only():
    model, x = shared(), images()
    train = nnx.jit(lambda model, rngs: model(x, train=True, rngs=rngs))
    assert np.abs(train(model, nnx.Rngs(dropout=0)) - train(model, nnx.Rngs(dropout=1))).max() > 1e-2
    np.testing.assert_array_equal(nnx.jit(lambda model: model(x, rngs=nnx.Rngs(dropout=0)))(model), run(model, x))


def test_a_modality_that_training_drops_is_not_read():
    modalities = {"image": ImageInput(SHAPE, num_bands=3), "label": OneHotInput(4)}
    model = make(lambda rngs: MultimodalInput(modalities, drop_rates={"image": 1.0}, rngs=rngs))
    train = nnx.jit(lambda model, x: model(x, train=True, rngs=nnx.Rngs(modality=0)))
    one, other = ({"image": images(seed), "label": normal(2, 4)} for seed in (0, 1))
    np.testing.assert_allclose(train(model, one), train(model, other), atol=1e-5)
    evaluate = nnx.jit(lambda model, x: model(x))
    assert np.abs(evaluate(model, one) - evaluate(model, other)).max() > 1e-3
    with pytest.raises(ValueError, match=r"drops modalities at random, at rates \(1.0, 0.0\)"):
        nnx.eval_shape(lambda model: model(one, train=True), model)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_latents": 0}, "num_latents=0 must be at least 1"),
        ({"num_self_attends_per_block": 0}, "num_self_attends_per_block=0 must be at least 1"),
        ({"num_reads": 2, "num_blocks": 3}, "num_blocks=3 is no multiple of num_reads=2"),
        ({"dropout_rate": 1.0}, "dropout_rate=1.0 must be at least 0 and below 1"),
        ({"num_self_heads": 3}, "num_self_heads|num_heads=3 does not divide latent_channels=16"),
        ({"num_cross_heads": 5}, "num_heads=5 does not divide latent_channels=16"),
    ],
)
def test_sizes_that_do_not_fit_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        config(**options)


def test_heads_that_do_not_divide_the_width_of_the_inputs_are_named():
    with pytest.raises(ValueError, match="num_heads=2 does not divide qk_channels=15"):
        make(lambda _: ImageInput((5, 6, 1), num_bands=3), num_cross_heads=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": jnp.zeros((5, 6, 2))}, r"reads batches \(B, 5, 6, 2\)"),
        ({"positions": jnp.zeros((2, 29, 2))}, r"positions must be \(B, M, axes\) = \(2, 30, 2\)"),
        ({"mask": jnp.ones((2, 29), bool)}, r"mask must be a bool array of shape \(B, M\) = \(2, 30\)"),
        ({"mask": jnp.ones((2, 30))}, "got float32.*mask == 1"),
        ({"latent_mask": jnp.ones((LATENTS,), bool)}, r"latent_mask must be a bool array of shape \(B, N\) = \(2, 7\)"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        run(shared(), **({"x": images()} | arguments))


@pytest.mark.parametrize("shape", [(2, 30, 15), (2, 0, 16), (0, 30, 16), (30, 16)])
def test_inputs_of_another_shape_are_named(shape):
    with pytest.raises(ValueError, match=r"inputs must be \(B, M, C\) with C = 16 and nothing empty"):
        encode(shared(), jnp.zeros(shape))
