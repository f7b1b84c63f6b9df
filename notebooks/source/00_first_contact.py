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
# # 00 · First contact
#
# Everything that this course builds rests on one small operation. Here you meet it by hand: six coloured dots, somebody
# who looks at them, and an answer that is a blend of their colours. Then the same lines of code read handwritten digits.
#
# **After this lesson you can**
#
# - compute attention with plain NumPy: scores, softmax, blend;
# - say what temperature does, at both of its ends;
# - tell which dot a query finds, and why it is not always the nearest;
# - recognise the same operation in JAX and in the library;
# - work with these notebooks: predictions, checks, hints, modes.
#
# **You need** Python and NumPy: arrays, and `@` for a matrix product. No neural networks, no JAX.
# **Next**: lesson [01](01_cross_attention.ipynb) makes it a part of a network.
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

# %% [markdown]
# ## How to use these notebooks
#
# **Run the cells from top to bottom**, with Shift + Enter. A cell that is still running shows `[*]` at its left. You
# cannot break anything: change what you like, and when you are lost, *Kernel → Restart Kernel and Run All Cells* brings
# everything back.
#
# **The mode** stands below the cell that you have just run. All lessons have the same cells in all modes, but do more
# or less in them: `ci` takes seconds and proves that everything runs, `lab` is for the processor of a laptop, `full` for
# a graphics card or for patience. To choose, set the variable `LAB_MODE` before you start JupyterLab:
# `LAB_MODE=ci make lab`. Lines that begin with `LAB` say what comes out the same in every mode.
#
# **Before an experiment** a lesson asks what you expect. Put a letter in quotes, such as "A", in place of the three
# dots. Nobody sees it, and being wrong is the better lesson.
#
# **Exercises** have a cell each. Put your answer in place of the dots and run it. The check says whether it is right, and
# if not, what may have gone wrong. `hint("00.1")` helps a little, `hint("00.1", 2)` more, and `solution("00.1")` shows one
# way. Here is the first, so that you have seen it once:

# %% [markdown]
# ### 00.1 Equal shares
#
# *look it up, about 1 minute. It matters because all of attention is about sharing one out.*
#
# Six dots get equal weights, and the weights sum to one. How large is each? Give a number.

# %%
from perceiver_lab.course import check, hint, predict, reveal, solution  # noqa: F401

answer = ...
check("00.1", answer)

# %% [markdown]
# Now to the dots. Apart from NumPy, the next cell imports only what draws.

# %%
import numpy as np

from perceiver_lab import figures
from perceiver_lab.figures.looking import answer_maps, dots_reading

# %% [markdown]
# ## The idea in one picture
#
# Six dots lie in the plane. Each has a **place**, two numbers, and a **colour**, three numbers: how much red, green and
# blue, from 0 to 1. And there is a **query**: the place of somebody who looks, drawn as a square.
#
# The query gives each dot a *weight*. It reads a *blend*: the average of the colours, in which each counts by its weight.

# %%
names = "ABCDEF"
places = np.array([[-1.0, 1.0], [0.5, 1.5], [1.6, 0.4], [0.4, 0.2], [1.2, -1.0], [-0.3, -0.9]])
colours = np.array(
    [
        [0.00, 0.45, 0.70],  # A, blue
        [0.90, 0.60, 0.00],  # B, orange
        [0.00, 0.60, 0.50],  # C, green
        [0.80, 0.60, 0.70],  # D, pink
        [0.35, 0.70, 0.90],  # E, sky blue
        [0.84, 0.37, 0.00],  # F, red
    ]
)
query = np.array([1.2, 0.6])
dots_reading(places, colours, query, weights=np.array([0.03, 0.25, 0.47, 0.10, 0.13, 0.02]))

# %% [markdown]
# These weights were typed in. In a moment you will compute them, from the places alone.
#
# Three words that you will meet in every lesson: the place of a dot is its **key**, what it can be found by; its colour is
# its **value**, what one gets when one finds it; and who looks is the **query**.

# %% [markdown]
# ## A prediction to commit
#
# Look at the dot D, the pink one in the middle of the others. Suppose that the query stands *exactly on it*. Which dot
# will get the largest weight?

# %%
predict("00", ["D, of course: the query stands on it", "all six get the same", "another dot"], choice=...)

