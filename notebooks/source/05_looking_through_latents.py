# %% [markdown]
# # 05 · Looking through latents
#
# A Perceiver shows where it looks: each read leaves a map of weights on the picture. It is tempting to take such a map
# for the reason of the answer. In this lesson you follow maps through all layers, hold six of them against an
# experiment, find maps that mislead, and switch latents off one by one.
#
# **After this lesson you can**
#
# - draw raw maps, rollout, gradients and occlusion, and say what each leaves out;
# - measure what a map is worth by a deletion curve, beside orders that need no model;
# - put other weights in a layer's place, and so tell a map that matters from one that only looks as if it did;
# - find latents that watch places whatever stands there, by a statistic;
# - switch latents off, alone and together, and say what they did.
#
# **Needs** lesson [04](04_the_perceiver.ipynb) (the Perceiver, its maps, latents that are off). **Next** lesson
# [06](06_ask_anything.ipynb) asks the latents questions. **Time** about 75 minutes with the exercises. The cells alone
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
from collections import Counter

import jax
import numpy as np
from flax import nnx
from scipy.optimize import linprog

from perceiver_lab import figures, recipes
from perceiver_lab.course import budget, check, hint, mode, predict, reveal, solution, trained  # noqa: F401
from perceiver_lab.datasets import pipeline, to_float
from perceiver_lab.explorers import AttentionExplorer
from perceiver_lab.introspect import (
    ablate, attention_maps, deletion_curves, gradient_maps, occlusion_maps, position_share, rollout,
)  # fmt: skip

# %% [markdown]
# ## The idea in one picture
#
# Between a pixel and the answer lie two reads, latent layers, MLPs and a mean. Each kind of map follows some of that
# way. A raw map goes one step. Rollout goes along all attention, and nothing else. A gradient comes back through
# everything, for a change too small to see. Occlusion makes a real change, and runs the model again.

# %%
figures.ways_to_look()

# %% [markdown]
# ## Commit yourself
#
# Take away pixels of a digit, one after the other, and watch the probability of the model's answer. A good map knows
# which pixels must go first. One of these four orders is hardly better than chance. Which?

# %%
predict(
    "05",
    ["the weights of the last read", "rollout", "the most ink first, no model at all", "occlusion, one pixel at a time"],
    choice=...,
)

# %% [markdown]
# ## From scratch
#
# ### A model and its maps
#
# The small Perceiver of lesson 04: 16 latents of 64 channels read real digits of 8 x 8 pixels (from the UCI set) twice,
# and after each read two latent layers with four heads follow. Its set has 297 digits held out. To look at more, take
# 403 of those that it learned from as well: what a map is worth is a question about this model and these pictures.
# Where the two kinds might differ, both numbers are printed.

# %%
shipped = trained("digits_perceiver")
model = shipped.model
batches = [
    next(pipeline("digits", split=split, batch_size=size, transforms=(to_float,), repeat=False, shuffle=False))
    for split, size in (("test", 297), ("train[:403]", 403))
]
images, labels = (np.concatenate([batch[key] for batch in batches]) for key in ("image", "label"))
held_out = np.arange(700) < 297
logits, maps = attention_maps(model, images)
said = logits.argmax(axis=-1)
for name, weights in maps:
    print(f"LAB {name:15s} {weights.shape}")
print(f"right: {(said == labels)[held_out].sum()} of 297 held out, {(said == labels)[~held_out].sum()} of 403")

# %% [markdown]
# ### Rollout by hand
#
# Each map is a table of weights: rows for those who look, columns for what is looked at. If attention were all that
# mixes, the tables of all layers, multiplied, would say how much of each pixel is in each latent. Half of a layer's
# output is taken to be its input, which the residual hands on: so the table of a layer is half its weights, half the
# identity.
#
# - **first read**: the latents take from the pixels. What stays of the learned latents comes from no pixel.
# - **latent layer**: the latents mix what they have, `(W + I) / 2` times the mixture.
# - **second read**: half of what they have, half of what they take from the pixels now.


# %%
def roll(maps):
    mixed = None
    for name, weights in maps:
        weights = weights.mean(axis=1)  # the heads of a layer
        if name == "read 0":
            mixed = weights
        elif name.startswith("read"):
            mixed = 0.5 * weights + 0.5 * mixed
        else:
            mixed = (0.5 * weights + 0.5 * np.eye(weights.shape[-1])) @ mixed
    return mixed


