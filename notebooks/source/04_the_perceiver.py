# %% [markdown]
# # 04 · The Perceiver
#
# One small array of learned rows reads one long array of inputs, thinks, and reads again. That is the whole model. In
# this lesson you write it, train it, put it beside a ConvNet and a Vision Transformer, and shuffle its pixels.
#
# **After this lesson you can**
#
# - build a Perceiver from its four parts: latent array, read, latent tower, readout;
# - say what sharing weights saves, and count it for the published model;
# - compare its cost with that of self-attention on 50,176 pixels;
# - explain why it gives the same answer for a picture torn to confetti, and when it does not;
# - judge fairly where a ConvNet is the better choice.
#
# **Needs** lesson 01 (cross-attention) and lesson 03 (positions). **Next** lesson [05](05_looking_through_latents.ipynb)
# looks through the latents.
# **Time** about 75 minutes with the exercises. The cells alone take a few minutes on two cores.

# %%
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
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from tqdm.auto import tqdm

from perceiver_lab import figures, presets, recipes
from perceiver_lab.adapters import ClassOutput, ImageInput
from perceiver_lab.course import budget, check, hint, mode, predict, reveal, solution, trained  # noqa: F401
from perceiver_lab.datasets import (
    center_crop, jitter_positions, load, permute_pixels, pipeline, sample_pixels, standardise, to_float,
)  # fmt: skip
from perceiver_lab.explorers import AttentionExplorer, ShuffleDial
from perceiver_lab.introspect import ablate, attention_maps, rollout
from perceiver_lab.models import Perceiver, PerceiverConfig
from perceiver_lab.models.baselines import ConvNet, ConvNetConfig, ViT, ViTConfig, count_parameters
from perceiver_lab.ops import grid_coordinates
from perceiver_lab.training import OptimizerConfig, cross_entropy, evaluate, forward

# %% [markdown]
# ## The idea in one picture
#
# The long bar on top is the input array, M rows of C channels: every pixel is one row, its colour and where it lies. The
# box at the left is the **latent array**, N rows of D channels: a few hundred rows that belong to the model. Only the
# boxes named cross-attention, the reads, touch the long array.

# %%
figures.perceiver_diagram()

# %% [markdown]
# ## Commit yourself
#
# Take a picture of a digit and shuffle all of its pixels. Each pixel takes its position along: a pixel from the upper
# left corner still says "upper left", wherever it now lies in the array. What happens to the logits of a trained
# Perceiver? Put a letter in quotes in place of the dots.

# %%
predict("04", ["they become those of noise", "they move a little", "they stay as they are"], choice=...)

# %% [markdown]
# ## From scratch
#
# ### The inputs
#
# A real digit of 8 x 8 pixels, from the UCI set that comes with scikit-learn, becomes an array of 64 rows. Lesson 03
# made the positions: for each pixel its two coordinates, and sines and cosines of them in four frequencies. With the
# pixel itself that makes 19 channels. Nothing in the array says that row 8 lies below row 0, except those channels.

# %%
digits = next(pipeline("digits", split="test", batch_size=4, transforms=(to_float,), repeat=False, shuffle=False))
read_pixels = ImageInput((8, 8, 1), num_bands=4)
inputs = read_pixels(digits["image"])
print("LAB a digit", digits["image"].shape[1:], "is an array of", inputs.shape[1:])
figures.image_grid(digits["image"], titles=[f"a {label}" for label in digits["label"]])

# %% [markdown]
# ### The pieces
#
# Weights are plain dictionaries. A linear layer, a layer norm and an MLP of two layers you know; attention is that of
# lesson 01. Note the argument list of `attention`: queries from one array, keys and values from another, and nothing
# about how long either is.


# %%
def linear(w, x):
    return x @ w["kernel"] + w["bias"]


def layer_norm(w, x):
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / jnp.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5) * w["scale"] + w["bias"]


def mlp(w, x):
    return linear(w["contract"], jax.nn.gelu(linear(w["expand"], x)))


def attention(w, queries, inputs, num_heads):
    q, k, v = linear(w["query"], queries), linear(w["key"], inputs), linear(w["value"], inputs)
    q, k, v = (x.reshape(*x.shape[:2], num_heads, -1) for x in (q, k, v))
    scores = jnp.einsum("bnhd,bmhd->bhnm", q, k) / q.shape[-1] ** 0.5
    context = jnp.einsum("bhnm,bmhd->bnhd", jax.nn.softmax(scores), v)
    return linear(w["output"], context.reshape(*queries.shape[:2], -1))


# %% [markdown]
# ### A read, and a latent layer
#
# Both are the same two lines: add what attention brings, then add what the MLP makes of it. In a **read**, the latents
# ask and the inputs answer. In a **latent layer**, the latents ask each other. The inputs are never changed.


# %%
def read(w, latents, inputs):
    asked, answering = layer_norm(w["query_norm"], latents), layer_norm(w["kv_norm"], inputs)
    latents = latents + attention(w["attention"], asked, answering, num_heads=1)
    return latents + mlp(w["mlp"], layer_norm(w["mlp_norm"], latents))


