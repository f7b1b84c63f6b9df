# ---
# jupyter:
#   jupytext:
#     formats: ipynb,source//py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 03 · Where am I?
#
# Attention reads a set of rows and has no idea where any of them came from. This lesson gives every pixel an address.
#
# **After this lesson you can**
#
# - show that attention, and a whole Perceiver, gives shuffled pixels the same answer;
# - build coordinates and Fourier features in NumPy, count their channels, and match the library's;
# - find the Nyquist frequency of a grid and say what lies one tick past it;
# - paint a photo from coordinates, and judge waves, too many waves and a learned table by the pixels held out;
# - measure what positions are worth to a Perceiver that reads digits.
#
# **You need** lesson [01](01_cross_attention.ipynb) (cross-attention), sines and cosines.
# **Next**: lesson [04](04_the_perceiver.ipynb) builds a whole Perceiver and lets pixels travel with their positions.
# **Time**: about 60 minutes, a third of it for the exercises.

# %% tags=["setup"]
# The same in every lesson. It finds the course; in Colab it fetches the course first.
import importlib.util
import pathlib
import subprocess
import sys

repository = ""
here = pathlib.Path.cwd()
wheels, clone = sorted(here.glob("perceiver_lab-*.whl")), here / "perceiver-lab"
if "google.colab" in sys.modules and not clone.exists() and importlib.util.find_spec("perceiver_lab") is None:
    if wheels:
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", str(wheels[-1])])
    elif repository:
        subprocess.run(["git", "clone", "-q", "--depth=1", repository, str(clone)])
for folder in (here, *here.parents, clone):
    if (folder / "perceiver_lab" / "__init__.py").exists():
        sys.path.insert(0, str(folder))
        break
importlib.invalidate_caches()
if importlib.util.find_spec("perceiver_lab") is None:
    sys.exit(
        "The library perceiver_lab is not here. On your computer, in a copy of the course, run `uv build --wheel` or "
        "`pip wheel --no-deps -w dist .`; upload the file dist/perceiver_lab-*.whl (in Colab: the folder on the left, "
        "then the arrow); then run this cell again."
    )

from perceiver_lab.colab import prepare

prepare()  # in Colab: what is missing

from perceiver_lab.course import setup

setup()

# %%
import itertools

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from perceiver_lab.adapters import ClassOutput, GridInput, ImageInput, Pixels
from perceiver_lab.course import budget, check, hint, predict, reveal, solution  # noqa: F401
from perceiver_lab.datasets import arrays, load, pipeline, to_float
from perceiver_lab.explorers import FourierBandwidth
from perceiver_lab.figures import accuracy_bars, image_grid, loss_curve, map_grid
from perceiver_lab.figures.positions import input_row, over_frequency, same_samples
from perceiver_lab.layers import FourierPositions, LearnedPositions, record_attention
from perceiver_lab.models.perceiver import Perceiver, PerceiverConfig
from perceiver_lab.ops import crop_coordinates, fourier_features, grid_coordinates
from perceiver_lab.training import Accuracy, adamw, evaluate, schedules, train

train_digits, test_digits = arrays("digits", "train"), arrays("digits", "test")
cat = next(record for record in load("photos", "train") if record["name"] == b"chelsea")
# 245 x 245 pixels around the eyes, each 5 x 5 block averaged: 49 x 49 pixels, values 0 to 1.
photo = (cat["image"][20:265, 100:345].reshape(49, 5, 49, 5, 3).mean((1, 3)) / 255).astype(np.float32)

# %% [markdown]
# ## The idea in one picture
#
# Attention gets a *set* of rows and cannot tell which row came from where. So each row is made to say it itself: after
# its colour, a pixel carries its coordinates and the heights, at its place, of waves that run down and across the
# picture. Slow waves say roughly where it is, fast waves say exactly where. In the stripes violet is above zero and
# orange-brown below; the number above each is the wave's height at the marked pixel.

# %%
input_row(photo, (17, 14), num_bands=64, frequencies=(1, 4, 12))

# %% [markdown]
# ## Two predictions to commit
#
# Below, a small Perceiver is trained on digits of 8 × 8 pixels **without** any position. Then the pixels of every test
# digit are shuffled, each digit in its own way, until it looks like confetti. What happens to its test accuracy?
#
# Later, a photo is painted from waves. Only every other pixel is shown to the fit; the pixels between are held out. The
# shown pixels have a Nyquist frequency of 12: a wave with more than 12 turns from one end to the other looks to them
# like a slower one (section 4 shows it). What happens at the held-out pixels when the waves go up to 24 instead of 12?

# %%
predict("03", ["it falls to chance", "it falls a little", "it does not change at all"], choice=...)
predict(
    "03b",
    ["more waves, more detail: better", "no difference", "worse than painting all of them in one mean colour"],
    choice=...,
)

# %% [markdown]
# ## 1. Attention does not know where anything is
#
# One query, five inputs. The scores are computed row by row, the softmax divides by a sum over all rows, and the output
# is a weighted sum. Sums do not care about order, so neither does attention.


# %%
def softmax(scores):
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def attention(queries, keys, values):
    return softmax(queries @ keys.T / np.sqrt(keys.shape[-1])) @ values


rng = np.random.default_rng(0)
query, keys, values = rng.normal(size=(1, 4)), rng.normal(size=(5, 4)), rng.normal(size=(5, 3))
order = np.array([3, 0, 4, 1, 2])
in_order, shuffled = attention(query, keys, values), attention(query, keys[order], values[order])
print("in order:", in_order.round(4), "  shuffled:", shuffled.round(4))
print("LAB attention over a shuffled set differs by less than 1e-12:", bool(np.abs(in_order - shuffled).max() < 1e-12))

