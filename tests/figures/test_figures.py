"""Each figure: described, deterministic, strict about what it is given."""

import numpy as np
import pytest

from perceiver_lab import figures

RNG = np.random.default_rng(0)
DIGIT = RNG.integers(0, 17, (8, 8, 1), dtype=np.uint8)
PHOTO = RNG.integers(0, 256, (12, 16, 3), dtype=np.uint8)
MAP = RNG.random((8, 8)).astype(np.float32)
MAPS = RNG.normal(size=(10, 8, 8)).astype(np.float32)
WAVES = np.sin(np.pi * np.linspace(-1, 1, 16)[:, None] * np.arange(1, 11))

MAKERS = {
    "attention_on_image": lambda: figures.attention_on_image(DIGIT, MAP, title="latent 3"),
    "map_grid": lambda: figures.map_grid(np.abs(MAPS), image=DIGIT),
    "map_grid shared": lambda: figures.map_grid(np.abs(MAPS), shared_scale=True, columns=3),
    "map_grid signed": lambda: figures.map_grid(MAPS, signed=True, titles=list("abcdefghij")),
    "image_grid": lambda: figures.image_grid(np.stack([PHOTO, PHOTO]), titles=np.array([4, 9])),
    "fourier_bands": lambda: figures.fourier_bands(WAVES, frequencies=np.arange(1, 11), nyquist=7.5),
    "spectrum": lambda: figures.spectrum({"line": WAVES[:, 2], "picture": MAP}, nyquist=8.0),
    "loss_curve": lambda: figures.loss_curve({"a": [3.0, 2.0, 1.5], "b": np.ones(40)}, smooth=5, chance=2.3, log=True),
    "accuracy_bars": lambda: figures.accuracy_bars({"Perceiver": (95, 100), "ConvNet": (100, 100)}, chance=0.1),
    "confusion": lambda: figures.confusion(np.diag([5, 4, 3]) + np.eye(3, k=1, dtype=int), ["cat", "dog", "owl"]),
    "cross_attention_shapes": lambda: figures.cross_attention_shapes(4, 10, 6, 3),
    "perceiver_diagram": lambda: figures.perceiver_diagram(num_inputs=784, num_latents=32, num_reads=2),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_same_bytes_and_a_description(make):
    assert make().webp() == make().webp()
    assert len(make().alt) > 30


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("attention_on_image", "latent 3"),
        ("map_grid signed", "10 signed maps of 8 x 8"),
        ("image_grid", "titled 4, 9"),
        ("fourier_bands", "3 of them lie beyond the Nyquist frequency of 7.5"),
        ("spectrum", "line is strongest at 3"),
        ("loss_curve", "a from 3 to 1.5"),
        ("accuracy_bars", "Perceiver 95.0% (88.8% to 97.8%, n = 100)"),
        ("confusion", "85.7% right; most often, cat is taken for dog (1 times)"),
        ("cross_attention_shapes", "values 10 by 3 gives an output of 4 by 3"),
        ("perceiver_diagram", "latent array of 32 rows reads the input array of 784 rows by cross-attention, 2 times"),
    ],
)
def test_descriptions_say_what_is_to_be_seen(name, words):
    assert words in MAKERS[name]().alt


def test_an_own_description_wins():
    assert figures.map_grid(np.abs(MAPS), alt="All latents look at edges.").alt == "All latents look at edges."


def test_digits_of_sixteen_levels_are_not_dark():
    assert figures.to_rgb(np.full((2, 2), 16, np.uint8)).max() == 255
    assert figures.to_rgb(np.full((2, 2), 200, np.uint8)).max() == 200
    assert figures.to_rgb(np.array([[-1.0, 1.0]])).tolist() == [[[0] * 3, [255] * 3]]


def test_overlay_shows_picture_and_map():
    picture = figures.to_rgb(DIGIT).mean(-1)
    assert np.allclose(figures.overlay(DIGIT, MAP, opacity=0.0).astype(float).mean(-1), picture, atol=1)
    brightest = np.unravel_index(MAP.argmax(), MAP.shape)
    assert figures.overlay(DIGIT, MAP, opacity=1.0)[brightest].tolist() == [254, 232, 56]  # the end of cividis
    coarse = figures.overlay(DIGIT, np.eye(2, dtype=np.float32), opacity=1.0)
    assert (coarse[:4, :4] == coarse[0, 0]).all()


def test_wilson_interval():
    low, high = figures.wilson_interval(95, 100)
    assert (low, high) == pytest.approx((0.88825, 0.97846), abs=1e-5)
    assert figures.wilson_interval(0, 10)[0] == pytest.approx(0)
    assert figures.wilson_interval(10, 10)[1] == pytest.approx(1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: figures.to_rgb(np.zeros((4, 4, 2))), r"\(4, 4, 2\)"),
        (lambda: figures.to_rgb(np.full((4, 4), np.nan)), "NaN"),
        (lambda: figures.overlay(DIGIT, np.ones((3, 3))), "does not lie on a picture of 8 x 8"),
        (lambda: figures.map_grid(MAP), "title"),
        (lambda: figures.map_grid(MAPS, titles=["one"]), "1 titles"),
        (lambda: figures.image_grid(DIGIT), r"\(n, H, W, channels\)"),
        (lambda: figures.fourier_bands(WAVES, frequencies=[1]), "1 frequencies"),
        (lambda: figures.spectrum({}), "no signal"),
        (lambda: figures.spectrum({"cube": np.zeros((2, 2, 2))}), "cube"),
        (lambda: figures.loss_curve({}), "nothing to draw"),
        (lambda: figures.loss_curve({"a": [1.0, 2.0]}, steps=[1]), "one step per value"),
        (lambda: figures.accuracy_bars({}), "no accuracy"),
        (lambda: figures.accuracy_bars({"a": (5, 4)}), "5 of 4"),
        (lambda: figures.confusion(np.zeros((2, 3), int)), r"\(2, 3\)"),
        (lambda: figures.cross_attention_shapes(0, 3, 3), "at least 1"),
        (lambda: figures.perceiver_diagram(num_reads=9), "num_reads=9"),
    ],
)
def test_bad_input(unchecked, call, message):
    with pytest.raises(ValueError, match=message):
        call()