rolled = roll(maps)
print("LAB rollout", rolled.shape, "rows sum to one:", bool(np.allclose(rolled.sum(axis=-1), 1, atol=1e-4)))

# %% [markdown]
# ### Occlusion by hand
#
# Set one pixel to blank (-1, no ink) and see what the logit loses. A model of sets can do something cleaner as well:
# leave the pixel's **row** out of what is read, so that nothing at all stands at its place. 64 copies of a digit, each
# without another pixel, are one batch.
#
# ### Gradient by hand
#
# Make the same change a hundredth as large, once up and once down, and divide by its size: that is the gradient, to
# the precision of the division.

# %%
graphdef, state = nnx.split(model)
number = 1  # a four


@jax.jit
def answer(state, pixels, keep):
    return nnx.merge(graphdef, state)(pixels, mask=keep)[:, said[number]]


copies = np.repeat(images[number : number + 1].reshape(1, 64), 64, axis=0)
each, whole = np.eye(64, dtype=bool), np.ones((64, 64), bool)
as_picture = (64, 8, 8, 1)
intact = answer(state, copies.reshape(as_picture), whole)
lost_blank = intact - answer(state, np.where(each, np.float32(-1), copies).reshape(as_picture), whole)
lost_row = intact - answer(state, copies.reshape(as_picture), ~each)
steps = np.float32(0.01) * each
slope = (answer(state, (copies + steps).reshape(as_picture), whole)
         - answer(state, (copies - steps).reshape(as_picture), whole)) / 0.02  # fmt: skip

# %% [markdown]
# ## The same, from the library
#
# `rollout`, `occlusion_maps` and `gradient_maps` do this for a whole batch. They must agree.

# %%
gradients = gradient_maps(model, images, said).reshape(700, 64)
occluded = occlusion_maps(model, images, said)
blanked = occlusion_maps(model, images[:4], said[:4], blank=-1.0)
assert np.abs(rolled - rollout(maps)).max() < 1e-5
assert np.abs(lost_blank - blanked[number]).max() < 1e-3
assert np.abs(lost_row - occluded[number]).max() < 1e-3
assert np.abs(slope - gradients[number]).max() < 0.05 * np.abs(gradients[number]).max()
print("LAB rollout, occlusion and gradient by hand agree with the library: True")

# %% [markdown]
# ## Six maps of the same answers
#
# Sixteen latents leave sixteen maps in each read; here is their mean, as the readout takes the mean of the latents. The
# gradient comes in two forms: its size, how fast the logit changes; and times the ink: what the logit of a linear model
# would lose by blanking (blank is -1, so the ink is the value + 1). Occlusion leaves rows out.

# %%
weights = dict(maps)
pixels = images.reshape(700, 64)
ratings = {
    "first read": weights["read 0"][:, 0].mean(axis=1),
    "second read": weights["read 1"][:, 0].mean(axis=1),
    "rollout": rolled.mean(axis=1),
    "gradient, size": np.abs(gradients),
    "gradient × ink": gradients * (pixels + 1),
    "occlusion": occluded,
}
shown = [1, 7, 3, 26]
figures.explanations(
    images[shown], {name: rating[shown].reshape(4, 8, 8) for name, rating in ratings.items()},
    titles=[f"said: {said[i]}" for i in shown], signed=["gradient × ink", "occlusion"],
    alt="Four digits, and for each the six maps. The first read lies on the strokes, the second on a few pixels, "
    "rollout between them. The signed maps are purple where a pixel speaks for the answer and orange where it "
    "speaks against it: a few pixels each, most of them on the stroke.",
)  # fmt: skip

# %% [markdown]
# Attention has no sign: it says how much of a value is taken, not whether that speaks for the answer or against it. The
# two signed maps say both: purple speaks for the answer, orange against it. But which of the six is *right*? None of them
# says so about itself.
#
# ## Measured
#
# So make an experiment. Delete pixels in the order of a map, the highest first, and watch the probability of the answer
# that the model gave. If it falls at once, the map knew what the answer hangs on. Two orders that know nothing of the
# model belong beside it: **random**, and **the most ink first**. Small areas under the curve are good.
#
# Deleting is a choice, too. *Blank* makes a pixel paper; what was paper before does not change. *Left out* takes away
# its row, ink or not.

