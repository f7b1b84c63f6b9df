# %% [markdown]
# # 10 · Decoding fast
#
# A model that says what comes next can write: sample a token, append it, ask again. Done plainly, every token costs a
# pass over everything so far, most of which was computed a moment ago. In this lesson you find out what of a Perceiver
# AR may be kept and what may not, build the cache by hand, and let a model continue Bach and draw digits.
#
# **After this lesson you can**
#
# - say which keys and values of a Perceiver AR stay valid when a token is added or changed, and which do not;
# - build a cache by hand and show that it is exact;
# - choose how many latents a full pass makes, and say what that costs;
# - sample with temperature, top-k, nucleus and min-p, and hear what a temperature does;
# - sample music and pictures from models that were trained to say the next token.
#
# **Needs** lesson [09](09_perceiver_ar.ipynb) (latents of the last inputs, causal masks).
# **Next** lesson [11](11_hierarchical_perceiver.ipynb). **Time** about 80 minutes with the exercises. The cells alone
# take some minutes on two cores.

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
import tempfile
import time

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from perceiver_lab import figures, ops, recipes
from perceiver_lab.adapters import TokenInput
from perceiver_lab.course import LiveCurve, budget, check, hint, predict, reveal, solution, trained  # noqa: F401
from perceiver_lab.datasets import arrays, chorales
from perceiver_lab.datasets.midi import read_midi, write_midi
from perceiver_lab.datasets.notes import grid_notes
from perceiver_lab.explorers import DecodeStepper
from perceiver_lab.generation import evaluate_tokens, generate
from perceiver_lab.introspect import attention_maps, cost
from perceiver_lab.layers import LearnedPositions, SinusoidalPositions
from perceiver_lab.models import PerceiverAR, PerceiverARConfig, empty_cache, extend
from perceiver_lab.ops.sequences import EOS, SOS
from perceiver_lab.training import OptimizerConfig, next_token_loss, train

# %% [markdown]
# ## The idea in one picture
#
# Each row is a token that is said. Its upper line shows the inputs, its lower line the latents. A **full pass** makes 4
# latents, every further token adds one, and when there are 8 of them, the next full pass starts again with 4. Orange is
# what has to be computed. (Keys and values of the inputs could be kept for good, as you will see. A full pass of the
# library makes them anew all the same: it begins with an empty cache.)

# %%
figures.cache_film(given=6, num_steps=12, num_latents=8, refill_to=4)

# %% [markdown]
# ## Commit yourself
#
# Below, a model continues four bars of a chorale. What happens at temperature 0, where it always takes the likeliest
# token? Put a letter in place of the dots.

# %%
predict("10", ["it writes its best music", "it moves less than Bach, and says again what it has said",
               "nothing different: the likeliest token is drawn most of the time anyway"], choice=...)  # fmt: skip

# %% [markdown]
# ## What may be kept
#
# To keep something means to bet that it would come out the same if it were computed again. So compute it again: a small
# model with random weights reads 12 tokens, then 13, each time with 6 latents on the last places. Which of its numbers
# are the same for the same token in both passes?

# %%
config = PerceiverARConfig(
    num_latents=6, latent_channels=32, max_context=64, num_self_attends=2, num_cross_heads=4, num_self_heads=4,
    rotary_fraction=0,
)  # fmt: skip
rngs = nnx.Rngs(0)
adapter = TokenInput(40, 32, positions=[SinusoidalPositions(65, 32)], rngs=rngs)
small = PerceiverAR(config, input_adapter=adapter, zero_output=False, rngs=rngs)
weights = nnx.to_pure_dict(nnx.state(small, nnx.Param))
tokens = np.random.default_rng(10).integers(3, 40, 40)
# Compiled, a call is one program; uncompiled it is a hundred small ones, each of which is made anew for every length.
whole_pass = nnx.jit(PerceiverAR.__call__, static_argnames="num_latents")
further = nnx.jit(extend, static_argnames="num_latents")


@functools.partial(jax.jit, static_argnums=0)
def after_read_and_layers(length):
    """Inputs, and the latents of places length - 6 to length - 1 after the read and after the layers."""
    placement = small.place(jnp.asarray(tokens[None, :length]))
    inputs = small.embed(jnp.asarray(tokens[None, :length]), placement.positions)
    read = small.read(inputs, placement)
    return inputs[0], read[0], small.process(read, placement)[0]


first, second = after_read_and_layers(12), after_read_and_layers(13)
shared = {
    "inputs 0 to 11": (first[0], second[0][:12]),
    "latents 7 to 11 after the read": (first[1][1:], second[1][:5]),
    "latents 7 to 11 after the layers": (first[2][1:], second[2][:5]),
}
for name, (one, other) in shared.items():
    difference = float(jnp.abs(one - other).max())
    print(f"LAB {name:34s} the same: {difference < 1e-4}")
    assert (difference < 1e-4) == ("layers" not in name)

