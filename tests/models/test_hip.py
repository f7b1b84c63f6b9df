"""The Hierarchical Perceiver: what meets where, and what padding, masks and the order of modalities do."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.introspect import cost
from perceiver_lab.layers import record_attention
from perceiver_lab.models import HiP, HiPConfig
from perceiver_lab.ops import group
from perceiver_lab.training import WeightsError, load_weights, save_weights
from tests.models.hips import (
    CONFIG,
    FLAT,
    SHAPES,
    SMALL,
    batch_of,
    decode,
    embed,
    encode,
    largest,
    make,
    make_with_labels,
    masks,
    padding_of,
    reconstruct,
    run,
    states_of,
)


@pytest.fixture(scope="module")
def model():
    return make(SMALL)


@pytest.fixture(scope="module")
def deep():
    """With two levels below the processor, and a block opposite each."""
    return make()


@pytest.fixture(scope="module")
def x():
    return batch_of(SHAPES)


def test_every_modality_comes_back(model, deep, x):
    assert {name: rows.shape for name, rows in run(model, x).items()} == {"image": (2, 19, 3), "audio": (2, 8, 5)}
    assert [state.shape for state in states_of(deep, x)] == [(2, 4, 4, 6), (2, 2, 6, 8), (2, 1, 8, 12)]
    assert decode(deep, states_of(deep, x)).shape == (2, 4, 4, 4)


def test_the_call_is_its_steps(model, x):
    for name, rows in reconstruct(model, decode(model, states_of(model, x))).items():
        np.testing.assert_allclose(rows, run(model, x)[name], rtol=1e-6, atol=1e-6)


def test_groups_are_read_apart_and_meet_further_up(model, deep, x):
    # Elements 0-6 of the image are group 0, 7-13 group 1, 14-18 group 2; the sound is group 3.
    changed = {**x, "image": x["image"].at[:, 8].add(3.0)}
    before, after = states_of(deep, x), states_of(deep, changed)
    moved = [np.abs(a - b).max(axis=(0, 2, 3)) > 1e-6 for a, b in zip(before, after, strict=True)]
    assert [level.tolist() for level in moved] == [[False, True, False, False], [True, False], [True]]
    assert largest(decode(deep, after)[:, 3], decode(deep, before)[:, 3]) > 1e-6
    assert largest(run(model, changed)["audio"], run(model, x)["audio"]) > 1e-6


def test_queries_hold_no_content(model, x):
    latents = decode(model, states_of(model, x))
    same = reconstruct(model, latents[jnp.array([0, 0])])
    for rows in same.values():
        np.testing.assert_array_equal(rows[0], rows[1])


def test_each_block_is_skipped_to_from_the_one_opposite(deep, x):
    states = states_of(deep, x)
    for number in range(2):
        other = [state + (number == place) for place, state in enumerate(states)]
        assert largest(decode(deep, other), decode(deep, states)) > 1e-3
    assert deep.blocks[4].read.skip_projection is not None  # 6 channels to 4
    alike = make(dataclasses.replace(CONFIG, latent_channels=(6, 8, 12, 8, 6), num_self_heads=2))
    assert alike.blocks[4].read.skip_projection is None


def test_transposed_regrouping_is_another_model(deep, x):
    transposed = make(dataclasses.replace(CONFIG, regroup="transpose_reshape"))
    states = states_of(deep, x)
    assert largest(states_of(transposed, x)[1], states[1]) > 1e-4
    assert largest(decode(transposed, states), decode(deep, states)) > 1e-4


def test_one_level_mixes_all_modalities(x):
    flat = make(FLAT)
    assert [state.shape for state in states_of(flat, x)] == [(2, 1, 8, 12)]
    assert {name: rows.shape for name, rows in run(flat, x).items()} == {"image": (2, 19, 3), "audio": (2, 8, 5)}


def test_a_deep_block_is_scanned(x):
    many = make(dataclasses.replace(FLAT, num_self_attends_per_block=(10,)))
    stack = many.blocks[0].stack
    assert stack.scanned
    one_layer = nnx.jit(lambda layer, z: layer(z))
    z = nnx.jit(lambda block, inputs: block.read_inputs(inputs))(many.blocks[0], embed(many, x))[:, 0]
    for index in range(10):
        z = one_layer(stack.layer(index), z)
    np.testing.assert_allclose(states_of(many, x)[0][:, 0], z, atol=2e-5)


# --- order of the modalities ---------------------------------------------------------------------------------------


def test_the_order_of_a_batch_plays_no_part():
    shapes = {"zebra": (19, 3), "ant": (8, 3)}  # a compiled function sorts the batch's names
    model, x = make(shapes=shapes), batch_of(shapes)

    def eagerly(x):
        return group(model.embed(x), model.grouping)

    backwards = eagerly({name: x[name] for name in reversed(x)})
    np.testing.assert_array_equal(eagerly(x), backwards)
    np.testing.assert_allclose(embed(model, x), backwards, atol=1e-5)
    assert not np.asarray(backwards[:, 2, 5:]).any() and np.asarray(backwards[:, 3]).all()  # the zebra comes first


def test_weights_of_another_order_are_refused(tmp_path):
    alike = {"left": (8, 3), "right": (8, 3)}  # nothing but the order could tell them apart
    other = {name: alike[name] for name in reversed(alike)}
    save_weights(tmp_path / "hip.safetensors", make(FLAT, shapes=alike), {})
    model = make(FLAT, shapes=other)
    with pytest.raises(WeightsError, match="weights of another model: .*0_left.*not part of the model"):
        load_weights(tmp_path / "hip.safetensors", model)
    load_weights(tmp_path / "hip.safetensors", make(FLAT, shapes=alike))


def test_another_order_is_another_model(model, x):
    other = make(SMALL, shapes={name: SHAPES[name] for name in reversed(SHAPES)})
    for part in ("embeds", "positions", "unembeds"):
        mine, theirs = getattr(model, part), getattr(other, part)
        nnx.update(theirs["0_audio"], nnx.state(mine["1_audio"]))
        nnx.update(theirs["1_image"], nnx.state(mine["0_image"]))
    for part in ("blocks", "head"):
        nnx.update(getattr(other, part), nnx.state(getattr(model, part)))
    assert largest(run(model, x)["image"], run(other, x)["image"]) > 1e-3


# --- padding and masks ---------------------------------------------------------------------------------------------


def test_what_a_mask_hides_changes_no_output(model, x):
    mask = masks(image=[(0, slice(15, None)), (1, slice(7))])  # a whole group of example 1
    junk = {**x, "image": jnp.asarray(np.where(mask["image"][..., None], x["image"], np.float32(50)))}
    masked = run(model, x, mask=mask)
    for name, rows in run(model, junk, mask=mask).items():
        np.testing.assert_allclose(masked[name], rows, atol=1e-5)
    assert largest(masked["image"], run(model, x)["image"]) > 1e-4


def test_padding_is_read_as_in_the_release_unless_there_is_a_mask(model, x):
    inputs, padding = embed(model, x), padding_of(model)
    noise = np.random.default_rng(0).normal(size=inputs.shape)
    junk = jnp.asarray(np.where(padding[..., None], noise, inputs).astype(np.float32))
    assert largest(encode(model, inputs)[0], encode(model, junk)[0]) > 1e-3
    mask = jnp.asarray(np.broadcast_to(~padding, inputs.shape[:3]))
    for one, other in zip(encode(model, inputs, mask=mask), encode(model, junk, mask=mask), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_padded_queries_are_dropped(model, x, monkeypatch):
    latents = decode(model, states_of(model, x))
    expected, read, seen = reconstruct(model, latents), type(model.head).__call__, padding_of(model)[..., None]
    noise = np.random.default_rng(0).normal(size=(1, 4, seen.shape[2], 4)).astype(np.float32)

    def with_junk(head, queries, inputs, **options):
        return read(head, jnp.where(seen, noise, queries), inputs, **options)

    monkeypatch.setattr(type(model.head), "__call__", with_junk)
    for name, rows in nnx.jit(lambda model, latents: model.reconstruct(latents))(model, latents).items():
        np.testing.assert_allclose(rows, expected[name], atol=1e-6)


def test_a_mask_of_some_modalities_leaves_the_others_valid(x):
    model, full = make(FLAT), masks(audio=[(slice(None), 3)])
    found = run(model, x, mask={"audio": full["audio"]})
    np.testing.assert_array_equal(found["image"], run(model, x, mask=full)["image"])


# --- errors, maps, costs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"audio": None}, r"unknown \[\], missing \['audio'\].*Hide a modality by zeros"),
        ({"sound": (2, 8, 5)}, r"unknown \['sound'\], missing \[\]"),
        ({"audio": (2, 9, 5)}, r"of another shape \['audio'\]"),
        ({"audio": (2, 8, 4)}, r"of another shape \['audio'\]"),
        ({"audio": (3, 8, 5)}, "each an array .B, elements, channels. with one B"),
        ({"audio": (2, 0, 5)}, r"of another shape \['audio'\]"),
    ],
)
def test_a_wrong_batch_is_named(model, x, changes, message):
    batch = {name: rows for name, rows in x.items() if name not in changes}
    batch |= {name: jnp.zeros(shape) for name, shape in changes.items() if shape is not None}
    with pytest.raises(ValueError, match=message):
        model(batch)


@pytest.mark.parametrize(
    "mask",
    [{"image": jnp.ones((2, 18), bool)}, {"image": jnp.ones((2, 19))}, {"sound": jnp.ones((2, 8), bool)}],
    ids=["shape", "type", "name"],
)
def test_a_wrong_mask_is_named(model, x, mask):
    with pytest.raises(ValueError, match="mask must hold bool arrays .B, M. with B = 2 and M of {'image': 19"):
        run(model, x, mask=mask)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({f"m{number}": (3, 1) for number in range(5)}, "4 groups cannot hold the 5 modalities"),
        ({"image": (0, 3)}, "at least one element each; got {'image': 0}"),
        ({}, "at least one element each; got {}"),
    ],
    ids=["more modalities than groups", "empty modality", "no modality"],
)
def test_modalities_that_do_not_fit_are_named(shapes, message):
    with pytest.raises(ValueError, match=message):
        HiP(CONFIG, shapes, rngs=nnx.Rngs(0))


def test_outputs_and_labels_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"output_channels names \['mask'\], but the modalities are"):
        make(output_channels={"mask": 3})
    for labels in ({"image": (1, 3)}, {"label": (0, 3)}):
        with pytest.raises(ValueError, match="at least one element and a name of its own"):
            make_with_labels(labels)
    with pytest.raises(ValueError, match="are read at the processor, above at least one other level"):
        make_with_labels(config=FLAT)


def test_attention_is_recorded_by_block(x):
    model, maps, names = make_with_labels({"label": (1, 7)}), [], []

    def look(model, x):
        with record_attention() as recorded:
            answers = model(x)
        maps.extend(recorded)
        names.extend(answers)

    nnx.eval_shape(look, model, x | batch_of({"label": (1, 7)}))
    assert names == ["image", "audio", "label"]
    assert [entry.name for entry in maps][:3] == ["block 0 read", "block 0 layer 0", "block 1 read"]
    assert [entry.name for entry in maps][-1] == "head" and "label head" in [entry.name for entry in maps]
    assert maps[0].weights.shape == (2 * 4, 1, 4, 8)  # groups are a part of the batch


def test_a_hierarchy_is_cheaper_than_one_group_on_many_inputs():
    """Same inputs, same widths, as many latents in all at the bottom: only who reads whom differs."""
    many = {"image": (4096, 3)}
    sizes = {"num_self_attends_per_block": 1, "num_self_heads": 2, "latent_channels": 16}
    deep = HiPConfig(
        num_groups=(16, 1, 16),
        num_latents=(16, 64, 16),
        **{name: (value,) * 3 for name, value in sizes.items()},
        embedding_channels=16,
    )
    flat = HiPConfig(num_groups=(1,), num_latents=(256,), **{n: (v,) for n, v in sizes.items()}, embedding_channels=16)
    x = {"image": jax.ShapeDtypeStruct((1, 4096, 3), jnp.float32)}
    counted = [
        cost(nnx.eval_shape(lambda config=config: HiP(config, many, rngs=nnx.Rngs(0))), x).flops
        for config in (deep, flat)
    ]
    assert counted[0] < 0.4 * counted[1]


def test_cost_counts_the_products_of_every_part():
    config = dataclasses.replace(FLAT, num_self_attends_per_block=(1,), num_self_heads=(1,))
    model = make(config, {"image": (20, 3)})
    found = cost(model, {"image": jax.ShapeDtypeStruct((1, 20, 3), jnp.float32)}).multiply_adds
    inputs, latents, width, channels = 20, 8, 4, 12

    def mlp(rows, channels, factor):
        return 2 * rows * factor * channels * channels

    def attention(queries, keys, q_channels, k_channels):
        projected = queries * q_channels * k_channels + 2 * keys * k_channels * k_channels
        return projected + 2 * queries * keys * k_channels + queries * k_channels * q_channels

    expected = 2 * inputs * 3 * width
    expected += attention(latents, inputs, channels, width) + mlp(latents, channels, 1)
    expected += attention(latents, latents, channels, channels) + mlp(latents, channels, 4)
    expected += attention(inputs, latents, width, channels) + mlp(inputs, width, 1)
    assert found == pytest.approx(expected, rel=0.25)  # the reading may take its cheaper form
