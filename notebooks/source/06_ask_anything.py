# %% [markdown]
# # 06 · Perceiver IO: ask anything
#
# A Perceiver answers one question, the one it was built for. Perceiver IO turns the question into an input: one more
# cross-attention, whose queries are what you want to know. In this lesson you build that decoder, ask one array of
# latents for classes, counts, colours and masks, ask between the pixels, and find out where things move.
#
# **After this lesson you can**
#
# - build a decoder, and choose its queries for a class, a pixel, a task, or the inputs themselves;
# - say what an answer costs, and why training may ask for a part of them;
# - use one model for several tasks, and judge by measuring whether it is worth it;
# - ask between the pixels and say what that brings, against plain interpolation;
# - measure optical flow against methods that learn nothing.
#
# **Needs** lesson [04](04_the_perceiver.ipynb) (the Perceiver) and lesson [03](03_where_am_i.ipynb) (positions).
# **Next** in lesson [07](07_bytes_not_tokens.ipynb) you ask for bytes that are hidden. **Time** about 80 minutes with the exercises. The cells alone
# take a few minutes on two cores.

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
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from perceiver_lab import figures, recipes
from perceiver_lab.adapters import ImageInput, LinearOutput, MultimodalOutput, MultimodalQueries, PositionQueries
from perceiver_lab.course import budget, check, hint, predict, reveal, solution, trained  # noqa: F401
from perceiver_lab.datasets import arrays, motorcycle, scale_pair
from perceiver_lab.datasets.scenes import KINDS
from perceiver_lab.explorers import QueryPlayground, Task
from perceiver_lab.introspect import cost
from perceiver_lab.layers import FourierPositions, LearnedPositions
from perceiver_lab.models import Decoder, PerceiverConfig, PerceiverIO
from perceiver_lab.ops import grid_coordinates, release_coordinates
from perceiver_lab.ops.tiles import predict_tiled
from perceiver_lab.recipes.scenes_measure import between_pixels, scene_psnr
from perceiver_lab.training.flow import (
    baseline_flows, best_constant, classical_flow, endpoint_error, flow_metrics, pixel_masks,
)  # fmt: skip

# %% [markdown]
# ## The idea in one picture
#
# On the left, what you know from lesson 04: latents read the inputs and work on themselves. On the right, what is
# new. The **decoder** is a cross-attention the other way round: now the latents are what is read, and the readers are
# **queries**, one for each output that you want.
#
# The letters are those of lesson 04: M inputs of C channels, N latents of D. Two are new: O queries of E channels, and
# as many outputs, of K numbers each. In the picture M is 144, N is 32, and O is 40,000.

# %%
figures.perceiver_io_diagram(num_inputs=144, num_layers=2)

# %% [markdown]
# ## Commit yourself
#
# You ask the decoder for the colour at one point. Then you ask again for the same point, along with 39,999 others, in
# one call. What happens to the answer at the first point? Put a letter in place of the dots.

# %%
predict("06", ["it changes: the queries share one softmax", "it moves a little", "it stays as it is"], choice=...)

# %% [markdown]
# ## From scratch
#
# ### The decoder
#
# Linear layers, norms, MLPs and attention are those of lesson 04, word for word. Only `decode` is new, and it is not
# new at all: it is a read, in which the queries ask and the latents answer.


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


def decode(w, latents, queries):
    asked, answering = layer_norm(w["query_norm"], queries), layer_norm(w["kv_norm"], latents)
    x = queries + attention(w["attention"], asked, answering, num_heads=4)
    return x + mlp(w["mlp"], layer_norm(w["mlp_norm"], x))


# %% [markdown]
# ### Four kinds of question
#
# A query is a row of numbers, and all queries of a model are of one width, here 64. What do you put in? What you know
# about the question, and for the rest a vector that is **learned**:
#
# | you want | you know | learned |
# |---|---|---|
# | a class for the whole picture | nothing | 64 numbers |
# | the colour at a point | 50 Fourier features of the point (lesson 03) | 14 numbers |
# | what is at that point: another **task** | the same 50 | 14 *other* numbers |
# | something about each input, such as where it moves | the input row itself, here 53 numbers | 11 numbers |
#
# The last line is how the paper asks for optical flow; the third is how one model has several tasks. For now, 32 rows
# of random numbers stand for the latents of two pictures.


# %%
def dense(rows, columns):
    kernel = rng.normal(0, rows**-0.5, (rows, columns))
    return {"kernel": jnp.asarray(kernel, jnp.float32), "bias": jnp.zeros(columns)}


def norm(channels):
    return {"scale": jnp.ones(channels), "bias": jnp.zeros(channels)}


def fourier(points, num_bands=12):
    waves = jnp.pi * points[..., None] * jnp.arange(1, num_bands + 1)
    waves = waves.reshape(len(points), -1)
    return jnp.concatenate([points, jnp.sin(waves), jnp.cos(waves)], axis=-1)


def ask(known, learned):
    """What is known of each question, widened by what is learned about its kind: two pictures are asked alike."""
    queries = jnp.concatenate([known, jnp.broadcast_to(learned, (len(known), len(learned)))], axis=-1)
    return jnp.broadcast_to(queries, (2, *queries.shape))


rng = np.random.default_rng(6)
N, D, E = 32, 96, 64
weights = {
    "query_norm": norm(E), "kv_norm": norm(D),
    "attention": {"query": dense(E, D), "key": dense(D, D), "value": dense(D, D), "output": dense(D, E)},
    "mlp_norm": norm(E), "mlp": {"expand": dense(E, E), "contract": dense(E, E)},
}  # fmt: skip
learned = {"class": 64, "colour": 14, "kind": 14, "inputs": 11}
learned = {name: jnp.asarray(rng.normal(0, 0.02, width), jnp.float32) for name, width in learned.items()}
heads = {"class": dense(E, 4), "colour": dense(E, 3), "kind": dense(E, 5)}

