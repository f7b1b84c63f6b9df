# %% [markdown]
# # 13 · Clinic and capstone
#
# Most mistakes in a model raise no error. Shapes fit, the loss falls, numbers come out, and something is wrong. In this
# lesson you meet eight Perceivers, each with one small mistake, and you find it with the tools of this course. Then you
# build something of your own: a modality that this course has not had, from the first array to a score on held-out data.
#
# **After this lesson you can**
#
# - examine a model in a fixed order, and say what each examination can and cannot show;
# - tell eight silent mistakes from their signs;
# - say why a good loss is no proof of health;
# - bring a new modality to a Perceiver in under 40 lines, and hold it against a model that was made for it.
#
# **Needs** lessons [04](04_the_perceiver.ipynb), [05](05_looking_through_latents.ipynb) and
# [09](09_perceiver_ar.ipynb); [06](06_ask_anything.ipynb) and [07](07_bytes_not_tokens.ipynb) help. **Time** about 90
# minutes with the exercises. The cells alone take a few minutes on two cores.

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
import jax.numpy as jnp
import numpy as np
from flax import nnx

from perceiver_lab import figures, recipes
from perceiver_lab.adapters import ClassOutput
from perceiver_lab.course import LiveCurve, budget, check, hint, mode, predict, reveal, solution, trained  # noqa: F401
from perceiver_lab.course.clinic import AILMENTS, ailing
from perceiver_lab.datasets import arrays, decode_ids, encode_text, hide_ids, load, modelnet40, pad_ids
from perceiver_lab.datasets.battle import KIND, OURS, PLACE
from perceiver_lab.datasets.clouds import SHAPES
from perceiver_lab.explorers import WardRound
from perceiver_lab.introspect import ablate, attention_maps, reach
from perceiver_lab.models import Perceiver, PerceiverConfig
from perceiver_lab.ops import fourier_features, grid_coordinates
from perceiver_lab.recipes.battle import cost_of
from perceiver_lab.recipes.battle_measure import alone
from perceiver_lab.training import OptimizerConfig, accuracy, cross_entropy, evaluate, train

# %% [markdown]
# ## The idea in one picture
#
# An examination changes one thing and looks at what changes with it. What *should* change and does not, or should not
# and does, is a sign. You know all of these from the lessons before:
#
# | examination | in a sound model | lesson |
# |---|---|---|
# | pixels change places | the answer changes | 03, 04 |
# | count how many elements a latent looks at | neither one nor all | 05 |
# | switch a latent off | some answers move | 05 |
# | hide elements by a mask | no weight lies on them | 01 |
# | gradient of an output by later inputs | exactly 0 | 09 |
# | compare the loss with a floor | not below it | 07, 09 |
# | ask for two different outputs | two different answers | 06 |
# | look where numbers stop being finite | nowhere | 02 |
#
# ## Commit yourself
#
# Eight models are waiting. One of them has the best loss that its owners ever saw. What do you do with it first?

# %%
predict("13", ["nothing: a loss that is better than expected needs no examination",
               "compare the loss with the lowest that an honest model can reach",
               "switch latents off one by one"], choice=...)  # fmt: skip

# %% [markdown]
# ## A sound one first
#
# Whoever examines needs to know what is normal. Here is the reader of 8 x 8 digits from lesson 04, on the digits of its
# test set. Five examinations, each written out; you will use them on everybody.

# %%
sound = trained("digits_perceiver").model
digits = arrays("digits", "test")
images = jnp.asarray(digits["image"] / 8 - 1, jnp.float32)
labels = digits["label"]
hide = np.broadcast_to(np.arange(64)[None] < 48, (8, 64))  # a mask that hides the last two rows of pixels


def say(model, images, **masks):
    """Logits (b, 10), and where the latents look in the first read (b, 16, 64)."""
    logits, maps = attention_maps(model, images, **masks)
    return logits, maps[0].weights[:, 0]


def share_right(model):
    """Of the test digits, how many it reads right."""
    return float((say(model, images)[0].argmax(axis=-1) == labels).mean())