# %% [markdown]
# The same for a whole Perceiver, in which a few learned queries, the *latents*, read the inputs and then look at each
# other (lesson 04 builds it). The library's input adapter joins each pixel with an encoding of its position, so a model
# without positions is one in which **all pixels claim to be at the same place**: the middle, (0, 0).


# %%
def make_perceiver(make_positions, seed=0):
    """8 latents of 32 channels read 64 pixels once, followed by one layer of self-attention."""
    rngs = nnx.Rngs(seed)
    config = PerceiverConfig(
        num_latents=8, latent_channels=32, num_self_attends_per_block=1, num_self_heads=4, qk_channels=32
    )
    adapter = GridInput(Pixels((8, 8, 1)), make_positions(rngs))
    return Perceiver(config, input_adapter=adapter, output_adapter=ClassOutput(32, 10, rngs=rngs), rngs=rngs)


# Three ways to say where a pixel is, all 18 channels wide. What they are comes below.
encodings = {
    "no positions": lambda rngs: FourierPositions((8, 8), num_bands=4),
    "Fourier features": lambda rngs: FourierPositions((8, 8), num_bands=4),
    "learned table": lambda rngs: LearnedPositions((8, 8), 18, rngs=rngs),
}
# The first two are the same model. They differ in what the pixels claim: (y, x) for each of the 64.
claims = {"no positions": np.zeros((64, 2), np.float32), "Fourier features": np.asarray(grid_coordinates((8, 8)))}
test_images = test_digits["image"].astype(np.float32) / 8 - 1  # ink 0..16 becomes -1..1, as `to_float` does


def confetti(images, seed=0):
    """The pixels of every image in an order of its own, and these orders."""
    orders = np.argsort(np.random.default_rng(seed).random((len(images), 64)), axis=1)
    rows = np.take_along_axis(images.reshape(len(images), 64, 1), orders[..., None], axis=1)
    return rows.reshape(images.shape), orders


shuffled_images, orders = confetti(test_images)
image_grid(
    np.concatenate([test_images[:4], shuffled_images[:4]]),
    titles=[f"a {label}" for label in test_digits["label"][:4]] + ["the same pixels, shuffled"] * 4,
    columns=4,
    alt=f"Four digits of 8 by 8 pixels, {test_digits['label'][:4].tolist()}, and below each the same pixels in random order.",
)

# %%
blind = make_perceiver(encodings["no positions"])
nowhere = np.broadcast_to(claims["no positions"], (len(test_images), 64, 2))


@nnx.jit
def latents_of(model, images, positions):
    return model.encode(model.embed(images, positions=positions))


gap = jnp.abs(latents_of(blind, test_images, nowhere) - latents_of(blind, shuffled_images, nowhere)).max()
print(f"largest difference in the latents of {len(test_images)} digits and of their confetti: {gap:.1e}")
print("LAB latents of digits and confetti differ by less than 1e-5:", bool(gap < 1e-5))
assert gap < 1e-5

# %% [markdown]
# Every latent comes out the same, for every digit, whatever the order. Without positions a Perceiver reads a bag of ink.
#
# > **A trap on the way.** Why one place for all, and not simply no position channels? Attention normalises each input row
# > first (LayerNorm: subtract the row's mean, divide by its deviation). A grey pixel alone is a row of *one* number, and
# > a number minus its own mean is zero. Such a model sees nothing at all:


# %%
class NoChannels(nnx.Module):
    shape, num_channels = (8, 8), 0

    def __call__(self, coordinates=None):
        return jnp.zeros((64, 0))


sees_nothing = make_perceiver(lambda rngs: NoChannels())
normalised = sees_nothing.encoder.reads[0].kv_norm(sees_nothing.embed(test_images))
print("LAB what the read gets of 297 digits:", normalised.shape, "all zero:", bool((normalised == 0).all()))
assert not normalised.any()

# %% [markdown]
# ## 2. Coordinates
#
# From scratch, in NumPy. Each axis runs from −1 to 1, both ends included, whatever the number of cells. Rows come in
# reading order, the row's coordinate first: (y, x).


# %%
def my_grid(height, width):
    y, x = np.linspace(-1, 1, height, dtype=np.float32), np.linspace(-1, 1, width, dtype=np.float32)
    return np.stack([np.repeat(y, width), np.tile(x, height)], axis=-1)


print(my_grid(3, 3).tolist())
big = my_grid(224, 224)
print("LAB coordinates of a 224 x 224 image:", big.shape)
gap = np.abs(big - np.asarray(grid_coordinates((224, 224)))).max()
print("LAB equal to the library's within 1e-6:", bool(gap < 1e-6))
print(f"two neighbours of 224 lie 2/223 = {big[1, 1] - big[0, 1]:.4f} apart, in a channel that runs from -1 to 1")

# %% [markdown]
# Could the model read these two numbers and be done? In principle. But two neighbouring pixels get almost the same row,
# and a network that starts with small weights treats almost equal rows almost equally. Learning anything that depends on
# *exactly* where would need enormous weights. (Tancik et al. show this for networks that map coordinates to colours, in
# theory and in practice; you will measure it on the cat.)
#
# ## 3. Bands of waves
#
# The Perceiver's answer: for each axis, take `num_bands` frequencies, evenly spaced from 1 to `max_resolution / 2`, and
# give the sine and the cosine of π · f · x for each: a wave that makes f turns from one end to the other. The order is
# **[positions | sines | cosines]**, and within the sines axis by axis, band by band.