def latent_layer(w, latents):
    normed = layer_norm(w["norm"], latents)
    latents = latents + attention(w["attention"], normed, normed, num_heads=4)
    return latents + mlp(w["mlp"], layer_norm(w["mlp_norm"], latents))


# %% [markdown]
# ### The weights
#
# The **latent array** is a weight like any other: 16 rows of 64 numbers, drawn small at random and learned. There are
# two reads: the first has its own weights, all later ones share one set. And there is one tower of latent layers,
# used after every read.


# %%
def dense(rows, columns):
    kernel = rng.normal(0, rows**-0.5, (rows, columns))
    return {"kernel": jnp.asarray(kernel, jnp.float32), "bias": jnp.zeros(columns)}


def norm(channels):
    return {"scale": jnp.ones(channels), "bias": jnp.zeros(channels)}


def attention_weights(queries, inputs, width):
    return {
        "query": dense(queries, width), "key": dense(inputs, width), "value": dense(inputs, width),
        "output": dense(width, queries),
    }  # fmt: skip


def mlp_weights(channels):
    two = {"expand": dense(channels, channels), "contract": dense(channels, channels)}
    return {"mlp_norm": norm(channels), "mlp": two}


def read_weights(D, C):
    return {"query_norm": norm(D), "kv_norm": norm(C), "attention": attention_weights(D, C, C), **mlp_weights(D)}


def layer_weights(D):
    return {"norm": norm(D), "attention": attention_weights(D, D, D), **mlp_weights(D)}


rng = np.random.default_rng(4)
N, D, C = 16, 64, inputs.shape[-1]
weights = {
    "latents": jnp.asarray(rng.normal(0, 0.02, (N, D)), jnp.float32),
    "reads": [read_weights(D, C), read_weights(D, C)],
    "tower": [layer_weights(D), layer_weights(D)],
    "readout": dense(D, 10),
}
print("LAB parameters:", sum(leaf.size for leaf in jax.tree.leaves(weights)))

# %% [markdown]
# ### The Perceiver
#
# Read, think, read again, think again; average the latents; one linear layer to ten logits. A read gives `(4, 16, 64)`
# whatever the length of the inputs: try it on 64 pixels and on 10,000 made-up rows.


# %%
def perceiver(w, inputs, num_reads=2):
    latents = jnp.broadcast_to(w["latents"], (len(inputs), *w["latents"].shape))  # the same for every example
    for number in range(num_reads):
        latents = read(w["reads"][min(number, 1)], latents, inputs)  # the first read, then the shared one
        for layer in w["tower"]:
            latents = latent_layer(layer, latents)
    return linear(w["readout"], latents.mean(axis=1))


start = jnp.broadcast_to(weights["latents"], (4, N, D))
for rows in (inputs, jnp.asarray(rng.normal(size=(4, 10_000, C)), jnp.float32)):
    print("LAB a read of", rows.shape, "gives", read(weights["reads"][0], start, rows).shape)
logits = perceiver(weights, inputs)
print("LAB logits", logits.shape)

# %% [markdown]
# ## The same, from the library
#
# `Perceiver` is put together from a config, an input adapter and an output adapter. Give it your weights, and the two
# must agree to rounding.


# %%
def by_number(parts):
    return dict(enumerate(parts))


config = PerceiverConfig(
    num_latents=16, latent_channels=64, num_reads=2, num_blocks=2, num_self_attends_per_block=2,
    num_cross_heads=1, num_self_heads=4,
)  # fmt: skip
model = Perceiver(
    config,
    input_adapter=ImageInput((8, 8, 1), num_bands=4),
    output_adapter=ClassOutput(64, 10, rngs=nnx.Rngs(0)),
    rngs=nnx.Rngs(0),
)
state = nnx.state(model, nnx.Param)
nnx.replace_by_pure_dict(
    state,
    {
        "encoder": {
            "latents": {"table": weights["latents"]},
            "reads": by_number(weights["reads"]),
            "blocks": {0: {"layers": by_number(weights["tower"])}},
        },
        "output_adapter": {"linear": weights["readout"]},
    },
)
nnx.update(model, state)
difference = jnp.abs(model(digits["image"]) - logits).max()
assert difference < 1e-4
print(f"largest difference of any logit: {difference:.1e}, logits up to {jnp.abs(logits).max():.1f}")
print("LAB yours and the library's agree to 1e-4:", bool(difference < 1e-4))

# %% [markdown]
# ## What sharing saves
#
# A published Perceiver for ImageNet has 512 latents of 1,024 channels, reads 8 times, and thinks for 6 layers after
# each read: 48 latent layers. The next cell counts its parameters from shapes alone: not one number is created.


# %%
def size(module):
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(module, nnx.Param)))