def moved_by_shuffling(model):
    """The largest change of a logit when all pixels change places."""
    order = np.random.default_rng(0).permutation(64)
    shuffled = images.reshape(len(images), 64, 1)[:, order].reshape(images.shape)
    return float(np.abs(say(model, images)[0] - say(model, shuffled)[0]).max())


def pixels_looked_at(model):
    """How many a latent looks at, the exponential of its entropy: the middle one of all latents."""
    weights = say(model, images)[1]
    return float(np.median(np.exp(-(weights * np.log(np.maximum(weights, 1e-30))).sum(axis=-1))))


def moved_by_ablation(model):
    """The largest change of a logit when any one latent is switched off."""
    found = ablate(model, images[:8])
    return float(np.abs(found.ablated - found.intact[None]).max())


def weight_on_hidden(model):
    """How much weight lies on what a mask hides."""
    return float(say(model, images[:8], mask=hide)[1][..., 48:].sum(axis=-1).mean())


examinations = {
    "right": share_right, "shuffled": moved_by_shuffling, "looked at": pixels_looked_at,
    "ablated": moved_by_ablation, "on hidden": weight_on_hidden,
}  # fmt: skip
for name, examine in examinations.items():
    print(f"{name:10s}{examine(sound):8.3g}   {examine.__doc__}")
print("LAB what a mask hides gets no weight:", weight_on_hidden(sound) == 0)

# %% [markdown]
# ## The ward
#
# Six of the eight are readers of digits: the sound one, with one mistake each. You know them by letters only. Their
# owners say:

# %%
readers = ["positions dropped", "one-hot softmax", "dead latents", "float16 overflow", "inverted mask",
           "wrong band spacing"]  # fmt: skip
order = np.random.default_rng(13).permutation(len(readers))
ward = {letter: readers[number] for letter, number in zip("ABCDEF", order, strict=True)}
patients = {"sound": sound, **{letter: ailing(name, sound) for letter, name in ward.items()}}
for letter, name in ward.items():
    print(f"{letter}: {AILMENTS[name].complaint}")

# %% [markdown]
# All five examinations on all six. Read row by row, and ask of each number whether it is normal. `nan` is no number.

# %%
found = {letter: [examine(one) for examine in examinations.values()] for letter, one in patients.items()}
print(" " * 6, *(f"{name:>10s}" for name in examinations))
for letter, numbers in found.items():
    print(f"{letter:6s}", *(f"{number:10.2g}" for number in numbers))

# %% [markdown]
# And where they look, on the same digit: the first read, the mean over all latents, each map on a scale of its own.

# %%
figures.map_grid(
    np.stack([say(one, images)[1][0].mean(axis=0).reshape(8, 8) for one in patients.values()]),
    titles=list(patients), columns=7,
    alt="Where seven models look in the same 0, 8 x 8 pixels each. A looks almost evenly at all ink, B and E at few "
    "pixels; C is a little shifted against the sound one; D and F look like it.",
)  # fmt: skip

# %% [markdown]
# Write down your six diagnoses before you open the files.

# %%
for letter, name in ward.items():
    one = AILMENTS[name]
    print(f"{letter}: {name}. {one.cause}\n   Sign: {one.sign}\n   Cure: {one.cure}\n")

# %% [markdown]
# ### The one whose numbers end
#
# Its owners trained it in float32, where all was well, and moved it to another machine. Where do the numbers stop?

# %%
for one in attention_maps(ailing("float16 overflow", sound), images)[1]:
    print(f"{one.name:16s} weights that are numbers: {np.isfinite(one.weights).mean():.0%}")
for dtype in ("float16", "bfloat16"):
    logits, _ = say(ailing("float16 overflow", sound, dtype=dtype), images)
    print(f"LAB in {dtype} all logits are numbers: {bool(np.isfinite(logits).all())}")

# %% [markdown]
# The map of the first read is whole: queries, keys and softmax are well. What comes after it is not, so the **values**
# have overflowed. bfloat16 has fewer digits than float16 and the range of float32: here it is the cure.
#
# ### The one that has no sign in the table
#
# Wrong frequencies change no shape, no count, no symmetry. Only the share of right answers tells, and it does not tell
# where. So compare the **inputs**, before any weight is involved, with a reference: they are the one part of a model
# whose numbers you can know.