# %%
def my_fourier(positions, num_bands, max_resolution):
    phases = []
    for axis, resolution in enumerate(max_resolution):
        frequencies = np.linspace(1, resolution / 2, num_bands, dtype=np.float32)
        phases.append((positions[:, axis, None] * frequencies) * np.float32(np.pi))  # (pixels, bands)
    phases = np.concatenate(phases, axis=1)
    return np.concatenate([positions, np.sin(phases), np.cos(phases)], axis=1)


features = my_fourier(big, 64, (224, 224))
print("LAB features of each pixel: 2 coordinates + 2 axes x 64 bands x (sine, cosine) =", features.shape[1])
adapter = ImageInput((224, 224, 3), num_bands=64)
print(f"LAB with red, green and blue in front, a Perceiver reads {len(features)} rows of {adapter.num_channels} channels")

# %% [markdown]
# Equal to the library? To the pure function, to the layer, and to what the input adapter puts after the colours:

# %%
by_function = fourier_features(jnp.asarray(big), num_bands=64, max_resolution=(224, 224))
by_layer = FourierPositions((224, 224), num_bands=64)()
by_adapter = adapter(jnp.zeros((1, 224, 224, 3)))[0, :, 3:]
for name, theirs in {"function": by_function, "layer": by_layer, "adapter": by_adapter}.items():
    gap = np.abs(features - np.asarray(theirs)).max()
    print(f"{name:9s} largest difference {gap:.1e}")
    assert gap < 2e-4
print("LAB equal to the library within 0.0002: True")

# %% [markdown]
# Not zero, because the two round the coordinates differently in the last of their seven digits, and a phase of
# π · 112 · x makes that last digit 352 times larger. Keep this in mind for the paragraph on precision below.
#
# What do the bands buy? Compare the middle pixel of a 33 × 33 grid with all others, by the cosine of the angle between
# their rows: 1 is "the same direction", and the closer to 1, the harder to tell apart. Bare coordinates get a 1 as a
# third number: the middle's are (0, 0), and a row of zeros has no direction.

# %%
small = my_grid(33, 33)
rows = {
    "(y, x, 1) only": np.concatenate([small, np.ones((len(small), 1))], axis=1),
    "4 bands up to 4": my_fourier(small, 4, (8, 8)),
    "16 bands up to 16": my_fourier(small, 16, (32, 32)),
}
middle = 16 * 33 + 16
similarity = [row @ row[middle] / np.linalg.norm(row, axis=1) / np.linalg.norm(row[middle]) for row in rows.values()]
look_alikes = [int((one > 0.9).sum()) - 1 for one in similarity]
print(dict(zip(rows, look_alikes, strict=True)), "of 1,088 other pixels with a cosine above 0.9")
print("LAB more bands, fewer look-alikes:", look_alikes[0] > look_alikes[1] > look_alikes[2])
map_grid(
    np.stack(similarity).reshape(3, 33, 33),
    titles=list(rows),
    columns=3,
    signed=True,
    alt="How similar each pixel's position is to the middle pixel's. Coordinates only: a broad blob over much of the grid. "
    "4 bands: a spot a few pixels wide with a cross. 16 bands: a single dark pixel on a thin cross; dark means alike.",
)

# %% [markdown]
# The cross is honest: a pixel in the same row shares the whole y half of its features. It is the product of the two
# halves that would be a single spot, and products are what attention and the MLPs after it can make.
#
# ### Why these numbers stay in float32
#
# Phases get large: π · f · x reaches 352 for an image of 224 pixels, and 48,255 for the sound that Perceiver IO reads
# (max_resolution 30,720). A float of 16 bits has no digits left for where within its turn such a phase is.


# %%
def sines(dtype, cells, num_bands):
    x = jnp.linspace(-1, 1, cells).astype(dtype)
    frequencies = jnp.linspace(1, cells / 2, num_bands).astype(dtype)
    return np.asarray(jnp.sin((x[:, None] * frequencies[None]) * jnp.asarray(np.pi, dtype)), np.float64)


worst = {}
for cells, num_bands in {224: 64, 30720: 192}.items():
    exact = np.sin(np.pi * np.linspace(-1, 1, cells)[:, None] * np.linspace(1, cells / 2, num_bands))
    for dtype in (jnp.float32, jnp.float16, jnp.bfloat16):
        worst[cells, dtype] = np.abs(sines(dtype, cells, num_bands) - exact).max()
        print(f"{cells:6d} cells, {jnp.dtype(dtype).name:8s}: off by up to {worst[cells, dtype]:.5f}")
print("LAB float32 is off by less than 0.02:", all(worst[cells, jnp.float32] < 0.02 for cells in (224, 30720)))
print("LAB bfloat16 is off by more than 1:", all(worst[cells, jnp.bfloat16] > 1 for cells in (224, 30720)))

# %% [markdown]
# A sine lies between −1 and 1; being off by more than 1 is noise. So the library computes phases in float32 even where
# the model itself runs in 16 bits, and in the product order of the published code.
#
# ## 4. One tick past Nyquist
#
# Why does the list of frequencies end at half the resolution? Take 16 cells. From one cell to the next, x grows by 2/15
# and the phase of a wave by π · f · 2/15. At f = 7.5 that is half a turn: up, down, up, down. Nothing faster can be
# seen on this grid, and that limit, (cells − 1) / 2, is its **Nyquist frequency**. What do the cells see one tick past
# it, that is, at the next whole frequency, 8?