latents = jnp.asarray(rng.normal(size=(2, N, D)), jnp.float32)
pixels = grid_coordinates((48, 48))
rows = jnp.asarray(rng.normal(size=(48 * 48, 53)), jnp.float32)
queries = {
    "class": ask(jnp.zeros((1, 0)), learned["class"]),
    "colour": ask(fourier(pixels), learned["colour"]),
    "kind": ask(fourier(pixels), learned["kind"]),
    "inputs": ask(rows, learned["inputs"]),
}
for name, asked in queries.items():
    decoded = decode(weights, latents, asked)
    print(f"LAB {name:7s} queries {asked.shape}  decoded {decoded.shape}  scores per head {asked.shape[1] * N:>6,}")

# %% [markdown]
# One query or 2,304, the latents are the same and were made once. A decoder costs `O * N` scores: the number of
# inputs is not in it. At the end of each task stands one linear layer, from 64 numbers to as many as its answer has.
#
# ## The same, from the library
#
# `PositionQueries` makes queries of one kind, `MultimodalQueries` puts several kinds side by side and widens them with
# what is learned, `Decoder` asks, `MultimodalOutput` has a linear layer for each kind, and `PerceiverIO` holds it all
# together. Give it your weights: asked for the first three kinds, it must say what yours says (the fourth comes with
# the flow).

# %%
waves = FourierPositions((48, 48), num_bands=12, max_resolution=(24, 24))  # 1, 2, ..., 12 turns
rngs = nnx.Rngs(6)
asking = MultimodalQueries(
    {
        "class": PositionQueries(LearnedPositions((1,), 50, rngs=rngs)),
        "colour": PositionQueries(waves),
        "kind": PositionQueries(waves),
    },
    min_padding_size=14, rngs=rngs,
)  # fmt: skip
outputs = {name: LinearOutput(E, heads[name]["bias"].size, only_query=name == "class", rngs=rngs) for name in heads}
model = PerceiverIO(
    PerceiverConfig(num_latents=N, latent_channels=D, num_self_heads=4),
    input_adapter=ImageInput((48, 48, 3), num_bands=12),
    decoder=Decoder(asking, D, output_channels=None, num_heads=4, use_query_residual=True, rngs=rngs),
    output_adapter=MultimodalOutput(outputs),
    rngs=rngs,
)
state = nnx.state(model, nnx.Param)
nnx.replace_by_pure_dict(
    state,
    {
        "decoder": {
            "block": weights,
            "queries": {
                "groups": {"class": {"positions": {"table": learned["class"][None, :50]}}},
                "paddings": {name: {"table": learned[name][None, -14:]} for name in heads},
            },
        },
        "output_adapter": {"parts": {name: {"linear": heads[name]} for name in heads}},
    },
)
nnx.update(model, state)
theirs, difference = nnx.jit(PerceiverIO.decode)(model, latents), 0.0
for name, said in theirs.items():
    yours = linear(heads[name], decode(weights, latents, queries[name]))
    yours = yours[:, 0] if name == "class" else yours
    print("LAB", name, said.shape)
    difference = max(difference, float(jnp.abs(yours - said).max()))
assert difference < 1e-4
print(f"largest difference of any answer: {difference:.1e}")
print("LAB yours and the library's agree to 1e-4:", difference < 1e-4)

# %% [markdown]
# ## Encode once, ask many times
#
# Now the experiment of your prediction. The model knows nothing yet, and need not: this is about how it computes. One
# point alone, then the same point as the first of 40,000; and all 2,304 pixels at once, then in seven chunks.


# %%
def at_points(model, latents, task, points):
    """What a model says about a task at points (o, 2), the same for all pictures: (b, o, k)."""
    unasked = {name: jnp.zeros(0, int) for name in model.decoder.queries.names if name != task}
    points = jnp.broadcast_to(jnp.asarray(points, jnp.float32), (len(latents), *points.shape))
    return model.decode(latents, cells=unasked, positions={task: points})[task]


points = rng.uniform(-1, 1, (40_000, 2))
alone, among_others = at_points(model, latents, "colour", points[:1]), at_points(model, latents, "colour", points)
moved = float(jnp.abs(alone[:, 0] - among_others[:, 0]).max())
chunked = model.decode_in_chunks(latents, num_chunks=7)
apart = max(float(jnp.abs(chunked[name] - theirs[name]).max()) for name in theirs)
assert moved < 1e-4 and apart < 1e-4
print("LAB 1 point:", alone.shape, " 40,000 points:", among_others.shape)
print(f"the first point's answer moves by {moved:.1e}; chunks and the whole differ by {apart:.1e}")
print("LAB both below 1e-4:", moved < 1e-4 and apart < 1e-4)
for count in (1, 2304, 40_000):
    print(f"LAB {count:>6,} questions: {count * N:>9,} scores per head; among themselves it would be {count**2:>13,}")

# %%
reveal("06", "C", "the softmax goes over the latents, for each query by itself; queries do not see each other.")

# %% [markdown]
# What follows from it is most of what this lesson does:
#
# - **Encode once.** The inputs are read and thought about once; each further question costs the decoder alone.
# - **Ask in chunks.** Any number of outputs fits into any memory, at one chunk at a time. The paper's videos have
#   803,297 outputs each (table 5).
# - **Train on a part.** A loss over an eighth of the pixels, drawn anew at each step, is on average the loss over
#   all. In the paper, training for videos asks for 512 pixels and 512 audio samples of each (section 4.3).
# - **Ask between.** A point needs no pixel to lie on.
#
# The price is the other side of the same coin: two answers cannot agree with each other about anything that is not in
# the latents.
#
# ## Four questions about a scene
#
# Enough of random numbers. The scenes are **synthetic**: one to three shapes, drawn on a plain colour or on a paled
# crop of a real photo. Shapes, places, sizes and colours differ between training and test; the nine photos are the
# same nine.