# %%
there = fourier_features(grid_coordinates((8, 8)), num_bands=4, max_resolution=(8, 8))
for name, model in (("sound", sound), ("sick", ailing("wrong band spacing", sound))):
    differs = np.abs(model.input_adapter.positions() - there).max(axis=0) > 1e-4
    print(f"LAB {name}: {differs.sum()} of {len(differs)} position channels differ from the paper's formula")

# %% [markdown]
# Frequencies 1, 2, 3, 4 were meant, and 1, 2, 4, 8 came: of four bands on each of two axes, the upper two are wrong. You
# would expect eight channels, a sine and a cosine for each of them. Why are only six different? Eight pixels cannot tell
# the sine of frequency 3 from that of 4 (lesson 03).
#
# ## The one that was too good
#
# The seventh patient is a Perceiver AR on the copy task of lesson 09. You computed its floor there: no model can say more
# than was there to be read, and 1.30 nats remain. Its owners train it for a short while and are delighted.

# %%
recipe, floor = recipes.get("copy_ar"), 0.234 * np.log(256)
steps = budget(ci=40, lab=500)


def beside_the_floor(history):
    steps, nats = history.curve("nats")
    curves = {"the patient": nats, "no honest model gets below": [floor] * len(steps)}
    return figures.loss_curve(curves, steps=steps, ylabel="nats for each token") if steps else None


with LiveCurve(interval=4, draw=beside_the_floor) as curve:
    run = train(
        ailing("leak of the future", recipe.make_model(nnx.Rngs(0))), recipe.train_batches(mode()), steps=steps,
        optimizer=recipe.optimizer.make(steps), loss_fn=recipe.loss, log_every=10, callbacks=[curve],
    )  # fmt: skip
print(f"loss at the end {run.history.curve('nats')[1][-1]:.2f} nats; no honest model gets below {floor:.2f}")

# %%
reveal("13", "B", "below the floor, a model must have seen what it is asked for.")

# %% [markdown]
# Look at the maps. The latent at place p has to say what stands at place p + 1. Where does it look, and where does the
# shipped model look, which was trained without the leak?

# %%
events = jnp.asarray(arrays("mirrored", "test")["events"][:1, :48])
honest = trained("copy_ar").model
maps = {
    who: attention_maps(model, events)[1][0].weights[0].mean(axis=0)
    for who, model in {"the patient": run.model, "the shipped model": honest}.items()
}
first = 48 - 16  # the place of the first latent
ahead = {who: one[np.arange(15), first + 1 + np.arange(15)].mean() for who, one in maps.items()}
told = "; ".join(f"{who} {share:.0%}" for who, share in ahead.items())
print("weight on the place that has to be foretold:", told)
made, axes = figures.figure(
    1, 2, size=(9.6, 2.6), alt=f"Attention of 16 latents on 48 places. Weight on the place that has to be foretold: {told}."
)  # fmt: skip
for ax, (who, one) in zip(axes[0], maps.items(), strict=True):
    ax.imshow(one, cmap=figures.SEQUENTIAL, aspect="auto", extent=(0, 48, 48, first))
    ax.set(title=who, xlabel="place that is read", ylabel="latent at place")
made

# %% [markdown]
# On the right is the stripe of lesson 09: a place is foretold from the one that it mirrors. On the left is a stripe one
# place ahead of each latent's own. **The map reads the answer.** The loss is healthy, better than healthy, and the model is worthless: when it has to
# write, the next symbol is not there to be read. A gradient would have told before the first step:


# %%
def leaks(model):
    placement = model.place(events)
    inputs = model.embed(events, placement.positions)

    def answer(inputs):
        return model.predict(model.process(model.read(inputs, placement), placement))

    return reach(answer, inputs, placement.latent_index).leaks


print("LAB the patient leaks:", len(leaks(run.model)) > 0)
print("LAB leaks of the shipped model:", len(leaks(honest)))

# %% [markdown]
# ## The one that always says the same
#
# The eighth fills in hidden bytes, as in lesson 07. Here is a line with nine bytes hidden, and what the sound one and the
# patient put there.