# %%
x = np.linspace(-1, 1, 16)
print("cos 7:", np.cos(np.pi * 7 * x)[:6].round(3), "...")
print("cos 8:", np.cos(np.pi * 8 * x)[:6].round(3), "...")
same = np.abs(np.cos(np.pi * 8 * x) + np.cos(np.pi * 7 * x)).max()
print("LAB on 16 cells, cos 8 is cos 7 upside down to 12 digits:", bool(same < 1e-12))
same_samples(16, (7, 8))

# %% [markdown]
# Exactly the same numbers, sign aside. In general a wave of frequency f looks on the grid like one of (cells − 1) − f: 8
# like 7, 9 like 6, 15 like 0. It is called its **alias**, and features past the limit are not new features:

# %%
def waves(cells, top):
    """Sines and cosines of 1, 2, ..., top."""
    phases = np.pi * np.linspace(-1, 1, cells)[:, None] * np.arange(1, top + 1)
    return np.concatenate([np.sin(phases), np.cos(phases)], axis=1)


for top in (5, 6, 7, 8, 9):
    rank = np.linalg.matrix_rank(waves(16, top))
    print(f"LAB frequencies 1 to {top}: {2 * top} columns, {rank} of them independent")

# %% [markdown]
# Now the published numbers. The paper calls μ/2 the Nyquist frequency of a target resolution μ, so 224 pixels get
# frequencies from 1 to 112. On a grid that includes both ends the limit is 223/2 = 111.5: the last of the 64 bands is
# 0.5 too fast.

# %%
x, bands = np.linspace(-1, 1, 224), np.linspace(1, 112, 64)
for wave in (np.sin, np.cos):
    upright, upside_down = (np.abs(wave(np.pi * 112 * x) + sign * wave(np.pi * 111 * x)).max() for sign in (-1, 1))
    print(f"LAB {wave.__name__} 112 is {wave.__name__} 111 on the 224 pixels, sign aside: {min(upright, upside_down) < 1e-9}")
print("the last three bands:", bands[-3:].round(2))
print("LAB 111 is one of the 64 bands:", bool(np.isclose(bands, 111).any()))

# %% [markdown]
# Harmless, because its double 111 is not among the 64: no two columns coincide. The library keeps the published formula,
# so that published weights work. For point clouds the question does not arise at all: points lie anywhere, not on a grid,
# and there the paper's highest frequency is 1,120.

# %% [markdown]
# ## 5. Painting a photo from waves
#
# What an alias does is best seen *between* the cells. Here is the cat. The fit is shown every other pixel in both
# directions, 25 × 25 of them; the others are held out. The shown grid has a Nyquist frequency of 12, the whole one of 24.
#
# First without training: every product of a wave down and a wave across is one stroke, and least squares (with a touch
# of ridge, 0.001) finds how much of each stroke the photo wants. That is solved exactly, for each highest frequency.

# %%
shown = np.zeros((49, 49), bool)
shown[::2, ::2] = True


def psnr(painted, where):
    """Peak signal-to-noise ratio in decibels; 10 dB more means a tenth of the squared error."""
    return float(-10 * np.log10(np.mean((np.clip(painted, 0, 1)[where] - photo[where]) ** 2)))


def paint(top, ridge=1e-3):
    """Fit the shown pixels with all products of a constant, a slope and waves 1..top; paint all pixels."""
    along = np.concatenate([np.ones((49, 1)), np.linspace(-1, 1, 49)[:, None], waves(49, top)], axis=1)
    seen = along[::2]
    solve = np.linalg.solve(seen.T @ seen + ridge * np.eye(seen.shape[1]), seen.T)
    strokes = np.einsum("ky,yxc,lx->klc", solve, photo[::2, ::2], solve)
    return np.einsum("yk,klc,xl->yxc", along, strokes, along)


tops = list(range(1, 25))
paintings = {top: paint(top) for top in tops}
mean_colour = psnr(np.broadcast_to(photo[shown].mean(0), photo.shape), ~shown)
on_shown, on_held_out = ([psnr(paintings[top], where) for top in tops] for where in (shown, ~shown))
for top in (4, 9, 12, 14, 18, 24):
    print(f"waves up to {top:2d}: shown {on_shown[top - 1]:5.1f} dB, held out {on_held_out[top - 1]:5.1f} dB")
print(f"all in the mean colour: held out {mean_colour:.1f} dB")
print("LAB up to Nyquist the shown pixels fit better with each wave:", bool(np.all(np.diff(on_shown[:12]) > 0)))
print("LAB from 12 to 18 waves the shown pixels gain less than 1 dB:", on_shown[17] < on_shown[11] + 1)
print("LAB with waves up to 24 the held-out pixels are worse than the mean colour:", on_held_out[23] < mean_colour)
assert on_held_out[23] < mean_colour - 5 < on_held_out[11] - 5
left = paintings[24][1::2, 1::2].mean() / photo[1::2, 1::2].mean()
print(f"brightness left between the shown pixels with waves up to 24: {100 * left:.0f} % of the photo's")
reveal("03b", "C", "each wave past 12 cancels a slower one between the shown pixels, and wave 24 cancels the brightness itself.")

# %%
over_frequency(
    {"shown pixels": (tops, on_shown), "held-out pixels": (tops, on_held_out)},
    marks={"Nyquist of the shown": 12, "of the whole": 24},
    ylabel="PSNR (dB)",
    limits=(0, 60),
)