# %%
counts = list(range(0, 65, budget(ci=16, lab=4)))
orders = {"random": np.random.default_rng(5).random((700, 64)), "most ink first": pixels} | ratings
curves = {
    (name, how): deletion_curves(model, images, rating.astype(np.float32), said, counts, blank=blank)
    for how, blank in (("blank", -1.0), ("left out", None))
    for name, rating in orders.items()
}
areas = {key: np.trapezoid(curve, counts, axis=1) / 64 for key, curve in curves.items()}
for how in ("blank", "left out"):
    print(f"pixels {how + ':':11s} mean area   less than random, 95 %   held out   learned from")
    for name in orders:
        area, less = areas[name, how], areas["random", how] - areas[name, how]
        print(f"  {name:20s} {area.mean():5.3f} {less.mean():14.3f} ± {1.96 * less.std() / 700**0.5:.3f} "
              f"{area[held_out].mean():14.3f} {area[~held_out].mean():12.3f}")  # fmt: skip
for how in ("blank", "left out"):
    mean = {name: areas[name, how].mean() for name in orders}
    ranked = ["occlusion", "gradient × ink", "first read", "second read", "random"]
    rising = bool((np.diff([mean[name] for name in ranked]) > 0).all())
    assert rising
    print(f"LAB pixels {how}, area of {' < '.join(ranked)}: {rising}")

# %%
figures.share_curves(
    [count / 64 for count in counts],
    {name: curves[name, "left out"].mean(axis=0) for name in orders if name != "gradient, size"},
    xlabel="share of pixels left out", ylabel="mean probability of the answer",
    alt="Mean probability of the answer while pixels are left out, most important first, in the order of each map. All "
    "curves fall from 99% to 10%. Those of occlusion and of gradient times ink fall at once, that of the first read and "
    "of the rollout later, those of the second read and of a random order last.",
)  # fmt: skip

# %%
reveal("05", "A", "in its order the answer falls nearly as slowly as in a random one, whatever deleting means.")

# %% [markdown]
# Read it slowly. Occlusion comes first, which is no surprise: it made this very experiment, one pixel at a time. The
# gradient times the ink comes second, for one pass there and back instead of 65 there.
#
# The raw map of the first read looks good until you see its neighbour in the table: *the most ink first* has never seen
# the model, and does nearly as well. A map that lies on the digit has said that digits are made of ink. Rollout follows
# all layers, and does *worse* than the one map that it starts from. The second read, the last look before the answer,
# is hardly better than a random order. And the size of a gradient without the ink says where the logit is quick to
# change, which is not where it would change much.
#
# What the experiment leaves open: a digit with holes is like nothing that the model learned from, so part of what falls
# may be its surprise. And pixels that matter only together are missed by any order that was made one by one.
#
# ## A second model
#
# Train the same recipe once more from other random weights, here and now. It will read digits about as well. Do the two
# look at the same pixels, and give the same reasons?

# %%
second = trained("digits_perceiver", retrain=True, seed=1)

# %%
untrained = recipes.get("digits_perceiver").make_model(nnx.Rngs(2))


def maps_of(other):
    """Four kinds of maps of another model, for the answers of the first."""
    found = attention_maps(other, images)[1]
    slopes = gradient_maps(other, images, said).reshape(700, 64)
    first, last = (dict(found)[f"read {n}"][:, 0].mean(axis=1) for n in (0, 1))
    return {"first read": first, "second read": last, "rollout": rollout(found).mean(axis=1),
            "gradient × ink": slopes * (pixels + 1)}  # fmt: skip


def likeness(a, b):
    """Mean correlation of the maps (pictures, pixels) of the same pictures."""
    a, b = (x - x.mean(axis=-1, keepdims=True) for x in (a, b))
    return ((a * b).sum(axis=-1) / np.sqrt((a**2).sum(axis=-1) * (b**2).sum(axis=-1) + 1e-12)).mean()


again, never = maps_of(second.model), maps_of(untrained)
print("correlation with the map of:  second model   untrained model   the ink itself")
for name in again:
    a = ratings[name]
    print(f"  {name:20s} {likeness(a, again[name]):17.2f} {likeness(a, never[name]):17.2f} {likeness(a, pixels):16.2f}")

