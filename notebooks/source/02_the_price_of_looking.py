# %% [markdown]
# # 02 · The price of looking
#
# Looking costs. If every input looks at every input, the price grows with the square of their number; if a few latents look
# at all inputs, it grows with their number. This lesson counts it four times: by hand, by the compiler, by the clock, and in
# bytes. It also shows where the square is *not* the problem.
#
# **After this lesson you can**
#
# - count the multiply-adds of self-attention and of a Perceiver's read by hand, and rebuild a published figure;
# - let the library and the compiler count the same, and explain the difference;
# - measure powers on a clock, and read them off a line;
# - say what limits you at 50,176 inputs: work or memory;
# - tell when projections cost more than attention, and plan a model for a budget.
#
# **Needs** lesson [01](01_cross_attention.ipynb) (queries, keys, values; projections; heads). **Next** lesson
# [03](03_where_am_i.ipynb) asks how a model knows where something is; lesson [04](04_the_perceiver.ipynb) builds the Perceiver.
# **Time** about 70 minutes, half of it for the exercises. The cells alone take a few minutes on two cores.

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
import time

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from tqdm.auto import tqdm

from perceiver_lab import figures
from perceiver_lab.adapters import ClassOutput, ImageInput
from perceiver_lab.course import budget, check, hint, measured, predict, reveal, solution  # noqa: F401
from perceiver_lab.datasets import arrays, pipeline
from perceiver_lab.explorers import BudgetPlanner
from perceiver_lab.figures.looking import price_lines, score_areas
from perceiver_lab.introspect import cost
from perceiver_lab.layers import Attention, SelfAttentionBlock
from perceiver_lab.models import Perceiver, PerceiverConfig
from perceiver_lab.models.baselines import TransformerConfig, TransformerEncoder
from perceiver_lab.ops import attend
from perceiver_lab.ops.cross import multiply_adds
from perceiver_lab.training import adamw, evaluate, train

# %% [markdown]
# ## The idea in one picture
#
# A score is computed for each pair of a query and a key. So the scores are an area: as high as there are queries, as wide
# as there are keys. Here are an image of 224 x 224 pixels, which makes 50,176 inputs, and 512 latents, all to scale.
#
# *Latents* are the learned queries of a Perceiver, as in lesson 01. M is the number of inputs, N that of latents.
# Looking at the inputs once is called a **read**; a layer in which latents look at each other, a **latent layer**.

# %%
score_areas(num_inputs=224**2, num_latents=512)

# %% [markdown]
# The strip in the middle is 98 times smaller than the square, and the latents' own square is the speck on the right.
#
# ## A prediction to commit
#
# You double the sides of the image: 448 x 448 instead of 224 x 224 pixels. How many times as many scores do self-attention
# among the pixels and a read by 512 latents need now?

# %%
predict("02", ["2 times and 2 times", "4 times and 4 times", "16 times and 4 times", "16 times and 16 times"], choice=...)

# %% [markdown]
# ## Counting by hand
#
# A product of a matrix (n, d) with a matrix (d, m) has n x m entries, and each is a sum of d products: n · d · m
# **multiply-adds**. All that is expensive in attention is of this kind, so you only have to write down the shapes.
#
# For n queries and m inputs, with keys of width qk and values of width v:
#
# | step | shapes | multiply-adds |
# |---|---|---|
# | scores | (n, qk) · (qk, m) | n · m · qk |
# | weighted sum | (n, m) · (m, v) | n · m · v |
# | queries from rows of width D | (n, D) · (D, qk) | n · D · qk |
# | keys and values from rows of width C | (m, C) · (C, qk + v) | m · C · (qk + v) |
# | output | (n, v) · (v, D) | n · v · D |
#
# After attention comes an MLP on each of the n rows: one layer from D to w · D numbers and one back, 2 · n · w · D²
# multiply-adds. w is called the *widening*. A **FLOP** count counts multiplication and addition each, so it is twice as
# large; the Perceiver papers count that way, and so does this course from here on.


# %%
def attention_parts(n, m, D, C, qk, v):
    """Multiply-adds of attention with its projections: n queries of width D, m inputs of width C."""
    return {
        "scores and sum": n * m * (qk + v),
        "keys and values": m * C * (qk + v),
        "queries and output": n * D * qk + n * v * D,
    }