# %% [markdown]
# Inputs do not look at each other: what is made of one depends on its token and its place. A latent after the read
# depends on all inputs up to its place, and those have not changed either. But in the layers latents look at latents.
# In the second pass the latent of place 6 is gone, latents 7 to 11 miss it, and become others.
#
# So there are two cases. As long as a new token **adds** a latent, all latents before it stay as they are: they may not
# look at it. Only when the oldest has to **go** do the others change. This is why the cache of a Perceiver AR is filled
# up and then made anew, and does not roll on.
#
# ## A cache, from scratch
#
# One function reads further tokens. For the read it appends their keys and values to those of the inputs before; in
# each layer it appends those of its latents. Whoever asks, asks everything that is kept, up to its own place.


# %%
def linear(w, x):
    return x @ w["kernel"] + w["bias"]


def layer_norm(w, x):
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / jnp.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5) * w["scale"] + w["bias"]


def add_mlp(w, x):
    expanded = jax.nn.relu(linear(w["mlp"]["expand"], layer_norm(w["mlp_norm"], x))) ** 2
    return x + linear(w["mlp"]["contract"], expanded)


def attend_and_keep(w, asked, fresh, kept, mask, num_heads=4):
    """Append keys and values of what is fresh to those kept; then attend to all. Returns both."""
    keys, values = (
        jnp.concatenate([old, linear(w[name], fresh)]) for old, name in zip(kept, ("key", "value"), strict=True)
    )
    q, k, v = (x.reshape(len(x), num_heads, -1) for x in (linear(w["query"], asked), keys, values))
    scores = jnp.where(mask, jnp.einsum("nhd,mhd->hnm", q, k) / q.shape[-1] ** 0.5, -1e30)
    context = jnp.einsum("hnm,mhd->nhd", jax.nn.softmax(scores), v)
    return linear(w["output"], context.reshape(len(asked), -1)), (keys, values)


def nothing():
    return {"read": (jnp.zeros((0, 32)),) * 2, "layers": [(jnp.zeros((0, 32)),) * 2] * 2, "places": np.zeros(0, int)}


def read_on(w, cache, fresh, num_latents):
    """Further tokens (k,) with latents on the last of them -> logits (num_latents, v), and the cache with them."""
    start, read = len(cache["read"][0]), w["reader"]
    places = np.arange(start, start + len(fresh))
    inputs = w["input_adapter"]["embedding"][fresh] + adapter.positions[0]()[places + 1]  # counted from 1
    own, latents = places[-num_latents:], linear(w["query"], inputs[-num_latents:])
    asked, answering = layer_norm(read["query_norm"], latents), layer_norm(read["kv_norm"], inputs)
    mask = own[:, None] >= np.arange(start + len(fresh))
    context, kept = attend_and_keep(read["attention"], asked, answering, cache["read"], mask)
    latents = add_mlp(read, latents + context)
    every = np.concatenate([cache["places"], own])
    layers = []
    for layer, old in zip(w["stack"]["layers"].values(), cache["layers"], strict=True):
        normed = layer_norm(layer["norm"], latents)
        context, one = attend_and_keep(layer["attention"], normed, normed, old, own[:, None] >= every)
        latents = add_mlp(layer, latents + context)
        layers.append(one)
    logits = linear(w["output"], layer_norm(w["norm"], latents))
    return logits, {"read": kept, "layers": layers, "places": every}


# %% [markdown]
# Read ten tokens with 3 latents, then three more, one by one. Beside it, the library's `extend`, whose cache has a
# fixed size, and the honest way: a new pass over all tokens, with as many latents as there are by then.

# %%
logits, cache = read_on(weights, nothing(), tokens[:10], 3)
_, theirs = further(small, empty_cache(small, 1), jnp.asarray(tokens[None, :10]), num_latents=3)
worst = 0.0
for step, length in enumerate((11, 12, 13), 1):
    logits, cache = read_on(weights, cache, tokens[length - 1 : length], 1)
    library, theirs = further(small, theirs, jnp.asarray(tokens[None, length - 1 : length]))
    honest = whole_pass(small, jnp.asarray(tokens[None, :length]), num_latents=3 + step)[0, -1]
    worst = max(worst, float(jnp.abs(logits[-1] - honest).max()), float(jnp.abs(library[0, -1] - honest).max()))
    print(f"LAB {length} tokens read, latents at places", cache["places"].tolist())
assert worst < 1e-3
print(f"largest difference {worst:.1e}, logits up to {jnp.abs(honest).max():.1f}")
print("LAB yours, the library's and a whole new pass agree to 1e-3:", worst < 1e-3)

# %% [markdown]
# ## What it costs
#
# How much is saved? Count, for a model of 256 latents and a context of 2,048: one token more behind a cache, and a pass
# over all tokens so far. The library's cache has the same shape from the first token to the last, so that there is
# **one** program for all of them, and its cost does not depend on how much was read.