# %% [markdown]
# ## From scratch, in three steps
#
# ### 1. Scores: how well does each dot match?
#
# A score is one number for a query and a key. The usual one is the **dot product**: multiply coordinate by coordinate and
# add up. It is large if both point in the same direction from the origin, zero if they are at right angles, negative if
# they point in opposite directions.

# %%
scores = np.zeros(6)
for i in range(6):
    scores[i] = query[0] * places[i, 0] + query[1] * places[i, 1]
for name, score in zip(names, scores, strict=True):
    print(f"LAB dot {name} has the score {score:5.2f}")

# %% [markdown]
# The loop is a product of a matrix with a vector, and NumPy has a sign for that:

# %%
assert np.allclose(scores, places @ query)
print("LAB places @ query gives the same six numbers:", bool(np.allclose(scores, places @ query)))

# %% [markdown]
# ### 2. Softmax: from scores to shares
#
# Weights must not be negative and must sum to one; scores do neither. The exponential function makes every number
# positive and keeps the order. Dividing by the sum makes shares of them. The two together are called **softmax**.

# %%
powers = np.exp(scores)
weights = powers / powers.sum()
print("powers ", powers.round(2))
print("weights", weights.round(2), "sum", weights.sum().round(6))
assert np.isclose(weights.sum(), 1) and (weights > 0).all()
print("LAB the order of the dots, from the largest weight:", " ".join(names[i] for i in np.argsort(-weights)))

# %% [markdown]
# ### 3. Blend: the average of the colours
#
# Six weights times six rows of three numbers give one row of three numbers. That is again a matrix product.

# %%
blend = weights @ colours
print("LAB red, green, blue:", blend.round(2))
assert (blend >= colours.min(0)).all() and (blend <= colours.max(0)).all()
dots_reading(places, colours, query, weights)

# %% [markdown]
# That is **attention**, complete: scores, softmax, blend. In one function, with many queries at once, a row for each:


# %%
def softmax(scores):
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))  # the same shares, and exp cannot overflow
    return powers / powers.sum(axis=-1, keepdims=True)


def attention(queries, keys, values, temperature=1.0):
    """queries (n, d), keys (m, d), values (m, e): returns what each query reads (n, e), and its weights (n, m)."""
    weights = softmax(queries @ keys.T / temperature)
    return weights @ values, weights


blends, rows = attention(query[None], places, colours)
assert np.allclose(blends[0], blend) and np.allclose(rows[0], weights)
print("LAB one query:", query[None].shape, "reads", blends.shape, "with weights", rows.shape)

# %% [markdown]
# ## Temperature
#
# One knob is new in that function: the scores are divided by a **temperature** before the softmax. The next cell turns it.

# %%
temperatures = (0.05, 0.3, 1.0, 3.0, 100.0)
print("temperature   " + "    ".join(f"{name:>3}" for name in names) + "     blend")
for temperature in temperatures:
    (read,), (row,) = attention(query[None], places, colours, temperature)
    print(f"{temperature:>11}   " + "  ".join(f"{weight:.3f}" for weight in row) + "    ", read.round(2))
cold, hot = (attention(query[None], places, colours, temperature)[1][0] for temperature in (0.05, 100.0))
assert cold.max() > 0.999 and np.ptp(hot) < 0.01
print("LAB cold: dot", names[cold.argmax()], "has nearly everything:", bool(cold.max() > 0.999))
print("LAB hot: all weights within 0.01 of each other:", bool(np.ptp(hot) < 0.01))

# %% [markdown]
# Cold, small differences between scores count for much, and the best dot takes everything: attention becomes a choice.
# Hot, they count for little, and everybody gets a sixth: attention becomes a plain average. Between the two it is soft,
# and that is what makes it trainable: move the query a little and the answer moves a little.
#
# ## Where does one find D?
#
# Back to your prediction. The query stands on D:

# %%
on_d = places[3]
print("scores ", "  ".join(f"{name} {score:.2f}" for name, score in zip(names, places @ on_d, strict=True)))
for temperature in (1.0, 0.1):
    _, (row,) = attention(on_d[None], places, colours, temperature)
    print(f"LAB temperature {temperature}: {names[row.argmax()]} gets most, {row.max():.2f}, and D gets {row[3]:.3f}")
assert row.argmax() != 3
reveal("00", "C", "a dot product does not measure nearness. Dots farther out in the same direction score higher.")