paper = nnx.eval_shape(lambda: presets.get("imagenet_fourier")(rngs=nnx.Rngs(0)))
first, later = (size(one) for one in paper.encoder.reads)
tower = size(paper.encoder.blocks[0])
rest = size(paper) - first - later - tower
print(f"LAB first read {first:,}   later reads {later:,}   tower {tower:,}   latents and readout {rest:,}")
print(f"LAB 8 reads, 8 towers, shared           {size(paper):>11,} parameters = {size(paper) / 1e6:.1f}M")
unshared = rest + 8 * first + 8 * tower
print(f"LAB 8 reads, 8 towers, nothing shared   {unshared:>11,} parameters = {unshared / 1e6:.1f}M")

# %% [markdown]
# The paper gives 44.9M with sharing and 326.2M without, and 707.2 GFLOPs for both: sharing saves memory, no time. It
# also says what the 281 million further parameters bring there: accuracy on the training images rises from 79.5 % to
# 87.7 %, and on the validation images it falls from 78.0 % to 72.9 % (table 7). The first read keeps its own weights
# because sharing that one made training unstable (section 4.1).
#
# ## The cost
#
# In lesson [02](02_the_price_of_looking.ipynb) you counted this; here it is once more, for this model. Self-attention
# compares every input with every input: `M * M` scores. A read compares every latent with every input: `M * N`. A latent layer needs `N * N`, whatever `M` is. The next cell counts scores for one layer and one head.

# %%
M, N_paper = np.array([64, 784, 4096, 16384, 50176]), 512
curves = {
    "self-attention on the inputs, M · M": M * M,
    "a read, M · 512": M * N_paper,
    "a latent layer, 512 · 512": N_paper**2 + 0 * M,
}
made, axes = figures.figure(
    1, 1, size=(6.8, 3.2),
    alt="Scores over the number of inputs M, both axes logarithmic. Self-attention rises twice as steeply as a read and "
    "passes it where M is 512; a latent layer is a flat line. At 50,176 inputs the three are far apart.",
)  # fmt: skip
for number, (name, scores) in enumerate(curves.items()):
    axes[0, 0].loglog(M, scores, label=name, **figures.series(number))
axes[0, 0].set(xlabel="inputs M", ylabel="scores")
axes[0, 0].legend(fontsize=9)
for m in (64, 50176):
    print(f"LAB {m:>6,} inputs: {m * m:>13,} scores against {m * N_paper:>10,} of a read, ratio {m / N_paper:.3g}")
print(f"LAB bytes of 50,176 x 50,176 scores in float32: {50176**2 * 4:,}")
made

# %% [markdown]
# For 64 pixels, reading with 512 latents would be a waste. For 50,176 pixels it is 98 times cheaper, and one head of
# one layer of self-attention would need 10 GB for its scores alone.

# %% [markdown]
# ## Train it
#
# 1,500 digits to learn from, and 297 others, in the end, to be tested on. Here is everything: batches that come
# shuffled from the data set, the loss, one compiled step, and a loop. `nnx.split` takes the model apart into its
# structure and its numbers, so that the step is a plain function from numbers to numbers.
#
# 1,500 digits are few, so every batch is varied a little. A Perceiver takes positions as it is given them, so it is
# enough to stretch, turn and shear the *coordinates* of each digit by up to a tenth: `jitter_positions(0.1)`. No pixel
# is touched.


# %%
@functools.cache
def compile_step(graphdef, optimizer):
    @jax.jit
    def step(params, opt_state, batch):
        def loss_of(params):
            logits = forward(nnx.merge(graphdef, params), batch, train=True)
            return cross_entropy(logits, batch["label"])

        loss, grads = jax.value_and_grad(loss_of)(params)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    return step


def fit(model, batches, optimizer, steps, name=""):
    """Train a model; returns it and the loss of every step."""
    graphdef, params = nnx.split(model)
    opt_state, step, losses = optimizer.init(params), compile_step(graphdef, optimizer), []
    for _ in tqdm(range(steps), desc=name, unit="step"):
        batch = next(batches)
        params, opt_state, loss = step(params, opt_state, {key: batch[key] for key in batch if key != "record"})
        losses.append(loss)
    return nnx.merge(graphdef, params), np.asarray(losses)


def digit_batches(split, *transforms, seed=0):
    test = split == "test"
    return pipeline(
        "digits", split=split, batch_size=297 if test else 64, seed=seed, transforms=(to_float, *transforms),
        repeat=not test, shuffle=not test,
    )  # fmt: skip


def new_perceiver(seed, num_bands=4):
    rngs = nnx.Rngs(seed)
    adapter = ImageInput((8, 8, 1), num_bands=num_bands, position_channels=18, rngs=rngs)
    return Perceiver(config, input_adapter=adapter, output_adapter=ClassOutput(64, 10, rngs=rngs), rngs=rngs)


steps = budget(ci=60, lab=500)
optimizer = OptimizerConfig(learning_rate=2e-3, warmup_steps=30, schedule="warmup_cosine", weight_decay=0.05)
batches = digit_batches("train", jitter_positions(0.1))
model, losses = fit(new_perceiver(seed=0), batches, optimizer.make(steps), steps, "Perceiver")
figures.loss_curve({"Perceiver": losses}, smooth=10, chance=float(np.log(10)))