# %%
image_grid(
    np.stack([photo, paintings[4], paintings[12], paintings[24]]).clip(0, 1),
    titles=["photo", "waves up to 4", "up to 12", "up to 24"],
    columns=4,
    alt="The cat, and three paintings of it: blurred with waves up to 4, sharp up to 12, and up to 24 black except for "
    "every other pixel, which is right.",
)

# %% [markdown]
# Read the curves from left to right; that of the shown pixels leaves the picture at 60 dB. Up to 12, every wave brings
# detail to the shown pixels, and at 12 they are matched. On the shown pixels wave 13 *is* wave 11, wave 14 is wave 10
# and so on, so the fit gives one half to each. Halfway between two shown pixels the two are opposite: **they cancel**.
# So each tick past Nyquist takes one slower wave away from the held-out pixels. The first few are hardly missed, then
# the error grows, and wave 24 is the alias of the constant, +1 on every shown pixel and −1 between: there the
# brightness itself cancels.
#
# ### The same with a network that learns
#
# A Perceiver does not solve for products; layers with a nonlinearity build them. So give the features to a small network
# (two hidden layers) that maps the row of a pixel to its colour, and train it on the shown pixels, with five encodings:
# coordinates alone, few bands, bands to the Nyquist frequency of the shown pixels, bands past it, and a learned table.


# %%
class Fixed(nnx.Module):
    """Rows that are computed once and not trained."""

    def __init__(self, rows):
        self.rows = nnx.Variable(rows)  # not an nnx.Param, which would be trained
        self.num_channels = rows.shape[-1]

    def __call__(self):
        return self.rows[...]


class Painter(nnx.Module):
    """Number of a pixel -> its row of the encoding -> its colour."""

    def __init__(self, encoding, rngs):
        self.encoding = encoding
        self.first = nnx.Linear(encoding.num_channels, 96, rngs=rngs)
        self.second = nnx.Linear(96, 96, rngs=rngs)
        self.colour = nnx.Linear(96, 3, rngs=rngs)

    def __call__(self, pixels):
        hidden = jax.nn.relu(self.first(self.encoding()[pixels]))
        return jax.nn.sigmoid(self.colour(jax.nn.relu(self.second(hidden))))


def squared_error(model, batch, rngs):
    return jnp.mean((model(batch["pixel"]) - batch["colour"]) ** 2), {}


def bands_up_to(top):
    encode = FourierPositions((49, 49), num_bands=top, max_resolution=(2 * top, 2 * top))
    return lambda rngs: Fixed(encode())


painters = {
    "coordinates": lambda rngs: Fixed(grid_coordinates((49, 49))),
    "bands to 4": bands_up_to(4),
    "bands to 12": bands_up_to(12),
    "bands to 24": bands_up_to(24),
    "learned table": lambda rngs: LearnedPositions((49, 49), 50, rngs=rngs),
}
pixels = np.flatnonzero(shown.ravel())
batch = {"pixel": pixels, "colour": photo.reshape(-1, 3)[pixels]}
steps = budget(ci=100, lab=400, full=2000)
learned, fits = {}, {}
for name, make_encoding in painters.items():
    rngs = nnx.Rngs(0)
    start = Painter(make_encoding(rngs), rngs)
    fitted = train(start, itertools.repeat(batch), steps=steps, optimizer=adamw(5e-3), loss_fn=squared_error)
    fits[name] = np.asarray(fitted.model(np.arange(49 * 49))).reshape(49, 49, 3)
    learned[name] = psnr(fits[name], shown), psnr(fits[name], ~shown)
    print(f"{name:14s} shown {learned[name][0]:5.1f} dB, held out {learned[name][1]:5.1f} dB")
    if name == "learned table":
        table = np.asarray(fitted.model.encoding.table[...]), np.asarray(start.encoding.table[...])
print(f"{'mean colour':14s}               held out {mean_colour:5.1f} dB")

# %%
held_out = {name: values[1] for name, values in learned.items()}
print("LAB few bands beat bare coordinates on shown pixels by 3 dB:", learned["bands to 4"][0] > learned["coordinates"][0] + 3)
print("LAB bands past Nyquist lose 3 dB against few bands on held-out pixels:", held_out["bands to 24"] < held_out["bands to 4"] - 3)
print("LAB a learned table does no better than the mean colour on held-out pixels:", held_out["learned table"] < mean_colour + 1)
moved = np.abs(table[0] - table[1]).max(axis=1).reshape(49, 49)
print("LAB rows of held-out pixels that moved in training:", int((moved[~shown] > 0).sum()), "of", int((~shown).sum()))
image_grid(
    np.stack(list(fits.values())),
    titles=[f"{name}\n{learned[name][0]:.0f} / {learned[name][1]:.0f} dB" for name in fits],
    columns=5,
    alt="What the network painted of the cat from five encodings. Coordinates: a blur. Bands to 4: a recognisable cat. "
    "Bands to 12: sharp with some grain. Bands to 24: a fine pattern over the cat. Learned table: right on the shown "
    "pixels, a nearly even brown between. Above each, the PSNR on shown and held-out pixels.",
)