# %% [markdown]
# Is there any place at all from which D is found? There is no need to guess. Take 121 x 121 places all over the plane, make
# a query of each, and let all 14,641 of them read at once. Painted at its own place, each answer gives a picture.

# %%
axis = np.linspace(-2, 2, 121)
everywhere = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
pictures, won = {}, {}
for temperature in (3.0, 1.0, 0.02):
    answers, rows = attention(everywhere, places, colours, temperature)
    pictures[f"temperature {temperature:g}"] = answers.reshape(121, 121, 3)
    won[temperature] = rows[:, 3].max()
print("LAB queries", everywhere.shape, "answers", answers.shape)
print("LAB the largest weight that D gets anywhere:", {t: round(float(most), 3) for t, most in won.items()})
answer_maps(
    places,
    colours,
    pictures,
    alt="What a query reads at each place of the plane, at three temperatures. Hot: nearly the same greyish colour "
    "everywhere. Temperature 1: soft transitions. Cold: five sectors that meet in the origin, one for each outer dot in "
    "its colour. The dot D in the middle has no sector; it lies in that of C.",
)

# %% [markdown]
# Cold, the plane falls into five sectors that meet at the origin, and none is pink. D never gets more than a sixth, its
# equal share, and it gets that only at the origin, where all scores are zero.
#
# The reason is in where D lies: at the average of the other five places. So its score is the average of their scores, and
# an average is never above all of them. With dot products, **a key in the midst of the others cannot be found**.
#
# ## One number more
#
# Can that be repaired? Say that the *nearest* dot should win: the score should fall with the squared distance,
#
# $$-\tfrac12\,|q - k|^2 \;=\; q \cdot k \;-\; \tfrac12\,|k|^2 \;-\; \tfrac12\,|q|^2 .$$
#
# On the right stands the dot product, then a number that belongs to the key alone, then one that belongs to the query
# alone. The last is the same for all dots, and a softmax does not notice what is added to all scores. So one number
# more for each key is enough, $-\tfrac12 |k|^2$, and a 1 for each query to multiply it with.


# %%
def with_size(keys):
    return np.concatenate([keys, -0.5 * (keys**2).sum(axis=-1, keepdims=True)], axis=-1)


def with_one(queries):
    return np.concatenate([queries, np.ones((len(queries), 1))], axis=-1)


far = ((everywhere[:, None] - places[None]) ** 2).sum(axis=-1)  # (14641, 6): all squared distances
answers, rows = attention(with_one(everywhere), with_size(places), colours, temperature=0.02)
assert np.allclose(rows, softmax(-0.5 * far / 0.02), atol=1e-6)
print("LAB keys", with_size(places).shape, "and queries", with_one(everywhere).shape)
print("LAB the weights are those of the squared distances:", bool(np.allclose(rows, softmax(-0.5 * far / 0.02), atol=1e-6)))
nearest = far.argmin(axis=1)
print("LAB the nearest dot gets most, everywhere:", bool((rows[np.arange(len(rows)), nearest] >= rows.max(1) - 1e-6).all()))
answer_maps(
    places,
    colours,
    {"dot product": pictures["temperature 0.02"], "one number more": answers.reshape(121, 121, 3)},
    alt="The cold plane twice. Left, with two numbers per key: five sectors, none for D. Right, with three: every dot, D "
    "too, has a region around itself, bounded by the lines halfway to its neighbours.",
)

# %% [markdown]
# The operation is the same; only the keys have changed. Keep this in mind: *what attention finds is decided by the numbers
# that it is given*. In a network these numbers come from learned layers, so training decides where keys and queries lie.

# %% [markdown]
# ## The same, in JAX and from the library
#
# From here on the course computes with **JAX**. Its `jax.numpy` has the functions of NumPy under the same names, and in
# addition JAX can differentiate, compile, and use a graphics card. The function stays as it is, with the softmax that
# JAX brings along.

# %%
import jax
import jax.numpy as jnp

from perceiver_lab.ops import attend


def attention_jax(queries, keys, values, temperature=1.0):
    weights = jax.nn.softmax(queries @ keys.T / temperature, axis=-1)
    return weights @ values, weights