# %% [markdown]
# Two models that read nearly all digits right look each in its own way. Their first reads are alike, as each is like
# the ink. Their second reads have nothing in common, and a rollout is no more like that of a second trained model than
# like that of one that has learned nothing. The first read and the gradient times the ink are both alike in two models
# that have learned and unlike in one that has not. But the first read is alike because each model looks at the ink, and
# the gradient times the ink has hardly anything of that. (In mode `ci` the second model trains for a few seconds only,
# and has hardly learned.)
#
# ## Maps that mislead
#
# ### A map that looks as if it mattered
#
# The second read has the more striking map: all latents agree on a few pixels, and which ones depends on the picture.
# `attention_maps(..., replace=...)` runs the model with other weights in a layer's place. Let the second read look
# everywhere alike; or let it look where it looked on the next picture. And do the same to the first.

# %%
for name in ("read 0", "read 1"):
    own = weights[name]
    for what, other in (("even weights", np.full_like(own, 1 / 64)), ("the next picture's", np.roll(own, 1, axis=0))):
        changed = attention_maps(model, images, replace={name: other})[0]
        same = (changed.argmax(axis=-1) == said).sum()
        print(f"{name}, {what:18s} {same} of 700 answers stay; logits move by {np.abs(changed - logits).mean():.2f}")
        assert same > 680 if name == "read 1" else same < 350
print("LAB the second read may look anywhere, the first may not: True")

# %% [markdown]
# With even weights in the second read, **not one answer in 700 changes**. The map is sharp, it differs from picture to
# picture, all latents agree about it, and the model does not need it: whatever the second read brings, *where* it looks
# makes next to no difference. A reader of the map would never have known. Nor does rollout: it gives the second read
# its half, which may well be what spoils its order above.
#
# In the first read the same change leaves a tenth of the answers. That map does matter.
#
# ### Another map, the same answer
#
# Even a map that matters is not the only one that would do. A latent takes from a read a weighted sum of values, and
# nothing else. Here that is 64 weights, and values of 19 channels. So 19 sums are given, and the sum of the weights:
# 20 equations. In the other 44 directions the weights can move, and *nothing* after the read can tell. How far, if no
# weight may be negative? Ask a linear program: of all maps that read exactly the same, give the one with the least
# weight on the ink.

# %%
values = np.asarray(model.encoder.reads[0].attention.value(model.encoder.reads[0].kv_norm(model.embed(images[:2]))))
own, ink = weights["read 0"][number, 0].astype(np.float64), pixels[number] > 0
equations = np.concatenate([values[number], np.ones((64, 1))], axis=1).T.astype(np.float64)
other = np.array([
    linprog(ink.astype(float), A_eq=equations, b_eq=equations @ row, bounds=(0, None), method="highs").x for row in own
])  # fmt: skip
both = weights["read 0"].copy()
both[number, 0] = other
difference = np.abs(attention_maps(model, images, replace={"read 0": both})[0][number] - logits[number]).max()
elsewhere = 0.5 * np.abs(other - own).sum(axis=1)
assert difference < 1e-3
print(f"LAB {len(equations)} equations for 64 weights; all logits agree to 0.001:", bool(difference < 1e-3))
print(f"logits differ by at most {difference:.1e}; of each latent's weight, {elsewhere.min():.0%} to "
      f"{elsewhere.max():.0%} lies on other pixels, {elsewhere.mean():.0%} on average")  # fmt: skip
furthest = np.argsort(-elsewhere)[:6]
on_ink = [table[:, ink].sum(axis=1) for table in (own, other)]
figures.map_grid(
    np.concatenate([own[furthest], other[furthest]]).reshape(12, 8, 8), image=images[number], columns=6,
    titles=[f"latent {n}: {share[n]:.0%} on ink" for share in on_ink for n in furthest],
    alt="Maps of the same six latents on a four, above as the model has them, below as the linear program found them. "
    "Above the weight is spread over the stroke and around it; below it lies on fewer pixels, less of it on the "
    "ink.",
)  # fmt: skip

# %% [markdown]
# A blurred map can be moved far, a sharp one less: few values cannot always be made of others. So of two maps that
# differ as these do, neither is *the* map of the answer. The more inputs there are for each channel of the values, the
# more maps read the same.
#
# ## Who looks at places only?
#
# In a first read the questions are the learned latents, the same for every picture. Some latents may ask for a place and
# never mind what stands there. That can be counted: of what tells a map from an even one, which share is the same on
# all pictures? One means places only. Beside the small model stands a wider one from lesson 04, whose 32 latents read
# MNIST digits that lie anywhere in a frame of 36 x 36.