# %% [markdown]
# Three things to take from these numbers:
#
# - **Coordinates alone** blur, even on the pixels that the network was trained on.
# - **Nyquist is a limit, not a recommendation.** Between the pixels, the network is better with waves up to 4 than with
#   waves up to 12. A nonlinearity mixes waves, and the product of two waves holds the sum and the difference of their
#   frequencies, so from waves up to 4 it makes finer detail than 4: compare its shown pixels with those of least squares
#   at 4.
# - **A table knows its cells and nothing between them.** The rows of held-out pixels were never read, so they never
#   moved.
#
# Then why does the Perceiver go up to Nyquist at all? Because it is shown *every* pixel of the grid. Nothing lies between
# that it must guess, and it wants to tell neighbours apart.
#
# ## 6. Does a Perceiver need it? Digits, measured
#
# Now the real thing: the small Perceiver from section 1 is trained three times on 1,500 digits. Once all pixels claim the
# same place; once each claims its own, in Fourier features (frequencies 1, 2, 3 and 4, of which 4 is on 8 cells the alias
# of 3: a wasted band, by the published formula); once a learned table of the same width stands for the places. One run
# each, the same digits in the same order.


# %%
def claiming(positions):
    """A step of the data pipeline: gives each record its pixels' positions."""
    return lambda record, rng: {**record, "positions": positions}


steps = budget(ci=130, lab=600, full=2000)
trained = {}
for name, make_positions in encodings.items():
    transforms = (to_float, claiming(claims[name])) if name in claims else (to_float,)
    batches = pipeline(train_digits, batch_size=64, seed=0, transforms=transforms)
    optimizer = adamw(schedules.warmup_constant(5e-3, warmup_steps=20))
    trained[name] = train(make_perceiver(make_positions), batches, steps=steps, optimizer=optimizer, log_every=30)
loss_curve(
    {name: run.history.curve("loss")[1] for name, run in trained.items()},
    steps={name: run.history.curve("loss")[0] for name, run in trained.items()},
    ylabel="training loss (nats)",
    chance=float(np.log(10)),
)

# %% [markdown]
# Measured on the 297 test digits, with the interval that belongs to so few. Two baselines that train nothing: the
# nearest training digit (squared distance), once pixel by pixel, which knows exactly where each pixel is, and once after
# **sorting the pixels of each digit by ink**, which is all that a bag of ink holds.


# %%
def nearest(train_rows, test_rows):
    train_rows, test_rows = train_rows.astype(float), test_rows.astype(float)
    distance = (train_rows**2).sum(1) - 2 * test_rows @ train_rows.T  # squared, less the square of the test row
    right = train_digits["label"][distance.argmin(1)] == test_digits["label"]
    return Accuracy(correct=int(right.sum()), total=len(right))


def batch_of(images, positions=None):
    """All test digits in one batch, with what their pixels claim: (64, 2) for all alike, or (297, 64, 2)."""
    batch = {"image": images, "label": test_digits["label"]}
    return batch if positions is None else {**batch, "positions": np.broadcast_to(positions, (len(images), 64, 2))}


flat_train, flat_test = (split["image"].reshape(-1, 64) for split in (train_digits, test_digits))
scores = {name: evaluate(run.model, [batch_of(test_images, claims.get(name))]).accuracy for name, run in trained.items()}
scores["nearest digit, pixels sorted"] = nearest(np.sort(flat_train), np.sort(flat_test))
scores["nearest digit, in place"] = nearest(flat_train, flat_test)
for name, score in scores.items():
    print(f"{name:30s} {score}")
best_blind = max(scores["no positions"].value, scores["nearest digit, pixels sorted"].value)
print("LAB both encodings beat everything blind by 25 points:", all(scores[n].value > best_blind + 0.25 for n in list(encodings)[1:]))
assert all(scores[name].value > best_blind + 0.25 for name in ("Fourier features", "learned table"))
accuracy_bars({name: (score.correct, score.total) for name, score in scores.items()}, chance=0.1)

# %% [markdown]
# Without positions the Perceiver stays near what the nearest neighbour makes of sorted ink. With them it reads digits.
# And the nearest neighbour with its pixels in place, which needs no training, is better on this little set: digits that
# are centred and all of one size are an easy case.
#
# On ImageNet the same comparison was made with millions of parameters: **78.0 %** with Fourier features, **70.9 %** with a
# fully learned table (2103.03206, tables 1 and 2; the learned one with a single read, because eight were unstable).
#
# ### Now shuffle

# %%
at_home = claims["Fourier features"]
moved_along = at_home[orders]  # (297, 64, 2): where each pixel of each confetti came from
bag, waved = trained["no positions"].model, trained["Fourier features"].model
results = {
    "no positions, digits": evaluate(bag, [batch_of(test_images, nowhere)]),
    "no positions, confetti": evaluate(bag, [batch_of(shuffled_images, nowhere)]),
    "Fourier, digits": evaluate(waved, [batch_of(test_images, at_home)]),
    "Fourier, confetti": evaluate(waved, [batch_of(shuffled_images, at_home)]),
    "Fourier, confetti with its positions": evaluate(waved, [batch_of(shuffled_images, moved_along)]),
}
for name, result in results.items():
    print(f"{name:37s} {result.accuracy}")
gaps = [
    float(np.abs(results[one].logits - results[other].logits).max())
    for one, other in (
        ("no positions, digits", "no positions, confetti"),
        ("Fourier, digits", "Fourier, confetti with its positions"),
    )
]
print(f"largest difference of a logit: no positions {gaps[0]:.1e}; Fourier, positions moved along {gaps[1]:.1e}")
print("LAB no positions: logits of digits and confetti within 1e-4:", gaps[0] < 1e-4)
print("LAB Fourier features moved with the pixels: logits within 1e-4:", gaps[1] < 1e-4)
lost = results["Fourier, digits"].accuracy.value - results["Fourier, confetti"].accuracy.value
print("LAB Fourier features that stay in place while pixels move: accuracy falls by more than 40 points:", lost > 0.4)
assert max(gaps) < 1e-4 and lost > 0.4
reveal("03", "C", "a model without positions reads a bag of ink, and shuffling does not change what is in the bag.")

