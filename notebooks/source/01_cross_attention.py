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
# # 01 · Cross-attention is all of it
#
# A Perceiver looks at its input through one operation, and this lesson is about that operation. You will write it as a
# loop, as two lines of `einsum` and as a module, and each time you will check that the numbers are the same.
#
# **After this lesson you can**
#
# - write cross-attention yourself, and say what each of its arrays is for;
# - tell the shape of its output from the shapes of its inputs, without running anything;
# - use masks, heads and separate widths for keys and values, and find the usual mistakes;
# - train a single cross-attention on real images and see what it looked at.
#
# **You need** lesson [00](00_first_contact.ipynb): scores, softmax, blend, and a first look at JAX.
# **Next**: lesson [02](02_the_price_of_looking.ipynb) counts what looking costs; lesson [03](03_where_am_i.ipynb) asks
# how a model knows *where* something is.
# **Time**: about 60 minutes, half of it for the exercises.

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
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from tqdm.auto import tqdm

from perceiver_lab import figures
from perceiver_lab.adapters import ImageInput
from perceiver_lab.course import budget, check, hint, predict, reveal, solution  # noqa: F401
from perceiver_lab.datasets import arrays, pipeline, to_float
from perceiver_lab.explorers import ShapeTracer
from perceiver_lab.layers import Attention, record_attention
from perceiver_lab.ops import attend, grid_coordinates
from perceiver_lab.training import Accuracy, cross_entropy

# %% [markdown]
# ## The idea in one picture
#
# You come with some **queries**: rows of numbers that say what you are looking for. There is some input, and every
# element of it offers two rows: a **key**, which says what this element can be found by, and a **value**, which is what
# you get when you find it.
#
# Each query is compared with every key. The better they match, the more of that element's value goes into the answer.
# The answer of one query is an *average of the values*, weighted by how well the keys match.

# %%
figures.cross_attention_shapes(num_queries=4, num_inputs=10, channels=6)

# %% [markdown]
# Read the picture from left to right and follow the 10, the number of inputs. It comes in with the keys, it is a side of
# the scores and of the weights, and then it meets the values and is gone.
#
# The queries come from one array, the keys and values from another: hence *cross*-attention. If all three come from the
# same array, it is called self-attention. It is the same operation.

# %% [markdown]
# ## A prediction to commit
#
# Sixteen queries read 10 inputs. Then the same sixteen queries read 10,000 inputs. What happens to the output?
#
# Put a letter in quotes in place of the dots. Nobody sees it but you, and it is worth more if you do it now.

# %%
predict(
    "01",
    {
        "A": "it gets a row for every input, so it grows to 10,000 rows",
        "B": "it keeps its 16 rows, and its numbers do not grow",
        "C": "it keeps its 16 rows, and its numbers grow about a thousandfold",
    },
    choice=...,
)

# %% [markdown]
# ## From scratch, one query at a time
#
# Here is the whole operation with loops, for one image and one head. `q` holds the queries (n rows of d numbers), `k` the
# keys (m rows of d numbers), `v` the values (m rows of e numbers).