# %%
config = PerceiverARConfig(num_latents=256, latent_channels=128, max_context=2048, num_self_attends=3)
large = nnx.eval_shape(
    lambda: PerceiverAR(config, input_adapter=TokenInput(259, 128, rngs=nnx.Rngs(0)), rngs=nnx.Rngs(0))
)
one_token = jax.ShapeDtypeStruct((1, 1), jnp.int32)
room = jax.eval_shape(lambda: empty_cache(large, 1))
cached = cost(lambda model, cache, token: extend(model, cache, token), large, room, one_token)
print(f"LAB a token from the cache, wherever: {cached.flops / 1e6:.2f} million FLOPs")
print(f"    the compiler says {cached.compiler_flops / 1e6:.2f} million")
for length in (512, 1024, 2048):
    whole = cost(large, jax.ShapeDtypeStruct((1, length), jnp.int32))
    print(f"LAB a pass of 256 latents over {length:5,} tokens: {whole.flops / 1e6:6.1f} million FLOPs, "
          f"{whole.flops / cached.flops:4.0f} times as many")  # fmt: skip
refill = cost(lambda model, tokens: model(tokens, num_latents=128), large, jax.ShapeDtypeStruct((1, 2048), jnp.int32))
each = cached.flops + (refill.flops - cached.flops) / 129
print(f"LAB with a full pass of 128 latents for every 129th token: {each / 1e6:.2f} million FLOPs each on average")

# %% [markdown]
# FLOPs are not seconds: a single token makes a processor fetch all weights for little work. So measure. R is the number
# of latents that a full pass makes; R = 256 makes a full pass for every token, which is no cache at all.

# %%
config = PerceiverARConfig(num_latents=256, latent_channels=128, max_context=2048, num_self_attends=3)
rngs = nnx.Rngs(0)
timed = PerceiverAR(config, input_adapter=TokenInput(259, 128, rngs=rngs), zero_output=False, rngs=rngs)
prompt = np.random.default_rng(0).integers(3, 259, 1700)
speeds = {}
for refill_to, count in ((256, budget(ci=2, lab=12)), (192, budget(ci=4, lab=130)), (128, budget(ci=4, lab=258))):
    options = {"refill_to": refill_to, "stop_tokens": ()}
    generate(timed, [prompt], num_tokens=1, **options)  # compiles
    began = time.perf_counter()
    generate(timed, [prompt], num_tokens=count, **options)
    speeds[refill_to] = count / (time.perf_counter() - began)
    print(f"R = {refill_to}: {speeds[refill_to]:8.1f} tokens a second")
print(f"the cache makes it {speeds[128] / speeds[256]:.0f} times as fast")

# %% [markdown]
# How many times depends on the machine, and on what else it does. On two quiet cores a model with 256 channels and six
# layers says 312 tokens a second with R = 128 and 23 without a cache, 13.6 times as many; its logits are those of a
# whole pass to 4e-6; and a token behind 2,000 others takes as long as one behind 256, 4.4 and 4.2 milliseconds
# (`benchmarks/generation.py`).
#
# ## Bach
#
# Now a model that has something to say. The recipe `chorales_ar` reads four-part chorales by Bach on a grid of
# sixteenths: four tokens for each, soprano, alto, tenor, bass, and each says *goes on*, *falls silent*, or which tone
# begins. 128 latents, a context of 768 tokens: twelve bars. It was trained in all keys; the tunes of the test were not
# in the training. (The scores come with the package music21, which you installed with the lab.)

# %%
recipe = recipes.get("chorales_ar")
bach = trained("chorales_ar")
metrics = bach.metrics
pieces = {name: chorales.grids()[name] for name in chorales.split()["test"] if len(chorales.grids()[name]) >= 192}
names = list(pieces)[: budget(ci=8, lab=len(pieces))]
four_bars = {name: chorales.grid_events(pieces[name][:64])[1:-1] for name in names}
print("LAB pieces of the test with twelve bars or more:", len(pieces))
low, high = metrics["bits_per_token_low"], metrics["bits_per_token_high"]
print(f"the model, all pieces of the test: {metrics['bits_per_token']:.3f} bits a token (95 % interval "
      f"{low:.3f} to {high:.3f}), {metrics['loss']:.3f} nats")  # fmt: skip

# %% [markdown]
# Is that much? An old way to compose by machine is a **Markov chain**: count which token followed which. Here is one
# of first order, from the same training pieces in all keys, with a thousandth of a count for what never happened.

# %%
followed = np.full((chorales.TOKENS, chorales.TOKENS), 1e-3)
for name in chorales.split()["train"]:
    for semitones in chorales.keys(chorales.grids()[name]):
        row = chorales.grid_events(chorales.transpose(chorales.grids()[name], semitones))
        np.add.at(followed, (row[:-1], row[1:]), 1)
followed /= followed.sum(axis=1, keepdims=True)
unheard = [chorales.grid_events(chorales.grids()[name]) for name in chorales.split()["test"]]
markov = np.concatenate([-np.log(followed[row[:-1], row[1:]]) for row in unheard])
print(f"a Markov chain, the same pieces: {markov.mean() / np.log(2):.3f} bits a token, {markov.mean():.3f} nats")
print("LAB the model needs less than six tenths of that:", metrics["loss"] < 0.6 * markov.mean())
rng = np.random.default_rng(10)


def by_markov(tokens, count):
    """Tokens of a prompt, and so many that the chain goes on with; voices take turns, and the end may not come."""
    row = list(tokens)
    for place in range(len(row), len(row) + count):
        voice = 3 + chorales.VALUES * (place % 4) + np.arange(chorales.VALUES)
        p = followed[row[-1], voice]
        row.append(rng.choice(voice, p=p / p.sum()))
    return np.array(row)