by_jax, _ = attention_jax(jnp.asarray(everywhere), jnp.asarray(places), jnp.asarray(colours))
by_numpy, _ = attention(everywhere, places, colours)
print(f"largest difference {np.abs(by_jax - by_numpy).max():.1e}; NumPy: {by_numpy.dtype}, JAX: {by_jax.dtype}")
assert np.abs(by_jax - by_numpy).max() < 1e-5
print("LAB JAX and NumPy agree to 1e-5:", bool(np.abs(by_jax - by_numpy).max() < 1e-5))

# %% [markdown]
# JAX works with numbers of 32 bits unless told otherwise: seven digits instead of sixteen.
#
# In the library the function is called `attend`. It has two axes more: a batch in front, because a model sees many
# examples at a time, and *heads*, which lesson 01 explains. Here there is one of each. `scale` is a factor on the
# scores, so it is one over the temperature.

# %%
q, k, v = (jnp.asarray(x, jnp.float32)[None, :, None] for x in (everywhere, places, colours))
by_library = attend(q, k, v, scale=1.0)
print("LAB queries", q.shape, "keys", k.shape, "values", v.shape, "answers", by_library.shape)
assert np.abs(by_library[0, :, 0] - by_numpy).max() < 1e-5
print("LAB the library and NumPy agree to 1e-5:", bool(np.abs(by_library[0, :, 0] - by_numpy).max() < 1e-5))

# %% [markdown]
# Left alone, the library takes $1/\sqrt d$ as the scale, for keys of d numbers. That is a temperature too: $\sqrt d$.
# Lesson 01 shows why.

# %% [markdown]
# ## Real data: 1,500 dots in 64 dimensions
#
# Nothing in these lines knows that a place has two numbers and a value three. So now the dots are real handwritten digits.
# The **key** of a digit is its picture, 8 x 8 pixels, as 64 numbers between 0 (paper) and 1 (ink). Its **value** is its
# label as ten numbers: 1 at its class, 0 elsewhere. A blend of such values is a vote: how much weight went to which class.
#
# A new digit is a query. It reads the 1,500 labelled ones, and what it reads says what it is.

# %%
from tqdm.auto import tqdm

from perceiver_lab.datasets import arrays
from perceiver_lab.training import Accuracy

train_digits, test_digits = arrays("digits", "train"), arrays("digits", "test")
keys, test_queries = (split["image"].reshape(-1, 64) / 16 for split in (train_digits, test_digits))
values, test_labels = np.eye(10)[train_digits["label"]], test_digits["label"]
print("LAB keys", keys.shape, "values", values.shape, "queries", test_queries.shape)
figures.image_grid(test_digits["image"][:8], titles=test_labels[:8])

# %% [markdown]
# One number is left to choose: the temperature. You can *learn* it, with the training digits alone. Each of them is
# taken as a query in turn, and may read all the others, but not itself: of course it would find itself, and learn
# nothing. The **loss** is small if much of the weight went to the right class: minus the logarithm of that part, on
# average.
#
# `jax.grad` turns a function into another one that computes its slope. If the loss rises with the temperature, lower
# the temperature a little, and the other way round. That is *gradient descent*; all training in this course is of this
# kind, with more numbers. To keep the temperature positive, its logarithm is what moves.

# %%
lifted_keys, lifted_queries = with_size(keys), with_one(keys)
alike = jnp.asarray(lifted_queries @ lifted_keys.T)  # (1500, 1500): each training digit with each
itself = jnp.eye(len(keys), dtype=bool)
labels = jnp.asarray(values)


def loss_at(log_temperature):
    scores = jnp.where(itself, -1e30, alike / jnp.exp(log_temperature))  # nobody reads itself
    votes = jax.nn.softmax(scores, axis=-1) @ labels
    right = (votes * labels).sum(axis=-1)  # the weight that went to the right class
    return -jnp.log(right + 1e-9).mean()


loss_and_slope = jax.jit(jax.value_and_grad(loss_at))  # jit: compiled once, then fast
log_temperature, losses, learned = jnp.zeros(()), [], []
for _ in tqdm(range(40), desc="learning one number"):
    loss, slope = loss_and_slope(log_temperature)
    losses.append(float(loss))
    learned.append(float(np.exp(log_temperature)))
    log_temperature = log_temperature - 1.0 * slope  # a step downhill