# %%
accuracy = evaluate(model, digit_batches("test")).accuracy
assert accuracy.value > budget(ci=0.4, lab=0.95)
print(f"after {steps} steps, on the test digits: {accuracy}")
print("LAB far above guessing:", accuracy.value > 0.4)

# %% [markdown]
# The interval is part of the number: with 297 test digits, one digit more or less moves the accuracy by 0.3 points.
#
# The same experiment is kept as a *recipe*: model, data, optimiser and budgets in one place. `trained` gives you what
# came out of it, or trains it here when nothing is stored.

# %%
digits_perceiver = trained("digits_perceiver")

# %% [markdown]
# ## Beside a ConvNet and a Vision Transformer
#
# A fair comparison: models of nearly the same number of parameters, the same optimiser, batches and steps, and no
# jitter for anybody. All four get the position of each pixel, as further channels or as a learned table:
#
# | model | what it knows of the plane |
# |---|---|
# | ConvNet | which pixels are neighbours, by construction |
# | ViT | which pixels form a patch of 2 x 2, by construction |
# | Perceiver, Fourier | only what the position channels say |
# | Perceiver, learned | nothing at first: 64 rows of a table, to be learned |
#
# The test set alone decides nothing between models that differ by less than its interval.

# %%
new_model = {
    "ConvNet": lambda seed: ConvNet(
        ConvNetConfig(shape=(8, 8, 1), num_classes=10, widths=(28, 64), num_bands=4), rngs=nnx.Rngs(seed)
    ),
    "ViT": lambda seed: ViT(
        ViTConfig(shape=(8, 8, 1), num_classes=10, patch=2, channels=54, num_layers=2, num_heads=2, num_bands=4),
        rngs=nnx.Rngs(seed),
    ),
    "Perceiver, Fourier": new_perceiver,
    "Perceiver, learned": lambda seed: new_perceiver(seed, num_bands=None),
}
for name, make in new_model.items():
    print(f"LAB {name:19s} {count_parameters(lambda make=make: make(0)):,} parameters")

# %%
seeds = budget(ci=(0,), lab=(0, 1, 2))
steps = budget(ci=40, lab=300)
same_optimizer = optimizer.make(steps)


def run_all(permutation):
    """Train every model once per seed on digits whose pixels are moved by a permutation: test accuracies, losses."""
    found, curves = {}, {}
    for name, make in new_model.items():
        # A learned table needs no coordinates: its row i belongs to whatever pixel comes i-th.
        move = permute_pixels(permutation, with_positions=name != "Perceiver, learned")
        for seed in seeds:
            batches = digit_batches("train", move, seed=seed)
            model, curves[name, seed] = fit(make(seed), batches, same_optimizer, steps, f"{name}, seed {seed}")
            found.setdefault(name, []).append(evaluate(model, digit_batches("test", move)).accuracy)
    return found, curves


def on_average(found):
    """Right answers in the average run, of 297: the intervals stay those of one test set."""
    return {name: (round(np.mean([one.correct for one in runs])), 297) for name, runs in found.items()}


plain, plain_curves = run_all(np.arange(64))  # the permutation that moves nothing
for name, runs in plain.items():
    print(f"{name:19s}", "  ".join(str(one) for one in runs))
figures.accuracy_bars(on_average(plain), title="8 x 8 digits as they are", chance=0.1)

# %% [markdown]
# Read it honestly. On pictures as they are, the Perceiver does not win. It has to find out from examples what a ConvNet
# is given for free: that neighbouring pixels belong together. The learned table is far behind after so few steps; in
# lesson 03, with a smaller model and twice the steps, it was level with Fourier features. The paper's own table says so
# too: on ImageNet its Perceiver reaches 78.0 %, next to 77.6 % and 77.9 % quoted there for ResNet-50 and ViT-B/16
# (table 1), and it needs 707 GFLOPs per image for it. What you buy is something else, and it comes now.

# %% [markdown]
# ## Confetti
#
# Three models of about the same size were trained on real digits of 28 x 28 pixels (from MNIST), laid at random places
# into a frame of 36 x 36. Their weights ship with the course, together with what they reached on 1,000 test digits.

# %%
jittered = {"Perceiver": "jittered_perceiver", "ConvNet": "jittered_convnet", "ViT": "jittered_vit"}
jittered = {name: trained(recipe) for name, recipe in jittered.items()}
for name, one in jittered.items():
    print(f"LAB {name:9s} {one.about['parameters']:,} parameters")

# %% [markdown]
# Here is the honest sentence of this lesson, with 1,000 test digits behind it: **on digits as they are, a small
# Perceiver loses to a small ConvNet**, and it needed far longer to get where it is. The ConvNet is given for free what
# the Perceiver must learn from examples: that neighbouring pixels belong together, and that a stroke is a stroke
# wherever it lies. The ViT is given the patches, which is less, and it lies between the two.
#
# Now draw a random order of the 1,296 pixels, another one for each digit, and put the pixels into it. The coordinates
# move along. As a *set* of pairs (pixel, position) nothing has changed; as a picture everything has. To save time, mode
# lab does this with the first 500 of the 1,000 test digits, so the accuracies differ a little from those above.