# %% [markdown]
# Counting more helps: nine tokens of context, with shorter ones where those were never seen, need 1.08 bits, and counts
# of what a musician would look at (which voice, how long its tone lasts already, what the others sing) 0.857. The model
# beats them all, and nobody told it what to look at.
#
# Is it worth more than other models of equal cost? Three read three bars, and pay for each training step about what ours
# pays for twelve. A plain Transformer with sines for its places needs 0.745 bits (95 % interval 0.710-0.781): no fewer
# than ours, 0.707 (0.672-0.741). Two that know distances instead of places need fewer: a Music Transformer, which learns
# a vector for each distance between two tokens (1809.04281), 0.686 (0.651-0.721), and a Transformer-XL 0.662
# (0.629-0.695). Of a chorale, what matters is near. What the Perceiver's read is worth shows where contexts are long:
# `benchmarks/results/context.json`.

# %% [markdown]
# ### From probabilities to a token
#
# The model gives a probability to each of the 48 values of the voice whose turn it is. To draw from them as they are is
# **temperature 1**. Dividing the logits by T first makes them sharper (T < 1) or flatter (T > 1); T = 0, **greedy**,
# stands for always taking the likeliest. A rule can drop the long tail, in which each token is unlikely, but the whole
# is not: **top-k** keeps the k likeliest tokens; the **nucleus** keeps the likeliest that together have at least
# probability p; **min-p** keeps those whose probability is at least a given share of the likeliest's. In the released
# code rules come first, and the temperature acts on what is left.


# %%
def top_k(p, count):
    return p >= np.sort(p)[-count]


def top_p(p, share):
    order, kept = np.argsort(-p), np.zeros(len(p), bool)
    kept[order[np.cumsum(p[order]) - p[order] < share]] = True  # those before it have less than the share
    return kept


def min_p(p, share):
    return p >= share * p.max()


def filtered(logits, temperature=1.0, **rules):
    p = np.exp(logits - logits.max())
    p /= p.sum()
    for name, value in rules.items():
        p = np.where({"top_k": top_k, "top_p": top_p, "min_p": min_p}[name](p, value), p, 0)
    powers = p ** (1 / temperature)
    return powers / powers.sum()


events = np.concatenate([[SOS], four_bars[names[0]]]).astype(np.int32)
said = np.asarray(whole_pass(bach.model, jnp.asarray(events[None]), num_latents=64)[0, -1], np.float64)
soprano = said[3 : 3 + chorales.VALUES]
settings = {
    "T = 1": {}, "T = 0.5": {"temperature": 0.5}, "T = 1.6": {"temperature": 1.6},
    "top-k 3": {"top_k": 3}, "nucleus 0.9": {"top_p": 0.9}, "min-p 0.1": {"min_p": 0.1},
}  # fmt: skip
shares = {name: filtered(soprano, **setting) for name, setting in settings.items()}
for name, setting in settings.items():
    theirs = jax.nn.softmax(ops.filter_logits(jnp.asarray(soprano, jnp.float32), **setting))
    assert np.abs(shares[name] - np.asarray(theirs)).max() < 1e-3
    print(f"{name:12s} tokens that can come: {(shares[name] > 0).sum():2d}, the likeliest {shares[name].max():.1%}")
print("LAB yours and the library's agree to 1e-3: True")
top = np.argsort(-soprano)[:6]
spelled = {0: "goes on", 1: "silent"} | {
    value: figures.note_name(chorales.LOWEST + value - chorales.FIRST_PITCH)
    for value in range(chorales.FIRST_PITCH, chorales.VALUES)
}
figures.heated_bars({name: one[top] for name, one in shares.items()}, names=[spelled[int(value)] for value in top])

# %% [markdown]
# ### Continue
#
# Four bars are given, the model goes on for seven. Each voice has tokens of its own, and `num_channels=4` sees to it
# that they take turns. The full passes make 64 latents, so that 64 of 65 tokens come from the cache. The Markov chain
# goes on as well.

# %%
bars = budget(ci=1, lab=7)


def continued(**setting):
    """Tokens of all prompts, with what the model went on with."""
    found = generate(
        bach.model, list(four_bars.values()), num_tokens=64 * bars, num_channels=4, forbidden_tokens=[EOS], **setting
    )
    return [np.concatenate([four_bars[name], new]) for name, new in zip(names, found.tokens, strict=True)]


began = time.perf_counter()
chosen = {name: settings[name] for name in ("T = 0.5", "T = 1", "T = 1.6", "nucleus 0.9")}
chosen = {"T = 0": {"temperature": 0.0}} | chosen
sampled = {name: continued(**setting) for name, setting in chosen.items()}
print(f"{time.perf_counter() - began:.0f} seconds for {len(sampled)} times {len(names) * 64 * bars} tokens")
sampled["Markov chain"] = [by_markov(four_bars[name], 64 * bars) for name in names]
figures.piano_roll(grid_notes(chorales.events_grid(sampled["T = 1"][0])), prompt=64)