# %%
healer = trained("bytes_perceiver_io").model
text, holes = "Come hither, come! How goes the world with thee?", [1, 6, 10, 15, 20, 26, 35, 40, 46]
hidden = jnp.asarray(pad_ids(hide_ids(encode_text(text), holes), 64))[None]
for name, model in (("sound", healer), ("patient", ailing("shared decoder query", healer))):
    said, maps = attention_maps(model, hidden, mask=hidden != 0)
    line = list(text)
    for place, letter in zip(holes, decode_ids(said.argmax(axis=-1)[0, holes]), strict=True):
        line[place] = letter
    print(f"{name:8s}{''.join(line)}")
    print(f"LAB {name}: all rows of the decoder's map alike: {bool(np.ptp(maps[-1].weights, axis=2).max() < 1e-6)}")

# %% [markdown]
# ## Explore: the ward round
#
# The readers of digits once more, and three examinations at your hand: shuffle the pixels, hide the lower quarter by a
# mask, switch a latent off. The sound one gets the same, and stands beside each patient.
#
# To discover:
#
# 1. **Shuffle.** For which patient is it all the same where the pixels lie?
# 2. **Switch a latent off.** Who does not miss it, whichever it is?
# 3. **Hide.** Who looks at what is hidden, and at nothing else?

# %%
WardRound(patients, np.asarray(images[:6]), labels[:6], patient=1)

# %% [markdown]
# ## Capstone: a modality of your own
#
# Now bring something new. A **point cloud** is what a laser scanner gives: a thousand points in space, in no order. Ours
# are made by rule (**synthetic**): ten shapes, stretched, turned at random, and measured with a little noise. The
# published experiment has ModelNet40, 40 classes of things: the Perceiver reaches 85.7 % there, and PointNet++, which was
# made for points, 91.9 % (2103.03206, table 4).
#
# In the pictures, points that are nearer to you are larger and lighter.
#
# If you have fetched ModelNet40 and unpacked it, put its folder in place of `None`: the rest of the lesson up to the
# score works as it stands.

# %%
folder = None
if folder is None:
    names, parts = SHAPES, {part: arrays("clouds", part) for part in ("train", "test")}
else:
    meshes = {part: modelnet40(folder, part) for part in ("train", "test")}
    names = meshes["train"].classes
    parts = {
        part: {key: np.stack([record[key] for record in one]) for key in ("points", "label")}
        for part, one in meshes.items()
    }
kinds = [int(np.flatnonzero(parts["test"]["label"] == number)[0]) for number in range(10)]
figures.point_clouds(parts["test"]["points"][kinds, ::2], titles=names[:10])  # every second point

# %% [markdown]
# What does a Perceiver need to read them? An input adapter, which says of each element what it is and where it is. Here
# both are the same thing, three coordinates: the inputs are their Fourier features and nothing else. All that comes after
# is there already. And since a cloud may be turned as one likes, training turns it (or mirrors it), and takes 256 of its
# points each time. Adapter, model, batches, loss and training are 32 lines, and the score below takes 5 more:


# %%
class Points(nnx.Module):
    """(B, M, 3) -> (B, M, 39): each point is its own position."""

    num_channels = 3 * (1 + 2 * 6)

    def __call__(self, x, *, positions=None, train=False):
        return fourier_features(x, num_bands=6, max_resolution=(12, 12, 12))


def new_perceiver(seed):
    rngs = nnx.Rngs(seed)
    sizes = PerceiverConfig(
        num_latents=32, latent_channels=64, num_reads=2, num_blocks=2, num_self_attends_per_block=2,
        num_self_heads=4, qk_channels=64,
    )  # fmt: skip
    head = ClassOutput(64, len(names), rngs=rngs)
    return Perceiver(sizes, input_adapter=Points(), output_adapter=head, rngs=rngs)


def turned_batches(points, label, rng):
    while True:
        record = rng.integers(len(points), size=32)
        some = points[record][:, rng.permutation(points.shape[1])[:256]]
        some = some @ np.linalg.qr(rng.normal(size=(32, 3, 3)))[0]
        some = some / np.abs(some).max(axis=(1, 2), keepdims=True)
        yield {"points": some.astype(np.float32), "label": label[record], "record": record}


