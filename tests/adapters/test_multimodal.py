import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.adapters import ImageInput, MultimodalInput, OneHotInput


def normal(*shape, seed=0):
    return jax.random.normal(jax.random.key(seed), shape)


def make(**options):
    modalities = {"label": OneHotInput(4), "image": ImageInput((2, 3, 1), num_bands=2)}
    return MultimodalInput(modalities, rngs=nnx.Rngs(0), **options)


def batch(size=2):
    return {"image": normal(size, 2, 3, 1), "label": normal(size, 4, seed=1)}


def test_modalities_follow_each_other_by_name_each_with_its_learned_padding():
    adapter, x = make(), batch()
    found = adapter(x)
    assert adapter.names == ("image", "label")
    assert found.shape == (2, 7, adapter.num_channels) == (2, 7, 11 + 2)
    np.testing.assert_array_equal(found[:, :6, :11], adapter.modalities["image"](x["image"]))
    np.testing.assert_array_equal(found[:, 6, :4], x["label"])
    for rows, name, width in ((found[:, :6], "image", 2), (found[:, 6:], "label", 9)):
        padding = adapter.paddings[name].table[...]
        assert padding.shape == (1, width)
        np.testing.assert_array_equal(rows[..., -width:], np.broadcast_to(padding, (*rows.shape[:2], width)))


def test_each_modality_by_name():
    adapter, x = make(), batch()
    each = adapter.embed_each(x)
    assert list(each) == ["image", "label"]
    np.testing.assert_array_equal(np.concatenate(list(each.values()), axis=1), adapter(x))


def test_a_modality_masked_always_is_its_token_and_needs_no_random_numbers():
    adapter = make(mask_rates={"label": 1.0})
    found, plain = adapter(batch()), make()(batch())
    token = adapter.mask_tokens["label"].table[...]
    np.testing.assert_array_equal(found[:, 6], np.stack([token[0]] * 2))
    np.testing.assert_array_equal(found[:, :6, :11], plain[:, :6, :11])
    assert set(adapter.mask_tokens) == {"image", "label"}


def test_a_modality_masked_at_a_rate_loses_about_that_share_in_evaluation_too():
    adapter, x = make(mask_rates={"image": 0.4}), batch(200)
    found = np.asarray(adapter(x, rngs=nnx.Rngs(mask=0)))
    hidden = (found[:, :6] == np.asarray(adapter.mask_tokens["image"].table[...])[None]).all(-1)
    assert hidden.mean() == pytest.approx(0.4, abs=0.05)
    with pytest.raises(ValueError, match=r"'image' are masked at random, with rate 0.4: call the model with"):
        adapter(x)


def test_a_dropped_modality_goes_as_a_whole_in_its_share_of_examples():
    adapter, x = make(drop_rates={"image": 0.3}), batch(400)
    kept = np.asarray(adapter.drop_mask(x, jax.random.key(0)))
    assert kept.shape == (400, 7)
    assert kept[:, 6].all()
    assert (kept[:, :6].all(1) | ~kept[:, :6].any(1)).all()
    assert 1 - kept[:, 0].mean() == pytest.approx(0.3, abs=0.06)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: make(drop_rates={"sound": 0.1}), "drop_rates {'sound': 0.1}: .* only for those that there are"),
        (lambda: make(mask_rates={"image": 1.5}), "mask_rates {'image': 1.5}: .* rates between 0 and 1"),
        (
            lambda: make()({"image": jnp.zeros((2, 2, 3, 1))}),
            r"reads the modalities \['image', 'label'\]; got \['image'\]",
        ),
        (lambda: make()(batch(), positions=jnp.zeros((2, 7, 2))), "leave `positions` out"),
        (lambda: MultimodalInput({}, rngs=nnx.Rngs(0)), "at least one modality"),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_missing_modality_is_its_token_in_the_place_of_each_element():
    """Left out, or hidden in all examples: the same."""
    adapter, x = make(mask_rates={}), batch()
    without = adapter({"label": x["label"]})
    token = adapter.mask_tokens["image"].table[...]
    np.testing.assert_array_equal(without[:, :6], np.broadcast_to(token[None], (2, 6, adapter.num_channels)))
    np.testing.assert_array_equal(without[:, 6:], adapter(x)[:, 6:])
    np.testing.assert_array_equal(without, adapter(x, hidden={"image": jnp.array([True, True])}))
    np.testing.assert_array_equal(
        adapter({"image": x["image"]})[:, 6], np.stack([adapter.mask_tokens["label"]()[0]] * 2)
    )


def test_hiding_is_by_example():
    adapter, x = make(mask_rates={}), batch()
    found = adapter(x, hidden={"label": jnp.array([False, True])})
    np.testing.assert_array_equal(found[0], adapter(x)[0])
    np.testing.assert_array_equal(found[1, :6], adapter(x)[1, :6])
    np.testing.assert_array_equal(found[1, 6], adapter.mask_tokens["label"]()[0])


class Unsized(OneHotInput):
    """An adapter whose number of elements depends on the data."""

    @property
    def num_elements(self):
        raise AttributeError


def unsized():
    return MultimodalInput({"label": Unsized(4), "image": OneHotInput(3)}, mask_rates={}, rngs=nnx.Rngs(0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: make(mask_rates={})({}), r"got \[\]. It knows no others, and not all may be missing"),
        (
            lambda: make(mask_rates={})({**batch(), "smell": 0}),
            r"got \['image', 'label', 'smell'\]. It knows no others",
        ),
        (lambda: make()({"label": batch()["label"]}), "none may be missing: it has no mask tokens"),
        (lambda: make()(batch(), hidden={"label": jnp.array([True, False])}), r"a mask token, \[\]. Tokens are made"),
        (lambda: make(mask_rates={})(batch(), hidden={"label": jnp.array([True])}), r"hidden has {'label': \(1,\)}"),
        (lambda: make(mask_rates={})(batch(), hidden={"smell": jnp.array([True, False])}), "hidden has {'smell'"),
        (lambda: unsized()({"image": jnp.zeros((2, 3))}), "'label' cannot be left out: its adapter, a Unsized"),
    ],
)
def test_what_cannot_be_missing_or_hidden_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
