# %% [markdown]
# # 13 · Clinic and capstone
#
# Most mistakes in a model raise no error. Shapes fit, the loss falls, numbers come out, and something is wrong. In this
# lesson you make eight rounds: eight Perceivers, each with one small mistake of a kind that has really been made, and
# you find it with the tools of this course. Then you build something of your own: a modality that this course has not
# had, from the first array to a score on held-out data.
#
# **After this lesson you can**
#
# - examine a model in a fixed order, and say what each examination can and cannot show;
# - tell eight silent mistakes from their signs;
# - say why a good loss is no proof of health;
# - bring a new modality to a Perceiver in under 40 lines, and hold it against a baseline that was made for it.
#
# **Needs** lessons [04](04_the_perceiver.ipynb), [05](05_looking_through_latents.ipynb) and
# [09](09_perceiver_ar.ipynb); [06](06_ask_anything.ipynb) helps. **Time** about 90 minutes with the exercises. The cells
# alone take a few minutes on two cores.

# %%
# The same in every lesson. In Colab it fetches the course first; anywhere else it only finds it.
import pathlib
import subprocess
import sys

colab = pathlib.Path("/content/perceiver-lab")
if "google.colab" in sys.modules and not colab.exists():
    source = "https://github.com/perceiver-lab/perceiver-lab"
    subprocess.run(["git", "clone", "-q", "--depth=1", source, str(colab)], check=True)
    small = ["jaxtyping", "wadler-lindig", "safetensors"]  # JAX, Flax and the rest are there already
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", *small], check=True)
for folder in (pathlib.Path.cwd(), *pathlib.Path.cwd().parents, colab):
    if (folder / "perceiver_lab" / "__init__.py").exists():
        sys.path.insert(0, str(folder))
        break

from perceiver_lab.course import setup

setup()

# %%
import jax.numpy as jnp
import numpy as np
from flax import nnx

from perceiver_lab import figures, recipes
from perceiver_lab.adapters import ClassOutput
from perceiver_lab.course import LiveCurve, budget, check, hint, mode, predict, reveal, solution, trained  # noqa: F401
from perceiver_lab.course.clinic import AILMENTS, ailing
from perceiver_lab.datasets import arrays, decode_ids, encode_text, hide_ids, pad_ids
from perceiver_lab.datasets.clouds import SHAPES
from perceiver_lab.explorers import WardRound
from perceiver_lab.introspect import ablate, attention_maps, reach
from perceiver_lab.models import Perceiver, PerceiverConfig
from perceiver_lab.ops import fourier_features, grid_coordinates
from perceiver_lab.training import evaluate, train

# %% [markdown]
# ## The idea in one picture
#
# An examination changes one thing and looks at what changes with it. What *should* change and does not, or should not
# and does, is a sign. You know all of these from the lessons before:
#
# | examination | sound | lesson |
# |---|---|---|
# | move all elements, keep their positions' channels | the answer changes | 03, 04 |
# | move rows, features and positions together | the answer stays | 04 |
# | count how many elements a row of the map looks at | neither one nor all | 05 |
# | switch a latent off | some answers move | 05 |
# | change what a mask hides | nothing moves | 01 |
# | gradient of an output by later inputs | exactly 0 | 09 |
# | compare the loss with a floor or a baseline | not below the one, not above the other | 07, 09 |
# | look where numbers stop being finite | nowhere | 02 |
#
# ## Commit yourself
#
# Eight models are waiting. One of them has the best loss that its owners ever saw. Which examination comes first there?

# %%
predict("13", ["none: a loss that is better than expected needs no examination",
               "compare the loss with the lowest that an honest model can reach",
               "switch latents off one by one"], choice=...)  # fmt: skip

# %% [markdown]
# ## A sound one first
#
# Whoever examines needs to know what is normal. Here is the reader of 8 x 8 digits from lesson 04, on the 297 digits of
# its test set. Five examinations, each written out; you will use them on everybody.

# %%
sound = trained("digits_perceiver").model
digits = arrays("digits", "test")
images = jnp.asarray(digits["image"] / 8 - 1, jnp.float32)[: budget(ci=60, lab=297)]
labels = digits["label"][: len(images)]