# %%
def softmax(scores):
    """Any numbers -> positive numbers that sum to one along the last axis. Larger stays larger."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))  # subtracting changes nothing, but exp cannot overflow
    return powers / powers.sum(axis=-1, keepdims=True)


def attend_loop(q, k, v):
    """q (n, d), k (m, d), v (m, e) -> (n, e)."""
    output = np.zeros((len(q), v.shape[1]))
    for i in range(len(q)):
        scores = np.zeros(len(k))
        for j in range(len(k)):
            scores[j] = q[i] @ k[j] / np.sqrt(q.shape[1])  # how well query i matches key j
        weights = softmax(scores)
        for j in range(len(k)):
            output[i] += weights[j] * v[j]  # the average of the values
    return output

# %% [markdown]
# A case small enough to follow with your finger: two keys that point in different directions, and values that are easy to
# recognise.

# %%
k = np.array([[8.0, 0.0], [0.0, 8.0]])
v = np.array([[1.0, 1.0, 1.0], [5.0, 5.0, 5.0]])
q = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
for query, row in zip(q, attend_loop(q, k, v), strict=True):
    print(f"LAB query {query} reads {np.round(row, 2)}")

# %% [markdown]
# The first query matches the first key and gets almost all of its answer from the first value. The second is its mirror
# image. The third matches both keys equally well and gets the plain average, 3.
#
# Nothing is ever left out completely: softmax gives every key a little weight. That is why the first two answers are near
# 1 and 5, and not equal to them.

# %% [markdown]
# ## Two lines of einsum
#
# The loops over `i` and `j` are two matrix products. `einsum` writes them with one letter per axis: letters that are
# missing after the arrow are summed over.

# %%
def attend_einsum(q, k, v):
    """q (n, d), k (m, d), v (m, e) -> (n, e)."""
    scores = np.einsum("nd,md->nm", q, k) / np.sqrt(q.shape[-1])  # every query with every key
    return np.einsum("nm,me->ne", softmax(scores), v)  # m is summed over, and gone


rng = np.random.default_rng(0)
q, k, v = (rng.normal(size=shape).astype(np.float32) for shape in [(4, 6), (10, 6), (10, 3)])
difference = np.abs(attend_loop(q, k, v) - attend_einsum(q, k, v)).max()
assert difference < 1e-5
print("LAB loop and einsum agree to 1e-5:", bool(difference < 1e-5))

# %% [markdown]
# This softmax runs along the last axis of the scores, which is the axis of the keys. This is easily got wrong, and the
# shapes do not tell you: each *query* must spread a weight of one over the keys.

# %% [markdown]
# ## Ten keys or ten thousand
#
# Now the experiment you made a prediction about.

# %%
queries = rng.normal(size=(16, 32)).astype(np.float32)
for num_inputs in (10, 100, 1_000, 10_000):
    keys = rng.normal(size=(num_inputs, 32)).astype(np.float32)
    values = rng.normal(size=(num_inputs, 24)).astype(np.float32)
    output = attend_einsum(queries, keys, values)
    assert output.shape == (16, 24)
    assert np.abs(output).max() < np.abs(values).max()  # an average stays within what is averaged
    print(f"LAB {num_inputs:>6,} keys -> output {output.shape}")
    print(f"    size of a typical number in it: {output.std():.2f}")

# %%
reveal("01", "B", "the axis of the inputs is averaged over, so neither its length nor a sum over it can show in the output.")

# %% [markdown]
# This is why a Perceiver can read the 50,176 pixels of a picture of 224 x 224 with the weights that read 50 of them:
# what comes out is as large as the queries, and the queries are yours to choose. What does grow is the work. Each query
# meets each key once, so n queries and m keys need n x m scores; ten times the inputs, ten times the work, and not a
# hundred times.
#
# The numbers even shrink: an average of very many random values lies near zero. Attention to everything is attention to
# nothing, and a query that is to find one input among 10,000 has to match it *much* better than the rest.

# %% [markdown]
# ## Why divide by the square root of d?
#
# A score is a sum of d products. If the numbers in q and k are about 1 in size, that sum is about $\sqrt d$ in size.
# Softmax turns a difference of 1 into a factor of 2.7, and a difference of 30 into a factor of ten million million:
# with large scores one key takes all the weight, and hardly any gradient is left to learn from. Dividing by $\sqrt d$
# keeps the scores about 1 in size, whatever the width.

# %%
print("width   size of q.k   largest of 100 weights, undivided   divided by sqrt(d)")
for width in (4, 64, 1024):
    q, k = rng.normal(size=(200, width)), rng.normal(size=(100, width))
    scores = q @ k.T
    largest = [softmax(s).max(axis=-1).mean() for s in (scores, scores / np.sqrt(width))]
    print(f"{width:>5}   {scores.std():>11.1f}   {largest[0]:>33.2f}   {largest[1]:>18.2f}")
assert largest[0] > 0.8 and largest[1] < 0.2
print("LAB at width 1024 one key takes over, unless the scores are divided:", bool(largest[0] > 0.8 > 0.2 > largest[1]))

# %% [markdown]
# ## The library's version, and masks
#
# `perceiver_lab.ops.attend` is the same two lines with two more axes, a batch `b` in front and heads `h` in the middle, and
# with a mask. First the comparison.

# %%
q, k, v = (rng.normal(size=shape).astype(np.float32) for shape in [(4, 6), (10, 6), (10, 3)])
library = attend(q[None, :, None], k[None, :, None], v[None, :, None])[0, :, 0]  # b = 1, h = 1
assert np.abs(library - attend_einsum(q, k, v)).max() < 1e-5
print("LAB the library agrees to 1e-5:", bool(np.abs(library - attend_einsum(q, k, v)).max() < 1e-5))

# %% [markdown]
# Sentences have different lengths, clouds have different numbers of points. To put them into one array you fill the short
# ones up, and then nobody may look at the filling. A **mask** says who *may* be attended to: True = may. Where it is False,
# the score is replaced by a very large negative number, and softmax makes it zero.

# %%
mask = np.array([True] * 7 + [False] * 3)  # the last three of ten inputs are filling
mask = np.broadcast_to(mask, (1, 4, 10))  # (b, n, m): for every query the same
batched = [x[None, :, None] for x in (q, k, v)]
masked = attend(*batched, mask=mask)

rubbish = v.copy()
rubbish[7:] = 1e6
assert np.array_equal(masked, attend(batched[0], batched[1], rubbish[None, :, None], mask=mask))
seven = attend(batched[0], batched[1][:, :7], batched[2][:, :7])
assert np.abs(masked - seven).max() < 1e-6
print("LAB rubbish behind the mask changes nothing, and it is as if seven inputs had been given:", True)

# %% [markdown]
# Why not set the weights of the filling to zero *after* the softmax? Because then the others no longer sum to one: every
# answer would shrink by as much as the filling had got.
#
# One case is left. What should a query answer that may look at nothing at all? With minus infinity in all its scores,
# softmax meets infinity minus infinity, which is not a number:

# %%
with np.errstate(invalid="ignore"):
    print("minus infinity everywhere:", softmax(np.full(3, -np.inf)))
nothing = attend(*batched, mask=np.zeros((1, 4, 10), bool))
assert np.array_equal(nothing, np.zeros_like(nothing))
print("LAB the library's answer to nothing is zeros:", bool((nothing == 0).all()))

# %% [markdown]
# ## Heads: several questions at once
#
# One query gives one set of weights. To look for two things at the same time, cut the channels into h parts, the
# **heads**. Each head does its own attention with its own part of q, k and v, and the answers are put side by side again.
#
# In `einsum` it is one more letter, and it stays: nothing is summed over h.

# %%
def split_heads(x, num_heads):
    """(m, c) -> (m, h, c / h): head 0 owns the first c / h channels, head 1 the next, and so on."""
    return x.reshape(x.shape[0], num_heads, -1)


def attend_heads(q, k, v, num_heads):
    """q (n, h*d), k (m, h*d), v (m, h*e) -> (n, h*e)."""
    q, k, v = (split_heads(x, num_heads) for x in (q, k, v))
    scores = np.einsum("nhd,mhd->hnm", q, k) / np.sqrt(q.shape[-1])
    output = np.einsum("hnm,mhe->nhe", softmax(scores), v)
    return output.reshape(output.shape[0], -1)


q, k, v = (rng.normal(size=shape).astype(np.float32) for shape in [(16, 32), (100, 32), (100, 24)])
with_heads = attend_heads(q, k, v, num_heads=4)
by_hand = np.concatenate(
    [attend_loop(q[:, 8 * h : 8 * h + 8], k[:, 8 * h : 8 * h + 8], v[:, 6 * h : 6 * h + 6]) for h in range(4)], axis=1
)
assert np.abs(with_heads - by_hand).max() < 1e-5
library = attend(*(split_heads(x, 4)[None] for x in (q, k, v)))[0].reshape(16, 24)
assert np.abs(with_heads - library).max() < 1e-5
print("LAB output", with_heads.shape, "whatever the number of heads:", attend_heads(q, k, v, num_heads=2).shape)

# %% [markdown]
# h heads of width d / h need as many multiplications as one head of width d. What they give up is width: each head compares
# with fewer numbers. And there are h tables of weights to keep instead of one.
#
# The values above had another width (24) than the queries and keys (32). That is allowed. Queries and keys must agree
# with each other, because they are multiplied; the values only decide how wide the answer is. The code calls the two
# widths `qk_channels` and `v_channels`.

# %% [markdown]
# ## As a module
#
# So far q, k and v fell from the sky. In a network they are *projections*: learned matrices turn the array that asks into
# queries, and the array that is read into keys and values. One more projection mixes the heads' answers at the end. That
# makes four linear layers, and all that is learned is in them.
#
# The cell uses **Flax**, whose part `nnx` holds models for JAX. An `nnx.Module` is a class that keeps weights in its
# attributes; `nnx.Linear` is a learned matrix with a bias; `nnx.Rngs(0)` is where the random starting weights come from;
# `nnx.state` takes the weights out of a module, `nnx.update` puts them into one, and `nnx.jit` compiles a function.

# %%
class CrossAttention(nnx.Module):
    """queries (b, n, query_channels) read inputs (b, m, kv_channels): (b, n, output_channels)."""

    def __init__(self, query_channels, kv_channels, *, num_heads, qk_channels, v_channels, output_channels, rngs):
        self.num_heads = num_heads
        self.query = nnx.Linear(query_channels, qk_channels, rngs=rngs)
        self.key = nnx.Linear(kv_channels, qk_channels, rngs=rngs)
        self.value = nnx.Linear(kv_channels, v_channels, rngs=rngs)
        self.output = nnx.Linear(v_channels, output_channels, rngs=rngs)

    def __call__(self, queries, inputs):
        q, k, v = (self.heads(x) for x in (self.query(queries), self.key(inputs), self.value(inputs)))
        scores = jnp.einsum("bnhd,bmhd->bhnm", q, k) / np.sqrt(q.shape[-1])
        answers = jnp.einsum("bhnm,bmhe->bnhe", jax.nn.softmax(scores, axis=-1), v)
        return self.output(answers.reshape(*answers.shape[:2], -1))

    def heads(self, x):
        return x.reshape(*x.shape[:2], self.num_heads, -1)


sizes = {"num_heads": 4, "qk_channels": 32, "v_channels": 24, "output_channels": 40}
ours = CrossAttention(20, 15, **sizes, rngs=nnx.Rngs(0))
theirs = Attention(20, 15, **sizes, rngs=nnx.Rngs(1))
nnx.update(theirs, nnx.state(ours))  # the library's module uses the same four names: give it our weights

run = nnx.jit(lambda module, queries, inputs: module(queries, inputs))  # compiled as a whole
queries = rng.normal(size=(2, 16, 20)).astype(np.float32)
inputs = rng.normal(size=(2, 100, 15)).astype(np.float32)
difference = np.abs(run(ours, queries, inputs) - run(theirs, queries, inputs)).max()
assert difference < 1e-5
num_parameters = sum(x.size for x in jax.tree.leaves(nnx.state(ours, nnx.Param)))
print("LAB output", run(ours, queries, inputs).shape, "parameters", num_parameters)
print("LAB our module and the library's agree to 1e-5:", bool(difference < 1e-5))

# %% [markdown]
# The number of inputs, 100, appears in no weight. So the same module reads 10 inputs, or 10,000.
#
# And the order of the inputs? Keys and values are made row by row, and then summed over. Shuffle the rows of the input and
# the same numbers are added in another order:

# %%
shuffled = inputs[:, rng.permutation(100)]
difference = np.abs(run(ours, queries, shuffled) - run(ours, queries, inputs)).max()
assert difference < 1e-5
print("LAB shuffling the inputs changes nothing (to 1e-5):", bool(difference < 1e-5))

# %% [markdown]
# To this module an image is a bag of pixels. It will only know where a pixel lies if it is written into the pixel's
# row, which comes next, and what lesson 03 is about.

# %% [markdown]
# ## Real data: one read of a handwritten digit
#
# The data set has 1,797 handwritten digits of 8 x 8 pixels, with ink from 0 to 16: a random 1,500 for training and 297 for
# testing. They are real and they are small: a good place to start.

# %%
train_set, test_set = arrays("digits", "train"), arrays("digits", "test")
print("LAB", train_set["image"].shape, train_set["image"].dtype, test_set["image"].shape)
figures.image_grid(test_set["image"][:8], titles=test_set["label"][:8])

# %% [markdown]
# The model is the smallest thing that deserves the name:
#
# - **inputs**: the 64 pixels. The row of a pixel is its ink, its two coordinates and some sines and cosines of them
#   (15 numbers);
# - **queries**: 16 rows of 32 numbers, *learned*. They are the same for every image: sixteen questions that training
#   finds; in a Perceiver such learned rows are called **latents**;
# - **one cross-attention**: each query gets its answer from the pixels;
# - **readout**: the sixteen answers, side by side, through one linear layer to ten digits.
#
# No convolution, no second layer.

# %%
class OneRead(nnx.Module):
    """Learned queries read the pixels once; a linear layer names the digit."""

    def __init__(self, num_queries=16, channels=32, *, rngs):
        self.pixels = ImageInput((8, 8, 1), num_bands=3, max_resolution=(4, 4))
        self.queries = nnx.Param(jax.random.normal(rngs.params(), (num_queries, channels)))
        self.read = Attention(channels, self.pixels.num_channels, num_heads=1, rngs=rngs)
        self.readout = nnx.Linear(num_queries * channels, 10, rngs=rngs)

    def __call__(self, images, *, positions=None):
        inputs = self.pixels(images, positions=positions)  # (b, m, 15)
        queries = jnp.broadcast_to(self.queries[...], (len(inputs), *self.queries.shape))  # (b, n, 32)
        answers = self.read(queries, inputs)  # (b, n, 32): no m left
        return self.readout(answers.reshape(len(inputs), -1))


class LinearClassifier(nnx.Module):
    """The baseline: one weight for every pixel and digit."""

    def __init__(self, *, rngs):
        self.readout = nnx.Linear(64, 10, rngs=rngs)

    def __call__(self, images):
        return self.readout(images.reshape(len(images), -1))

# %% [markdown]
# Both are trained by the same loop: take a batch, compute the loss and its gradient, let Adam change the weights.

# %%
def train(model, steps, learning_rate):
    schedule = optax.cosine_decay_schedule(learning_rate, steps)
    optimizer = nnx.Optimizer(model, optax.adam(schedule), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, images, labels):
        loss, gradient = nnx.value_and_grad(lambda model: cross_entropy(model(images), labels))(model)
        optimizer.update(model, gradient)
        return loss

    batches = pipeline("digits", split="train", batch_size=100, seed=0, transforms=(to_float,))
    losses = []
    for _ in tqdm(range(steps), desc=type(model).__name__):
        batch = next(batches)
        losses.append(step(model, optimizer, batch["image"], batch["label"]))
    return np.array(losses).reshape(-1, 10).mean(axis=1)  # means over ten steps: a calmer curve


model, baseline = OneRead(rngs=nnx.Rngs(0)), LinearClassifier(rngs=nnx.Rngs(0))
losses = {
    "one read": train(model, budget(ci=150, lab=600), 5e-3),
    "linear classifier": train(baseline, budget(ci=300, lab=1500), 1e-2),
}
steps = {name: 10 * np.arange(1, len(values) + 1) for name, values in losses.items()}
figures.loss_curve(losses, steps=steps, log=True, chance=float(np.log(10)), ylabel="cross-entropy")

# %% [markdown]
# ## Measured
#
# On the 297 test digits, with 95 % intervals. With so few digits the intervals are wide: a difference of one or two points
# says nothing.

# %%
test_images = test_set["image"].astype(np.float32) / 8 - 1  # as `to_float` does: 0..16 -> -1..1
labels = test_set["label"]
call = nnx.jit(lambda model, *args: model(args[0]) if len(args) == 1 else model(args[0], positions=args[1]))


def accuracy(logits):
    return Accuracy(correct=int((np.asarray(logits).argmax(-1) == labels).sum()), total=len(labels))


results = {"one read": accuracy(call(model, test_images)), "linear classifier": accuracy(call(baseline, test_images))}
for name, result in results.items():
    print(f"{name}: {result}")
    assert result.value > 0.75
print("LAB both above 0.75:", all(result.value > 0.75 for result in results.values()))

# %%
figures.accuracy_bars({name: (result.correct, result.total) for name, result in results.items()}, chance=0.1)

# %% [markdown]
# As a classifier, one read is nothing special. On these tidy digits, which all fill their picture in the same way, a linear
# classifier is as good or better: each pixel always means the same, and may have its own ten weights.
#
# What has the read bought, then? Look for the number of pixels, 64, in the weights of the two models. In the linear
# classifier it is a side of the matrix. No weight of `OneRead` knows it.

# %% [markdown]
# ## Trained on 64 pixels, asked about 10,000
#
# The test digits are enlarged to 16 x 16, 28 x 28 and 100 x 100 pixels, by straight lines between neighbouring pixels.
# Nothing is trained again. The read gets each pixel with its coordinates, which run from -1 to 1 whatever the size, and
# it gets 256, 784 or 10,000 of them instead of 64.

# %%
def enlarge(images, side):
    """(b, 8, 8, 1) -> (b, side, side, 1), linear between neighbours."""
    places = np.linspace(0, 7, side)
    weights = np.stack([np.interp(places, np.arange(8), row) for row in np.eye(8)], axis=1).astype(np.float32)
    return np.einsum("sh,bhwc,tw->bstc", weights, images, weights)


def read_enlarged(side):
    """The logits of all test images, read as side * side pixels with their coordinates."""
    logits = []
    for start in range(0, len(test_images), 33):  # 33 images at a time: 33 x 16 x 10,000 scores are enough
        pixels = enlarge(test_images[start : start + 33], side).reshape(-1, side * side, 1)
        positions = jnp.broadcast_to(grid_coordinates((side, side)), (len(pixels), side * side, 2))
        logits.append(call(model, pixels, positions))
    return np.concatenate(logits)


enlarged = {side: read_enlarged(side) for side in (8, 16, 28, 100)}
for side, logits in enlarged.items():
    agree = (logits.argmax(-1) == enlarged[8].argmax(-1)).mean()
    print(f"{side * side:>6,} pixels: {accuracy(logits)}, same answer as from 64 pixels: {agree:.1%}")
assert np.abs(enlarged[8] - np.asarray(call(model, test_images))).max() < 1e-3
large = accuracy(enlarged[100]).value
assert large > 0.6
print("LAB weights trained on 64 pixels read 10,000 pixels with accuracy above 0.6:", large > 0.6)

# %% [markdown]
# The read does about as well as before, and to more than nine images in ten it gives the same answer, although it has never
# seen a picture of more than 64 pixels. More pixels of the same picture make nearly the same average. The linear classifier has no answer
# at all: its matrix has 64 rows.
#
# This does not come for free with attention. It also takes positions that mean the same at every size. Change `num_bands` and
# `max_resolution` in `OneRead` and train it again: not every choice carries over to 10,000 pixels. Lesson 03 is about that.

# %% [markdown]
# ## What do the queries look at?
#
# Attention can be looked at, because its weights *are* where the answer came from. The library records them when asked:
# open `record_attention` inside the function that JAX compiles, and return what it caught.

# %%
@nnx.jit
def look(model, images):
    with record_attention() as maps:
        logits = model(images)
    return logits, maps[0].weights  # (b, h, n, m)


logits, weights = look(model, test_images)
weights = np.asarray(weights[:, 0]).reshape(-1, 16, 8, 8)  # one head; the pixels back on their grid
assert np.allclose(weights.sum((2, 3)), 1, atol=1e-5)
assert np.abs(np.asarray(logits) - enlarged[8]).max() < 1e-3  # recording changes no answer
print("LAB maps", weights.shape, "and each sums to one:", bool(np.allclose(weights.sum((2, 3)), 1, atol=1e-5)))
ordered = np.sort(weights.reshape(-1, 64), axis=-1)[:, ::-1].cumsum(-1)
print(f"pixels that hold half of a query's weight, on average: {((ordered < 0.5).sum(-1) + 1).mean():.1f} of 64")
example = int(np.flatnonzero((labels == 4) & (enlarged[8].argmax(-1) == 4))[0])
figures.map_grid(
    weights[example], image=test_set["image"][example], titles=[f"query {n}" for n in range(16)],
    alt="Sixteen maps of 8 x 8 on a handwritten four, one for each query. Each has its weight on a few pixels: some on the "
    "stroke, some on the paper beside it.",
)  # fmt: skip

# %% [markdown]
# The sixteen maps of one test image, a four. Where a query got its answer from is tinted yellow on ink, and olive on
# the black paper. A map is no smear over the whole picture: a few pixels hold half of the weight.
#
# Some queries look at ink and others at paper. Is that so in other images as well? Measure how much ink each query
# reads, averaged over all test images, and how much of its map depends on the image at all.

# %%
ink = (test_images[..., 0] + 1) / 2  # 0 paper, 1 full ink
reads = (weights * ink[:, None]).sum((2, 3)).mean(0)  # the ink that each query reads
moves = np.abs(weights - weights.mean(0)).sum((2, 3)).mean(0) / 2  # share of its map that differs from its average map
order = np.argsort(-reads)
print(f"ink of an average pixel: {ink.mean():.2f}")
for query in (*order[:3], *order[-3:]):
    print(f"query {query:>2} reads ink {reads[query]:.2f}; {moves[query]:.0%} of its map depends on the image")
assert reads.max() > ink.mean() + 0.15
assert moves.max() > 0.15
print("LAB the query fondest of ink reads more of it than an average pixel has:", bool(reads.max() > ink.mean() + 0.15))

# %%
chosen = [order[0], order[-1]]
pictures = [figures.overlay(test_set["image"][i], weights[i, query]) for query in chosen for i in range(8)]
titles = [f"query {query}" for query in chosen for _ in range(8)]
alt = (
    f"Eight test digits, twice, with the map of query {chosen[0]} on the first row and of query {chosen[1]} on the second. "
    "The same query looks at different pixels in different digits."
)
figures.image_grid(np.stack(pictures), titles=titles, columns=8, alt=alt)

# %% [markdown]
# The first row is the query that reads most ink, the second the one that reads least. Each is one learned question put
# to eight images, and about half of its map changes from image to image, because the keys are made from the pixels.
# That is what the linear classifier cannot do: its weight for a pixel is the same whatever is in the picture.
#
# Be careful with stories about single queries. Train with another seed and the sixteen will share the work out differently.
# And a map shows what was read, not what it was used for. Lesson 05 takes that up.

# %% [markdown]
# ## Explore: the shape tracer
#
# Every array of a cross-attention, with what it costs. Sides grow with the square root of the size, so that small
# arrays stay visible. All controls work from the keyboard. Three things to discover:
#
# 1. Move *Inputs* from 10 to 10,000. Which arrays grow, and which two keep their shape?
# 2. Set 50,176 inputs and 512 queries. How many bytes do the scores need in float32, and how many would self-attention
#    among the inputs need?
# 3. Raise the number of heads. What happens to the multiply-adds, and what to the bytes of the scores?

# %%
ShapeTracer(num_inputs=100, num_queries=16, channels=32)

# %% [markdown]
# ## Exercises
#
# Put your answer in place of the dots and run the cell. `hint("01.1")` helps, `solution("01.1")` shows one way.

# %% [markdown]
# ### 01.1 The shape of an answer
#
# *look it up, about 2 minutes. It matters because the shape of an answer is the first thing to check in any model.*
#
# Before you run anything: what is the shape of `attend(q, k, v)` if q has shape (2, 16, 4, 8), k has (2, 900, 4, 8) and v
# has (2, 900, 4, 12)? Give a tuple.

# %%
answer = ...
check("01.1", answer)

# %% [markdown]
# ### 01.2 A query that finds
#
# *think, about 5 minutes. It matters because training does nothing else: it looks for queries that find.*
#
# Three keys point to the right, up, and to the left: [1, 0], [0, 1], [-1, 0]. Find a query, two numbers, that gives the
# second key more than 0.99 of the weight. Scores are divided by the square root of 2, as always.

# %%
answer = ...
check("01.2", answer)

# %% [markdown]
# ### 01.3 What the bottleneck saves
#
# *look it up, about 3 minutes. It matters because this factor is the reason that Perceivers exist.*
#
# A Perceiver with 512 latents reads the 50,176 pixels of an image, with one head. Self-attention would compare each
# pixel with each pixel. How many times fewer scores does the Perceiver's read need?

# %%
answer = ...
check("01.3", answer)

# %% [markdown]
# ### 01.4 Attention with a mask, from memory
#
# *build, about 12 minutes. It matters because padding, causality and missing senses are all made of this mask.*
#
# Write `masked_attention(q, k, v, mask)` for one image and one head: q (n, d), k (m, d), v (m, e), and a mask (n, m)
# with True where a query may look. Do not forget the scale, and give zeros where a query may look at nothing.

# %%
def masked_attention(q, k, v, mask):
    ...


check("01.4", masked_attention)

# %% [markdown]
# ### 01.5 Which channels belong to a head?
#
# *think, about 6 minutes. It matters because a wrong split runs without an error and learns badly.*
#
# Write `split(x, num_heads)`: x (m, c) becomes (m, h, c / h), and head 0 owns the *first* c / h channels, head 1 the
# next, and so on.

# %%
def split(x, num_heads):
    ...


check("01.5", split)

# %% [markdown]
# ### 01.6 What leaves the output alone?
#
# *think, about 3 minutes. It matters because what a model cannot notice, it cannot learn from.*
#
# One of these changes leaves the output of cross-attention exactly as it was (up to rounding). Which? A: the rows of
# the queries are shuffled. B: the rows of keys and values are shuffled together. C: the rows of the values alone are
# shuffled. D: all keys are multiplied by 2.

# %%
answer = ...
check("01.6", answer)

# %% [markdown]
# ## What you now know
#
# - Attention compares queries with keys and averages values. The output has a row for each query and the width of the
#   values; the number of inputs is averaged away.
# - It costs queries x inputs. With few queries that is linear in the inputs, which is the Perceiver's whole idea.
# - A mask works on the scores, before the softmax. Heads cut the channels. Queries and keys share a width, values may have
#   another.
# - The inputs are a bag: without positions in their rows, their order is lost.
# - One read with learned queries recognises digits. It is no better at it than a linear classifier, but it reads 64 pixels
#   or 10,000 with the same weights.
#
# ## Sources
#
# - Vaswani and others, *Attention is all you need*, [1706.03762](https://arxiv.org/abs/1706.03762): section 3.2.1, equation 1
#   (scaled dot-product attention), section 3.2.2 (heads).
# - Jaegle and others, *Perceiver: general perception with iterative attention*,
#   [2103.03206](https://arxiv.org/abs/2103.03206): section 3.1 (cross-attention from a latent array; its cost); section 4.1
#   (512 latents, 50,176 pixels, one head in each cross-attention).
# - Jaegle and others, *Perceiver IO*, [2107.14795](https://arxiv.org/abs/2107.14795): appendix E (attention with separate
#   widths, as here).
# - The digits: E. Alpaydin and C. Kaynak, *Optical recognition of handwritten digits*,
#   [UCI 80](https://archive.ics.uci.edu/dataset/80), CC BY 4.0, as packed by scikit-learn.