# %% [markdown]
# This is one of them at T = 1, after the dotted line. The same prompt, T = 0:

# %%
figures.piano_roll(grid_notes(chorales.events_grid(sampled["T = 0"][0])), prompt=64)

# %% [markdown]
# And the Markov chain:

# %%
figures.piano_roll(grid_notes(chorales.events_grid(sampled["Markov chain"][0])), prompt=64)

# %% [markdown]
# How do they differ? Count, over all pieces, and beside them what Bach wrote there: how many tones begin in a bar, how
# many half bars repeat an earlier one to the note, how often two voices clash on a quarter (seconds, sevenths,
# tritones), and, for eight of the pieces, how surprised the model is by it all.


# %%
def counted(rows):
    """Numbers of the bars behind the prompt."""
    begins, repeats, clashes = [], [], []
    for row in rows:
        grid = chorales.events_grid(row)[64 : 64 + 16 * bars]
        begins.append((grid >= chorales.ONSET).sum() / bars)
        each = [grid[start : start + 8].tobytes() for start in range(0, len(grid), 8)]
        repeats.append(1 - len(set(each)) / len(each))
        pitch = (grid[::4] % chorales.ONSET).astype(int)
        for one, other in zip(*np.triu_indices(4, 1), strict=True):
            both = (pitch[:, one] > 0) & (pitch[:, other] > 0)
            steps = np.abs(pitch[both, one] - pitch[both, other]) % 12
            clashes.append(np.isin(steps, (1, 2, 6, 10, 11)).mean() if both.any() else np.nan)
    whole = [np.concatenate([[SOS], row]).astype(np.int32) for row in rows[:8]]
    nats = evaluate_tokens(bach.model, whole, stride=64, batch_size=8).nats
    surprise = np.mean([one[256:].mean() for one in nats]) / np.log(2)
    return np.mean(begins), np.mean(repeats), np.nanmean(clashes), surprise


really = [chorales.grid_events(pieces[name][: 64 + 16 * bars])[1:-1] for name in names]
print(f"{'':16s}{'tones a bar':>12s}{'half bars again':>17s}{'clashes':>9s}{'bits a token':>14s}")
for name, rows in {"Bach": really, **sampled}.items():
    begins, repeats, clashes, surprise = counted(rows)
    print(f"{name:16s}{begins:12.1f}{repeats:17.0%}{clashes:9.0%}{surprise:14.2f}")

# %%
reveal("10", "B", "'goes on' is mostly the likeliest: fewer tones begin, and more half bars are as an earlier one.")

# %% [markdown]
# At T = 0 a third fewer tones begin than Bach wrote there, hardly anything clashes, and of a hundred half bars 23 were
# there before. (Not because a bar that was heard became likelier: Bach's fourth bar, given a second time, surprises the
# model as much as the first time.) To take the likeliest token each time need not give the likeliest piece, let alone
# the best.
#
# At T = 1 as many tones begin as in Bach, and the model is as surprised by itself as by him. That is what temperature 1
# means: to draw what is as likely as in the training data, as far as the model knows. It does not know everything: it
# clashes more than half again as often. Each wrong tone is unlikely, but there are many, and the next token has to live
# with what was drawn. A nucleus of 0.9 drops that tail and clashes hardly more than Bach, but moves less. At T = 1.6
# the tail rules. And the chain has a few more tones than Bach and no ear: all it knows is the last token, what another
# voice did just now.
#
# Numbers do not sing. Here are the first two bars behind the prompt, made of sines, at three temperatures. (Only what
# the model wrote is played and stored here; with the prompt, and as far as you like, you hear it in the stepper below.)


# %%
def own_notes(tokens, bars):
    """The first bars behind the prompt; what sounds on from the prompt begins there."""
    grid = chorales.events_grid(tokens)[64 : 64 + 16 * bars].copy()
    grid[0, grid[0] > 0] |= chorales.ONSET
    return grid_notes(grid)


rate = 3200  # muffled, so that the notebook stays small
heard = {name: own_notes(sampled[name][0], min(bars, 2)) for name in ("T = 0", "T = 1", "T = 1.6")}
figures.Players(
    {name: figures.synthesise(notes, steps_per_second=8, rate=rate) for name, notes in heard.items()}, rate=rate
)

# %% [markdown]
# To keep what you like: a MIDI file, which any music program opens.

# %%
with tempfile.TemporaryDirectory() as folder:
    notes = grid_notes(chorales.events_grid(sampled["T = 1"][0]))
    write_midi(f"{folder}/chorale.mid", notes, steps_per_beat=4, beats_per_minute=90)
    again = read_midi(f"{folder}/chorale.mid", steps_per_second=6)
print("LAB the same notes come back from the file:", {note[:3] for note in again} == {note[:3] for note in notes})

# %% [markdown]
# ## A cache that rolls
#
# Full passes cost something. Why not let the oldest latent go, one for each new one? `generate(..., rolling=True)` does
# it. **It is not exact.** The latents that stay were made when the oldest was still there, and what they took from it
# is in their keys and values; a whole new pass would make them without. Let the cache of the small model from above
# roll on:

# %%
_, rolled = further(small, empty_cache(small, 1), jnp.asarray(tokens[None, :13]), num_latents=6)  # it is full
apart = []
for length in range(14, 21):
    library, rolled = further(small, rolled, jnp.asarray(tokens[None, length - 1 : length]))
    read = np.where(np.arange(20) < length, tokens[:20], 0)  # 0 is padding
    honest = whole_pass(small, jnp.asarray(read[None]))[0, -1]  # 6 latents, as many as the cache has
    apart.append(float(jnp.abs(library[0, -1] - honest).max()))
print("differences", *(f"{one:.3f}" for one in apart))
assert min(apart) > 1e-3
print("LAB rolled on, it still agrees with a whole new pass to 1e-3:", max(apart) < 1e-3)

# %% [markdown]
# Is what comes out worse? That is another question, which only a measurement answers. Let pieces by Bach be read token
# by token, and ask how likely each way makes what he wrote: with full passes of 64 latents, of 8, and rolling.


# %%
def surprise(model, events, refill_to, rolling):
    """Bits of each token behind the first 256, read one by one from a cache."""
    size, config = len(events), model.config
    period = config.num_latents - refill_to + 1

    def step(carry, place):
        def full(_):
            told = jnp.where(jnp.arange(config.max_context) <= place, padded, 0)[None]
            logits, cache = extend(model, empty_cache(model, 1), told, num_latents=refill_to)
            return logits[0, -1], cache

        def one_more(cache):
            logits, cache = extend(model, cache, jax.lax.dynamic_slice(padded, (place,), (1,))[None])
            return logits[0, -1], cache

        since = place - 256
        due = (since == 0) if rolling else since % period == 0
        logits, cache = jax.lax.cond(due, full, one_more, carry)
        return cache, -jax.nn.log_softmax(logits)[padded[place + 1]] / jnp.log(2)

    padded = jnp.pad(events, (0, config.max_context - size))
    return jax.lax.scan(step, empty_cache(model, 1), jnp.arange(256, size - 1))[1]


by_cache = nnx.jit(surprise, static_argnums=(2, 3))
length = budget(ci=300, lab=760)
read = [np.concatenate([[SOS], chorales.grid_events(pieces[name])[1:length]]) for name in names[: budget(ci=1, lab=8)]]
read = [jnp.asarray(one, jnp.int32) for one in read]
assert {len(one) for one in read} == {length}
ways = {"full passes, R = 64": (64, False), "full passes, R = 8": (8, False), "rolling from R = 64 on": (64, True)}
for label, (refill_to, rolling) in ways.items():
    bits = np.mean([np.asarray(by_cache(bach.model, one, refill_to, rolling)) for one in read], axis=0)
    parts = np.array_split(bits, 4)
    print(f"{label:24s} {bits.mean():.3f} bits a token;  by quarters", *(f"{part.mean():.3f}" for part in parts))

# %% [markdown]
# Here, nothing is lost that could be seen: 0.716 bits both ways. Nor does it cost much to make 8 latents instead of 64
# in a full pass: 0.719. This is one model, one kind of music and 500 tokens, and no promise for another. What an exact
# cache gives is not better music: it is that the model you listen to is the one that was trained and measured. A
# rolling one needs a measurement of its own, such as this.
#
# ## Look inside
#
# Where does the model look when it writes? The read of every latent, averaged over heads and pieces, by how many
# sixteenths back it goes and in which voice. (A latent asks with its own input, so that what it looks at does not
# depend on how many latents there are.)

# %%
reads = np.stack([np.concatenate([[SOS], chorales.grid_events(pieces[name][:128])[1:-1]]) for name in names[:8]])
_, maps = attention_maps(bach.model, reads[:, : 1 + 4 * 96].astype(np.int32))
weights = maps[0].weights.mean(axis=(0, 1))  # the latents at the last 128 places, over all places
count = weights.shape[1]
back = np.zeros((65, 4))
for row, place in enumerate(range(count - 128, count)):
    for other in range(1, place + 1):  # place 0 is the start token's
        far = place // 4 - (other - 1) // 4  # in sixteenths; the latent at a place says the token behind it
        if far <= 64:
            back[far, (other - 1) % 4] += weights[row, other] / 128
up_to = {far: back[: far + 1].sum() for far in (1, 4, 8, 16, 32, 64)}
print("share of the weight up to so many sixteenths back:", *(f"{far}: {share:.0%} " for far, share in up_to.items()))
print("by voice, of these 64:", *(f"{voice} {share:.0%} " for voice, share in zip(chorales.VOICES, back.sum(axis=0), strict=True)))
figures.heated_bars(
    {voice: back[:17, number] for number, voice in enumerate(chorales.VOICES)}, names=[str(far) for far in range(17)],
    xlabel="sixteenths back", ylabel="share of the weight",
    alt="Share of the read's weight by sixteenths back, 0 to 16, a bar for each voice that is looked at.",
)  # fmt: skip