temperature = float(np.exp(log_temperature))
print(f"temperature {learned[0]:g} at first, {temperature:.3f} at the end; loss {losses[0]:.3f} -> {losses[-1]:.3f}")
assert losses[-1] < 0.1 * losses[0] and 0.05 < temperature < 0.3
print("LAB the loss fell to less than a tenth:", losses[-1] < 0.1 * losses[0])
figures.loss_curve({"loss": losses, "temperature": learned}, ylabel="loss; temperature", log=True)

# %% [markdown]
# ## Measured
#
# On the 297 test digits, which nobody has used so far. For comparison: the most frequent class, whatever the picture;
# attention with a temperature near zero, which is the *nearest digit*; and attention with plain dot products, without
# the one number more.

# %%
votes, test_rows = attention(with_one(test_queries), with_size(keys), values, temperature)
coldest, _ = attention(with_one(test_queries), with_size(keys), values, temperature=1e-4)
plain = {t: attention(test_queries, keys, values, t)[0] for t in (temperature, 1.0, 3.0, 10.0)}
most_frequent = np.full(297, np.bincount(train_digits["label"]).argmax())
answers = {
    "attention, learned temperature": votes.argmax(1),
    "nearest digit": coldest.argmax(1),
    **{f"dot products, temperature {t:.2g}": read.argmax(1) for t, read in plain.items()},
    "most frequent class": most_frequent,
}
scored = {name: Accuracy(correct=int((said == test_labels).sum()), total=297) for name, said in answers.items()}
for name, result in scored.items():
    print(f"{name:32s} {result}")
reads, nearest_one, *dotted, _ = (result.value for result in scored.values())
assert reads > 0.95 and nearest_one > 0.95 and max(dotted) < reads - 0.05
print("LAB attention above 0.95, and 5 points above plain dot products at any of these temperatures: True")
figures.accuracy_bars({name: (result.correct, result.total) for name, result in scored.items()}, chance=0.1)

# %% [markdown]
# Ninety-nine of a hundred, with a single learned number. Be fair, though: the nearest digit does as well, and has none.
# These digits are easy. What did the temperature bring? Look at how *sure* the two are when they are wrong.

# %%
for name, read in (("attention", votes), ("nearest digit", coldest)):
    wrong = np.flatnonzero(read.argmax(1) != test_labels)
    sure = [f"{read[i].max():.2f}" for i in wrong]
    print(f"{name:14s} wrong on {len(wrong)} test digits, with these parts of the weight: {', '.join(sure)}")
unsure = (votes.max(axis=1) < 0.9).mean()
print(f"attention gives less than 0.9 to its class in {unsure:.1%} of all test digits")

# %% [markdown]
# The nearest digit is always perfectly sure, also when it is wrong: one neighbour, no doubt. A softer attention says with
# its weights when its neighbours disagree.
#
# And why are plain dot products so much worse, at every temperature tried here? A digit written with much ink has a
# large key. Does it score high with every query, as C did with the query on D? Take the tenth of the training digits
# with the largest keys, and count how often the best score is one of theirs.

# %%
sizes = (keys**2).sum(axis=1)
large = sizes >= np.quantile(sizes, 0.9)
by_dots = large[(test_queries @ keys.T).argmax(axis=1)].mean()
by_nearness = large[(with_one(test_queries) @ with_size(keys).T).argmax(axis=1)].mean()
print(f"best score among the tenth with the largest keys: {by_dots:.0%} of the test digits by dot products, "
      f"{by_nearness:.0%} with the one number more")  # fmt: skip
assert by_dots > 0.6 and by_nearness < 0.2
print("LAB by dot products more than 0.6, with the one number more less than 0.2:", bool(by_dots > 0.6 and by_nearness < 0.2))

# %% [markdown]
# So it does: a tenth of the digits answers for most of the others. With the one number more, they get about their share.

# %% [markdown]
# ## What did it look at?
#
# The weights say where an answer came from. Here is the test digit that attention is least sure about, and the six training
# digits that it read most.

# %%
hardest = int(votes.max(axis=1).argmin())
best = np.argsort(-test_rows[hardest])[:6]
parts = ", ".join(f"{votes[hardest, c]:.2f} for {c}" for c in np.argsort(-votes[hardest])[:2])
print(f"test digit {hardest} is a {test_labels[hardest]}; the vote is {parts}")
held = np.sort(test_rows, axis=1)[:, ::-1][:, :6].sum(axis=1)
print(f"on average, six of the 1,500 digits hold {held.mean():.0%} of the weight")
figures.image_grid(
    np.concatenate([test_digits["image"][hardest][None], train_digits["image"][best]]),
    titles=["asked", *(f"a {train_digits['label'][i]}: {test_rows[hardest, i]:.2f}" for i in best)],
    columns=7,
    alt=f"A test digit, a {test_labels[hardest]}, and the six training digits with the largest weights: "
    + ", ".join(f"a {train_digits['label'][i]} with {test_rows[hardest, i]:.2f}" for i in best),
)