def shape_of(model, batch):
    return model(batch["points"])


def shape_loss(model, batch, rngs):
    logits = model(batch["points"], train=True, rngs=rngs)
    return cross_entropy(logits, batch["label"]), {"accuracy": accuracy(logits, batch["label"])}


steps = budget(ci=6, lab=400)
rate = OptimizerConfig(learning_rate=2e-3, schedule="warmup_cosine", warmup_steps=100, weight_decay=0.05)
with LiveCurve() as curve:
    batches = turned_batches(parts["train"]["points"], parts["train"]["label"], np.random.default_rng(0))
    fitted = train(
        new_perceiver(0), batches, steps=steps, optimizer=rate.make(steps), loss_fn=shape_loss, callbacks=[curve]
    )

# %% [markdown]
# Scored on clouds that it has never seen:

# %%
held_out = [
    {"points": parts["test"]["points"][i : i + 50], "label": parts["test"]["label"][i : i + 50]}
    for i in range(0, budget(ci=100, lab=len(parts["test"]["label"])), 50)
]
print("held-out accuracy:", evaluate(fitted.model, held_out, shape_of, ("points",)).accuracy)

# %% [markdown]
# The library's adapter is `PointInput`, and its recipe `clouds_perceiver`, the same model. Do both read the same?

# %%
mine = recipes.get("clouds_perceiver")
points, shapes = (arrays("clouds", "test")[key] for key in ("points", "label"))
some = jnp.asarray(points[[int(np.flatnonzero(shapes == number)[0]) for number in (2, 4, 6, 8)]])
difference = np.abs(mine.make_model(nnx.Rngs(0)).input_adapter(some) - Points()(some)).max()
assert difference < 1e-6
print("LAB your inputs and the library's agree to 1e-6:", bool(difference < 1e-6))

# %% [markdown]
# ## Beside a model that was made for points
#
# **PointNet** (1612.00593) puts every point through the same small network and keeps the largest value of each channel
# over all points; what is left is a row of numbers, which a classifier reads. It is as indifferent to the order of the
# points as a Perceiver. Same clouds, same steps, as many parameters, both trained ten times as long as yours:

# %%
results = {name: trained(f"clouds_{name}") for name in ("perceiver", "pointnet")}
for name in results:
    print(f"LAB {name}: {recipes.get(f'clouds_{name}').num_parameters():,} parameters")
figures.accuracy_bars(
    {name: (one.metrics["correct"], one.metrics["total"]) for name, one in results.items()}, chance=0.1,
    title="1,024 points of each of 1,000 clouds",
)  # fmt: skip

# %% [markdown]
# 95.1 % and 93.7 % of 1,000 clouds, intervals that overlap, one run each, and nothing tuned for either: by this number the
# two are level.
#
# ## Look inside
#
# Which points does an answer hang on? PointNet says so itself: in each channel one point is the largest, and all points
# that are the largest nowhere may be left out. A Perceiver's read weighs all points; here are those that its latents
# look at most, as many as PointNet's. PointNet's are spread over the whole shape; the Perceiver's lie in patches.

# %%
pointnet, perceiver = (results[name].model for name in ("pointnet", "perceiver"))
looked = attention_maps(perceiver, some)[1][0].weights.mean(axis=(1, 2))
critical = [np.unique(one) for one in np.asarray(pointnet.pool(some)[1])]
most = [np.argsort(one)[::-1][: len(rest)] for one, rest in zip(looked, critical, strict=True)]
only = jnp.asarray([np.isin(np.arange(1024), kept) for kept in critical])
same = np.abs(pointnet(some, mask=only) - pointnet(some)).max() < 1e-4
print("critical points:", [len(one) for one in critical], "of 1024")
print("LAB PointNet says the same of them alone:", bool(same))
figures.point_clouds(
    [*np.asarray(some)] * 2, marked=[*critical, *most], columns=4,
    titles=[f"{who}: {SHAPES[i]}" for who in ("PointNet", "Perceiver") for i in (2, 4, 6, 8)],
    alt="Four clouds twice: the points that PointNet's answer hangs on, and as many that the Perceiver's latents weigh most.",
)  # fmt: skip