# %%
wide = trained("jittered_perceiver").model
batch = next(iter(recipes.get("jittered_perceiver").test_batches(mode())))
digits, truth = batch["image"][:64], batch["label"][:64]
wide_logits, wide_maps = attention_maps(wide, digits)
wide_said, wide_weights = wide_logits.argmax(axis=-1), dict(wide_maps)
shares = {
    f"{size}, {name}": position_share(found[f"read {n}"])[0]
    for size, found in (("8 x 8", weights), ("36 x 36", wide_weights))
    for n, name in enumerate(("first read", "second read"))
}
print(f"36 x 36: {(wide_said == truth).sum()} of 64 right\n")
print("share of a latent's map that is the same on all pictures, largest first")
for name, share in shares.items():
    print(f"  {name:21s}", " ".join(f"{one:.2f}" for one in np.sort(share)[::-1][:10]), "...")
places = np.flatnonzero(shares["36 x 36, first read"] > 0.7)
print("LAB latents of the wide model that watch places:", places.tolist())
figures.map_grid(
    np.stack([wide_weights["read 0"][i, 0, n] for n in [*places[:2], 5] for i in range(4)]).reshape(12, 36, 36), columns=4,
    titles=[f"latent {n}, picture {i}" for n in [*places[:2], 5] for i in range(4)],
    alt="Maps of three latents on four pictures each. Those of the first two are the same on every picture; those of "
    "latent 5 differ each time.",
)  # fmt: skip

# %% [markdown]
# An experiment can confirm the statistic: give the latents that it names the mean of their maps over all pictures, so
# that they can no longer look at anything in particular. Then, for comparison, as many latents of the least share. And
# a second experiment: switch the same latents off altogether.

# %%
own = wide_weights["read 0"]
least = np.argsort(shares["36 x 36, first read"])[: len(places)]
moved = {}
for name, latents in (("watch places", places), ("watch what is there", np.sort(least))):
    frozen = own.copy()
    frozen[:, :, latents] = own.mean(axis=0, keepdims=True)[:, :, latents]
    froze = attention_maps(wide, digits, replace={"read 0": frozen})[0]
    off = ablate(wide, digits, ~np.isin(np.arange(32), latents)[None]).ablated[0]
    moved[name] = np.abs(froze - wide_logits).mean()
    print(f"latents {latents.tolist()!s:12s} that {name:20s} maps frozen: {(froze.argmax(-1) == wide_said).sum()} of 64 "
          f"answers stay, logits move by {moved[name]:.2f}; switched off: {(off.argmax(-1) == wide_said).sum()} stay, "
          f"{np.abs(off - wide_logits).mean():.2f}")  # fmt: skip
even = np.full_like(wide_weights["read 1"], 1 / 1296)
even = attention_maps(wide, digits, replace={"read 1": even})[0]
print(f"even weights in the second read of this model: {(even.argmax(-1) == wide_said).sum()} of 64 answers stay")
assert moved["watch places"] < moved["watch what is there"]
print("LAB freezing those that watch places moves the logits less:", bool(moved["watch places"] < moved["watch what is there"]))

# %% [markdown]
# Three of the 32 latents of the wide model have maps that hardly ever change, and freezing them costs next to nothing,
# as the statistic said. In the small model one latent comes near that (0.86); the others follow what is there, for the
# questions of its second read come out of what has been read.
#
# A fixed map is no idle latent. It reads *what* stands at its places, and switching it off is another experiment than
# freezing where it looks.
#
# The last line but one is for fairness: in this model, even weights in the second read do change a few answers. Whether
# a map matters is to be tested for each model.
#
# ## Switch a latent off
#
# A latent that is off is neither attended to by the others nor averaged. That is an experiment on the model, as
# occlusion is one on the picture. One latent at a time, on all 700 digits:

# %%
off_one = ablate(model, images)
without = off_one.ablated.argmax(axis=-1)
print("latent that is off    ", " ".join(f"{n:4d}" for n in range(16)))
print("answers that change   ", " ".join(f"{n:4d}" for n in (without != said).sum(axis=1)))
print("right of 297 held out ", " ".join(f"{n:4d}" for n in ((without == labels) & held_out).sum(axis=1)))
became = Counter(f"{a} -> {b}" for a, b in zip(said, without[10], strict=True) if a != b)
print("without latent 10: " + ", ".join(f"{change} {count} times" for change, count in became.most_common(5)), "...")
kinds = np.where(held_out, "held out", "learned from")
for latent, i in zip(*np.nonzero((said == 4) & (without == 9)), strict=True):
    print(f"without latent {latent}, the {said[i]} of digit {i} ({kinds[i]}) becomes a 9")