# %%
def shuffled(images, orders):
    """Pixels in another order (b, m), in the shape of a picture again."""
    flat = images.reshape(len(images), -1, images.shape[-1])
    return np.take_along_axis(flat, orders[..., None], axis=1).reshape(images.shape)


batches = list(recipes.get("jittered_convnet").test_batches(mode()))
images, labels = (np.concatenate([batch[key] for batch in batches]) for key in ("image", "label"))
rng = np.random.default_rng(4)
orders = rng.permuted(np.tile(np.arange(36 * 36), (len(images), 1)), axis=1)
confetti = shuffled(images, orders)
positions = np.asarray(grid_coordinates((36, 36)))[orders]  # where each pixel of the confetti came from
figures.image_grid(
    np.concatenate([images[:6], confetti[:6]]), columns=6,
    titles=[*(f"a {label}" for label in labels[:6]), *(f"still a {label}?" for label in labels[:6])],
)  # fmt: skip


# %%
def logits_of(model, images, positions=None):
    rows = [slice(i, min(i + 50, len(images))) for i in range(0, len(images), 50)]
    batches = ({"image": images[one], "label": labels[one]} for one in rows)
    if positions is not None:
        batches = (batch | {"positions": positions[one]} for batch, one in zip(batches, rows, strict=True))
    return evaluate(model, batches)


whole = {name: logits_of(one.model, images) for name, one in jittered.items()}
torn = {name: logits_of(one.model, confetti) for name, one in jittered.items() if name != "Perceiver"}
torn["Perceiver"] = logits_of(jittered["Perceiver"].model, confetti, positions)
for name in jittered:
    moved = np.abs(whole[name].logits - torn[name].logits).max()
    print(f"{name:9s} as it is {whole[name].accuracy.value:6.1%}   confetti {torn[name].accuracy.value:6.1%}   "
          f"logits move by up to {moved:.1e}")  # fmt: skip
moved = np.abs(whole["Perceiver"].logits - torn["Perceiver"].logits).max()
assert moved < 1e-4
assert np.array_equal(whole["Perceiver"].predictions, torn["Perceiver"].predictions)
assert max(torn["ConvNet"].accuracy.value, torn["ViT"].accuracy.value) < 0.5
print("LAB the Perceiver's logits move by less than 1e-4:", bool(moved < 1e-4))
figures.accuracy_bars(
    {f"{name}, {how}": (found[name].accuracy.correct, len(labels))
     for name in jittered for how, found in (("as it is", whole), ("confetti", torn))},
    chance=0.1, title="the same digits, and the same torn to confetti",
)  # fmt: skip

# %%
reveal("04", "C", "attention sums over the inputs, and a sum does not ask in which order its terms come.")

# %% [markdown]
# Why so exactly? A read computes, for each latent, a softmax-weighted **sum over inputs**. Move two rows of the inputs
# and you move two terms of a sum. Position is not in the place of a row, it is in its channels, and those moved along.
# What remains is the rounding of float32, which does depend on the order of adding.
#
# It is no magic. Leave the positions behind and the Perceiver is as lost as the others:

# %%
left_behind = logits_of(jittered["Perceiver"].model, confetti)
print(f"Perceiver, pixels shuffled without their positions: {left_behind.accuracy}")
assert left_behind.accuracy.value < 0.5
print("LAB without their positions the Perceiver is lost too:", left_behind.accuracy.value < 0.5)

# %% [markdown]
# ## Trained on confetti
#
# The models above had never seen confetti. Would a ConvNet learn it? Take one fixed permutation of the 64 pixels of the
# small digits, the same for all pictures, and train all four models again. Fourier positions are attached before the
# pixels move, for ConvNet and ViT as well. This is the experiment of the paper's table 2.

# %%
permutation = np.random.default_rng(4).permutation(64)
permuted, permuted_curves = run_all(permutation)
for name in new_model:
    before, after = (on_average(found)[name][0] / 297 for found in (plain, permuted))
    print(f"{name:19s} as they are {before:6.1%}   permuted {after:6.1%}   {100 * (after - before):+5.1f} points")
apart = np.abs(plain_curves["Perceiver, Fourier", 0] - permuted_curves["Perceiver, Fourier", 0])[:40].max()
assert apart < 1e-2
print(f"Perceiver, Fourier: the losses of the first 40 steps differ by at most {apart:.1e}")
print("LAB permuting changes nothing in the Perceiver's training:", bool(apart < 1e-2))
figures.accuracy_bars(on_average(permuted), title="8 x 8 digits, one fixed permutation", chance=0.1)

# %% [markdown]
# The Perceiver with Fourier positions does not notice: the losses of its first steps are the same to rounding.
# (Rounding adds up, and by the end a digit may fall to the other side.) ConvNet and ViT lose a little, though they are
# given the positions too: the neighbours and patches that they were built for are gone. But the learned table, to which
# one order is as good as another, comes out lower by nearly as much as the ViT. So with 8 x 8 pixels and 297 test
# digits such a difference is no more than a hint. On larger pictures it is not small.
#
# The paper's table 2, on ImageNet, with one fixed permutation for all images:
#
# | model, positions by Fourier features | as they are | permuted |
# |---|---|---|
# | ResNet-50 | 73.5 | 39.4 |
# | ViT-B/16 | 76.7 | 61.7 |
# | Transformer on 64 x 64 pixels | 57.0 | 57.0 |
# | Perceiver | 78.0 | 78.0 |
# | Perceiver, learned positions | 70.9 | 70.9 |

