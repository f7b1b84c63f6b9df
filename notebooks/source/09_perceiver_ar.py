# %% [markdown]
# # 09 · Perceiver AR
#
# So far a Perceiver looked at something that was all there. Now it has to say what comes next, and must not see it. In
# this lesson you give the read a direction: latents are made of the last inputs, each knows its place, and may look at
# everything up to it and at nothing after it. You build that mask by hand, catch one that leaks, and watch a model
# learn where to look.
#
# **After this lesson you can**
#
# - build the causal masks of a Perceiver AR, and say what each latent may see;
# - find a leak by gradient, and recognise a loss that is too good to be true;
# - turn queries and keys by their places, and say what rotary positions can and cannot tell;
# - read a loss curve that is flat and then falls off, next to the attention that explains it;
# - say what a long context costs, for a pass and for each token.
#
# **Needs** lesson [04](04_the_perceiver.ipynb) (read, latent layers) and lesson [03](03_where_am_i.ipynb) (positions).
# **Next** lesson [10](10_decoding_fast.ipynb) lets such models write. **Time** about 80 minutes with the exercises. The
# cells alone take a few minutes on two cores.

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
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from perceiver_lab import figures, ops, presets, recipes
from perceiver_lab.adapters import ByteInput, ByteOutput, TokenInput
from perceiver_lab.course import LiveCurve, budget, check, hint, mode, predict, reveal, solution, trained  # noqa: F401
from perceiver_lab.datasets import arrays
from perceiver_lab.explorers import ContextRuler
from perceiver_lab.introspect import cost, reach
from perceiver_lab.layers import SinusoidalPositions
from perceiver_lab.models import PerceiverAR
from perceiver_lab.models.baselines import BertConfig, CausalTransformer
from perceiver_lab.recipes.copying_measure import copy_attention
from perceiver_lab.training import train

# %% [markdown]
# ## The idea in one picture
#
# Below, ten inputs: what was said so far. The latents are not learned this time: they are made of the **last** inputs,
# and each keeps the place of its own. Latent 1 sits at place 7. It may read places 0 to 7 (7, at the dashed line, is
# its own), and has to say what stands at place 8.

# %%
figures.perceiver_ar_diagram()

# %% [markdown]
# ## Something to foretell
#
# The task is the one with which the release shows how far back such a model can look: **copying**. A sequence of 64
# events: a start token, 31 random symbols out of 256, the same symbols backwards, an end token (synthetic, made by
# rule). The release does it with 131,072 events.
#
# Nothing tells a symbol of the first half. Everything in the second half is certain, for whoever looks at the right
# place: event 32 repeats event 31, and event 62 repeats event 1.

# %%
events = arrays("mirrored", "test")["events"]
first, size = 32, events.shape[1]
print("LAB test sequences", events.shape, " symbols 3 to", 2 + 256, " start 2, end 1")
print("first half ", *events[0, :first])
print("second half", *events[0, first:][::-1], " (written backwards)")
assert (events[:, 1:first] == events[:, first:-1][:, ::-1]).all()
print("LAB the second half mirrors the first: True")

# %% [markdown]
# ## Commit yourself
#
# A small Perceiver AR (16 latents, one read, one latent layer) is trained on such sequences for some minutes. What
# will its loss do? Put a letter in place of the dots.

# %%
predict("09", ["it falls evenly, from the first step on", "it stays flat, then falls off within a few hundred steps",
               "it stays flat: random symbols cannot be learnt"], choice=...)  # fmt: skip

# %% [markdown]
# ## Who may see whom: by hand
#
# Ten inputs, four latents. First, where do the latents sit? At the last four places. Then two rules, which are one
# rule: **the latent at place p sees what stands at places up to p**. In the read, these are inputs; in the latent
# layers, other latents. Its own place is included: the latent at place 7 has to say what stands at place 8, so it may
# know what stands at 7.

# %%
M, N = 10, 4
places = np.arange(M - N, M)
read_mask = places[:, None] >= np.arange(M)[None, :]
latent_mask = places[:, None] >= places[None, :]
print("LAB latents at", places.tolist(), " each may read", read_mask.sum(axis=1).tolist(), "inputs")
placed = ops.latent_indices(jnp.array([M]), N)
theirs = ops.causal_mask(placed, jnp.arange(M)[None])[0], ops.causal_mask(placed, placed)[0]
assert np.array_equal(theirs[0], read_mask) and np.array_equal(theirs[1], latent_mask)
print("LAB yours and the library's masks agree: True")
figures.who_sees_whom({"the read": read_mask, "a latent layer": latent_mask}, places=places.tolist())