for i in np.flatnonzero((said != labels) & (without == labels).any(axis=0)):
    which = np.flatnonzero(without[:, i] == labels[i]).tolist()
    print(f"digit {i} ({kinds[i]}), a {labels[i]} taken for a {said[i]}, is read right without one of {which}")

# %% [markdown]
# Most latents can go without much harm: the others know nearly the same. Latent 10 cannot: the list shows what becomes
# of the digits without it. So here it is, in a digit that the model learned from: **switch latent 10 off, and the 4
# becomes a 9.** Among the fours held out, no single latent does it. And some wrong answers come right when one latent
# keeps silent.
#
# Is it two, then?

# %%
fours = np.flatnonzero(held_out & (said == 4) & (labels == 4))
pairs = [(a, b) for b in range(16) for a in range(b)]
masks = ~np.array([np.isin(np.arange(16), pair) for pair in pairs])
of_fours = ablate(model, images[fours], masks).ablated.argmax(axis=-1)
print(f"{len(fours)} fours held out, {len(pairs)} pairs of latents off: {(of_fours != 4).sum()} of {of_fours.size} answers "
      "change")  # fmt: skip
for pair, i in zip(*np.nonzero(of_fours == 9), strict=True):
    print(f"without latents {pairs[pair][0]} and {pairs[pair][1]}, the 4 of digit {fours[i]} becomes a 9")

# %% [markdown]
# Two latents that are off together do more than either alone. What a latent does depends on who else is there: "the
# latent for fours" does not exist in this model.
#
# ## Explore: switch latents off
#
# The same model. Choose a layer and walk through the latents; point at a pixel and see who looks at it. Click a latent
# twice, or press Space, to switch it off: the picture has been read, so only what comes after runs again.
#
# To discover (the explorer ticks off what you find):
#
# 1. Switch off as few latents as you can, until a 4 is read as a 9. Examples 0, 1 and 2 are fours. For one of them one
#    latent is enough, for one you need two.
# 2. Find a wrong answer that comes right when one latent is off. Examples 3 and 4 are read wrong.
# 3. Switch off half of the latents or more, and keep the answer. How far can you go?

# %%
chosen = [613, 238, 1, 33, 23, 26, 3, 5]
AttentionExplorer.from_model(
    model, images[chosen], labels=labels[chosen].tolist(), class_names=list("0123456789"), turn=("4", "9"), latent=10,
)  # fmt: skip

# %% [markdown]
# ## Exercises
#
# Put your answer in place of the dots and run the cell. `hint("05.1")` gives a hint, `solution("05.1")` shows one way.

# %% [markdown]
# ### 05.1 Roll by hand
#
# *look it up, about 4 minutes. It matters because who has rolled three pixels by hand knows what the formula leaves
# out.*
#
# Two latents read three pixels: latent 0 with the weights 0.5, 0.5, 0, latent 1 with 0, 0.2, 0.8. Then comes one latent
# layer, in which latent 0 attends to latents 0 and 1 with 0.6 and 0.4. Half of a layer's output is its input. Which
# weights on the three pixels does rollout give latent 0?

# %%
answer = ...
check("05.1", answer)

# %% [markdown]
# ### 05.2 What follows?
#
# *think, about 3 minutes. It matters because it is the mistake that is easiest to make with a map.*
#
# In the first read, latent 7 puts half of its weight on one pixel. The model says that the picture is a 7. What
# follows?
#
# - **A** without this pixel the model would say something else
# - **B** half of the average of values that latent 7 takes in comes from this pixel's value
# - **C** the pixel speaks for the 7
# - **D** the pixel is among those with the most ink

# %%
answer = ...
check("05.2", answer)

# %% [markdown]
# ### 05.3 Many maps, one answer
#
# *think, about 4 minutes. It matters because it says how much freedom a map has before any training.*
#
# The published Perceiver for ImageNet reads 50,176 pixels with one head and values of 261 channels. Among how many
# independent directions, at least, can the map of one latent be moved so that its weights still sum to one and the
# latent still reads exactly the same? (Leave aside that weights may not be negative.)