# %% [markdown]
# ### Alike in the score, and not alike
#
# A scanner may see less than it did in training, and now and then it measures a point that is nowhere. Both models take a
# mask, so one can hide points at random; and one can move ten of 1,024 points to any place.

# %%
asked = points[: budget(ci=50, lab=500)]
astray = asked.copy()
astray[:, :10] = np.random.default_rng(2).uniform(-1, 1, (len(asked), 10, 3))
lottery = np.random.default_rng(0).permuted(np.tile(np.arange(1024), (len(asked), 1)), axis=1)


@nnx.jit
def classify(model, points, mask):
    return model(points, mask=mask).argmax(axis=-1)


def rightly(model, points, kept):
    said = [classify(model, points[i : i + 50], lottery[i : i + 50] < kept) for i in range(0, len(points), 50)]
    return (np.concatenate(said) == shapes[: len(points)]).mean()


trials = {f"{kept} points": (asked, kept) for kept in (1024, 256, 64, 32)} | {"10 of 1024 astray": (astray, 1024)}
print(f"{'':18s}", *(f"{name:>10s}" for name in results))
for trial, (seen, kept) in trials.items():
    print(f"{trial:18s}", *(f"{rightly(one.model, seen, kept):10.1%}" for one in results.values()))

# %% [markdown]
# With 256 points, as in training, PointNet is even a little ahead. But a maximum listens to the loudest: the more points
# there are, the larger it grows, and with few points, or with ten that are nowhere, it says something else. The read of
# the Perceiver is a mean, weighted but a mean, and a few points among many move it little. The same score, then, and two
# different models; an examination shows which one you want.
#
# ## Units of a game
#
# One more modality. An agent that plays StarCraft II reads a set of units, each a row of numbers, and the paper of
# Perceiver IO puts 32 latents in the place of the Transformer that read them (2107.14795, appendix B). The game is not
# here. These battles are made by a rule, and made so that a unit must know the others: a squad, all units of one side and
# one kind, fights the squad whose middle is nearest to its own; in it, who strikes from near takes on the nearest, and who
# strikes from afar the weakest. Units have no order and no positions in an array; where they stand is among their numbers.
# Each unit is an input, and each is a query: what comes out is a vector for each unit, and a pointer to another.

# %%
skirmish = load("battles", "test")[29]
units, rule = skirmish["units"], skirmish["target"]
commander = trained("battle_perceiver_io", live=False)
padded = np.concatenate([units, np.ones_like(units)])  # as many rows again that are no units
there = np.arange(len(padded)) < len(units)
said = nnx.jit(lambda model, units, mask: model(units, mask=mask).argmax(axis=-1))(commander.model, padded[None], there[None])
said = np.asarray(said)[0, : len(units)]
print("LAB units", len(units), " nobody points at what is no unit:", bool(said.max() < len(units)))
figures.battle(
    units[:, PLACE], units[:, OURS] > 0, units[:, KIND].argmax(axis=1), {"32 latents": said, "each by itself": alone(units)},
    rule,
)  # fmt: skip

# %% [markdown]
# Ours are blue, theirs orange, each kind has its mark, and a line goes from each of ours to whom it takes on; dashed lines
# are wrong. On the right is the best that a unit can do which sees all of theirs and none of its comrades: the nearest,
# or the weakest, of all. Over 1,000 test battles, beside a Transformer of as many parameters in the same place, and a
# network that sees one unit at a time:

# %%
stories = {name: recipes.get(f"battle_{name}") for name in ("perceiver_io", "transformer", "mlp")}
sizes = (16, 32, 64, 128, 256)
print(f"{'% right, by units':22s}" + "".join(f"{f'{size}-{2 * size - (size < 256)}':>10s}" for size in sizes) + f"{'all':>10s}")
for name, one in stories.items():
    scores = recipes.shipped_story(one)["metrics"]
    print(f"{name:22s}" + "".join(f"{100 * scores[f'accuracy_{size}']:10.1f}" for size in sizes)
          + f"{100 * scores['accuracy']:10.1f}")  # fmt: skip