# %% [markdown]
# The staircase of the read ends in the lower **right** corner: the last latent sees everything. A ready-made causal
# mask, `np.tril(np.ones((N, M)))`, or the switch `is_causal=True` of most attention functions, puts the staircase into
# the upper **left** corner: the first latent would see input 0 and nothing else. For a square mask the two are the
# same, so the mistake hides as long as N = M.
#
# ## The model, from scratch
#
# With a mask in hand, a Perceiver AR is quickly written down. Everything is as in lesson 04, but for four things: the
# first latents are projected inputs; both kinds of attention have a mask; the activation is a squared ReLU; and every
# latent ends in logits for the next token. Positions are sines and cosines of the place, added to the embedding, as in
# the release's copy task.


# %%
def linear(w, x):
    return x @ w["kernel"] + w["bias"]


def layer_norm(w, x):
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / jnp.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5) * w["scale"] + w["bias"]


def attention(w, asked, answering, mask, num_heads=4):
    q, k, v = linear(w["query"], asked), linear(w["key"], answering), linear(w["value"], answering)
    q, k, v = (x.reshape(*x.shape[:2], num_heads, -1) for x in (q, k, v))
    scores = jnp.einsum("bnhd,bmhd->bhnm", q, k) / q.shape[-1] ** 0.5
    scores = jnp.where(mask, scores, -1e30)  # what may not be seen gets no weight
    context = jnp.einsum("bhnm,bmhd->bnhd", jax.nn.softmax(scores), v)
    return linear(w["output"], context.reshape(*asked.shape[:2], -1))


def add_mlp(w, x):
    expanded = jax.nn.relu(linear(w["mlp"]["expand"], layer_norm(w["mlp_norm"], x))) ** 2
    return x + linear(w["mlp"]["contract"], expanded)