# %%
answer = ...
check("05.3", answer)

# %% [markdown]
# ### 05.4 Rollout
#
# *build, about 8 minutes. It matters because you should know what a formula adds before you trust its picture.*
#
# Write `rolled(read, layers)`: from the weights of a read `(b, h, n, m)` and of the latent layers after it, `(l, b, h,
# n, n)`, the rollout to the inputs, `(b, n, m)`. Heads are averaged, and half of each latent layer's output is its
# input; nothing is kept of the latents before the read.

# %%
def rolled(read, layers):
    ...


check("05.4", rolled)

# %% [markdown]
# ### 05.5 Does it look at all?
#
# *build, about 6 minutes. It matters because a map that never changes says nothing about the picture.*
#
# Write `share(maps)`: from the maps `(b, m)` of one latent on `b` pictures, the share of what tells them from an even
# map (weight `1 / m` everywhere) that is the same on all pictures. That is the squared length of the mean map less the
# even one, over the mean squared length of the maps less the even one.

# %%
def share(maps):
    ...


check("05.5", share)

# %% [markdown]
# ### 05.6 One point of a deletion curve
#
# *build, about 5 minutes. It matters because deletion curves are the judge over all maps of this lesson.*
#
# Write `blanked(values, rating, count, blank)`: the values `(m,)` of a picture after its `count` pixels of the highest
# `rating` `(m,)` have been set to `blank`. No two ratings are the same.

# %%
def blanked(values, rating, count, blank):
    ...


check("05.6", blanked)

# %% [markdown]
# ## What you now know
#
# - A raw map is one step of many. Rollout multiplies all attention and leaves out values, MLPs and signs. A gradient goes
#   through everything, for a small change; occlusion makes a real one.
# - A map is worth what an experiment says. Here occlusion came first and the gradient times the ink second. The raw map
#   of the first read did hardly better than sorting pixels by their ink; rollout did worse than either, and the second
#   read hardly better than chance.
# - Attention is not explanation: a sharp map that changes with every picture may be replaced by even weights, and no
#   answer changes. And a map that does matter can be moved to other pixels without any effect.
# - Put other weights in a layer's place before you believe its map.
# - How much of a map is the same on all pictures is a number. Some latents watch places only.
# - Latents share the work: most can go alone. With a few an answer goes too, sometimes only when two are off together.
#
# ## Sources
#
# - A. Jaegle et al., *Perceiver: General Perception with Iterative Attention*, ICML 2021,
#   [2103.03206](https://arxiv.org/abs/2103.03206). Architecture: section 3.1; the ImageNet model of exercise 05.3: section
#   4.1 and appendix C.
# - S. Abnar and W. Zuidema, *Quantifying Attention Flow in Transformers*, section 3,
#   [2005.00928](https://arxiv.org/abs/2005.00928): rollout.
# - K. Simonyan, A. Vedaldi and A. Zisserman, *Deep Inside Convolutional Networks*,
#   [1312.6034](https://arxiv.org/abs/1312.6034): gradients as maps. M. D. Zeiler and R. Fergus, *Visualizing and
#   Understanding Convolutional Networks*, [1311.2901](https://arxiv.org/abs/1311.2901): occlusion.
# - V. Petsiuk, A. Das and K. Saenko, *RISE*, [1806.07421](https://arxiv.org/abs/1806.07421): deletion curves. S. Hooker et
#   al., *A Benchmark for Interpretability Methods in Deep Neural Networks*,
#   [1806.10758](https://arxiv.org/abs/1806.10758): why to retrain after deleting.
# - J. Adebayo et al., *Sanity Checks for Saliency Maps*, [1810.03292](https://arxiv.org/abs/1810.03292): maps of models
#   that have not been trained.
# - S. Jain and B. C. Wallace, *Attention is not Explanation*, [1902.10186](https://arxiv.org/abs/1902.10186), and the
#   answer by S. Wiegreffe and Y. Pinter, *Attention is not not Explanation*,
#   [1908.04626](https://arxiv.org/abs/1908.04626): other weights in the place of a model's own.
# - G. Brunner et al., *On Identifiability in Transformers*, [1908.04211](https://arxiv.org/abs/1908.04211): many maps, one
#   output.
# - Digits: UCI optdigits, E. Alpaydin and C. Kaynak (8 x 8); MNIST, Y. LeCun, C. Cortes and C. J. C. Burges (36 x 36).