# %%
scenes = arrays("scenes", f"test[:{budget(ci=8, lab=100)}]")
print("LAB a scene", scenes["image"].shape[1:], scenes["image"].dtype)
figures.image_grid(
    scenes["image"][:6], columns=6,
    titles=[f"{KINDS[scenes['label'][i]]}, {scenes['count'][i]} in all" for i in range(6)],
)  # fmt: skip

# %% [markdown]
# One model is asked four things: **class**, the kind of the largest shape (one learned query); **count**, how many
# shapes there are (another); **colour** at a point; **kind**, what lies at a point: background or one of the four
# kinds. Of the last two, asked at all pixels, come a picture and a mask. In training they are asked at 288 of the
# 2,304 pixels.
#
# The recipe `scenes_perceiver_io` holds model, data and optimiser. A 7 x 7 convolution and a max-pool turn the
# picture into 12 x 12 = 144 rows, as the paper does in one of its ImageNet models; 32 latents of 96 numbers read them
# once, and two self-attention layers follow. That is 3,072 numbers for a picture of 6,912: they cannot hold
# everything.

# %%
recipe = recipes.get("scenes_perceiver_io")
abstract = nnx.eval_shape(lambda: recipe.make_model(nnx.Rngs(0)))  # shapes only: no number is made
picture = jax.ShapeDtypeStruct((1, 48, 48, 3), jnp.float32)
for name, said in nnx.eval_shape(lambda model, x: model(x), abstract, picture).items():
    print(f"LAB {name:7s} {said.shape}")
costs = {
    "reading and thinking": cost(lambda model, x: model.encode(model.embed(x)), abstract, picture),
    "that, and all answers": cost(abstract, picture),
    "that, and an eighth of the points": cost(
        abstract, picture, cells={task: jnp.arange(288) for task in ("colour", "kind")}
    ),
}
for name, counted in costs.items():
    print(f"LAB {name:34s}{counted.flops / 1e6:8.1f} MFLOPs")
print(f"LAB {recipe.num_parameters():,} parameters, queries of {abstract.decoder.queries.num_channels} channels")

# %% [markdown]
# ### Train it
#
# First a short training before your eyes, as far as a lesson's patience goes. The loss is a weighted sum of the four
# tasks' losses; the weights were chosen so that none of them drowns the others.

# %%
live = trained("scenes_perceiver_io", retrain=True)

# %% [markdown]
# It has begun. After 600 steps it knows for most scenes how many shapes there are, and roughly where; which kind the
# largest one is, hardly. The recipe goes on for 20 times as many steps, and its weights ship with the course. Beside
# each number stands what you get for no work: always the most frequent class and count, each scene's own mean colour
# everywhere, and background everywhere, which finds nothing of any shape. The shipped weights were judged on 1,000
# test scenes; the intervals are of 95 %.

# %%
shipped = trained("scenes_perceiver_io")
test = arrays("scenes", "test")
flat = test["image"].reshape(len(test["image"]), -1, 3) / 127.5 - 1
lazy = {
    "class_accuracy": np.bincount(test["label"]).max() / len(flat),
    "count_accuracy": np.bincount(test["count"]).max() / len(flat),
    "colour_psnr": scene_psnr(np.broadcast_to(flat.mean(axis=1, keepdims=True), flat.shape), flat).mean(),
    "mask_iou": 0.0,
}
print(f"\n{'':16s}{'after ' + str(live.about['steps']):>12s}{'shipped':>10s}   {'95 % interval':16s}{'no work':>8s}")
for name, nothing in lazy.items():
    low, high = (shipped.metrics[name + end] for end in ("_low", "_high"))
    print(f"{name:16s}{live.metrics[name]:12.3f}{shipped.metrics[name]:10.3f}   "
          f"{f'{low:.3f} to {high:.3f}':16s}{nothing:8.3f}")  # fmt: skip
assert min(shipped.metrics["class_accuracy"], shipped.metrics["count_accuracy"], shipped.metrics["mask_iou"]) > 0.8
print("LAB shipped: class, count and mask above 0.8: True")

# %% [markdown]
# `colour_psnr` is the mean squared error of the colours on a logarithmic scale: 10 decibels more are a tenth of the
# error. `mask_iou` is the overlap of "shape" as said and as drawn, over their union.
#
# Here are answers of the shipped model: what it read, the colours that it says, and the kinds that it says, each
# asked at all 2,304 pixels; above them, class and count. Of the kinds, blue is background, orange a circle, green a
# square, pink a triangle, light blue a star.


# %%
predict_all = nnx.jit(recipe.predict)


def said_by(model, images):
    """Everything that a model says about uint8 pictures."""
    return jax.tree.map(np.asarray, predict_all(model, {"image": jnp.asarray(images, jnp.float32) / 127.5 - 1}))


shown = scenes["image"][:6]
said = said_by(shipped.model, shown)
colours = np.clip((said["colour"] + 1) * 127.5, 0, 255).astype(np.uint8).reshape(shown.shape)
kinds = figures.labels_to_rgb(said["kind"].argmax(axis=-1)).reshape(shown.shape)
words = [f"says {KINDS[said['class'][i].argmax()]}, {1 + said['count'][i].argmax()}" for i in range(6)]
seen = [", ".join(KINDS[kind - 1] for kind in np.unique(one.argmax(axis=-1)) if kind) for one in said["kind"]]
figures.image_grid(
    np.concatenate([shown, colours, kinds]), columns=6, titles=[*words, *["colour"] * 6, *seen],
    alt="Six scenes; below them the colours and the kinds that the model says at each pixel.",
)  # fmt: skip