@nnx.jit
def say(model, images, mask=None):
    return model(images, mask=mask)


def accuracy(model):
    return float((np.asarray(say(model, images)).argmax(axis=-1) == labels).mean())


def moved_by_shuffling(model):
    """The largest change of a logit when all pixels change places."""
    order = np.random.default_rng(0).permutation(64)
    shuffled = images.reshape(len(images), 64, 1)[:, order].reshape(images.shape)
    return float(np.abs(say(model, images) - say(model, shuffled)).max())


def looked_at(model):
    """How many pixels a latent looks at in the first read: the exponential of its entropy, the middle one of all."""
    weights = attention_maps(model, images[:40])[1][0].weights
    return float(np.median(np.exp(-(weights * np.log(np.maximum(weights, 1e-30))).sum(axis=-1))))


def moved_by_ablation(model):
    """The largest change of a logit when any one latent is switched off."""
    found = ablate(model, images[:20])
    return float(np.abs(found.ablated - found.intact[None]).max())


def weight_on_hidden(model):
    """How much weight lies on the last two rows of pixels when a mask hides them."""
    mask = np.broadcast_to(np.arange(64)[None] < 48, (8, 64))
    return float(attention_maps(model, images[:8], mask=mask)[1][0].weights[..., 48:].sum(axis=-1).mean())


examinations = {
    "accuracy": accuracy, "moved by shuffling": moved_by_shuffling, "pixels looked at": looked_at,
    "moved by ablation": moved_by_ablation, "weight on hidden": weight_on_hidden,
}  # fmt: skip
normal = {name: examine(sound) for name, examine in examinations.items()}
for name, value in normal.items():
    print(f"{name:20s}{value:8.3g}")
assert normal["weight on hidden"] == 0
print("LAB what a mask hides gets no weight: True")

# %% [markdown]
# ## The ward
#
# Six of the eight are readers of digits: the sound one, with one mistake each. Their names are letters; the owners say
# the following.

# %%
readers = ["positions dropped", "one-hot softmax", "dead latents", "float16 overflow", "inverted mask",
           "wrong band spacing"]  # fmt: skip
order = np.random.default_rng(13).permutation(len(readers))
ward = {letter: readers[number] for letter, number in zip("ABCDEF", order, strict=True)}
for letter, name in ward.items():
    print(f"{letter}: {AILMENTS[name].complaint}")
patients = {letter: ailing(name, sound) for letter, name in ward.items()}

# %% [markdown]
# All examinations on all patients, the sound one on top. Read it row by row, and ask of each number whether it is
# normal.

# %%
print(" " * 8, *(f"{name:>20s}" for name in examinations))
for letter, patient in {"sound": sound, **patients}.items():
    print(f"{letter:8s}", *(f"{examine(patient):20.3g}" for examine in examinations.values()))

# %% [markdown]
# Then their maps, on the same digit: the first read, the mean over all latents.

# %%
pictures = {"sound": sound, **patients}
first = {letter: attention_maps(one, images[:1])[1][0].weights[0, 0] for letter, one in pictures.items()}
figures.map_grid(
    np.stack([np.nan_to_num(weights).mean(axis=0).reshape(8, 8) for weights in first.values()]),
    titles=list(first), columns=7,
)  # fmt: skip

# %% [markdown]
# Write down your six diagnoses before you open the files.

# %%
for letter, name in ward.items():
    print(f"{letter}: {name}. {AILMENTS[name].cause}\n   sign: {AILMENTS[name].sign}\n   cure: {AILMENTS[name].cure}\n")

# %% [markdown]
# ### The one whose numbers end
#
# Its owners trained it in float32, where all was well, and moved it. Where do the numbers stop?

# %%
overflowing = ailing("float16 overflow", sound)
for one in attention_maps(overflowing, images[:8])[1]:
    print(f"{one.name:16s} finite: {np.isfinite(one.weights).mean():.0%}")