# %% [markdown]
# ## 50,176 pixels
#
# The published Perceiver reads 224 x 224 pixels, each of them an input. So will this one. Its pictures are
# **composed**:
# real MNIST digits, drawn large, filled with texture from real photos, on other textures from real photos. The digits
# are real and the photos are real; that they meet is our doing.

# %%
canvas_test = load("large_digits", f"test[:{budget(ci=24, lab=200)}]")
as_read = (center_crop(224), to_float, standardise)
canvases = next(
    pipeline(canvas_test, batch_size=len(canvas_test), transforms=(center_crop(224),), repeat=False, shuffle=False)
)
print("LAB a canvas", canvases["image"].shape[1:], "has", 224 * 224, "pixels")
figures.image_grid(canvases["image"][:6, ::4, ::4], columns=6, titles=[f"a {label}" for label in canvases["label"][:6]])

# %% [markdown]
# Three models, trained beforehand. The Perceiver has 32 latents of 96 channels and reads twice. In training it never
# saw a whole canvas: each step drew 1,024 of the 50,176 pixels at random, a fiftieth, and their positions. In the test
# it reads all of them. Seconds and minutes below are those of the training that made the weights, on two cores shared
# with other work.

# %%
canvas = {name: trained(f"canvas_{name}") for name in ("perceiver", "convnet", "linear")}
print()
for name, one in canvas.items():
    about = one.about
    print(f"{name:9s} {about['parameters']:>9,} parameters, {about['steps']:>5,} steps of {about['batch_size']}: "
          f"{60 * about['minutes'] / about['steps']:.2f} s per step, {about['minutes']:.1f} minutes")  # fmt: skip
figures.accuracy_bars(
    {name: (one.metrics["correct"], one.metrics["total"]) for name, one in canvas.items()},
    chance=0.1, title="canvases of 50,176 pixels, held out",
)  # fmt: skip

# %% [markdown]
# The Perceiver reads all 50,176 pixels of a picture, and gets there without a single convolution. It does not win: the
# ConvNet has a few more right, after less than half of the training time. And the linear classifier warns you that this
# task is not hard: the digits stand near the middle, all of about one size. It is here for the size of the input.
#
# What is worth remembering is the training. Reading all pixels at each step would have meant 49 times as many rows, and
# it was not necessary: the inputs are a set of (colour, position) rows, so any random part of them is a coarse picture of
# the same thing. Now live, on some of the same held-out canvases: how many pixels does the trained model need to see?

# %%
found = {}
for count in (256, 1024, 5120, 50176):
    seen = as_read if count == 50176 else (center_crop(224), sample_pixels(count), to_float, standardise)
    batches = pipeline(canvas_test, batch_size=8, transforms=seen, repeat=False, shuffle=False)
    found[count] = evaluate(canvas["perceiver"].model, batches)
    print(f"{count:>6,} pixels read: {found[count].accuracy}")
assert found[50176].accuracy.value > 0.7
print("LAB all 50,176 pixels read, above 0.7:", found[50176].accuracy.value > 0.7)
figures.accuracy_bars(
    {f"{count:,} pixels": (one.accuracy.correct, one.accuracy.total) for count, one in found.items()},
    chance=0.1, title="the same canvases, read in part",
)  # fmt: skip

# %% [markdown]
# About as many as it was trained with: from 1,024 on, these canvases show no difference that the intervals do not cover.
#
# ## What the latents look at
#
# `attention_maps` calls a model and brings along the weights of all its attention layers. Those of a read say how much
# each latent takes from each pixel. Here is the canvas Perceiver on one canvas: eight latents at the first read (upper
# row) and the same eight at the second (lower row). They are the four with most and the four with least of their weight
# on the brightest fifth of the pixels, which is where most of the digit's ink is.

# %%
standard = np.stack([standardise(to_float({"image": image}))["image"] for image in canvases["image"][:4]])
_, maps = attention_maps(canvas["perceiver"].model, standard)
for name, recorded in maps:
    print("LAB", name, recorded.shape)
reads = np.stack([recorded[:, 0] for name, recorded in maps if name.startswith("read")])  # (read, picture, latent, pixel)
brightness = standard.mean(axis=-1).reshape(4, -1)
bright = brightness > np.quantile(brightness, 0.8, axis=1, keepdims=True)
on_bright = (reads * bright[None, :, None]).sum(axis=-1)
for number in (0, 1):
    print(f"read {number}: latents with over 90 % of their weight on the brightest fifth, in each of the four pictures:",
          (on_bright[number] > 0.9).sum(axis=-1))  # fmt: skip