def self_attention_layer(m, D, widening=1):
    """One layer of a Transformer on m rows of width D."""
    return attention_parts(m, m, D, D, D, D) | {"MLP": 2 * m * D * widening * D}


def read_layer(n, m, D, C):
    """A Perceiver's read: n latents of width D read m inputs of width C; keys and values are as wide as the inputs."""
    return attention_parts(n, m, D, C, C, C) | {"MLP": 2 * n * D * D}


for M in (64, 784, 4096, 50_176):
    layer, read = sum(self_attention_layer(M, 256).values()), sum(read_layer(128, M, 256, 256).values())
    print(f"LAB {M:>6,} inputs of width 256: self-attention {2 * layer / 1e9:>9.2f} GFLOPs, read by 128 latents "
          f"{2 * read / 1e9:>5.2f}, ratio {layer / read:>6.2f}")  # fmt: skip
ratios = [(448**2 * many) / (224**2 * few) for many, few in ((448**2, 224**2), (512, 512))]
print("LAB scores at 448 x 448 against 224 x 224: self-attention", ratios[0], "times, a read", ratios[1], "times")

# %%
reveal("02", "C", "four times the inputs: the square of that for pairs of inputs, but only four times the pairs of latent and input.")

# %% [markdown]
# ### A published figure, rebuilt
#
# The Perceiver for ImageNet reads 50,176 inputs of width 261 into 512 latents of width 1,024, and has 48 latent layers.
# The paper gives the FLOPs for one, two, four and eight reads (table 6). Can you get them from two lines?

# %%
reported = {1: 404, 2: 448, 4: 534, 8: 707}
read = sum(read_layer(512, 50_176, 1024, 261).values())
layer = sum(self_attention_layer(512, 1024).values())
for reads, paper in reported.items():
    ours = 2 * (reads * read + 48 * layer) / 1e9
    assert abs(ours / paper - 1) < 0.005
    print(f"LAB {reads} read(s): by hand {ours:.1f} GFLOPs, in the paper {paper}")
print(f"LAB one read {2 * read / 1e9:.1f} GFLOPs, one latent layer {2 * layer / 1e9:.1f}")
on_pixels = 48 * sum(self_attention_layer(50_176, 1024).values())
print(f"LAB 48 layers of the same width on the pixels themselves: {2 * on_pixels / 1e12:.0f} TFLOPs, "
      f"{on_pixels / (read + 48 * layer):,.0f} times as many as with one read")  # fmt: skip

# %% [markdown]
# Within half a percent: what is missing is everything that is no matrix product, such as norms, softmax and biases.
#
# ## The library counts, and the compiler counts
#
# `introspect.cost` follows a call with shapes alone: no number is computed and no memory used. It counts the matrix products
# that are in the program (`multiply_adds`), and asks XLA, JAX's compiler, for its own count (`compiler_flops`).

# %%
def rows(*shape):
    return jax.ShapeDtypeStruct((1, *shape), jnp.float32)  # a shape, and no numbers


cases = {
    "self-attention layer": (
        lambda: SelfAttentionBlock(128, num_heads=4, rngs=nnx.Rngs(0)),
        (rows(512, 128),),
        self_attention_layer(512, 128),
    ),
    "attention of 64 queries": (
        lambda: Attention(128, 96, num_heads=4, qk_channels=32, v_channels=64, output_channels=128, rngs=nnx.Rngs(0)),
        (rows(64, 128), rows(4096, 96)),
        attention_parts(64, 4096, 128, 96, 32, 64),
    ),
}
for name, (make, inputs, parts) in cases.items():
    counted = cost(nnx.eval_shape(make), *inputs)
    assert counted.multiply_adds == sum(parts.values())
    print(f"LAB {name}: by hand {sum(parts.values()):,}, the library counts {counted.multiply_adds:,}")
    more = counted.compiler_flops / counted.flops - 1
    print(f"    the compiler counts {more:.1%} more than the FLOPs of the products")
    assert 0 <= more < 0.25

# %% [markdown]
# The two counts of products agree to the last digit. The compiler adds what was left out, above all the softmax: a few
# operations for each score, while a score itself took as many as the head is wide. With narrow heads that is no longer
# negligible.
#
# ## The clock
#
# Now time. Attention alone, one head of width 64: self-attention, and 128 queries that read the same inputs. Each size is
# compiled first, run several times, and the shortest time counts, because whatever else your machine does can only make it
# longer.