def sines(count, channels):
    waves = np.arange(1, 1 + count)[:, None] * 10_000.0 ** -np.linspace(0, 1, channels // 2)
    return np.concatenate([np.sin(waves), np.cos(waves)], axis=1).astype(np.float32)


def answer_from(w, inputs, read_mask, latent_mask):
    """Embedded inputs (b, m, c) -> logits (b, n, v)."""
    read = w["reader"]
    latents = linear(w["query"], inputs[:, -len(read_mask) :])
    asked, answering = layer_norm(read["query_norm"], latents), layer_norm(read["kv_norm"], inputs)
    latents = add_mlp(read, latents + attention(read["attention"], asked, answering, read_mask))
    for layer in w["stack"]["layers"].values():
        normed = layer_norm(layer["norm"], latents)
        latents = add_mlp(layer, latents + attention(layer["attention"], normed, normed, latent_mask))
    return linear(w["output"], layer_norm(w["norm"], latents))


# %% [markdown]
# Here is the library's model, with the sizes of the recipe `copy_ar` and untrained weights. Both compute the same from
# the first ten events. (A real training starts with an output layer of zeros; then all logits would be 0, and to agree
# would mean nothing.)

# %%
recipe = recipes.get("copy_ar")


def new_model(kind=PerceiverAR, seed=0, **options):
    """The recipe's model, or a variation of it."""
    rngs = nnx.Rngs(seed)
    inputs = TokenInput(259, 64, positions=[SinusoidalPositions(size + 1, 64)], rngs=rngs)
    return kind(recipe.model, input_adapter=inputs, rngs=rngs, **options)


model = new_model(zero_output=False)
weights = nnx.to_pure_dict(nnx.state(model, nnx.Param))
tokens = jnp.asarray(events[:4, :M])
inputs = weights["input_adapter"]["embedding"][tokens] + sines(M, 64)
yours = answer_from(weights, inputs, read_mask, latent_mask)
difference = float(jnp.abs(yours - model(tokens, num_latents=N)).max())
assert difference < 1e-4
print("LAB logits", yours.shape, " parameters", f"{sum(leaf.size for leaf in jax.tree.leaves(weights)):,}")
print(f"largest difference: {difference:.1e}, logits up to {jnp.abs(yours).max():.1f}")
print("LAB yours and the library's agree to 1e-4:", difference < 1e-4)

# %% [markdown]
# ## Does it leak?
#
# A causal model that sees one place too far is a disaster of a quiet kind: nothing crashes, the loss is excellent, and
# only when the model has to write something does it turn out to know nothing. So test it, before any training.
#
# The test is a gradient. Take the logits of one latent, and ask by how much they change with each of the embedded
# inputs. (Tokens are integers; one cannot differentiate by them, but by what the embedding makes of them.) A masked
# score has gradient 0, to the last bit. So whatever lies after the latent's place and has any gradient at all is a
# leak.

# %%
# One number is differentiated: a latent's logits, with weights from 0 to 258, so that none cancels another.
gradients = jax.jacrev(lambda x: answer_from(weights, x, read_mask, latent_mask)[0, 1] @ np.arange(259.0))(inputs)
print("the latent at place 7, gradient by each input:", np.round(np.linalg.norm(gradients[0], axis=-1), 1))


def seen_by(read_mask, latent_mask):
    """What every latent depends on, and where that is too much."""
    where = np.broadcast_to(places, (len(tokens), N))
    return reach(lambda x: answer_from(weights, x, read_mask, latent_mask), inputs, where)


tries = {
    "as above": (read_mask, latent_mask),
    "one too far": (places[:, None] + 1 >= np.arange(M)[None, :], latent_mask),
    "latents unmasked": (read_mask, np.ones((N, N), bool)),
}
found = {name: seen_by(*masks) for name, masks in tries.items()}
for name, one in found.items():
    leaks = [f"place {leak.place} sees {leak.later}" for leak in one.leaks if leak.example == 0]
    print(f"LAB {name:17s} {len(leaks)} leaks in a sequence", leaks[:3])
assert [bool(one.leaks) for one in found.values()] == [False, True, True]
figures.who_sees_whom(
    {name: one.sizes[0] > 0 for name, one in found.items()}, places=places.tolist(),
    marked={name: (one.sizes[0] > 0) & (np.arange(M) > places[:, None]) for name, one in found.items()},
)  # fmt: skip

# %% [markdown]
# In the middle, one `+ 1` too many in the mask of the read. On the right the read is right, but the latents look at
# each other freely: the latent at place 6 never reads place 9, and yet it knows about it, for it asks the latent that
# did. This is why the latent layers need their mask too. (The last latent of the middle model does not leak: there is
# nothing after it.)
#
# The library's model, at its full size and with sequences of different lengths, which are padded with 0 on the right. A
# latent for which there is no input stands at place -1, and is not judged:

# %%
several = jnp.where(jnp.arange(size) < jnp.array([63, 40, 5])[:, None], jnp.asarray(events[:3]), 0)
placement = model.place(several)
library = reach(
    lambda x: model.predict(model.process(model.read(x, placement), placement)),
    model.embed(several, placement.positions), placement.latent_index,
)  # fmt: skip
print("LAB latents of the sequence of 5 sit at", library.places[2].tolist())
print("LAB leaks of the library's model:", len(library.leaks))
assert not library.leaks

# %% [markdown]
# ## Rotary positions
#
# The model above *adds* its positions. By default, a Perceiver AR does something else: it **turns** queries and keys.
# Take two channels of a query as a point of the plane, and turn it by an angle that grows with its place; do the same
# with the key. The score is a dot product, and turning both by the same angle does not change it. What remains is the
# difference of the angles: the score knows how far apart the two are, and not where they stand.


# %%
def rotate(x, positions, frequencies):
    """Turn the pairs of channels (0, 1), (2, 3), ... of x (n, d) by positions (n,) times frequencies (r,)."""
    angles = positions[:, None] * frequencies
    a, b = x[:, 0 : 2 * len(frequencies) : 2], x[:, 1 : 2 * len(frequencies) : 2]
    turned = jnp.stack([a * jnp.cos(angles) - b * jnp.sin(angles), b * jnp.cos(angles) + a * jnp.sin(angles)], axis=-1)
    return jnp.concatenate([turned.reshape(len(x), -1), x[:, 2 * len(frequencies) :]], axis=1)


rng = np.random.default_rng(9)
query, key = (jnp.asarray(rng.normal(size=(1, 16)), jnp.float32) for _ in range(2))
frequencies = ops.rotary_frequencies(16, fraction=0.5, max_wavelength=64)
turn = ops.rotation(jnp.arange(64)[None], frequencies)
many = jnp.tile(query, (64, 1))
theirs = ops.rotate(many[None, :, None], turn)[0, :, 0]
difference = float(jnp.abs(rotate(many, jnp.arange(64), frequencies) - theirs).max())
assert difference < 1e-5
print("LAB channels turned", 2 * len(frequencies), "of 16, radians per place", *(f"{one:.3f}" for one in frequencies))
print("LAB yours and the library's agree to 1e-5:", difference < 1e-5)


def score(at, back):
    """Of the query at a place and the key so many places before it."""
    one, other = (rotate(x, jnp.array([place]), frequencies) for x, place in ((query, at), (key, at - back)))
    return float((one * other).sum())


scores = {at: np.array([score(at, back) for back in range(0, 21, 2)]) for at in (20, 40, 63)}
apart = max(np.abs(scores[20] - other).max() for other in scores.values())
assert apart < 1e-3
print(f"scores 0 to 20 places back, from place 20, 40 and 63, differ by at most {apart:.1e}")
print("LAB only the distance counts:", bool(apart < 1e-3))

# %% [markdown]
# Half of the channels are turned here, the fastest pair by one radian for each step, the slowest by 1/64; the other
# half passes as it is. So a head can ask for "the same, ten places back", and equally for "this symbol, wherever".
#
# Which positions are right depends on the question. The release's code turns by default; for copying it adds sines
# instead, and for images a learned table for row, column and colour. Think of the mirror: the double of
# what comes next lies 2 places back from place 32, and 60 places back from place 61. No distance is right twice. *Where
# am I* has to be known, and rotary positions do not say it. We shall try.
#
# ## Train it
#
# What can be learned at all? In training, a sequence is cut off at a random place in its second half, and the 16
# latents are the last 16 places before the cut: some of them have to foretell symbols of the first half, in vain. The
# next cell counts them. It gives a **floor**: nobody can get below it honestly.

# %%
reads = np.arange(first, size)  # so many events are read
foretold = reads[:, None] - np.arange(16)  # by the latents, from the last to the first
in_vain = (foretold < first).mean()
guessing, floor = np.log(256), float(in_vain * np.log(256))
print(f"LAB {in_vain:.1%} of what is foretold lies in the first half")
print(f"LAB guessing costs ln 256 = {guessing:.2f} nats for each token; the floor is {floor:.2f}")

# %% [markdown]
# Now watch. On the left the loss; on the right, at a few moments of the training, where each prediction looks: a row
# for each event of the second half, a column for each place, averaged over the heads and eight test sequences. The
# whole training is here: batches, loss, optimiser, and a function that is called every few steps to look into the
# model.

# %%
maps = []


def look(model):
    """Keep where the model looks, and say how much of the weight lies on the mirrored place."""
    maps.append(copy_attention(model, events[:8]).mean(axis=(0, 1)))
    return {"mirror": figures.mirror_share(maps[-1], first)}


def frame(history):
    """Loss and maps so far."""
    steps, nats = history.curve("nats")
    seen, _ = history.curve("test_mirror")
    if steps and seen:
        return figures.copy_frame(
            steps, nats, dict(zip(seen, maps, strict=True)), first=first, flat=guessing, floor=floor
        )


steps = recipe.budget(mode()).steps
with LiveCurve(interval=4, draw=frame) as curve:
    live = train(
        new_model(), recipe.train_batches(mode()), steps=steps, optimizer=recipe.optimizer.make(steps),
        loss_fn=recipe.loss, evaluate=look, evaluate_every=budget(ci=2, lab=20), log_every=budget(ci=1, lab=10),
        callbacks=[curve],
    )  # fmt: skip

# %%
honest = at, nats = tuple(np.array(values) for values in live.history.curve("nats"))
shares = dict(zip(*live.history.curve("test_mirror"), strict=True))
for step in sorted({*list(shares)[:36:3], max(shares)}):
    print(f"step {step:5d}: loss {np.interp(step, at, nats):.2f}, {shares[step]:4.0%} of the weight on the mirror")
print(f"mean loss of the second half of the training: {nats[at > at[-1] / 2].mean():.2f}")
reveal("09", "B", "nothing can be foretold until it looks at the right place, and there is nothing else to learn.")

# %% [markdown]
# For about 150 steps nearly nothing happens: the loss stays at the price of guessing, and the weights are spread over
# all that may be seen. Between step 200 and step 500 it falls to the floor, and in the same steps the **stripe**
# appears: a line that runs from the middle back to the first symbol, while the predictions run forward. At step 200 a
# tenth of the weight lies on it, at step 320 a quarter, at step 500 two thirds. Later the stripe gets sharper, but
# there is hardly anything left to win.
#
# Why so sudden? A right symbol needs two things: the latent must look at the right place, and the rest of the model
# must hand on what is found there. While the weights are spread, what arrives is a mixture of all symbols, and says
# nothing. While nothing is handed on, it is all the same where one looks. So at first the gradient hardly points
# anywhere. But as soon as a little of either is there, each makes the other worth more.
#
# (A point of the curve is the mean of ten batches, each of which is cut off at places drawn at random. Some draws ask
# for less of the first half than others, so that single points lie more than 0.1 below the floor and others as far
# above it. Over hundreds of steps this evens out: see the mean above.)
#
# ## A loss that is too good
#
# Why was it worthwhile to compute the floor? Here is the same model with the mask of the read off by one, trained on
# the same batches.


# %%
class SeesTheNext(PerceiverAR):
    """Wrong on purpose: in the read, every input seems to stand one place earlier than it does."""

    def place(self, *args, **options):
        placement = super().place(*args, **options)
        return placement._replace(input_key=placement.input_key - 1)


def beside(history):
    """The loss so far, beside that of the honest model and the floor."""
    until = steps * np.array([0, 1])
    curves = {"one place too far": history.curve("nats"), "mask right": [one[at <= steps] for one in honest],
              "floor": (until, np.full(2, floor))}  # fmt: skip
    return figures.loss_curve(
        {name: nats for name, (_, nats) in curves.items()}, steps={name: along for name, (along, _) in curves.items()},
        ylabel="nats for each token",
    )  # fmt: skip


steps = budget(ci=4, lab=600)
with LiveCurve(interval=4, draw=beside) as curve:
    leaky = train(
        new_model(SeesTheNext), recipe.train_batches(mode()), steps=steps, optimizer=recipe.optimizer.make(steps),
        loss_fn=recipe.loss, log_every=budget(ci=1, lab=10), callbacks=[curve],
    )  # fmt: skip
print(f"loss at the end {leaky.history.curve('nats')[1][-1]:.3f} nats; the floor is {floor:.2f}")

# %% [markdown]
# A loss below the floor. The symbols of the first half are random, and this model "foretells" them: it can only have
# seen them. Now let both models say the second half as they would have to in earnest, each event from what came before
# it and nothing else:


# %%
def one_by_one(model, events, num_latents=16):
    """The likeliest next event at every place of the second half, told only what came before it: (b, 32)."""
    told = jnp.arange(size) < jnp.arange(first, size)[:, None]  # a row for each event that is foretold
    reads = jnp.where(told, jnp.asarray(events)[:, None], 0).reshape(-1, size)
    call = nnx.jit(lambda model, reads: model(reads, num_latents=num_latents)[:, -1].argmax(axis=-1))
    return np.asarray(call(model, reads)).reshape(len(events), -1)


asked = events[: budget(ci=4, lab=100)]
for name, one in (("sees the next", leaky.model), ("sees the past", live.model)):
    right = one_by_one(one, asked) == asked[:, first:]
    print(f"{name}: {right.mean():6.1%} of the events right, {right.all(axis=1).sum()} of {len(asked)} sequences whole")

# %% [markdown]
# The leaky model has learned one thing: to look at the place that it was asked for. Where that place is still empty, it
# knows nothing; of its few right answers most are the end token, which is one event in 32. The loss in training never
# said so. It said the opposite.
#
# Whenever you know a floor, compute it; whenever a loss surprises you, look for a leak first. The gradient would have
# found this one before the first step.
#
# ## Measured
#
# The recipe trains longer, and its weights ship. Beside it `copy_transformer`, a Transformer that reads from left to
# right: the same positions, batches, steps and optimiser, two layers instead of a read and one layer, and nearly as
# many parameters. Each of its layers looks at all 64 places.

# %%
shipped, transformer = trained("copy_ar"), trained("copy_transformer")
live_metrics = recipe.metrics(live.model, mode())
rows = {"guessing": None, "Perceiver AR, here": live_metrics, "Perceiver AR, shipped": shipped.metrics,
        "Transformer, shipped": transformer.metrics}  # fmt: skip
print(f"\n{'':24s}{'bits a token':>13s}{'tokens right':>14s}  sequences without a mistake")
for name, one in rows.items():
    if one is None:
        print(f"{name:24s}{8:13.2f}{1 / 256:14.1%}")
        continue
    low, high = one["exact_copies_low"], one["exact_copies_high"]
    print(f"{name:24s}{one['bits_per_copied_token']:13.3f}{one['copy_accuracy']:14.1%}  "
          f"{one['exact_copies']:.1%} of {one['total']} (95 % interval {low:.1%} to {high:.1%})")  # fmt: skip
for name in ("copy_ar", "copy_transformer"):
    made = nnx.eval_shape(lambda name=name: recipes.get(name).make_model(nnx.Rngs(0)))
    counted = cost(made, jax.ShapeDtypeStruct((1, size), jnp.int32))
    spoken = 16 if name == "copy_ar" else size
    print(f"LAB {name:17s} {counted.parameters:,} parameters, a pass {counted.flops / 1e6:.2f} MFLOPs for {spoken} "
          f"tokens: {counted.flops / spoken / 1e6:.2f} each")  # fmt: skip

# %%
curves = {"Perceiver AR": shipped.history.curve("nats"), "Transformer": transformer.history.curve("nats")}
until = {name: int(np.searchsorted(steps, 800, side="right")) for name, (steps, _) in curves.items()}
made = figures.loss_curve(
    {name: nats[: until[name]] for name, (_, nats) in curves.items()},
    steps={name: steps[: until[name]] for name, (steps, _) in curves.items()}, ylabel="nats for each token",
)  # fmt: skip
made.axes[0].set_ylim(0, 7)
made

# %% [markdown]
# The Transformer makes no mistake in 1,000 sequences, the Perceiver AR in one of them: no difference, as the intervals
# say. The model of the last minutes comes close to both. The curves look alike, too. The Transformer stays flat for
# longer, 310 steps instead of 150, and then falls faster; by step 500 both are at the floor. That is one run each, so
# do not make much of it. (The Transformer's first points lie above the picture: its table is tied, and starts sure of
# nonsense, as in lesson 07. The minutes are those of a machine that was busy with other work.)
#
# Now the cost. A pass of the Perceiver AR takes 3.6 times fewer FLOPs, and says 16 tokens instead of 64. **For each
# token** it takes a little more. At 64 events there is nothing to be won; where there is, comes below.
#
# ## Look inside
#
# The four heads of the shipped model, on one test sequence:

# %%
heads = copy_attention(shipped.model, events[:1])[0]
for number, one in enumerate(heads):
    print(f"head {number}: {figures.mirror_share(one, first):.0%} of the weight on the mirrored place")
print("the last row, which foretells the end, looks most at places", heads[:, -1].argmax(axis=-1).tolist())
figures.copy_maps({f"head {number}": one for number, one in enumerate(heads)}, first=first)

# %% [markdown]
# The stripe is there in each of the heads: there is but one thing to look for. The last row is no part of it. It
# foretells the end token, which always comes at the same place: nothing has to be looked up, and the weight lies
# wherever.
#
# ### Is that how it copies?
#
# Attention is not explanation; a map tells where a latent looks, not what comes of it. So intervene. First: change one
# symbol of the first half, and see which answers change. Second: cut the context. The model is not given the first
# places; those that are left keep their numbers. Third: take other numbers of latents. Nothing is learned per latent,
# so that N may be chosen anew at every call.

# %%
test = events[: budget(ci=20, lab=200)]
changed = test.copy()
changed[:, 20] = 3 + (changed[:, 20] - 3 + 77) % 256
asking = nnx.jit(lambda model, events: recipe.predict(model, {"events": events}).argmax(axis=-1))
before, after = (np.asarray(asking(shipped.model, jnp.asarray(one))) for one in (test, changed))
moved = (before != after).mean(axis=0)
followed = (after == changed[:, 20:21]).any(axis=1).mean()
print("symbol 20 changed: answers that change are those about event", (first + np.flatnonzero(moved)).tolist(),
      f"in {moved.max():.0%} of the sequences, to the new symbol in {followed:.0%}")  # fmt: skip


@nnx.jit
def say_last(model, tokens, positions):
    return model(tokens, positions=positions).argmax(axis=-1)


def said_without(model, events, start):
    """The last 16 events, foretold by a model that is not given those before `start`."""
    tokens = np.pad(events[:, start:-1], ((0, 0), (0, start + 1)))  # what is left, and padding
    positions = np.tile(np.minimum(start + 1 + np.arange(size), size)[:, None], (len(events), 1, 1))
    return np.asarray(say_last(model, jnp.asarray(tokens), jnp.asarray(positions)))


for start in (0, 4, 8, 12, 16):
    right = (said_without(shipped.model, test, start) == test[:, -16:]).mean(axis=0)
    print(f"without the first {start:2d} places: events 48 to 63 right in % ", *(f"{100 * one:3.0f}" for one in right))
for count in budget(ci=(1,), lab=(1, 4, 16, 32)):
    right = one_by_one(shipped.model, asked, count) == asked[:, first:]
    print(f"{count:2d} latents: {right.mean():.1%} of the events right")

# %% [markdown]
# All three agree with the map. Change one symbol, and one answer changes: the one about its double, and it becomes the
# new symbol. Take the first places away, and exactly those answers are lost whose doubles were there, as if cut with a
# knife; the end is still known. And a single latent copies as well as 32: each finds its symbol by itself, in one look.
# Here the latents need nothing from each other; the latent layer has little to do. That is this task, and no rule.
#
# ### And with rotary positions?
#
# The same model, with positions that turn instead of being added, on the same batches, and for as many steps. Before
# you run it: what do you expect, and why?

# %%
steps = recipe.budget(mode()).steps
turning = PerceiverAR(
    dataclasses.replace(recipe.model, rotary_fraction=1.0), input_adapter=TokenInput(259, 64, rngs=nnx.Rngs(0)),
    rngs=nnx.Rngs(0),
)  # fmt: skip
maps = []
with LiveCurve(interval=4, draw=frame) as curve:
    rotary = train(
        turning, recipe.train_batches(mode()), steps=steps, optimizer=recipe.optimizer.make(steps), loss_fn=recipe.loss,
        evaluate=look, evaluate_every=budget(ci=4, lab=100), log_every=budget(ci=1, lab=10), callbacks=[curve],
    )  # fmt: skip
print(f"loss at the end {rotary.history.curve('nats')[1][-1]:.2f} nats; the floor is {floor:.2f}")
metrics = recipe.metrics(rotary.model, mode())
print(f"{metrics['copy_accuracy']:.1%} of the events right, {metrics['bits_per_copied_token']:.2f} bits each")

# %% [markdown]
# It stays flat. After 1,200 steps there is no stripe, and the loss has moved by 0.2 nats. Even the end token is not
# known for sure: that alone would be one event in 32, or 3.1 %. A query that is turned by its place can ask for a
# distance, and here every place needs another one. Where a latent stands it could only tell from side effects, such as
# how much it may see.
#
# One run with one setting proves no impossibility. But it shows that positions are a choice that follows from the
# question. In text it is mostly the other way round: a word depends on the words just before it, wherever in the book
# that is. The recipe `text_ar`, which says the next byte of a play, turns its queries and keys.
#
# ## What a long context costs
#
# Now count at the size of the release's copy model: 1,024 latents that read 131,072 events, 6 latent layers of 1,024
# channels. Beside it a Transformer of 7 such layers on all events. All from shapes: nothing is computed.

# %%
context = jax.ShapeDtypeStruct((1, 131_072), jnp.int32)
copy_131k = nnx.eval_shape(lambda: presets.get("copy_131k_ar")(rngs=nnx.Rngs(0)))


def new_transformer():
    rngs = nnx.Rngs(0)
    inputs = ByteInput(1024, 131_072, vocabulary=259, positions=SinusoidalPositions(131_072, 1024), rngs=rngs)
    sizes = BertConfig(channels=1024, num_layers=7, num_heads=16)
    return CausalTransformer(sizes, input_adapter=inputs, output_adapter=ByteOutput(259), rngs=rngs)


passes = {"Perceiver AR": (copy_131k, 1024), "Transformer": (nnx.eval_shape(new_transformer), 131_072)}
flops = {}
for name, (made, spoken) in passes.items():
    counted = cost(made, context)
    flops[name] = counted.flops
    print(f"LAB {name:13s}{counted.parameters:,} parameters, a pass {counted.flops / 1e12:.2f} TFLOPs "
          f"for {spoken:,} tokens, {counted.flops / spoken / 1e9:.2f} GFLOPs each")  # fmt: skip
print(f"LAB the Transformer's pass costs {flops['Transformer'] / flops['Perceiver AR']:.0f} times as much")
for name, rows_asked in (("the read", 1024), ("a Transformer's layer", 131_072)):
    print(f"LAB scores of one head of {name}, if they are held: {4 * rows_asked * 131_072 / 2**30:g} GiB")

# %% [markdown]
# A pass is 396 times cheaper. It also says 128 times fewer tokens, so that for each token the factor is 3: every latent
# looks back over the whole context, as every place of the Transformer does, but once, and not in each of 7 layers. And
# all keys and values of the read are made for 1,024 latents only.
#
# So what is it good for? For steps that fit. A Transformer that learns from 131,072 events has to hold something for
# each of them in each layer. A Perceiver AR learns to say 1,024 tokens in the light of all events, and holds the
# latents. Which places get latents is drawn anew in every step. The abstract of the paper speaks of more than a hundred
# thousand tokens. And when it writes, one token after another, all keys and values of the read can be kept: that is
# lesson [10](10_decoding_fast.ipynb).
#
# ## Explore: the context ruler
#
# A test sequence as a ruler. Drag along it (or use the arrow keys) to choose a latent: bars show what it takes from
# each place, a triangle marks the double of what comes next, and what it may not see is struck out. Below, the whole
# map, the likeliest next symbols, and the cost at other sizes.
#
# To discover:
#
# 1. **In the first half.** What does the model say where nothing can be known, and where does it look meanwhile?
# 2. **Along the second half.** How far back does it look from place 32, and how far from place 60?
# 3. **131,072 events.** Move M to the end, with 1,024 latents. Which pass is dearer, and which single token?

# %%
ContextRuler(shipped.model, events[:3], place=45)

# %% [markdown]
# ## Exercises
#
# Put your answer in place of the dots and run the cell. `hint("09.1")` gives a hint, `solution("09.1")` shows one way.

# %% [markdown]
# ### 09.1 What a latent may see
#
# *look it up, about 2 minutes. It matters because off by one is where leaks come from.*
#
# A Perceiver AR reads 1,000 events, numbered from 0, with 100 latents, also numbered from 0. How many events may latent
# 9 read?

# %%
answer = ...
check("09.1", answer)

# %% [markdown]
# ### 09.2 Count the scores
#
# *look it up, about 3 minutes. It matters because a long context is cheap only as long as the latents are few.*
#
# A context of 8,192, 1,024 latents, one read and 6 latent layers. How many scores does one head compute in a pass, in
# the read and all latent layers together, masked ones included?

# %%
answer = ...
check("09.2", answer)

# %% [markdown]
# ### 09.3 Too good to be true
#
# *think, about 3 minutes. It matters because a number that is too good deserves more suspicion than one that is too
# bad.*
#
# A colleague trains a model on the copy task of this lesson and reports a training loss of 0.4 nats for each token,
# where the floor is 1.30. What should both of you do first?
#
# - **A** train longer, for the loss has not reached 0 yet
# - **B** look for a leak, by the gradient of a logit with respect to later inputs
# - **C** take more latents, since 16 are too few to say more
# - **D** publish, for the model has found a rule in the random symbols

# %%
answer = ...
check("09.3", answer)

# %% [markdown]
# ### 09.4 A floor of your own
#
# *think, about 4 minutes. It matters because a floor that you can compute finds leaks that you cannot see.*
#
# A sequence of this lesson is read up to place 40, so that the 16 latents sit at places 25 to 40. What is the lowest
# loss, in nats and averaged over the 16, that an honest model can reach there?

# %%
answer = ...
check("09.4", answer)

# %% [markdown]
# ### 09.5 The mask of the read
#
# *build, about 5 minutes. It matters because it is the one line on which the whole model depends.*
#
# Write `read_mask(num_inputs, num_latents)`: a bool array of shape `(num_latents, num_inputs)`, True where a latent may
# read an input. The latents sit at the last places, and each may read up to its own, that one included.

# %%
def read_mask(num_inputs, num_latents):
    ...


check("09.5", read_mask)

# %% [markdown]
# ### 09.6 A leak detector
#
# *build, about 6 minutes. It matters because it tests a model before a minute of training is spent.*
#
# Write `find_leaks(sizes, places)`. `sizes` `(n, m)` are norms of gradients of each output with respect to each input,
# `places` `(n,)` says where each output stands, -1 for one that stands nowhere and is not judged. Return a bool array
# `(n, m)`, True where an output depends on an input that comes after its place.

# %%
def find_leaks(sizes, places):
    ...


check("09.6", find_leaks)

# %% [markdown]
# ## What you now know
#
# - The latents of a Perceiver AR are the last inputs. The latent at place p reads places up to p, attends to latents at
#   places up to p, and says what stands at p + 1.
# - The staircase of the read ends in the lower right corner. Ready-made causal masks start in the upper left.
# - A leak is found by gradient before any training, and by a loss below a floor after it. Compute floors.
# - Rotary positions tell distances, absolute ones tell places. Which is right, the task decides.
# - A model that has to look at one place learns nothing until it looks there, and then nearly everything: flat, then a
#   cliff.
# - A pass over a long context is far cheaper than a Transformer's, and says far fewer tokens.
#
# ## Sources
#
# - C. Hawthorne et al., *General-purpose, long-context autoregressive modeling with Perceiver AR*, ICML 2022,
#   [2202.07765](https://arxiv.org/abs/2202.07765). Of this paper, only the abstract was at hand for this lesson; all
#   else comes from the code.
# - The released code: [google-research/perceiver-ar](https://github.com/google-research/perceiver-ar): masks, rotary
#   and absolute positions, the copy task of 131,072 events (`random_mirrored_131072`).
# - J. Su et al., *RoFormer: Enhanced Transformer with Rotary Position Embedding*, 2021,
#   [2104.09864](https://arxiv.org/abs/2104.09864). Turning queries and keys: section 3.