# %% [markdown]
# ### One model or four?
#
# Does it cost anything to ask four things of the same latents? These models have the same encoder, the same decoder
# and the same 3,000 steps; four of them were asked one thing only, the fifth all four.

# %%
single = {task: trained(f"scenes_{task}") for task in ("class", "count", "colour", "kind")}
eighth = trained("scenes_eighth")
headline = {"class": "class_accuracy", "count": "count_accuracy", "colour": "colour_psnr", "kind": "mask_iou"}
print(f"\n{'':16s}{'asked only this':^28s}{'asked all four':^28s}")
for task, name in headline.items():
    cells = (
        f"{one.metrics[name]:.3f} ({one.metrics[name + '_low']:.3f} to {one.metrics[name + '_high']:.3f})"
        for one in (single[task], eighth)
    )
    print(f"{name:16s}" + "".join(f"{cell:^28s}" for cell in cells))
print("parameters:", f"{sum(one.about['parameters'] for one in single.values()):,} in four models,",
      f"{eighth.about['parameters']:,} in one")  # fmt: skip

# %% [markdown]
# Class and count are better in company, and the masks are as good: all three need to know where the shapes are, so
# that what helps one may help the others. Colour pays. It alone wants to know about every corner of the picture, and
# with three others in the same latents, and in the same loss, it gets less room. So sharing is no free lunch, and
# whether it is worth it is to be measured. Each of these is one training; small differences mean nothing.
#
# The paper measured it for language. On the eight GLUE tasks, its byte model reaches 80.95 on average with a model
# per task. One model for all reaches 81.49 with one token shared by all tasks, and 81.79 with a learned query for
# each task, which is what you built (tables 2 and 14).
#
# ### An eighth of the questions
#
# In every step, the model that was asked for colours only got 288 pixels, drawn at random. A twin was asked at all
# 2,304. Another got 288 again, but spread out: one random pixel of every 2 x 4 neighbours.

# %%
spread, every = trained("scenes_colour_spread"), trained("scenes_colour_all")
twins = nnx.eval_shape(lambda: recipes.get("scenes_colour").make_model(nnx.Rngs(0)))
print(f"\n{'asked in training':20s}{'PSNR':>10s}{'95 % interval':>18s}{'error':>10s}   work of a scene's answers")
for name, points, model in (("288 at random", 288, single["colour"]), ("288 spread out", 288, spread),
                            ("all 2,304", 2304, every)):  # fmt: skip
    value, low, high = (model.metrics[f"colour_psnr{end}"] for end in ("", "_low", "_high"))
    more = model.metrics["colour_loss"] / every.metrics["colour_loss"] - 1
    flops = cost(twins, picture, cells={"colour": jnp.arange(points)}).flops / 1e6
    print(f"{name:20s}{value:7.2f} dB{f'{low:.2f} to {high:.2f}':>18s}{more:+10.1%}   {flops:.0f} MFLOPs")
assert spread.metrics["colour_loss"] < 1.05 * every.metrics["colour_loss"]
print("LAB an eighth, spread out: error within 5 % of that of all points: True")

# %% [markdown]
# All points are best, though hardly better than the eighth that is spread out (the intervals overlap), and for more
# than four times the work in every step. Neighbouring points say nearly the same, so an eighth of them say most of what
# there is to say, and more of it when they are spread out: 288 random points leave holes and crowd elsewhere. What you
# save buys more scenes or steps. The paper does so with its videos, and the shipped model was trained so (at random
# points).
#
# ### Between the pixels
#
# A position is a pair of numbers, and the model takes any. The same test scenes exist drawn four times as fine, so
# there is a truth between the pixels too. Asked at 188 x 188 points, how good are the answers? There are two rivals.
# The first takes the model's own answers at the 48 x 48 pixels and interpolates them; the second interpolates what
# the model read (for masks: the *true* kinds of the pixels, nearest one first). The second is not fair to the model,
# which had to squeeze the picture through its latents, but it is what you would use.

# %%
count = budget(ci=2, lab=60)
small, fine = arrays("scenes", f"test[:{count}]"), arrays("scenes/fine", f"test[:{count}]")
found = between_pixels(shipped.model, small, fine)
print(f"{found['total']} scenes{'':12s}{'asked':>9s}{'its pixels,':>14s}{'what it read,':>16s}")
print(f"{'':31s}{'interpolated':>13s}{'interpolated':>16s}")
for title, name in (("PSNR, all points", "psnr"), ("PSNR near edges", "psnr_edge"), ("mask IoU", "iou")):
    print(f"{title:20s}" + "".join(f"{found[f'{name}_{who}']:14.3f}" for who in ("asked", "own", "input")))

# %% [markdown]
# Two honest lessons. Asking between the pixels brings next to nothing over interpolating the model's own answers:
# they are smooth at the scale of pixels already (the finest wave in a query makes 8 turns across the picture, 6
# pixels each). And it does not bring back what the latents have lost: the plain interpolation of what was read is far
# closer in colour. What you get is a function of the plane instead of an array: any window, at any size, without a
# grid.
#
# ### A window of 20 x 20 pixels, at 200 x 200
#
# Now look at it. Each of the 40,000 points below got a query of its own, and all of them read the same 32 latents.


# %%
def window(top, left, extent, count):
    """Places in pixels, (2, count): the middles of `count` steps across `extent` pixels from the given one on."""
    return np.array([[top], [left]]) - 0.5 + (np.arange(count) + 0.5) * extent / count


def interpolated(image, places):
    """A picture (48, 48, c) at rows x columns, each between its four nearest pixels."""
    down, across = (np.maximum(0, 1 - np.abs(axis[:, None] - np.arange(48))) for axis in places)
    return np.einsum("ih,jw,hwc->ijc", down, across, image)