# %% [markdown]
# What is near counts more: a quarter of the weight lies within a quarter note, more than half within a bar, which is
# about a fifth of what these latents may read. All four voices are looked at. One column stands out, the bass a quarter
# note ago.
#
# ## Pictures, pixel by pixel
#
# The same works for anything that can be put in a row. A digit of 8 x 8 pixels, its grey values in nine steps, behind a
# token that says which digit it is: 66 events with the start token. Positions are learned, a table for rows and one for
# columns, as the release has them for images. This model you train yourself.

# %%
digits, greys = {part: arrays("digits", part) for part in ("train", "test")}, 9


def digit_events(part):
    pixels = 3 + digits[part]["image"].reshape(len(digits[part]["image"]), 64).astype(np.int32) // 2
    label = 3 + greys + digits[part]["label"][:, None].astype(np.int32)
    return np.concatenate([np.full_like(label, SOS), label, pixels], axis=1)


rows, columns = np.mgrid[:8, :8]
grid_places = np.stack([rows.ravel() + 1, columns.ravel() + 1], axis=1)
places = np.concatenate([[[0, 0], [0, 1]], grid_places]).astype(np.int32)  # of all 66 events
train_events, test_events = digit_events("train"), digit_events("test")
print("LAB training", train_events.shape, " test", test_events.shape, " tokens", 3 + greys + 10)


def digit_model():
    rngs, channels = nnx.Rngs(0), 48
    config = PerceiverARConfig(
        num_latents=32, latent_channels=channels, max_context=65, num_self_attends=2, num_cross_heads=4,
        num_self_heads=4, rotary_fraction=0,
    )  # fmt: skip
    tables = [LearnedPositions((9,), channels, rngs=rngs) for _ in range(2)]
    inputs = TokenInput(3 + greys + 10, channels, positions=tables, rngs=rngs)
    return PerceiverAR(config, input_adapter=inputs, rngs=rngs)


def digit_batches(size=64, seed=0):
    """Rows that end at a random place, so that the 32 latents lie anywhere; at least 32 events are read."""
    rng = np.random.default_rng(seed)
    while True:
        chosen = train_events[rng.integers(len(train_events), size=size)]
        ends = rng.integers(33, 67, size=(size, 1))
        inputs = np.where(np.arange(65) < ends - 1, chosen[:, :-1], 0)
        targets = np.where(np.arange(65) < ends - 1, chosen[:, 1:], 0)
        yield {"inputs": inputs, "targets": targets, "positions": np.tile(places[None, :65], (size, 1, 1))}


steps = budget(ci=3, lab=800)
optimizer = OptimizerConfig(learning_rate=3e-3, warmup_steps=budget(ci=1, lab=50), schedule="warmup_cosine")
with LiveCurve("nats", interval=4) as curve:
    drawing = train(
        digit_model(), digit_batches(), steps=steps, optimizer=optimizer.make(steps), loss_fn=next_token_loss(),
        log_every=budget(ci=1, lab=20), callbacks=[curve],
    )  # fmt: skip

# %%
some = test_events[: budget(ci=8, lab=len(test_events))]
nats = evaluate_tokens(drawing.model, list(some), stride=16, batch_size=64, positions=[places] * len(some)).nats
bits = np.stack(nats)[:, 1:] / np.log(2)  # of the pixels, not of the label
counts = np.ones((64, greys))
for row in train_events:
    counts[np.arange(64), row[2:] - 3] += 1
alone = -np.log2((counts / counts.sum(axis=1, keepdims=True))[np.arange(64), some[:, 2:] - 3])
print(f"bits for each pixel: knowing nothing {np.log2(greys):.2f}, each pixel by itself {alone.mean():.2f}, "
      f"this model {bits.mean():.2f}")  # fmt: skip

# %% [markdown]
# Half a bit less than what is known of each pixel by itself. Now let it draw: from the label alone, and from the label
# and the upper half. The label may not be drawn again, nor the end.