for dtype in ("float16", "bfloat16"):
    cured = ailing("float16 overflow", sound, dtype=dtype)
    print(f"LAB {dtype}: all logits finite: {bool(np.isfinite(say(cured, images)).all())}")

# %% [markdown]
# ### The one that none of these examinations finds
#
# Wrong frequencies change no shape, no count, no symmetry. Only the accuracy tells, and it does not tell where. So
# compare **inputs**, before any weight is involved, with a reference: the first part of a model whose numbers can be
# known.

# %%
there = fourier_features(grid_coordinates((8, 8)), num_bands=4, max_resolution=(8, 8))
for name, model in (("sound", sound), ("sick", ailing("wrong band spacing", sound))):
    differs = np.abs(model.input_adapter.positions() - there).max(axis=0) > 1e-5
    print(f"LAB {name}: {differs.sum()} of {len(differs)} position channels differ from the paper's formula")

# %% [markdown]
# ## The one that was too good
#
# The seventh patient is a Perceiver AR on the copy task of lesson 09, whose floor you computed there: 1.30 nats, since
# some symbols cannot be known. Its owners train it for a short while and are delighted.

# %%
recipe = recipes.get("copy_ar")
steps = budget(ci=30, lab=300)
delighted = ailing("leak of the future", recipe.make_model(nnx.Rngs(0)))
with LiveCurve() as curve:
    run = train(
        delighted, recipe.train_batches(mode()), steps=steps, optimizer=recipe.optimizer.make(steps),
        loss_fn=recipe.loss, log_every=budget(ci=5, lab=10), callbacks=[curve],
    )  # fmt: skip
floor = 0.234 * np.log(256)
print(f"loss at the end {run.history.curve('nats')[1][-1]:.2f} nats; no honest model gets below {floor:.2f}")

# %%
reveal("13", "B", "below the floor, a model must have seen what it is asked for.")

# %% [markdown]
# Look at the map. The latent at place p has to say what stands at place p + 1. Where does it look?

# %%
events = arrays("mirrored", "test")["events"][:1, :48]
weights = attention_maps(run.model, events)[1][0].weights[0].mean(axis=0)
places = np.arange(48 - len(weights), 48)
ahead = weights[np.arange(len(weights) - 1), places[:-1] + 1].mean()
print(f"weight on the place that has to be foretold: {ahead:.0%}")
figures.map_grid(
    weights[None], titles=["the read: a row for each latent, a column for each place"],
    alt=f"Attention of 16 latents on 48 places: a stripe one place right of each latent's own, {ahead:.0%} of the weight.",
)  # fmt: skip

# %% [markdown]
# The map reads the answer. The loss is healthy, better than healthy, and the model is worthless: when it has to write,
# the next symbol is not there to be read. Before any training, a gradient would have told:

# %%
def leaks(model, tokens):
    placement = model.place(tokens)
    inputs = model.embed(tokens, placement.positions)

    def answer(inputs):
        return model.predict(model.process(model.read(inputs, placement), placement))

    return reach(answer, inputs, placement.latent_index).leaks


print("leaks of the patient:", len(leaks(run.model, jnp.asarray(events))))
print("LAB leaks of the shipped model:", len(leaks(trained("copy_ar").model, jnp.asarray(events))))

# %% [markdown]
# ## The one that always says the same
#
# The eighth fills in hidden bytes, as in lesson 07. Below, a line with a word hidden, and what the sound one and the
# patient make of it.

# %%
healer = trained("bytes_perceiver_io").model
ill = ailing("shared decoder query", healer)
hidden = jnp.asarray(pad_ids(hide_ids(encode_text("Who speaks? What, ho! Attend."), slice(12, 16)), 64))[None]
for name, model in (("sound", healer), ("patient", ill)):
    said, maps = attention_maps(model, hidden, mask=hidden != 0)
    rows = maps[-1].weights
    print(f"{name:8s}{decode_ids(said.argmax(axis=-1)[0, :28])!r}")
    print(f"LAB {name}: all rows of the decoder's map alike: {bool(np.ptp(rows, axis=2).max() < 1e-6)}")