chosen = 1
order = np.argsort(on_bright[0, chosen])
shown = [*order[:-5:-1], *order[:4]]
coarse = reads[:, chosen, shown].reshape(2, 8, 28, 8, 28, 8).sum(axis=(3, 5))  # summed over 8 x 8 pixels, for the eye
figures.map_grid(
    coarse.reshape(16, 28, 28), image=canvases["image"][chosen, ::4, ::4], columns=8,
    titles=[f"read {number}, latent {latent}" for number in (0, 1) for latent in shown],
    alt="Sixteen maps of 28 x 28 on a canvas with a digit: eight latents at the first read, and the same eight below at "
    "the second. First read: four on parts of the stroke, four away from it.",
)  # fmt: skip

# %% [markdown]
# With the shipped weights, half of the latents go for the ink in the first read, each in its own part of the picture;
# the others watch the surroundings. In the second read no latent keeps nearly all of its weight on the ink. Of the
# eight shown, five look just beside it, at the lower left corner of the digit, and three at other places, two of them
# near the right edge.
#
# A single map shows one step of many. `rollout` multiplies the maps of all steps, with half of every layer passed on
# unchanged, and so estimates where what ends up in the latents can have come from. Below: the average over all latents,
# which is what the readout averages too. It says where the model has been, not why it answered as it did; lesson 05
# takes that difference apart.

# %%
reached = rollout(maps)[chosen].mean(axis=0).reshape(28, 8, 28, 8).sum(axis=(1, 3))
figures.attention_on_image(canvases["image"][chosen, ::4, ::4], reached, title="rollout to the pixels")

# %% [markdown]
# The two reads differ in another way, easier to see on many small digits. Take the maps of 64 test digits and ask: how
# alike are the maps of one latent on two pictures, and of two latents on one picture?

# %%
digits = next(pipeline("digits", split="test", batch_size=64, transforms=(to_float,), repeat=False, shuffle=False))
_, digit_maps = attention_maps(digits_perceiver.model, digits["image"])


def likeness(a, b):
    """Mean correlation of maps (..., pixels)."""
    a, b = (x - x.mean(axis=-1, keepdims=True) for x in (a, b))
    return ((a * b).sum(axis=-1) / np.sqrt((a**2).sum(axis=-1) * (b**2).sum(axis=-1))).mean()


for name in ("read 0", "read 1"):
    one = dict(digit_maps)[name][:, 0]
    print(f"{name}: one latent, two pictures {likeness(one[:-1], one[1:]):.2f}   "
          f"one picture, two latents {likeness(one[:, :-1], one[:, 1:]):.2f}")  # fmt: skip
off_one = ablate(digits_perceiver.model, digits["image"])
flipped = (off_one.ablated.argmax(-1) != off_one.intact.argmax(-1)[None]).mean()
print(f"switching one latent off changes {flipped:.1%} of the answers")

# %% [markdown]
# In the **first read**, the questions are the learned latents themselves, the same for every picture: so a latent keeps
# to its own part of the picture, whatever is on it, and two latents look at different parts. In the **second read** it is
# the other way round. The questions now come out of what has been read: nearly all latents look at the same few pixels,
# and which ones depends on the picture.
#
# ## Explore: the latents' maps
#
# First the small digits, with the model of the recipe. Choose a layer and walk through the latents; point at a pixel and
# see who looks at it; switch latents off and watch the prediction.
#
# To discover:
#
# 1. In `read 0`, keep latent 3 and change the example; then keep the example and change the latent. Do the same in
#    `read 1`. What you see is what the four numbers above say.
# 2. Example 0 is a zero. Switch off latents 0, 1, 2, ... one after the other. How many of the 16 can you take away before
#    it is read as something else? Then try the eight, example 3.

# %%
AttentionExplorer.from_model(
    digits_perceiver.model, digits["image"][:12], labels=digits["label"][:12].tolist(), class_names=list("0123456789")
)

# %% [markdown]
# Then the canvas. One read of it has 32 x 50,176 weights; your browser gets one latent's map at a time.
#
# To discover:
#
# 1. In `read 0`, walk through the latents: the ink-seekers stay on the stroke, and each keeps to its own stretch of it.
#    Where do latents 7, 14 and 17 look?
# 2. Stay with one latent and go from `read 0` to `read 1`.
# 3. Switch the latents off one at a time: no single one changes any of the four answers. How many must go before one
#    does?

# %%
AttentionExplorer.from_model(
    canvas["perceiver"].model, canvases["image"][:4], inputs=standard, labels=canvases["label"][:4].tolist(),
    class_names=list("0123456789"), example=1, latent=5,
)  # fmt: skip

# %% [markdown]
# ## Explore: the shuffle dial
#
# Confetti is the end of a scale. The dial starts at its beginning, with the first 40 of the digits above.
#
# To discover:
#
# 1. With positions moved along, turn the dial slowly. The ConvNet forgives a tenth of the pixels out of place; at one
#    half it is lost. What do the Perceiver's logits do, and in which decimal?
# 2. Now leave the positions behind. Who gives up first? All three see the same picture then, one with specks of noise.
#    Which of them looks at neighbourhoods, and which at single pixels?