chosen, corner = 4, (24, 24)
places = window(*corner, 20, 200)
coordinates = np.stack(np.meshgrid(*(2 * places / 47 - 1), indexing="ij"), axis=-1).reshape(-1, 2)
image = scenes["image"][chosen]
latents = shipped.model.encode(shipped.model.embed(jnp.asarray(image[None], jnp.float32) / 127.5 - 1))
asked = np.asarray(at_points(shipped.model, latents, "colour", coordinates))[0].reshape(200, 200, 3)
asked_kinds = np.asarray(at_points(shipped.model, latents, "kind", coordinates))[0].argmax(axis=-1).reshape(200, 200)
nearest = np.rint(places).astype(int)
in_fine = ((places + 0.5) * 4).astype(int)
true = arrays("scenes/fine", f"test[{chosen}:{chosen + 1}]")["image"][0]
print("LAB latents", latents.shape, " answers", asked.shape)
figures.image_grid(
    np.stack([
        image[np.ix_(*nearest)],
        interpolated(image.astype(float), places).astype(np.uint8),
        np.clip((asked + 1) * 127.5, 0, 255).astype(np.uint8),
        figures.labels_to_rgb(asked_kinds),
        true[np.ix_(*in_fine)],
    ]),
    columns=5, titles=["20 x 20 pixels", "interpolated", "asked: colour", "asked: kind", "drawn four times as fine"],
)  # fmt: skip

# %% [markdown]
# The outline of the mask is a curve, not a staircase: nothing in it knows where the pixels were. Nor does it become
# any truer with more points: a tip of the star that the latents have rounded off stays round.
#
# ## Two coordinate systems
#
# A trap waits for everyone who runs the published models. Where does cell 47 of 48 lie? On the whole grid,
# coordinates run from -1 to 1 with both ends included, so it lies at 1. But when the published code is asked for
# *selected* cells only, it computes `-1 + 2 i / d`, and then the last cell lies at 0.958. Here are both, for six
# cells a side:

# %%
last = jnp.array([47])
print("LAB the last of 48 columns: on the whole grid", float(grid_coordinates((48,))[47, 0]))
print("LAB the last of 48 columns, selected: ", round(float(release_coordinates(last, (48,))[0, 0]), 4))
figures.query_points(6)

# %% [markdown]
# The first cell agrees, the last is off by nearly a whole cell. So an answer in chunks, which is asked for by number,
# is not a slice of the whole answer. Our queries have a switch: `subsampling="release"` computes as the published
# models do, `"grid"`, the default, gives each cell the coordinates that it has on the whole grid. The shipped model
# on one scene, all pixels at once and in eight chunks:

# %%
unasked = {name: jnp.zeros(0, int) for name in ("class", "count", "kind")}
whole = np.asarray(shipped.model.decode(latents, cells=unasked)["colour"])
in_parts = {}
for how in ("grid", "release"):
    shipped.model.decoder.queries.groups["colour"].subsampling = how
    parts = shipped.model.decode_in_chunks(latents, num_chunks=8, cells=unasked)["colour"]
    in_parts[how] = np.asarray(parts)
    print(f"{how:8s} chunks and the whole differ by up to {np.abs(in_parts[how] - whole).max():.1e}")
shipped.model.decoder.queries.groups["colour"].subsampling = "grid"
apart = {how: float(np.abs(parts - whole).max()) for how, parts in in_parts.items()}
assert apart["grid"] < 1e-5 < 1e-3 < apart["release"]
print("LAB equal to 1e-5: grid", apart["grid"] < 1e-5, " release", apart["release"] < 1e-5)
differences = [np.abs(in_parts[how] - whole)[0].mean(axis=-1).reshape(48, 48) for how in in_parts]
figures.map_grid(
    np.stack(differences), shared_scale=True, titles=[f"{how}: chunks less whole" for how in in_parts],
    alt="Absolute differences between chunked and whole answers. With grid coordinates none; with the release's, along "
    "the outlines of shapes and growing towards the lower right.",
)  # fmt: skip

# %% [markdown]
# Neither is wrong for a model that was trained with it. It is wrong to mix them: to train on selected cells, ask for
# the whole, and wonder about a shift of one cell at the lower right.

# %% [markdown]
# ## Where does it move?
#
# The paper's boldest question: given two frames, where does every pixel of the first go? That is **optical flow**,
# two numbers per pixel. Methods for it are built around it: they compare patches at many shifts and smooth what comes
# out. A Perceiver IO has none of that. Its queries are the **inputs themselves**: to ask where a pixel goes, show the
# decoder what stands there.
#
# Our pairs of frames are **composed**: one or two shapes move over a background, all cut from real photos, so that
# the true flow is known at every pixel. The test pairs come from other parts of the photos than the training pairs.
# Colour is the direction, as the wheel says, and its strength is the speed.

# %%
pairs = arrays("moving_shapes", f"test[:{budget(ci=6, lab=1000)}]")
print("LAB a pair", pairs["frames"].shape[1:], " its flow", pairs["flow"].shape[1:])
figures.flow_grid({"no motion": 0 * pairs["flow"][0]}, frames=pairs["frames"][0], truth=pairs["flow"][0])

# %% [markdown]
# The model is small: 48 latents. To be trainable on two cores, it differs from the paper's in three ways. A row of its
# inputs is what a small network makes of 11 x 11 pixels of both frames, in grey, and of 11 x 11 of the same frames at
# half their size, so that it sees farther: 96 numbers, and 26 for the place (the paper: the raw values of 3 x 3
# pixels); its encoder reads every fourth pixel of every fourth row, a sixteenth of them; and its decoder adds the query
# to what it read, which the paper leaves out for flow. But it asks at **all** pixels: a query is the row that the
# encoder would have read there.