# %% [markdown]
# ## Capstone: a modality of your own
#
# Now bring something new. A **point cloud** is what a laser scanner gives: some thousand points in space, in no order.
# Ours are made by rule (synthetic): ten shapes, stretched, turned at random, and measured with a little noise. The
# published experiment has ModelNet40, 40 classes of things, where the Perceiver reaches 85.7 %, and a model that was
# made for points, PointNet++, 91.9 % (2103.03206, table 4). If you have fetched ModelNet40, `datasets.modelnet40(folder,
# split)` reads it.

# %%
clouds = arrays("clouds", "test")
print("LAB test clouds", clouds["points"].shape, " shapes:", ", ".join(SHAPES))

# %% [markdown]
# What does a Perceiver need to read them? An input adapter that says, for each element, what it is and where. Here both
# are the same thing: three coordinates. So the inputs are their Fourier features and nothing else. Everything after that
# is there already. The whole line, from points to score, in fewer than 40 lines:

# %%
class Points(nnx.Module):
    """(B, M, 3) -> (B, M, 39): each point is its own position."""

    num_channels = 3 * (1 + 2 * 6)

    def __call__(self, x, *, positions=None, train=False):
        return fourier_features(x, num_bands=6, max_resolution=(12, 12, 12))


def new_perceiver(seed):
    rngs = nnx.Rngs(seed)
    sizes = PerceiverConfig(
        num_latents=32, latent_channels=64, num_reads=2, num_blocks=2, num_self_attends_per_block=2, num_self_heads=4,
        qk_channels=64,
    )  # fmt: skip
    return Perceiver(sizes, input_adapter=Points(), output_adapter=ClassOutput(64, len(SHAPES), rngs=rngs), rngs=rngs)


mine = recipes.get("clouds_perceiver")
steps = mine.budget(mode()).steps
with LiveCurve() as curve:
    fitted = train(
        new_perceiver(0), mine.train_batches(mode()), steps=steps, optimizer=mine.optimizer.make(steps),
        loss_fn=mine.loss, log_every=10, callbacks=[curve],
    )  # fmt: skip
scored = evaluate(fitted.model, mine.test_batches(mode()), mine.predict, mine.reads)
print("held-out accuracy", scored.accuracy)

# %% [markdown]
# The library's adapter is `PointInput`, and its recipe `clouds_perceiver`. With the same weights, both say the same.

# %%
theirs = mine.make_model(nnx.Rngs(0))
points = jnp.asarray(clouds["points"][:4])
assert np.abs(theirs.input_adapter(points) - Points()(points)).max() < 1e-6
print("LAB your inputs and the library's agree to 1e-6: True")

# %% [markdown]
# ## Beside a model that was made for points
#
# PointNet (1612.00593) puts every point through the same small network and keeps the largest value of each channel. It
# is as indifferent to the order of points as a Perceiver, and its whole knowledge of geometry is that. Same clouds, same
# steps, as many parameters.

# %%
results = {name: trained(f"clouds_{name}") for name in ("perceiver", "pointnet")}
figures.accuracy_bars({name: (one.metrics["correct"], one.metrics["total"]) for name, one in results.items()})

# %% [markdown]
# ## Look inside
#
# Which points does the answer hang on? PointNet says so itself: at most one point for each channel is the largest there,
# and all others may be left out. The Perceiver's read weighs all of them.

# %%
pointnet = results["pointnet"].model
largest, chosen = pointnet.pool(points)
for number in range(len(points)):
    critical = np.unique(np.asarray(chosen[number]))
    same = np.abs(pointnet(points[number : number + 1, critical]) - pointnet(points[number : number + 1])).max() < 1e-4
    print(f"{SHAPES[clouds['label'][number]]:9s}{len(critical):4d} of {points.shape[1]} points are critical; "
          f"the rest may go: {bool(same)}")  # fmt: skip