# %%
def shortest(call, *args):
    compiled = jax.jit(call).lower(*args).compile()
    times = []
    for _ in range(budget(ci=2, lab=5)):
        began = time.perf_counter()
        jax.block_until_ready(compiled(*args))
        times.append(time.perf_counter() - began)
    return min(times)


def look(q, k, v):
    return attend(q, k, v, impl="einsum")


rng = np.random.default_rng(0)
squares = [256, 512, 1024, *budget(ci=[], lab=[2048, 4096, 8192])]
lengths = [256, 1024, 4096, *budget(ci=[], lab=[16_384, 65_536, 131_072])]
seconds = {"self-attention": [], "128 queries": []}
for M in tqdm(sorted({*squares, *lengths}), desc="inputs"):
    x = jnp.asarray(rng.normal(size=(1, M, 1, 64)), jnp.float32)
    if M in squares:
        seconds["self-attention"].append(shortest(look, x, x, x))
    if M in lengths:
        seconds["128 queries"].append(shortest(look, x[:, :128], x, x))
slopes = {}
for (name, values), sizes in zip(seconds.items(), (squares, lengths), strict=True):
    slopes[name] = np.polyfit(np.log(sizes[-3:]), np.log(values[-3:]), 1)[0]
    print(f"{name}: " + ", ".join(f"{m:,} in {1000 * s:.2g} ms" for m, s in zip(sizes, values, strict=True)))
    print(f"    from the last three: time grows with the power {slopes[name]:.2f} of the inputs")
every = sorted({*squares, *lengths})
price_lines(
    every,
    {
        name: [dict(zip(sizes, values, strict=True)).get(m, np.nan) for m in every]
        for (name, values), sizes in zip(seconds.items(), (squares, lengths), strict=True)
    },
    ylabel="seconds",
    alt="Seconds over inputs, both axes logarithmic. At the last three sizes self-attention rises with a slope of "
    f"{slopes['self-attention']:.2f}, 128 queries with one of {slopes['128 queries']:.2f}.",
)

# %% [markdown]
# In such a plot a power is a slope: a line that rises by two decades of seconds in one decade of inputs is a square. The
# slopes are taken from the last three sizes, where the work outweighs the overhead of starting it. They need not be exactly 2
# and 1: what does not fit a cache takes longer per number, and a busy machine disturbs everything.
#
# ## Memory
#
# The compiler also knows how much memory a program will need besides its inputs and outputs, before it runs. So you can
# ask about sizes that nobody would dare to start.

# %%
print("inputs     self-attention   512 queries   scores of each alone")
wanted = {}
for M in budget(ci=(1024, 50_176), lab=(1024, 4096, 16_384, 50_176)):
    q, k = (jax.ShapeDtypeStruct((1, m, 1, 64), jnp.float32) for m in (min(512, M), M))
    wanted[M] = [cost(look, one, k, k, compiled=True).temporary_bytes for one in (k, q)]
    alone = [4 * M * M, 4 * q.shape[1] * M]
    assert all(found >= scores for found, scores in zip(wanted[M], alone, strict=True))
    print(f"{M:>6,} {wanted[M][0] / 2**20:>13,.0f} MiB {wanted[M][1] / 2**20:>9,.0f} MiB"
          f"      {alone[0] / 2**20:,.0f} and {alone[1] / 2**20:,.0f} MiB")  # fmt: skip
print(f"LAB float32 scores of 50,176 x 50,176: {4 * 50_176**2:,} bytes; of 512 x 50,176: {4 * 512 * 50_176:,} bytes")
print("LAB each program needs at least its scores: True")

# %% [markdown]
# For one head of one layer, self-attention among 50,176 pixels wants room for its scores and for the weights made of them:
# about twice ten billion bytes. With eight heads, eight times that.
#
# Memory can be saved, though. One need not hold all scores at once: read the inputs in chunks and keep a running sum, which
# is exact (exercise 02.5). The library does so by itself where scores are many, and when asked for `impl="chunked"`. Work
# cannot be saved like that:

# %%
M = 16_384
x = jax.ShapeDtypeStruct((1, M, 1, 64), jnp.float32)
for impl in ("einsum", "chunked"):
    counted = cost(lambda q, k, v, impl=impl: attend(q, k, v, impl=impl), x, x, x, compiled=True)
    assert counted.multiply_adds == 2 * M * M * 64
    print(f"{impl:>8}: {counted.temporary_bytes / 2**20:>6,.0f} MiB", end="; ")
    print(f"{counted.multiply_adds:,} multiply-adds")
print(f"LAB self-attention among {M:,} inputs: {2 * M * M * 64:,} multiply-adds, in chunks or not")

# %% [markdown]
# So at long inputs it is the *work* that decides between the two, and the work is what latents reduce.
#
# ## Where the square is not the problem
#
# Self-attention has the reputation of being quadratic. But a layer also projects its rows and has an MLP, and those grow
# with M alone. Which part weighs more? For a Transformer layer of width D with an MLP of widening w, scores and sum take
# 2 · M² · D, everything else (4 + 2w) · M · D². The two are equal at M = (2 + w) · D.

# %%
sizes = [64, 256, 1024, 4096, 16_384, 50_176]
shares = {}
for name, parts in (
    ("Transformer layer, D = 768, w = 4", lambda m: self_attention_layer(m, 768, widening=4)),
    ("Perceiver's read, 512 latents", lambda m: read_layer(512, m, 1024, 261)),
    ("Perceiver's read, 128 latents", lambda m: read_layer(128, m, 1024, 261)),
):
    shares[name] = [100 * parts(m)["scores and sum"] / sum(parts(m).values()) for m in sizes]
    print(f"LAB {name}: " + ", ".join(f"{m:,} inputs {share:.0f} %" for m, share in zip(sizes, shares[name], strict=True)))
half = self_attention_layer((2 + 4) * 768, 768, widening=4)
assert 2 * half["scores and sum"] == sum(half.values())
print("LAB at 4,608 inputs, half of the Transformer layer is scores and sum: True")
made, axes = figures.figure(
    1, 1, size=(7.0, 3.2),
    alt="Share of scores and sum in all multiply-adds, over the inputs. In a Transformer layer of width 768 it rises from a "
    "few percent to nearly all; in a Perceiver's read it levels off: at 50,176 inputs 62 percent with 512 latents, 32 with 128.",
)  # fmt: skip
for number, (name, values) in enumerate(shares.items()):
    axes[0, 0].semilogx(sizes, values, label=name, **figures.series(number))
axes[0, 0].set(xlabel="inputs M", ylabel="scores and sum, % of all", ylim=(0, 100))
axes[0, 0].legend(fontsize=9)
made

# %% [markdown]
# With 256 inputs, the feared square is a twentieth of a Transformer layer; most of it is projections and MLP. At 50,176 it is
# nearly all there is.
#
# In a read, both parts grow with M, so their ratio settles: scores and sum take N · M · 2C, projecting keys and values takes
# M · C · 2C. They are equal when **there are as many latents as channels in an input**. With 128 latents and 261 channels,
# most of the price of looking is not looking at all. It is making keys and values.
#
# ### What the library does about it
#
# Matrix products may be regrouped. Instead of projecting 50,176 inputs to keys, and comparing queries with them, one can
# carry the few queries over to the inputs' side and compare there; the same works for values. It is the same algebra with
# fewer multiply-adds when latents are few, and it is called *folded* here. The other idea is the running sum over *chunks*.
# `ops.cross_attend` chooses among the four combinations from the shapes alone. What that brings was measured on a machine
# with two cores, forward and backward pass in float32, and is stored with the library:

# %%
stored = measured("attention")  # benchmarks/results/attention.json
for name, case in stored["cases"].items():
    plain, chosen = case["forms"]["plain"], case["forms"][case["chosen"]]
    print(f"{name}: plain {plain['seconds']:.2f} s and {plain['mebibytes']:,} MiB, {case['chosen']} "
          f"{chosen['seconds']:.2f} s and {chosen['mebibytes']:,} MiB: {plain['seconds'] / chosen['seconds']:.1f} times as fast")  # fmt: skip
for N in (128, 512):
    counts = multiply_adds(N, 50_176, 261, num_heads=1, qk_channels=261, v_channels=261)
    print(f"LAB {N} latents, 50,176 inputs of width 261: folded takes {counts['folded'] / counts['plain']:.2f} of the multiply-adds")