# %%
flow_recipe = recipes.get("flow_perceiver_io")
flow_model = nnx.eval_shape(lambda: flow_recipe.make_model(nnx.Rngs(0)))  # shapes only: nothing is drawn or computed
read_cells, frames = np.array(flow_model.read_cells), jax.ShapeDtypeStruct((1, 2, 48, 64, 3), jnp.float32)
reading = nnx.eval_shape(lambda model, x: model.input_adapter(x, cells=read_cells), flow_model, frames)
print("LAB the encoder reads", reading.shape)
print("LAB the queries are  ", nnx.eval_shape(lambda model, x: model.input_adapter(x), flow_model, frames).shape)
print("LAB the flow is      ", nnx.eval_shape(lambda model, x: model(x), flow_model, frames).shape)
print(f"LAB {flow_recipe.num_parameters():,} parameters")

# %% [markdown]
# A short training before your eyes, on at most 1,000 of the training pairs. The loss is the **end-point error**: the
# distance in pixels between where a pixel was said to go and where it went.

# %%
flow_live = trained("flow_perceiver_io", retrain=True)

# %% [markdown]
# And the shipped weights, of a training 23 times as long. The rivals learn nothing: no motion at all; the one vector
# that is best for the pair, found with the truth at hand; and two classical methods from scikit-image, iterative
# Lucas-Kanade and TV-L1, with their default settings. All on the same test pairs.

# %%
flow_shipped = trained("flow_perceiver_io")
graphdef, state = nnx.split(flow_shipped.model)
predict_flow = jax.jit(lambda state, frames: nnx.merge(graphdef, state)(frames))
test_pairs = [scale_pair({key: values[i] for key, values in pairs.items()}) for i in range(len(pairs["flow"]))]
batches = [
    {key: np.stack([pair[key] for pair in test_pairs[start : start + 20]]) for key in test_pairs[0]}
    for start in range(0, len(test_pairs), 20)
]
flows = {
    name: [np.asarray(predict_flow(nnx.state(one.model), batch["frames"])) for batch in batches]
    for name, one in (("Perceiver IO, short", flow_live), ("Perceiver IO, shipped", flow_shipped))
}
measured = {
    name: flow_metrics((flow, batch["flow"].astype(np.float32), *pixel_masks(batch))
                       for flow, batch in zip(said, batches, strict=True))
    for name, said in flows.items()
}  # fmt: skip
rivals = {"no motion": "zero", "best constant": "constant", "Lucas-Kanade": "ilk", "TV-L1": "tvl1"}
measured |= {name: flow_metrics(baseline_flows(batches, method)) for name, method in rivals.items()}
print(f"\nmean end-point error in pixels, {len(test_pairs)} pairs")
print(f"{'':24s}{'all':>6s}  {'95 % interval':16s}{'in sight':>9s}{'background':>12s}{'shapes':>8s}")
for name, one in sorted(measured.items(), key=lambda item: -item[1]["endpoint_error"]):
    interval = f"{one['endpoint_error_low']:.2f} to {one['endpoint_error_high']:.2f}"
    print(f"{name:24s}{one['endpoint_error']:6.2f}  {interval:16s}{one['visible']:9.2f}{one['background']:12.2f}"
          f"{one['shapes']:8.2f}")  # fmt: skip
assert measured["Perceiver IO, shipped"]["endpoint_error"] < 0.5 * measured["no motion"]["endpoint_error"]
print("LAB shipped: less than half of the error of no motion: True")

# %% [markdown]
# Read it honestly. The shipped model is the best of them here, but it is at home here: it has learned from 4,000 pairs
# that were made the same way, and the classical methods have learned nothing. Where pixels stay in sight, TV-L1 is
# close. The difference is largest on the shapes, which are small and jump against what surrounds them: that is what
# training taught. Where nothing was taught, the order turns round, as you will see on a real pair below. The short
# training beats the best constant vector, which knows the truth, and on the shapes it does so by far; but it is behind
# the classical methods.
#
# What the published model reaches beside two networks that were made for flow, all trained on synthetic pairs
# (AutoFlow) and tested on others (end-point errors in pixels, the paper's table 3):
#
# | | Sintel, clean | Sintel, final | KITTI |
# |---|---|---|---|
# | PWC-Net | 2.17 | 2.91 | 5.76 |
# | RAFT | 1.95 | 2.57 | 4.23 |
# | Perceiver IO | 1.81 | 2.42 | 4.98 |
#
# It has 2,048 latents, 24 layers and 27.9 million parameters. Back to ours, and to one of the test pairs:

# %%
number = 1
figures.flow_grid(
    {
        "Perceiver IO": flows["Perceiver IO, shipped"][0][number],
        "TV-L1": classical_flow(test_pairs[number]["frames"], "tvl1"),
        "Lucas-Kanade": classical_flow(test_pairs[number]["frames"], "ilk"),
    },
    frames=pairs["frames"][number], truth=pairs["flow"][number].astype(np.float32),
)  # fmt: skip

# %% [markdown]
# A case for the learned one: two shapes in front of stones, hard to see in the frames. TV-L1 smooths one of them
# away, and Lucas-Kanade both.
#
# ### A real pair, tile by tile
#
# Nobody composed this one: a motorcycle, seen by two cameras side by side (Middlebury stereo data, measured with
# structured light). What differs between the two views is how near each thing is, so all flow points to the left,
# near things more. The pictures are shrunk by 8, so that motions are about as long as those of the training. They are
# then 62 x 92 pixels, and the model reads 48 x 64: it answers four tiles that overlap, and where they do, each answer
# counts by its distance to its own tile's edge. The paper treats larger frames like that (appendix H).