# %% [markdown]
# ## Explore: the ward round
#
# All readers of digits once more, and three examinations at your hand: shuffle the pixels, hide the lower quarter by a
# mask, switch a latent off. The sound one gets the same, and stands beside each patient.
#
# To discover:
#
# 1. **Shuffle.** For which patient is it all the same where the pixels lie?
# 2. **Switch a latent off.** Who does not miss it, whichever it is?
# 3. **Hide.** Who looks at what is hidden, and at nothing else?

# %%
WardRound({"sound": sound, **patients}, np.asarray(images[:6]), labels[:6], patient=1)

# %% [markdown]
# ## Exercises
#
# Put your answer in place of the dots and run the cell. `hint("13.1")` gives a hint, `solution("13.1")` shows one way.

# %% [markdown]
# ### 13.1 The same in any order
#
# *look it up, about 2 minutes*
#
# A model that reads images gives the same logits, to six decimals, when all pixels change places. Its accuracy is 30 %,
# where 98 % was expected. What do you look at first?
#
# - **A** the learning rate
# - **B** the position channels of the inputs
# - **C** the number of latents
# - **D** the softmax of the decoder

# %%
answer = ...
check("13.1", answer)

# %% [markdown]
# ### 13.2 How many does it look at?
#
# *build, about 5 minutes*
#
# Write `looked_at(weights)`. `weights` `(n, m)` are rows of a map, each summing to one, some weights exactly 0. Return
# for each row the exponential of its entropy (in nats): 1 for a row that looks at one element, m for one that looks at
# all alike.

# %%
answer = ...
check("13.2", answer)

# %% [markdown]
# ### 13.3 How far may it drift?
#
# *think, about 3 minutes*
#
# The largest number of float16 is 65,504. The largest value of a healthy read is 3.2. Its value projection drifts to
# 2^k times its size, and its output projection to 2^-k times. What is the largest whole k at which no value overflows?

# %%
answer = ...
check("13.3", answer)

# %% [markdown]
# ### 13.4 No leak in the model
#
# *think, about 3 minutes*
#
# A language model reaches a training loss below the floor of its task. `reach` finds no gradient from any output to a
# later input. Where can the answer still come from?
#
# - **A** nowhere: without such a gradient there is no leak, so the floor was too high or was computed wrongly
# - **B** from the inputs at the output's own place or before: the batch may hold what is asked for there
# - **C** from the softmax, which normalises over later places
# - **D** from dropout, which acts in training only

# %%
answer = ...
check("13.4", answer)

# %% [markdown]
# ### 13.5 Padding
#
# *build, about 4 minutes*
#
# Write `read_mask(lengths, size)`: a bool array `(b, size)` for sequences of the given lengths, padded on the right to
# `size`. True where an element may be read, as everywhere in this library.

# %%
answer = ...
check("13.5", answer)

# %% [markdown]
# ### 13.6 Into the unit cube
#
# *build, about 4 minutes*
#
# Write `unit_cube(points)`: move the mean of points `(m, 3)` to 0, and scale them, all axes alike, so that the largest
# absolute coordinate is 1.

# %%
answer = ...
check("13.6", answer)

# %% [markdown]
# ## What you now know
#
# - An examination changes one thing. A sign is a change that should not be, or one that should and is not.
# - Know what is normal before you look at what is ill: floors, baselines, a sound model.
# - A loss below the floor is a leak until the opposite is shown. The map says where.
# - What symmetry, shapes and counts cannot see, a comparison with a reference can.
# - A new modality is an input adapter: what an element is, and where. The rest is there.
#
# ## Sources
#
# - A. Jaegle et al., *Perceiver: General Perception with Iterative Attention*, ICML 2021,
#   [2103.03206](https://arxiv.org/abs/2103.03206). Fourier features: section 3.2; point clouds: section 4.3, table 4.
# - C. R. Qi et al., *PointNet: Deep Learning on Point Sets for 3D Classification and Segmentation*, CVPR 2017,
#   [1612.00593](https://arxiv.org/abs/1612.00593). The function: section 4.2; critical sets: section 4.3.
# - C. Hawthorne et al., *General-purpose, long-context autoregressive modeling with Perceiver AR*, ICML 2022,
#   [2202.07765](https://arxiv.org/abs/2202.07765). What a latent may read: section 3.