# %% [markdown]
# The last line of the table is the strength of the idea: position is *data*. Move it along with the pixel and the order
# of the rows is as irrelevant as before. Lesson 04 builds on this.
#
# ## 7. Looked into
#
# What do the latents look at? `record_attention` collects the weights of the read, one map per latent. First the model
# without positions, then the one with Fourier features, on the same digit.


# %%
@nnx.jit
def read_maps(model, images, positions=None):
    with record_attention() as maps:
        model(images, positions=positions)
    return maps[0].weights[:, 0]  # of the read, its only head: (batch, latents, pixels)


digit = 2
one = test_images[digit : digit + 1]
maps = {
    name: np.asarray(read_maps(run.model, one, claims[name][None] if name in claims else None))[0]
    for name, run in trained.items()
}
ink = test_digits["image"][digit].ravel()
for name, weights in maps.items():
    spread = max(np.ptp(weights[:, ink == level], axis=1).max() for level in np.unique(ink))
    print(f"{name:17s} pixels of equal ink get weights that differ by up to {spread:.5f}")
    if name == "no positions":
        print("LAB no positions: equal ink, equal weight:", bool(spread < 1e-6))
    else:
        print(f"LAB {name}: equal ink, equal weight:", bool(spread < 1e-6))
peaks = {name: len(set(weights.argmax(axis=1).tolist())) for name, weights in maps.items()}
print("different pixels that the 8 latents look at most:", peaks)
both = np.concatenate([maps["no positions"], maps["Fourier features"]]).reshape(-1, 8, 8)
map_grid(
    both,
    image=test_digits["image"][digit],
    titles=[f"none {n}" for n in range(8)] + [f"Fourier {n}" for n in range(8)],
    alt="Attention maps of 8 latents on a digit. Upper row, without positions: each latent weighs pixels by their ink "
    "alone. Lower row, with Fourier features: bright spots at single places, not the same for all latents.",
)

# %% [markdown]
# And the learned table: nobody told it that pixel 9 lies beside pixel 10. Did training? Compare the rows' directions,
# for neighbours and for pixels far apart, before and after.


# %%
def mean_cosine(table):
    table = table - table.mean(0)
    unit = table / np.linalg.norm(table, axis=1, keepdims=True)
    cell = np.stack(np.divmod(np.arange(64), 8), -1)
    distance = np.abs(cell[:, None] - cell[None]).sum(-1)
    return [float((unit @ unit.T)[distance == one].mean()) for one in (1, 2, 4, 6)]


before = mean_cosine(np.asarray(make_perceiver(encodings["learned table"]).input_adapter.positions.table[...]))
after = mean_cosine(np.asarray(trained["learned table"].model.input_adapter.positions.table[...]))
for cells, one, other in zip((1, 2, 4, 6), before, after, strict=True):
    print(f"{cells} cells apart: mean cosine {one:+.3f} before training, {other:+.3f} after")
print("LAB after training neighbours are more alike than pixels 6 cells apart:", after[0] > after[3] + 0.02)

# %% [markdown]
# It did, a little: the table begins to draw a map of the picture, from nothing but which digits are which.
#
# ## 8. Relative to what?
#
# One decision is left. Pictures are cropped at random in training. Should a pixel carry its place in the *crop*, or its
# place in the *whole picture*? Follow the cat's nose through two crops.

# %%
nose, offsets, crop, frame = np.array([43, 31]), np.array([[13, 15], [11, 4]]), (36, 30), (49, 49)
in_crop = np.asarray(grid_coordinates(crop)).reshape(*crop, 2)
in_photo = np.asarray(crop_coordinates(jnp.asarray(offsets, jnp.float32), crop, frame)).reshape(2, *crop, 2)
crops = np.stack([photo[top : top + crop[0], left : left + crop[1]] for top, left in offsets])
places = []
for number, (row, column) in enumerate(nose - offsets):
    by_crop, by_photo = in_crop[row, column], in_photo[number, row, column]
    places.append((by_crop, by_photo))
    print(f"crop {number}: the nose is at (y, x) = {by_crop.round(3)} of the crop, {by_photo.round(3)} of the photo")
    crops[number, row - 1 : row + 2, column - 1 : column + 2] = 1
print("LAB relative to the crop the nose moves:", not np.allclose(places[0][0], places[1][0], atol=0.1))
print("LAB relative to the photo it stays where it is:", bool(np.allclose(places[0][1], places[1][1], atol=1e-6)))
image_grid(
    crops,
    titles=["crop 0", "crop 1"],
    columns=2,
    alt="Two overlapping crops of the cat's face. A white square marks the nose: in one it is low in the middle, in the "
    "other at the lower right.",
)