# %%
no_labels = [EOS, *range(3 + greys, 3 + greys + 10)]
options = {"positions": places[:65], "stop_tokens": (), "forbidden_tokens": no_labels}
drawn = generate(drawing.model, [[3 + greys + digit] for digit in range(10)], num_tokens=64, **options).tokens
wholes = [next(row for row in test_events if row[1] == 3 + greys + digit)[1:] for digit in range(10)]
halves = [row[:33] for row in wholes]  # the label and the upper half
below = generate(drawing.model, halves, num_tokens=32, **options).tokens
completed = np.concatenate([np.stack(halves)[:, 1:], below], axis=1)
pictures = np.concatenate([drawn, completed, np.stack(wholes)[:, 1:]]).reshape(-1, 8, 8, 1) - 3
assert pictures.min() >= 0 and pictures.max() < greys
figures.image_grid(
    (pictures * 255 // (greys - 1)).astype(np.uint8), columns=10,
    alt="Three rows of ten digits, 0 to 9: drawn pixel by pixel from the label alone; the upper half given and the "
    "lower drawn; and the test digits that the halves came from.",
)  # fmt: skip

# %% [markdown]
# ## Explore: the decode stepper
#
# Four bars on a piano roll. **Step** says one token, **Sixteenth** four, **Bar** 64. **Back** takes them away again;
# **Play** plays what is there, made of sines in your browser. Click a note, or walk with the arrow keys, to see what
# could have come there and where the model looked; + and - move the tone. Below the roll, the cache.
#
# To discover:
#
# 1. **Full.** Step until the cache is full. What does the next step do?
# 2. **An old wrong note.** Change a tone in the first bar, then one of the last. What is spoiled each time?
# 3. **Hear the temperature.** Continue at temperature 0, and again above 1.

# %%
DecodeStepper(bach.model, {name: pieces[name][:64] for name in names[:3]})

# %% [markdown]
# ## Exercises
#
# Put your answer in place of the dots and run the cell. `hint("10.1")` gives a hint, `solution("10.1")` shows one way.

# %% [markdown]
# ### 10.1 How many latents?
#
# *look it up, about 3 minutes. It matters because how many latents there are decides when the next full pass is due.*
#
# The model of the chorales has 128 latents, a full pass makes 64 of them. A prompt is continued. The first new token
# comes from the full pass of the prompt. How many latents does the cache hold when the 100th new token is said?

# %%
answer = ...
check("10.1", answer)

# %% [markdown]
# ### 10.2 What is kept
#
# *look it up, about 3 minutes. It matters because the memory of a cache is the price of its speed.*
#
# How many numbers does a full cache of the chorale model hold? It has room for 768 inputs and 128 latents, 96 channels
# everywhere, one read and 3 latent layers.

# %%
answer = ...
check("10.2", answer)

# %% [markdown]
# ### 10.3 An old wrong note
#
# *think, about 3 minutes. It matters because an edit is cheap or expensive by what it spoils, not by its size.*
#
# 500 tokens are written, the cache holds 100 latents. You change the note at place 40. What has to be computed anew
# before the next token can be said, so that it is said as by a model that knew the new note all along?
#
# - **A** keys and values of one input; the latents are all later, so they stay
# - **B** keys and values of all inputs from place 40 on, and all latents
# - **C** keys and values of one input, and all 100 latents
# - **D** nothing: the next latent reads the new note by itself

# %%
answer = ...
check("10.3", answer)

# %% [markdown]
# ### 10.4 A cooler model
#
# *think, about 3 minutes. It matters because of all knobs of a sampler it is the one you will turn first.*
#
# Two tokens can come, with probabilities 0.8 and 0.2. What is the probability of the first at temperature 0.5?

# %%
answer = ...
check("10.4", answer)

# %% [markdown]
# ### 10.5 The other order
#
# *build, about 6 minutes. It matters because two programs with the same settings sample differently, and this is why.*
#
# Other programs let the temperature act first, and take the nucleus of what comes out. Write
# `heat_then_cut(probabilities, temperature, top_p)` in this order, for an array `(V,)` of probabilities, none equal to
# another: warm or cool them; then keep the likeliest, as few as together have at least `top_p`. Return `(V,)`
# probabilities that add up to 1, 0 for what was dropped.

# %%
def heat_then_cut(probabilities, temperature, top_p):
    ...


check("10.5", heat_then_cut)

# %% [markdown]
# ### 10.6 What an edit spoils
#
# *build, about 5 minutes. It matters because an editor that recomputes too little is silently wrong.*
#
# Write `to_redo(place, num_events, num_latents)`. A cache holds `num_events` inputs, and latents at the last
# `num_latents` of their places, counted from 0. The token at `place` becomes another. Return an array of two numbers:
# for how many inputs keys and values must be computed anew, and how many latents.

# %%
def to_redo(place, num_events, num_latents):
    ...


check("10.6", to_redo)

# %% [markdown]
# ## What you now know
#
# - Keys and values of an input depend on its token and its place: they may be kept for good. Those of a latent depend
#   on all that it has read and attended to.
# - A new token adds a latent and changes none. A latent that goes changes all that are left: so fill up, then make a
#   full pass.
# - The cache is exact: each token is what a whole new pass with as many latents would say. A rolling one is not.
# - A cache of fixed size is one program, and costs the same at every place.
# - A changed token spoils one entry of the inputs, and every latent from its place on.
# - Rules such as the nucleus first, then the temperature; the likeliest tokens need not make the likeliest piece.
#
# ## Sources
#
# - C. Hawthorne et al., *General-purpose, long-context autoregressive modeling with Perceiver AR*, ICML 2022,
#   [2202.07765](https://arxiv.org/abs/2202.07765). Sampling with cached activations: appendix E.3.
# - The released code: [google-research/perceiver-ar](https://github.com/google-research/perceiver-ar): filters and
#   temperature, colour channels that take turns, learned positions for images.
# - C.-Z. A. Huang et al., *Music Transformer*, 2018, [1809.04281](https://arxiv.org/abs/1809.04281). A vector for each
#   distance between two tokens.
# - A. Holtzman et al., *The Curious Case of Neural Text Degeneration*, 2019,
#   [1904.09751](https://arxiv.org/abs/1904.09751). The nucleus: section 3.1.
# - J. S. Bach's chorales, as encoded in [music21](https://www.music21.org), by permission, not for commercial use.
# - E. Alpaydin and C. Kaynak, *Optical Recognition of Handwritten Digits*, UCI, by way of scikit-learn: the digits.
