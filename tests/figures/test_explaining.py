"""Ways to look as lines, maps of several kinds beside their pictures."""

import numpy as np
import pytest

from perceiver_lab import figures

RNG = np.random.default_rng(0)
IMAGES = RNG.random((2, 4, 4, 1))
MAPS = {"raw": RNG.random((2, 4, 4)), "gradient": RNG.normal(size=(2, 4, 4))}


def beside(**change):
    options = {"titles": ["a 3", "a 7"], "signed": ["gradient"], "alt": "Two pictures with two maps each."} | change
    return figures.explanations(options.pop("images", IMAGES), options.pop("maps", MAPS), **options)


@pytest.mark.parametrize("make", [figures.ways_to_look, beside])
def test_same_bytes_and_a_description(make):
    assert make().webp() == make().webp()
    assert len(make().alt) > 25


def test_the_four_ways_are_named_in_words():
    alt = figures.ways_to_look().alt
    for words in (
        "raw map: the weights of one read",
        "rollout: ",
        "gradient: from the logit back",
        "occlusion: take a",
    ):
        assert words in alt


def test_only_signed_maps_are_drawn_alone():
    made = beside()
    _, raw, gradient = made.axes[:3]
    assert raw.images[0].get_array().shape == (4, 4, 3)
    assert gradient.images[0].get_array().shape == (4, 4)
    assert gradient.images[0].norm.vmin == -gradient.images[0].norm.vmax


@pytest.mark.parametrize(
    "change", [{"maps": {}}, {"maps": {"raw": MAPS["raw"][:1]}}, {"titles": ["one"]}, {"images": IMAGES[:0]}]
)
def test_pictures_without_their_maps(change):
    with pytest.raises(ValueError, match="needs a map of each kind and a title"):
        beside(**change)