# %%
bike, by = motorcycle(), 8
h, w = (side // by for side in bike["flow"].shape[:2])


def shrunk(x):
    """Blocks of 8 x 8 pixels along the axes before the last: (..., h, w, 64, c)."""
    x = x[..., : h * by, : w * by, :].reshape(*x.shape[:-3], h, by, w, by, x.shape[-1])
    return np.moveaxis(x, -4, -3).reshape(*x.shape[:-5], h, w, by * by, x.shape[-1])


frames = shrunk(bike["frames"]).mean(axis=-2) / np.float32(127.5) - 1
blocks = shrunk(bike["flow"]) / by
known = np.isfinite(blocks[..., 0]).mean(axis=-1) > 0.5
true = np.full((h, w, 2), np.nan, np.float32)
true[known] = np.nanmedian(blocks[known], axis=-2)
found = predict_tiled(lambda x: predict_flow(state, x.astype(np.float32)), frames[None], (48, 64), 20)[0]
candidates = {
    "Perceiver IO": found,
    "TV-L1": classical_flow(frames, "tvl1"),
    "Lucas-Kanade": classical_flow(frames, "ilk"),
}
constant = np.broadcast_to(best_constant(true[known][None])[0, 0], true.shape)
print("LAB two frames", frames.shape[1:])
for name, flow in {"no motion": 0 * found, "best constant": constant, **candidates}.items():
    print(f"{name:14s} {endpoint_error(flow, true)[known].mean():.2f} px off")
figures.flow_grid(candidates, frames=(frames + 1) / 2, truth=true)

# %% [markdown]
# Here both classical methods win, clearly. Nothing in the training looked like this: planes that recede, thin parts,
# a smooth wall. Our model is ahead of no motion and of the best constant; where the engine's parts lie one before the
# other, it guesses (the specks of pink). A learned method is as good as its training is like its task; a built-in one
# is as good as its assumptions, and those hold in more places.
#
# ## Asked at the wrong desk
#
# Back to the scenes, and to something that nobody trained. Every decoded query is a row of 98 numbers, and behind it
# stands the linear layer of its own task. What if the row of the *class* query is read by the layer of *colour*?
# Neither a point nor a colour is in that question. Scenes of one shape only, so that it is clear what could be meant:

# %%
alone = np.flatnonzero(scenes["count"] == 1)
pictures = scenes["image"][alone]
latents = shipped.model.encode(shipped.model.embed(jnp.asarray(pictures, jnp.float32) / 127.5 - 1))
rows = shipped.model.decoder.queries.build_each(latents)
read_colour = shipped.model.output_adapter.parts["colour"].each
there = scenes["kinds"][alone] > 0
truth = {
    "the shape's": np.array([np.median(pictures[i][there[i]], axis=0) for i in range(len(alone))]),
    "the background's": np.array([np.median(pictures[i][~there[i]], axis=0) for i in range(len(alone))]),
}
swatches = {}
for name in ("class", "count"):
    colour = (np.asarray(read_colour(shipped.model.decoder(latents, rows[name])))[:, 0] + 1) * 127.5
    far = {whose: np.linalg.norm(colour - true, axis=-1) for whose, true in truth.items()}
    nearer = int((far["the shape's"] < far["the background's"]).sum())
    print(f"{name} query read as a colour: nearer to the shape's in {nearer} of {len(alone)} scenes; median distance",
          *(f"{np.median(values):.0f} to {whose}" for whose, values in far.items()))  # fmt: skip
    swatches[name] = np.clip(colour, 0, 255).astype(np.uint8)[:6, None, None].repeat(48, 1).repeat(48, 2)
figures.image_grid(
    np.concatenate([pictures[:6], *swatches.values()]), columns=min(6, len(alone)),
    titles=[text for text in ("picture", "class as colour", "count as colour") for _ in pictures[:6]],
    alt="Pictures with one shape each; below them the class query read as a colour, and the count query read as one.",
)  # fmt: skip

# %% [markdown]
# To say which shape it is, the class query must look into latents that hold that shape, and apparently its colour is
# there too. The count query says the background's colour instead. So a query is a place in a space of questions, and
# what it brings back is more than its task needs. Nobody asked for this, and nothing guarantees it: with other
# weights it may be otherwise.
#
# ## Explore: ask it yourself
#
# The playground reads a scene once and keeps its 32 latents. Point anywhere and all four tasks answer, with the
# latents that they looked at; draw a window; blend one question into another.
#
# To discover:
#
# 1. **Past the pixels.** Choose zoom 8 on the outline of a shape. Compare `colour` and `kind` with the enlarged
#    pixels: which of the two keeps the corners?
# 2. **Halfway between two questions.** The blend is set to `kind`, from the circle of example 4 to the right edge,
#    straight across the star. The first strip blends the two *queries*, the second asks at the *points* of the line
#    between. Only one of them meets the star. Why does the other not?
# 3. **From class to colour.** Click `class` in the table and then *A := the question here*; click `colour`, and the
#    same for B. Which colour does the second strip begin with? You have met it above.

# %%
QueryPlayground(
    shipped.model, scenes["image"][:6],
    [
        Task(name="class", kind="classes", classes=KINDS, at_point=False),
        Task(name="count", kind="classes", classes=("1", "2", "3"), at_point=False),
        Task(name="colour", kind="colour"),
        Task(name="kind", kind="classes", classes=("background", *KINDS)),
    ],
    truth={
        "class": scenes["label"][:6], "count": scenes["count"][:6] - 1, "colour": scenes["image"][:6],
        "kind": scenes["kinds"][:6],
    },
    example=4, task="kind", first=["kind", 33, 13], second=["kind", 33, 47],
)  # fmt: skip

# %% [markdown]
# The same for the flow. Here a query is what stands at its pixel in both frames, so there is nothing to ask between
# pixels; but two queries can be blended.
#
# To discover:
#
# 1. Move the point across the outline of a shape: how many pixels does the answer need to change its mind?
# 2. The blend goes from a corner of the background to the middle of a shape. Does the flow slide from one motion to
#    the other, or does it flip?
# 3. In example 4, ask in the middle of the shape at the lower left, and compare with the truth: the model has it move
#    the other way.

# %%
QueryPlayground(
    flow_shipped.model, pairs["frames"][:6], [Task(name="flow", kind="flow")],
    inputs=np.stack([pair["frames"] for pair in test_pairs[:6]]),
    truth={"flow": pairs["flow"][:6].astype(np.float32)},
    read=lambda m, x: (m.input_adapter(x), m.encode(m.input_adapter(x, cells=jnp.array(m.read_cells)))),
    example=5, point=[13, 41], first=["flow", 2, 2], second=["flow", 13, 41],
)  # fmt: skip

# %% [markdown]
# ## Exercises
#
# Put your answer in place of the dots and run the cell. `hint("06.1")` gives a hint, `solution("06.1")` shows one
# way.

# %% [markdown]
# ### 06.1 What an answer costs
#
# *look it up, about 2 minutes. It matters because asking for more must be affordable.*
#
# A picture of 2,304 pixels was read into 32 latents. You now ask for the colour at 40,000 points. How many scores
# (query against key) does one head of the decoder compute?

# %%
answer = ...
check("06.1", answer)

# %% [markdown]
# ### 06.2 Name the shape
#
# *look it up, about 3 minutes. It matters because kinds of questions are told apart by nothing but their place in this
# array.*
#
# A decoder with 4 heads reads 32 latents. You give it 8 scenes and ask each for its class (one query), its count (one
# query) and the colours at 288 points, all in one call. What shape do the attention weights have?

# %%
answer = ...
check("06.2", answer)

# %% [markdown]
# ### 06.3 What would tie the answers together
#
# *think, about 3 minutes. It matters because only independent answers may be asked for in parts.*
#
# In this lesson an answer does not depend on what else is asked. Which change to the decoder would make it depend on
# that?
#
# - **A** four heads instead of one
# - **B** a self-attention layer on the decoded queries
# - **C** a wider MLP on the decoded queries
# - **D** adding the query to what it read

# %%
answer = ...
check("06.3", answer)

# %% [markdown]
# ### 06.4 Off by one cell
#
# *think, about 3 minutes. It matters because a shift of half a pixel is a bug that nobody sees.*
#
# A released model decodes a grid of 48 columns. Asked for the last column alone, by its number, it computes the
# coordinate -1 + 2 i / d. Which number comes out?

# %%
answer = ...
check("06.4", answer)

# %% [markdown]
# ### 06.5 Forty thousand questions, a hundred at a time
#
# *build, about 6 minutes. It matters because outputs are often too many for the memory, and never need to be there
# together.*
#
# Write `in_chunks(answer, queries, size)`. `answer` takes at most `size` rows of queries, (o, e), and returns their
# answers, (o, k). Return the answers to all of `queries`, in order; their number need not be a multiple of `size`.

# %%
def in_chunks(answer, queries, size):
    ...


check("06.5", in_chunks)

# %% [markdown]
# ### 06.6 Where nobody knows
#
# *build, about 6 minutes. It matters because real truth has holes, and a NaN in a mean eats everything.*
#
# Write `mean_error(flow, truth)`: the mean end-point error in pixels of a flow field `(h, w, 2)`. The truth was not
# measured everywhere: there it holds NaN, and those pixels do not count.

# %%
def mean_error(flow, truth):
    ...


check("06.6", mean_error)

# %% [markdown]
# ## What you now know
#
# - A decoder is one more cross-attention: queries ask, latents answer. It costs `O * N`, and the inputs are not read
#   again.
# - A query holds what is known about the question and, for the rest, what was learned about its kind: nothing but
#   learned numbers for a class, Fourier features for a place, another learned part for another task, the input itself
#   for flow.
# - Queries do not see each other. So one may ask in chunks, train on a part, and add tasks without changing the
#   others' answers at a given set of weights.
# - Whether tasks should share latents is to be measured. Here class and count gained, masks lost nothing, and colour
#   paid.
# - Asked between the pixels, the model answers smoothly, and no better than its own answers interpolated. What the
#   latents have lost, no number of queries brings back.
# - With the inputs as queries, a Perceiver IO finds out where things move with hardly anything built in for it: a
#   little ahead of TV-L1 on pairs like those of its training, behind it on a real pair unlike them.
# - The published models place selected cells otherwise than whole grids. Mixing the two shifts the answers.
#
# ## Sources
#
# - A. Jaegle et al., *Perceiver IO: A General Architecture for Structured Inputs & Outputs*, ICLR 2022,
#   [2107.14795](https://arxiv.org/abs/2107.14795). Decoder and queries: section 3.2 and appendix E; cost: appendix
#   E.2; tasks by queries on GLUE: tables 2 and 14; optical flow: section 4.2, table 3 and appendix H; training on a
#   part of the outputs, and videos: section 4.3 and table 5.
# - The coordinates of the published models: their code,
#   [google-deepmind/deepmind-research](https://github.com/google-deepmind/deepmind-research), whole grids in
#   `perceiver/position_encoding.py`, selected cells in `perceiver/perceiver.py` (`BasicDecoder.decoder_query`).
# - Colours of flow: S. Baker et al., *A Database and Evaluation Methodology for Optical Flow*, IJCV 2011.
# - TV-L1: C. Zach, T. Pock and H. Bischof, *A Duality Based Approach for Realtime TV-L1 Optical Flow*, 2007.
#   Iterative Lucas-Kanade: G. Le Besnerais and F. Champagnat, *Dense Optical Flow by Iterative Local Window
#   Registration*, 2005. Both as in scikit-image.
# - Motorcycle: D. Scharstein et al., *High-Resolution Stereo Datasets with Subpixel-Accurate Ground Truth*, GCPR
#   2014, reduced by scikit-image. Photos: see `data/README.md`.