print(f"{'MFLOPs, by units':22s}" + "".join(f"{2 * size:>10d}" for size in sizes))
for name in ("perceiver_io", "transformer"):
    print(f"LAB {name:18s}" + "".join(f"{cost_of(stories[name], 2 * size).flops / 1e6:10.0f}" for size in sizes))

# %% [markdown]
# Level with the Transformer up to 127 units, half a point to a point below it beyond; training had up to 128. At 32 units
# the two cost the same, at 512 the Transformer costs 5.1 times as much; in the paper it was 3.5 times. One run each.
#
# ## One set of weights for all of it?
#
# Every modality of this course ended in one array, and what comes after never asked where it came from. Can one
# set of weights read them all? `one_for_all` was trained on pictures of digits, spoken digits and lines of plays, all three
# in every batch but each record with its own modality alone. Inputs and answers have layers of their own, everything
# between is shared. Three models of the same size had one modality each, in as many steps:

# %%
senses = {"image": "digits, pictures", "sound": "digits, spoken", "bytes": "who speaks, bytes"}
together = recipes.shipped_story(recipes.get("one_for_all"))
print(f"{'right, in %':20s}{'one for all':>14s}{'one each':>12s}")
for sense, text in senses.items():
    by_itself = recipes.shipped_story(recipes.get(f"one_for_{sense}"))["metrics"]
    print(f"{text:20s}{100 * together['metrics'][f'{sense}_accuracy']:14.1f}{100 * by_itself['accuracy']:12.1f}")

# %% [markdown]
# One set of weights does nearly what three do: a point less on pictures, four on sounds (of 100 clips: the intervals
# overlap). The texts say nothing about it. Without reading beforehand, neither does better than always naming the speaker
# who says most, 11.3 %.
#
# ## Exercises
#
# Put your answer in place of the dots and run the cell. `hint("13.1")` gives a hint, `solution("13.1")` shows one way.

# %% [markdown]
# ### 13.1 The same in any order
#
# *look it up, about 2 minutes. It matters because a number that stays where it should move is a symptom as well.*
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
# *build, about 5 minutes. It matters because one number for each row finds dead and one-hot maps among thousands.*
#
# Write `looked_at(weights)`. `weights` `(n, m)` are rows of a map, each summing to one, some weights exactly 0. Return
# for each row the exponential of its entropy (in nats): 1 for a row that looks at one element, m for one that looks at
# all alike.

# %%
def looked_at(weights):
    ...


check("13.2", looked_at)

# %% [markdown]
# ### 13.3 How far may it drift?
#
# *think, about 3 minutes. It matters because weights that cancel each other look harmless until half precision meets
# them.*
#
# The largest number of float16 is 65,504. The largest value of a healthy read is 3.2. Its value projection drifts to
# 2^k times its size, and its output projection to 2^-k times. What is the largest whole k at which no value overflows?

# %%
answer = ...
check("13.3", answer)

# %% [markdown]
# ### 13.4 No leak in the model
#
# *think, about 3 minutes. It matters because finding nothing in one place is no proof that there is nothing.*
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
# *build, about 4 minutes. It matters because an inverted mask is one character, and runs.*
#
# Write `read_mask(lengths, size)`: a bool array `(b, size)` for sequences of the given lengths, padded on the right to
# `size`. True where an element may be read, as everywhere in this library.

# %%
def read_mask(lengths, size):
    ...


check("13.5", read_mask)

# %% [markdown]
# ### 13.6 Into the unit cube
#
# *build, about 4 minutes. It matters because a model trained at one scale knows nothing of another.*
#
# Write `unit_cube(points)`: move the mean of points `(m, 3)` to 0, and scale them, all axes alike, so that the largest
# absolute coordinate is 1.

# %%
def unit_cube(points):
    ...


check("13.6", unit_cube)

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
#   [1612.00593](https://arxiv.org/abs/1612.00593).
# - C. Hawthorne et al., *General-purpose, long-context autoregressive modeling with Perceiver AR*, ICML 2022,
#   [2202.07765](https://arxiv.org/abs/2202.07765).