# %% [markdown]
# Source: `benchmarks/attention.py`, results in `benchmarks/results/attention.json`; the gradients are compared there too. The
# lessons derive the plain form first, because it says what is meant.

# %% [markdown]
# ## What does the bottleneck cost?
#
# A cheap read is worth nothing if it does not see enough. So the next cell trains: real digits, enlarged to 16 x 16
# pixels, so that there are 256 inputs. Two Perceivers, with 1 latent and with 16 latents of 32 channels, read them once
# and think for two layers. The baseline is a Transformer with three such layers on all 256 inputs. All see the same
# digits in the same order. One seed each, so small differences mean nothing.


# %%
side = budget(ci=8, lab=16)  # the digits of mode ci stay as they are, to save time


def enlarge(record, rng=None):
    """Pixels of ink 0..16 -> -1..1, each repeated until there are `side` of them on a side."""
    image = record["image"].astype(np.float32) / 8 - 1
    return {**record, "image": image.repeat(side // 8, axis=-3).repeat(side // 8, axis=-2)}


def make_perceiver(num_latents, side):
    rngs = nnx.Rngs(0)
    config = PerceiverConfig(num_latents=num_latents, latent_channels=32, num_self_attends_per_block=2, num_self_heads=4)
    adapter = ImageInput((side, side, 1), num_bands=6)
    return Perceiver(config, input_adapter=adapter, output_adapter=ClassOutput(32, 10, rngs=rngs), rngs=rngs)


def make_transformer(side):
    config = TransformerConfig(num_classes=10, channels=32, num_layers=3, num_heads=4, widening_factor=1)
    return TransformerEncoder(config, input_adapter=ImageInput((side, side, 1), num_bands=6), rngs=nnx.Rngs(0))


models = {f"Perceiver, {n} latent{'s' * (n > 1)}": (lambda side, n=n: make_perceiver(n, side)) for n in (1, 16)}
models["Transformer"] = make_transformer
steps, picture = budget(ci=60, lab=400), jax.ShapeDtypeStruct((1, 16, 16, 1), jnp.float32)
test_batch = enlarge(arrays("digits", "test"))
scores, prices, lasted = {}, {}, {}
for name, make in models.items():
    batches = pipeline("digits", split="train", batch_size=32, seed=0, transforms=(enlarge,))
    began = time.perf_counter()
    trained = train(make(side), batches, steps=steps, optimizer=adamw(3e-3))
    lasted[name] = time.perf_counter() - began
    scores[name] = evaluate(trained.model, [test_batch]).accuracy
    prices[name] = cost(nnx.eval_shape(lambda make=make: make(16)), picture)
for name, counted in prices.items():
    print(f"{name:22s} {scores[name]}; trained in {lasted[name]:.0f} s")
    print(f"LAB {name:22s} {counted.flops / 1e6:6.2f} MFLOPs for a digit, {counted.parameters:,} parameters")
assert all(score.value > budget(ci=0.12, lab=0.5) for score in scores.values())
print("LAB all better than guessing:", all(score.value > 0.1 for score in scores.values()))

# %%
figures.accuracy_bars({name: (score.correct, score.total) for name, score in scores.items()}, chance=0.1)

# %% [markdown]
# In the run that is stored here, after 400 steps each, the Transformer has most right, and 16 latents hardly more than
# one. With 297 test digits the three intervals overlap a little: that the bottleneck costs something at the same number
# of steps is likely, no more.
#
# It also saves something. A digit costs the Transformer 33 times the FLOPs that it costs the Perceiver with 16 latents, and
# above you see the seconds that the trainings took, of which a few are compiling. Equal steps are one way to compare and
# equal price is another: give the Perceiver ten times the steps, and it still has spent less than a third. Whether that
# closes the gap you can try in this cell. That a Perceiver can read these digits well is known from lesson
# [04](04_the_perceiver.ipynb): its `digits_perceiver`, trained for 500 steps of 64 digits on the 8 x 8 pixels themselves, reads
# 99.0 % of the same 297.

# %% [markdown]
# ## Explore: the budget planner
#
# Choose an input and a model; see FLOPs, memory and parameters of a Perceiver and of a Transformer with the same layers, and
# what fits a laptop. The sliders work from the keyboard. Three things to find out; the explorer ticks them off:
#
# 1. Move the image to 224 pixels a side. Which of the two still fits?
# 2. Find a size at which the Transformer is the cheaper one. What do inputs and latents have to do with it?
# 3. From 10,000 inputs on, make the input larger and change nothing else. How do the two grow?
#
# Then tick *folded and in chunks* at 224 pixels a side, and watch what becomes of the Transformer's memory, and what of its
# FLOPs. Go on to 1,024 pixels, and look at the Perceiver's.

# %%
BudgetPlanner(image=64, num_latents=256, channels=512, num_layers=6)

# %% [markdown]
# ## Exercises
#
# Put your answer in place of the dots and run the cell. `hint("02.1")` helps, `solution("02.1")` shows one way.

# %% [markdown]
# ### 02.1 Ten seconds of sound
#
# *look it up, about 2 minutes. It matters because sound is where raw inputs get long first.*
#
# A recording of 10 seconds has 16,000 samples per second, and each sample is one input. 256 latents
# read it with one head. How many scores are computed?

# %%
answer = ...
check("02.1", answer)

# %% [markdown]
# ### 02.2 As much as fits
#
# *think, about 4 minutes. It matters because this is how one finds out before the run, and not after an hour.*
#
# An accelerator has 80 billion bytes free. What is the largest number of inputs whose self-attention
# scores, one head in float32, just fit?

# %%
answer = ...
check("02.2", answer)

# %% [markdown]
# ### 02.3 Making keys or comparing them
#
# *think, about 4 minutes. It matters because it tells which of the two is worth making cheaper.*
#
# A Perceiver reads inputs of 130 channels; keys and values are as wide as the inputs. With how many
# latents do scores and weighted sum cost as much as making the keys and values?

# %%
answer = ...
check("02.3", answer)

# %% [markdown]
# ### 02.4 The price of a read
#
# *build, about 8 minutes. It matters because a formula of your own beats a table of others' sizes.*
#
# Write `read_cost(n, m, D, C)`: the multiply-adds of the attention in a read, with all its projections and
# without the MLP. n latents of width D, m inputs of width C; queries, keys and values have width C.

# %%
def read_cost(n, m, D, C):
    ...


check("02.4", read_cost)

# %% [markdown]
# ### 02.5 A softmax in pieces
#
# *build, about 15 minutes. It matters because a million inputs fit a laptop only in this way.*
#
# Write `blend_in_chunks(scores, values, size)`: softmax(scores) @ values for scores (m,) and values (m, e),
# looking at no more than `size` scores at a time. Scores may be large, such as 1,000.

# %%
def blend_in_chunks(scores, values, size):
    ...


check("02.5", blend_in_chunks)

# %% [markdown]
# ## What you now know
#
# - The price of attention is the sum of a few matrix products, and a product of (n, d) with (d, m) costs n · d · m.
# - Self-attention among M inputs grows with M², a read by N latents with M · N, a latent layer with N², whatever M is.
# - The library's count of the products equals yours exactly; the compiler adds softmax and norms.
# - Scores need not be held in memory all at once. The work for them has to be done all the same.
# - Below M = (2 + w) · D a Transformer layer is mostly projections and MLP. In a read, making keys and values costs more than
#   looking as long as there are fewer latents than input channels.
#
# ## Sources
#
# - Jaegle and others, *Perceiver: general perception with iterative attention*,
#   [2103.03206](https://arxiv.org/abs/2103.03206): section 3.1 (the cost of reads and latent layers), section 4.1 (the
#   ImageNet model), table 6 (FLOPs of one to eight reads), appendix B (how FLOPs are counted).
# - Vaswani and others, *Attention is all you need*, [1706.03762](https://arxiv.org/abs/1706.03762): sections 3.2 and 3.3 (a
#   Transformer's layer).
# - Milakov and Gimelshein, *Online normalizer calculation for softmax*, [1805.02867](https://arxiv.org/abs/1805.02867) (the
#   running sum).
# - The stored measurements: `benchmarks/results/attention.json`, made by `benchmarks/attention.py`.
# - The digits: E. Alpaydin and C. Kaynak, *Optical recognition of handwritten digits*,
#   [UCI 80](https://archive.ics.uci.edu/dataset/80), CC BY 4.0, as packed by scikit-learn.