# %%
ShuffleDial(
    images[:40], labels[:40],
    {
        "Perceiver": lambda images, positions: logits_of(jittered["Perceiver"].model, images, positions).logits,
        "ConvNet": lambda images, positions: logits_of(jittered["ConvNet"].model, images).logits,
        "ViT": lambda images, positions: logits_of(jittered["ViT"].model, images).logits,
    },
)  # fmt: skip

# %% [markdown]
# ## Exercises
#
# Put your answer in place of the dots and run the cell. `hint("04.1")` gives a hint, `solution("04.1")` shows one way.

# %% [markdown]
# ### 04.1 A longer input
#
# *look it up, about 2 minutes. It matters because pictures grow by their area, not by their side.*
#
# A Perceiver with 512 latents reads pictures of 224 x 224 pixels. You give it pictures of 448 x 448. By which factor
# does the number of scores in one read grow?

# %%
answer = ...
check("04.1", answer)

# %% [markdown]
# ### 04.2 Deeper for nothing
#
# *look it up, about 3 minutes. It matters because sharing is how a deep Perceiver stays small.*
#
# The Perceiver of this lesson has 2 reads, 2 towers and 75,884 parameters, with shared weights. How many has it with 8
# reads and 8 towers, shared as before?

# %%
answer = ...
check("04.2", answer)

# %% [markdown]
# ### 04.3 Name the shape
#
# *look it up, about 2 minutes. It matters because the shape of a map says what it can be asked.*
#
# The canvas Perceiver (32 latents, one head in a read, four heads in a latent layer) is given 4 canvases of 224 x 224
# pixels. What shape do the attention weights of its second read have?

# %%
answer = ...
check("04.3", answer)

# %% [markdown]
# ### 04.4 What breaks it
#
# *think, about 3 minutes. It matters because one layer in the wrong place takes the main property away.*
#
# Pixels are shuffled together with their positions. Which change to the Perceiver would make its logits depend on the
# order?
#
# - **A** more reads
# - **B** a convolution over the input array before the first read
# - **C** an MLP on every input row before the first read
# - **D** a latent array twice as large

# %%
answer = ...
check("04.4", answer)

# %% [markdown]
# ### 04.5 Tear it up
#
# *build, about 8 minutes. It matters because this is the whole experiment of the lesson in one line.*
#
# Write `rows(images, positions, order)`: from pictures `(b, h, w, c)` and the coordinates `(h * w, 2)` of their pixels
# make the input rows `(b, h * w, c + 2)`, pixel channels first, and put the rows into the given order: row `i` of the
# result is row `order[i]`.

# %%
def rows(images, positions, order):
    ...


check("04.5", rows)

# %% [markdown]
# ### 04.6 Latents that are off
#
# *build, about 8 minutes. It matters because ablation, the sharpest tool of the next lesson, is made of it.*
#
# Write `readout(latents, kernel, bias, latent_mask)`: logits `(b, k)` from the average of only those latents whose
# `latent_mask` `(b, n)` is True. Every example has at least one.

# %%
def readout(latents, kernel, bias, latent_mask):
    ...


check("04.6", readout)

# %% [markdown]
# ## What you now know
#
# - A Perceiver is a learned array of `N` rows that reads an input array of `M` rows by cross-attention, works on itself
#   with self-attention, reads again, and is averaged for the answer.
# - Only reads touch the inputs, so the cost is `M * N` per read and `N * N` per latent layer. With 50,176 pixels and
# 512
#   latents a read needs a 98th of the scores of self-attention.
# - Sharing one tower and one set of later reads takes the published model from 326.2M to 44.9M parameters.
# - The inputs are a set. Shuffle pixels together with their positions and nothing changes but rounding; leave the
#   positions behind and the picture is lost.
# - Because they are a set, a part of them is a fair input too: a model trained on a fiftieth of the pixels reads all of
#   them.
# - Where the arrangement of the pixels is known and fixed, a ConvNet of the same size learns plain digits as well or
#   better, and faster.
#
# ## Sources
#
# - A. Jaegle et al., *Perceiver: General Perception with Iterative Attention*, ICML 2021,
#   [2103.03206](https://arxiv.org/abs/2103.03206). Architecture: section 3.1; Fourier positions: section 3.2; ImageNet
#   and its configuration: section 4.1, table 1; permuted ImageNet: table 2; number of reads: table 6; weight sharing:
#   table 7; readout and initial latents: appendix C; counting of FLOPs: appendix B.
# - K. He et al., *Deep Residual Learning for Image Recognition*, [1512.03385](https://arxiv.org/abs/1512.03385).
# - A. Dosovitskiy et al., *An Image is Worth 16x16 Words*, [2010.11929](https://arxiv.org/abs/2010.11929).
# - S. Abnar and W. Zuidema, *Quantifying Attention Flow in Transformers*, section 3,
#   [2005.00928](https://arxiv.org/abs/2005.00928).
# - Digits: UCI optdigits, E. Alpaydin and C. Kaynak (8 x 8); MNIST, Y. LeCun, C. Cortes and C. J. C. Burges (28 x 28).
#   Photos: see `data/README.md`.