# %% [markdown]
# There are two things that this reader cannot do. It compares pixel by pixel, so a digit that is shifted by one pixel
# is a stranger to it. And it carries all 1,500 digits along, and must look at each of them for every answer. Networks
# learn how to make keys and values of what they read, and a *few* queries that are worth asking. That is where lesson
# 01 begins.

# %% [markdown]
# ## Explore: drag a query
#
# The six dots again. Drag the query with the mouse, or move to the picture with Tab and use the arrow keys. The weights and
# the blend follow. Three things to find out; the explorer ticks them off:
#
# 1. Find the place at which all six weights are equal, whatever the temperature.
# 2. Put the query on D. Can you make D get more than the others, by moving or by turning the temperature? Then switch to
#    *one number more*.
# 3. Note the weights at one place, then go twice as far out in the same direction. Which temperature brings the old weights
#    back?

# %%
from perceiver_lab.explorers import DragQuery

DragQuery(places, colours, query=query)

# %% [markdown]
# ## Exercises
#
# You have met the first one above. Put your answer in place of the dots and run the cell.

# %% [markdown]
# ### 00.2 A softmax by hand
#
# *think, about 3 minutes. It matters because softmax stands in every attention there is.*
#
# Two dots have the scores 0 and 1.0986, which is the logarithm of 3. The temperature is 1. Which
# weight does the second dot get?

# %%
answer = ...
check("00.2", answer)

# %% [markdown]
# ### 00.3 Half as hot
#
# *think, about 4 minutes. It matters because every attention has a temperature, even where nobody mentions it.*
#
# At temperature 1, dot C gets four times the weight of dot E. How many times its weight does it get
# at temperature 0.5?

# %%
answer = ...
check("00.3", answer)

# %% [markdown]
# ### 00.4 From memory, for many queries
#
# *build, about 10 minutes. It matters because every lesson to come is made of these three lines.*
#
# Write `blend(queries, places, colours, temperature)`: queries (n, 2), places (m, 2), colours (m, 3).
# Return what each query reads, (n, 3).

# %%
def blend(queries, places, colours, temperature):
    ...


check("00.4", blend)

# %% [markdown]
# ### 00.5 How cold must it be?
#
# *build, about 12 minutes. It matters because "soft" and "sharp" become numbers that you can ask for.*
#
# Write `temperature_for(scores, share)`: the temperature at which the dot with the highest score gets
# the weight `share`. It is enough to be right to a hundredth.

# %%
def temperature_for(scores, share):
    ...


check("00.5", temperature_for)

# %% [markdown]
# ## What you now know
#
# - Attention is scores, softmax, blend. Queries and keys make the scores, values make the answer.
# - Weights are shares of one. Cold, the best key takes all; hot, everybody gets the same.
# - A dot product favours keys that lie far out. Which key is found depends on the numbers in keys and queries, and those can
#   be changed, or learned.
# - The same three lines work for two numbers or for 64, for six dots or for 1,500 digits.
# - With one learned number, attention to labelled examples reads 99 of 100 tidy digits, as well as the nearest neighbour does.
#
# ## Sources
#
# - Vaswani and others, *Attention is all you need*, [1706.03762](https://arxiv.org/abs/1706.03762): section 3.2.1 (queries,
#   keys, values; the dot product with its scale).
# - Averages weighted by closeness are older than networks: E. A. Nadaraya, *On estimating regression*, 1964, and G. S.
#   Watson, *Smooth regression analysis*, 1964.
# - The digits: E. Alpaydin and C. Kaynak, *Optical recognition of handwritten digits*,
#   [UCI 80](https://archive.ics.uci.edu/dataset/80), CC BY 4.0, as packed by scikit-learn.
# - The colours of the dots: M. Okabe and K. Ito, *How to make figures and presentations that are friendly to colorblind
#   people*, 2002.
