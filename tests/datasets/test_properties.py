"""Transforms under records of any kind: the documented record comes out, or a `ValueError` that says what was wrong."""

import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from perceiver_lab import datasets
from perceiver_lab.datasets import augment, masking, transforms

IMAGES = {
    "to_float": transforms.to_float,
    "standardise": transforms.standardise,
    "jitter_positions": transforms.jitter_positions(0.1),
    "random_crop": transforms.random_crop(3),
    "center_crop": transforms.center_crop(3),
    "random_shift": transforms.random_shift(9),
    "sample_pixels": transforms.sample_pixels(4),
    "permute_pixels": transforms.permute_pixels(range(12)),
    "random_area_crop": augment.random_area_crop,
    "evaluation_crop": augment.evaluation_crop,
    "random_mirror": augment.random_mirror,
    "resize_cubic": augment.resize_cubic(5),
    "normalise": augment.normalise,
}
TEXTS = {
    "first_window": masking.first_window(3),
    "random_window": masking.random_window(3),
    "mask_words": masking.mask_words(0.5, kept=0.2, random=0.3),
    "mask_spans": masking.mask_spans(0.5, 2),
}
SHAPES = [(), (4,), (0, 3, 1), (3, 4), (1, 1, 1), (3, 4, 1), (3, 4, 3), (8, 8, 1), (9, 9, 3), (2, 40, 3), (3, 4, 3, 1)]
DTYPES = [np.uint8, np.float32, np.int64, np.bool_]


@st.composite
def pictures(draw):
    """An array of some shape and type; floats may hold what is no number."""
    shape, dtype = draw(st.sampled_from(SHAPES)), draw(st.sampled_from(DTYPES))
    values = np.random.default_rng(draw(st.integers(0, 2**16))).integers(0, 2 if draw(st.booleans()) else 256, shape)
    values = np.asarray(values).astype(dtype)
    if dtype is np.float32 and values.size and draw(st.booleans()):
        values.flat[0] = draw(st.sampled_from((math.nan, math.inf, -1e38)))
    return values


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(IMAGES)), pictures(), st.integers(0, 2**32 - 1))
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning", "ignore:overflow:RuntimeWarning")
def test_pictures(name, image, seed):
    """What is refused is refused in words; what is not keeps the other features, its input, and is the same again."""
    before = image.copy()
    record = {"image": image, "label": 7}
    try:
        found = IMAGES[name](record, np.random.default_rng(seed))
    except ValueError as refusal:
        said = str(refusal)
        assert any(word in said for word in (name, "image", "permutation")) and len(said) > 40
        return
    assert found["label"] == 7 and found["image"].size
    np.testing.assert_array_equal(image, before)
    again = IMAGES[name](record, np.random.default_rng(seed))
    np.testing.assert_array_equal(found["image"], again["image"])
    if image.dtype == np.uint8 and name not in ("to_float", "standardise", "resize_cubic", "normalise"):
        assert found["image"].dtype == np.uint8


@pytest.mark.parametrize("name", sorted(IMAGES))
def test_no_picture_at_all(name):
    with pytest.raises(ValueError, match=r"image"):
        IMAGES[name]({"label": 7}, np.random.default_rng(0))


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(TEXTS)),
    st.one_of(st.binary(max_size=40), st.lists(st.integers(-3, 300), max_size=8), st.just([[1, 2], [3, 4]])),
    st.integers(0, 2**32 - 1),
)
def test_texts(name, text, seed):
    """Hiding says what was hidden; windows are of their length; whatever is no text is refused."""
    ids = datasets.encode_text(text) if isinstance(text, bytes) else np.array(text, np.int64)
    try:
        found = TEXTS[name]({"bytes": ids, "play": 3}, np.random.default_rng(seed))
    except ValueError as refusal:
        said = str(refusal)
        assert name in said
        return
    assert found["play"] == 3
    if name.endswith("window"):
        assert len(found["bytes"]) == 3
        return
    np.testing.assert_array_equal(found["targets"], ids)
    assert found["hidden"].shape == ids.shape and found["hidden"].dtype == bool
    np.testing.assert_array_equal(found["bytes"][~found["hidden"]], ids[~found["hidden"]])


@pytest.mark.parametrize("name", sorted(TEXTS))
@pytest.mark.parametrize("record", [{}, {"bytes": None}, {"bytes": "text"}, {"bytes": np.zeros(4)}], ids=repr)
def test_no_text_at_all(name, record):
    with pytest.raises(ValueError, match=f"{name} wants a record with 'bytes'"):
        TEXTS[name](record, np.random.default_rng(0))


NO_SIZES = (0, -1, 1.5, math.nan, True, "3", None)
OF_A_SIZE = {
    "random_crop": transforms.random_crop,
    "center_crop": transforms.center_crop,
    "random_shift": transforms.random_shift,
    "sample_pixels": transforms.sample_pixels,
    "resize_cubic": augment.resize_cubic,
    "first_window": masking.first_window,
    "random_window": masking.random_window,
    "mask_spans": lambda length: masking.mask_spans(0.5, length),
}


@pytest.mark.parametrize("size", NO_SIZES, ids=repr)
@pytest.mark.parametrize("name", OF_A_SIZE)
def test_sizes_that_are_none(name, size):
    with pytest.raises(ValueError, match=f"{name}.*expected a whole number"):
        OF_A_SIZE[name](size)


@pytest.mark.parametrize("shares", [(0, 0, 0), (1.1, 0, 0), (math.nan, 0, 0), (0.5, math.nan, 0), (0.5, 0, math.nan)])
def test_shares_that_are_none(shares):
    rate, kept, random = shares
    for make in (masking.mask_words, masking.mask_spans):
        with pytest.raises(ValueError, match="expected a rate above 0"):
            make(rate, kept=kept, random=random)
    if rate != 0.5:
        with pytest.raises(ValueError, match="from 0 to below 0.5"):
            transforms.jitter_positions(rate - 1 if rate == 0 else rate)