# %% [markdown]
# The paper takes **crop-relative** coordinates, −1 to 1 over whatever was cut out: with coordinates of the whole image
# its authors saw the model overfit (2103.03206, section 4.1). With crop-relative ones the nose moves from crop to crop,
# and the model has to learn noses, not a place. The library does the same unless you hand it other coordinates with
# `positions=`.
#
# ## 9. Explore
#
# The same waves, under your hands, on the row of the photo that runs through the cat's eyes: 25 cells are shown, the 24
# pixels between them are held out. Three things to discover:
#
# 1. Set 16 cells, a resolution of 16 and 8 bands, and look at band 8, the first past (cells − 1) / 2. Which slower wave
#    goes through the same dots?
# 2. Back to 25 cells, with 24 bands: raise the resolution to 48. What do the cells see of the fastest sine? What has
#    become of the fit between the dots, and did the dots themselves get worse?
# 3. Set 8 cells, 4 bands and a resolution of 8, as the digits had. Two of the four rows of the picture of sines are the
#    same, sign aside. Which?

# %%
FourierBandwidth(cells=25, num_bands=12, max_resolution=24, signal=photo[18].mean(-1))

# %% [markdown]
# ## 10. Exercises
#
# Replace the dots by your answer and run the cell. `hint("03.1")` helps, `solution("03.1")` tells.
#
# ### 03.1 How wide is a row?
#
# *2 minutes, look it up. It matters because the width of a row decides what every projection of it costs.*
#
# A video of 16 frames of 224 × 224 pixels in colour is read pixel by pixel, with Fourier features of 32 bands on each
# of its three axes. How many channels has each row that the Perceiver reads?

# %%
answer = ...

check("03.1", answer)

# %% [markdown]
# ### 03.2 Its double
#
# *3 minutes, think. It matters because a band that has a double is a band wasted.*
#
# On an axis of 32 cells from −1 to 1, both ends included, cos(π·20·x) takes the same values at the cells, sign aside,
# as a slower wave cos(π·f·x). Which f?

# %%
answer = ...

check("03.2", answer)

# %% [markdown]
# ### 03.3 Waves from scratch
#
# *8 minutes, build. It matters because every Perceiver that reads a grid begins with these lines.*
#
# Write `waves_1d(x, num_bands, max_resolution)`: for coordinates x of shape (cells,) the Fourier features of one axis
# as the Perceiver has them, [coordinate | sines | cosines], of shape (cells, 1 + 2 · num_bands).


# %%
def waves_1d(x, num_bands, max_resolution):
    return ...


check("03.3", waves_1d)

# %% [markdown]
# ### 03.4 A larger picture
#
# *3 minutes, think. It matters because it decides whether a trained model can read larger inputs at all.*
#
# A Perceiver was trained on pictures of 64 × 64. It now gets one of 128 × 128, coordinates from −1 to 1 again. Which
# encoding can say where the new pixels are, without a new parameter? A: Fourier features with the bands that it was
# trained with. B: the learned table. C: both. D: neither.

# %%
answer = ...

check("03.4", answer)

# %% [markdown]
# ### 03.5 Relative to the frame
#
# *5 minutes, think. It matters because what a coordinate means is decided here.*
#
# Write `frame_coordinates(offset, crop, frame)` for one axis: the coordinates of the cells of a crop, of shape
# (crop,), on the grid of the whole frame, which runs from −1 at its first cell to 1 at its last. The crop starts at
# cell `offset`, counted from 0.


# %%
def frame_coordinates(offset, crop, frame):
    return ...


check("03.5", frame_coordinates)

# %% [markdown]
# ## What you now know
#
# - Attention reads a set. Without positions a Perceiver gives a digit and its confetti the same latents, and on digits it
#   gets no further than a bag of ink allows.
# - A position is data: coordinates from −1 to 1 with both ends, and sines and cosines at evenly spaced frequencies,
#   `[positions | sines | cosines]`; 258 channels for a picture with 64 bands, 261 with its colours. Phases stay in
#   float32.
# - A grid of n cells holds waves up to (n − 1) / 2. Past that, a wave has a slower double with the same samples. On the
#   grid nothing new is gained; between its cells the two disagree.
# - Nyquist limits what the grid can tell apart. What a network paints best *between* the cells is a question of its own,
#   and here slower waves were better.
# - A learned table needs no formula and knows its own cells only. A wave has a value everywhere.
# - Positions are relative to something. The Perceiver's are relative to the crop.
#
# Next: [04 The Perceiver](04_the_perceiver.ipynb), where positions travel with their pixels and a ConvNet meets confetti.
#
# ## Sources
#
# - Jaegle et al., *Perceiver: General Perception with Iterative Attention*, [2103.03206](https://arxiv.org/abs/2103.03206):
#   section 3.2 (Fourier features, bands, Nyquist; concatenated, not added), section 4.1 (crop-relative coordinates,
#   figure 4; learned positions), tables 1 and 2 (78.0 and 70.9 % on ImageNet), section 4.3 (point clouds), appendix C
#   (widths).
# - Jaegle et al., *Perceiver IO*, [2107.14795](https://arxiv.org/abs/2107.14795): table 7 (ImageNet with Fourier features
#   79.0 %, with learned positions 72.7 %; another recipe, so not to be mixed with the numbers above).
# - Tancik et al., *Fourier Features Let Networks Learn High Frequency Functions in Low Dimensional Domains*,
#   [2006.10739](https://arxiv.org/abs/2006.10739): why networks on bare coordinates miss fine detail, and how Fourier
#   features cure it. Their frequencies are drawn at random; the Perceiver's are evenly spaced.
# - Data: 1,797 digits of 8 × 8 pixels (UCI optdigits, CC BY 4.0, as packed by scikit-learn); *Chelsea the cat* by Stefan
#   van der Walt (CC0, from scikit-image).
