# %% [markdown]
# # 12 · The resampler
#
# A picture has so many pixels, a clip so many frames, and a language model wants tokens: few, and always as many. The
# Perceiver Resampler stands between the two. It is the reading head of a Perceiver: latents that look at any number of
# frames, and come out as a fixed number of tokens. In Flamingo these tokens are handed to a language model that has
# been frozen. In this lesson you build both ends, make a frozen model of bytes see, and find out what it sees.
#
# **After this lesson you can**
#
# - write a resampler by hand: time embeddings, latents that also read themselves, a squared ReLU;
# - let a text see the last image before it and no other, and say what leaks where a mask is missing;
# - put gated layers into a frozen language model so that at first nothing changes, not by one bit;
# - tell what a model sees from what it merely knows, by exchanging its pictures;
# - hold the resampler against averaging, an MLP and a plain Transformer, and say what each can and cannot do.
#
# **Needs** lessons [06](06_ask_anything.ipynb) (queries) and [09](09_perceiver_ar.ipynb) (what comes next). **Next**
# lesson [13](13_clinic_and_capstone.ipynb) brings sick models, and data of your own. **Time** about 80 minutes with the
# exercises. The cells alone take about six minutes on two cores.

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
from flax import nnx

from perceiver_lab import figures, recipes
from perceiver_lab.course import budget, check, hint, predict, reveal, solution, trained  # noqa: F401
from perceiver_lab.datasets import captions, decode_ids, encode_text, load, pad_ids, pipeline, shipped
from perceiver_lab.datasets.captions_text import IMAGE, as_prompt, few_shot, other_colours
from perceiver_lab.explorers import TokenBudget
from perceiver_lab.introspect import attention_maps
from perceiver_lab.models.baselines import count_parameters
from perceiver_lab.ops.media import image_mask, images_so_far
from perceiver_lab.presets.resampler import flamingo_resampler
from perceiver_lab.recipes.captions_choice import STILL_CAPTIONS, caption_log_probs, pointwise_information
from perceiver_lab.recipes.captions_measure import captions_loss, others, pixels, write_on
from perceiver_lab.recipes.starting import initial_model

# %% [markdown]
# ## The idea in one picture
#
# Below, from left to right: frames of a clip; the vision network, which makes 16 cells of each; the resampler, whose
# eight latents read all cells of all frames; eight tokens. Above, a language model reads bytes. Before each of its
# frozen blocks stands a gated layer, in which the text may look at the tokens.

# %%
figures.flamingo_diagram(num_frames=4, num_cells=16, num_latents=8, num_blocks=3)

# %% [markdown]
# ## Commit yourself
#
# A clip shows one thing and then another, and a question asks what came first. In the resampler's place you put an
# average: of each cell, the mean over all frames; then MLPs, until there are as many parameters as in the resampler.
# Each frame has been given its time embedding before. How often does the model find the right one of the two things?
# Put a letter in place of the dots.

# %%
predict(
    "12",
    [
        "nearly always: the time embeddings tell which frame came first",
        "in half of the cases: an average does not know of any order",
        "somewhere between: the order is blurred, and not lost",
    ],
    choice=...,
)

# %% [markdown]
# ## What there is to see
#
# Pictures and clips of 32 x 32 pixels, with short texts. They are **made by rule**: shapes, colours, places and texts
# are synthetic; half of the backgrounds are cut from real photos, and the digits are real (MNIST). Some texts are
# captions, some have a question before the answer:

# %%
train_set, test_set = load("captions", "train"), load("captions", "test")


def text_of(record):
    return decode_ids(record["ids"])


def frames_of(record):
    return record["frames"][: record["num_frames"]]


shown = [next(train_set[i] for i in range(24, 48) if train_set[i]["kind"] == kind) for kind in range(5)] + [test_set[0]]
print("LAB records", len(train_set), "and", len(test_set), " frames", shown[0]["frames"].shape)
figures.captioned_clips({text_of(record): frames_of(record) for record in shown})

# %% [markdown]
# Six of the 24 pairs of colour and shape are **held out**: no text of the training names them. Their pictures do occur
# there, but only with the question "what?", whose answer leaves the colour out. So the eyes have met a red square, and
# nobody ever called it that. (An earlier version of these data did not show them at all. Even a plain classifier then
# gave 0.3 % of them their right shape, with 85 % on its training pictures: that red things are never square is a fact
# of such data, and it was learned.)

# %%
held = ", ".join(" ".join(pair) for pair in captions.HELD_OUT)
print(f"LAB held out: {held}")
named = sum(f"{colour} {shape}" in text_of(train_set[i]) for i in range(budget(ci=200, lab=2000))
            for colour, shape in captions.HELD_OUT)  # fmt: skip
print("LAB texts of the training that name one of them:", named)

# %% [markdown]
# ## A resampler by hand
#
# Start with a clip. Eyes that were trained before (three convolutions; more on them below) make 16 cells of each frame,
# features without any position. The resampler:
#
# 1. adds to each cell the **time embedding** of its frame, a learned row; rows for space there are none;
# 2. starts with R learned **latents** (N in the lessons before);
# 3. in each layer lets the latents read: queries are the latents, keys and values are the cells **joined with the
#    latents** as they stand. This is new: a Perceiver's latents read the inputs, and each other only in a layer of its
#    own. Here one attention does both;
# 4. lets an MLP follow, whose activation is a **squared ReLU**: relu(x) squared.
#
# No two layers share weights, no linear layer has a bias. In the paper's words it is x = x + attention(q = x, kv =
# concat([features, x])), x = x + ffw(x) (figure 4). Where cells go through a layer, they are normed anew, and never
# changed.

# %%
recipe = recipes.get("captions_flamingo")
flamingo = recipe.make_model(nnx.Rngs(0))
resampler, config = flamingo.resampler, recipe.model.resampler


def normed(x, layer):
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / jnp.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5) * layer.scale[...] + layer.bias[...]


def attend(queries, keys, layer):
    """Queries (r, d), keys (m, d) -> (r, d), head by head."""
    q, k, v = (rows @ one.kernel[...] for rows, one in ((queries, layer.query), (keys, layer.key), (keys, layer.value)))
    heads = []
    for start in range(0, q.shape[1], config.head_dim):
        own = slice(start, start + config.head_dim)
        weights = jax.nn.softmax(q[:, own] @ k[:, own].T / config.head_dim**0.5)
        heads.append(weights @ v[:, own])
    return jnp.concatenate(heads, axis=1) @ layer.output.kernel[...]


def resample_by_hand(features):
    """One clip: features (t, s, d) -> tokens (r, d)."""
    times = resampler.times.frames.table[...][: len(features)]
    cells = (features + times[:, None]).reshape(-1, features.shape[-1])  # all frames, one row after the other
    x = resampler.latents.table[...]
    for layer in resampler.layers:
        latents = normed(x, layer.latent_norm)
        keys = jnp.concatenate([normed(cells, layer.media_norm), latents])  # cells, and then the latents
        x = x + attend(latents, keys, layer.attention)
        hidden = jax.nn.relu(normed(x, layer.mlp_norm) @ layer.mlp.expand.kernel[...]) ** 2
        x = x + hidden @ layer.mlp.contract.kernel[...]
    return x


clip = next(record for record in shown if record["num_frames"] == 4)
features = nnx.jit(lambda vision, frames: vision(pixels(frames)))(flamingo.vision, clip["frames"])
read = nnx.jit(lambda resampler, features, interpolate: resampler(features, interpolate=interpolate), static_argnums=2)
by_hand, by_library = jax.jit(resample_by_hand)(features), read(resampler, features[None], False)[0]
difference = float(jnp.abs(by_hand - by_library).max())
assert difference < 1e-4
print("LAB features", features.shape, " tokens", by_hand.shape)
print(f"largest difference: {difference:.1e}")
print("LAB yours and the library's agree to 0.0001:", difference < 1e-4)

# %% [markdown]
# ### One frame or four, always eight tokens
#
# The number of queries decides what comes out. The frames only lengthen the row of keys. There are four time
# embeddings here, as clips of the training have up to four frames. For a longer clip they are spread over it, by
# linear interpolation between neighbouring rows:

# %%
long_clip = jnp.repeat(features, 4, axis=0)
for count in (1, 2, 4, 16):
    tokens = read(resampler, long_clip[None, :count], count > 4)
    print(f"LAB {count:2d} frames, {count * 16:3d} cells -> tokens {tokens.shape[1:]}")
size = count_parameters(lambda: flamingo_resampler(rngs=nnx.Rngs(0)))
print(f"LAB the paper's resampler: 64 tokens of 1,536 channels, {size:,} parameters")

# %% [markdown]
# As reported by the wiki of flamingo-mini, which copies the paper's tables, it has 194M. There are 64 tokens for a picture
# and 64 for a clip of eight frames, and the whole language model sees nothing else of them.
#
# ## A text that sees one image
#
# Texts with several images in them: which byte may see which? A marker stands where an image stands. Let phi be the
# number of markers up to a byte, its own counted. The byte sees the phi-th image and no other (the picture below counts
# images from 0: phi = 1 is image 0); before the first marker it sees none. That is enough: what was said of earlier
# images the language model can read in the text. In the paper, seeing all earlier images costs 7.6 points (68.4 against
# 60.8, table 7 of the first version).


# %%
def mask_by_hand(markers, num_images):
    """Markers (n,) -> (n, images): True where a byte may see an image."""
    seen = np.zeros((len(markers), num_images), bool)
    phi = 0
    for place, marker in enumerate(markers):
        phi += int(marker)
        if phi > 0:
            seen[place, phi - 1] = True
    return seen


words = "so: ▣a star.▣two cats.▣a"
markers = np.array([letter == "▣" for letter in words])
masks = {"the last image": mask_by_hand(markers, 3)}
phi = images_so_far(jnp.asarray(markers)[None])
assert np.array_equal(masks["the last image"], image_mask(phi, 3)[0])
masks["all images so far"] = np.asarray(image_mask(phi, 3, attend="previous")[0])
print("LAB phi", "".join(map(str, np.asarray(phi)[0])))
print("LAB yours and the library's agree:", bool(np.array_equal(masks["the last image"], image_mask(phi, 3)[0])))
figures.media_mask(list(words), masks)

# %% [markdown]
# One trap. A byte that may see nothing has no key to attend to, and a softmax over nothing is not zero: written
# carelessly, with a large negative number in place of each score, it becomes the average of **all** images, those to
# come among them. Released implementations have this leak where several images may be seen. Here such a byte gets
# zeros.
#
# ## Gates that start at zero
#
# Before each block of the language model: y + tanh(a) · attention(y, media), then y + tanh(b) · mlp(y). Both gates, a
# and b, start at zero. So however the resampler is initialised, the language model says what it said before. This is
# the language model that is frozen here. It has learned from texts alone, in which all 24 pairs occur:

# %%
language = trained("captions_language", live=False)
batch = next(pipeline("captions", split="test[:24]", batch_size=24, transforms=(as_prompt,), shuffle=False))
ids = jnp.asarray(batch["ids"])
start = initial_model(recipe, seed=0)  # the language model and the eyes are taken over, the rest is drawn by chance
shown_frames, there = pixels(jnp.asarray(batch["frames"])), jnp.asarray(batch["frame_mask"])
alone, seeing = start(ids), start(ids, shown_frames, frame_mask=there)
print("LAB logits", alone.shape, " equal to the last bit:", bool(np.array_equal(alone, seeing)))
print("LAB and equal to the language model on its own:", bool(np.array_equal(alone, language.model(ids))))

# %% [markdown]
# Not equal to some decimals: equal. 0 · x is 0, and y + 0 is y. What can it learn, then, with everything behind closed
# gates? Take the gradient of the first step:


# %%
def steepness(model):
    """The largest gradient in each part of the model, for one batch of the training."""
    read = {name: value for name, value in next(recipe.train_batches("ci")).items() if name != "record"}
    loss = functools.partial(lambda batch, model: captions_loss(model, batch, nnx.Rngs(0))[0], read)
    grads = nnx.state(nnx.jit(nnx.grad(loss))(model))
    gates = {"gates": [], "gated layers": [], "resampler": [], "vision": [], "language model": []}
    for path, leaf in jax.tree_util.tree_leaves_with_path(grads):
        name = jax.tree_util.keystr(path)
        part = "gates" if "_gate" in name else "gated layers" if "gated" in name else None
        part = part or next(one for one in ("resampler", "vision", "language model") if one.replace(" ", "_") in name)
        gates[part].append(float(jnp.abs(leaf).max()))
    return {part: max(values) for part, values in gates.items()}


for part, value in steepness(start).items():
    print(f"LAB {part:15s} moves: {value > 0}")

# %% [markdown]
# The gates alone. As soon as they have opened a little, the gradient reaches what lies behind them. The language model
# and the eyes never move: gradients stop there.
#
# ## Training
#
# What is trained before, and frozen: the language model, by next bytes; the eyes, by naming counts, colours, shapes and
# digits of single pictures (`captions_eyes`; in the paper, by contrast between pictures and texts). What is trained
# now: the resampler and three gated layers. A training sequence has four chunks, each with its image:

# %%
eyes = trained("captions_eyes", live=False)
print({name: round(eyes.metrics[f"{name}_accuracy"], 3) for name in ("count", "colour", "shape", "digit")})
sequence = next(recipe.train_batches("ci"))
print("LAB ids", sequence["ids"].shape, " frames", sequence["frames"].shape)
print("".join("▣" if one == IMAGE else decode_ids([one]) for one in sequence["ids"][0]))

# %%
live = trained("captions_flamingo", retrain=True)
gates = {name: [float(jnp.tanh(getattr(layer, f"{name}_gate")[0])) for layer in live.model.gated.layers]
         for name in ("attention", "mlp")}  # fmt: skip
for name, values in gates.items():
    print(f"gates of the {name:9s} after {live.about['steps']} steps:", ", ".join(f"{value:+.3f}" for value in values))

# %% [markdown]
# And the same after the whole training, as it ships:

# %%
seeing = trained("captions_flamingo")
steps, values = seeing.history.curve("bits")
figures.loss_curve({"training": values}, steps={"training": steps}, ylabel="bits per byte of an answer")

# %% [markdown]
# ## Does it see, or does it know?
#
# A caption can be right by luck: some are said more often than others. So ask three times, about the 1,000 test
# pictures whose pair of colour and shape no text of the training names, and count captions that are right **to the
# last byte**: with each picture; with the pictures **exchanged**, so that each caption is asked for with the picture of
# another; and of the language model alone.

# %%
metrics = seeing.metrics
total = metrics["total"]
asked = {"its own picture": "exact_match", "another's": "shuffled_exact_match", "none": "text_exact_match"}
counts = {name: (round(metrics[key] * total), total) for name, key in asked.items()}
print("LAB pictures", total)
print("LAB with its own picture far more than with another's:",
      metrics["exact_match_low"] > metrics["shuffled_exact_match_high"])  # fmt: skip
figures.accuracy_bars(counts, title="captions of held-out pairs, right to the last byte")

# %% [markdown]
# 277 of 1,000 with their own picture, and not one with another's or with none. Luck is hard here: the language model
# alone always begins with its likeliest caption, and whoever looks at another picture names another pair. What is right
# was read off the picture. 277 is not many, though. Below you find out where the rest is lost; first what the model
# says of other things.

# %%
rest = {"digits, \"a red 7.\"": "digit_exact_match", "clips, \"... then ...\"": "clip_exact_match"}
for name, key in rest.items():
    print(f"{name:24s}{metrics[key]:6.1%}")
print(f"{'what came first, or last':24s}{metrics['order_accuracy']:6.1%}   the right thing likelier; chance 50 %")

# %% [markdown]
# ### It sees more than it says
#
# Six pairs, three in ten captions. What is wrong with the others? Draw new pictures, of pairs that the training names
# and of pairs that it does not, and ask for both: the caption, and "what?", whose answer leaves the colour out.


# %%
def say(frames, question="", by=seeing):
    """What is said of pictures and clips (b, t, 32, 32, 3)."""
    prompt = np.concatenate([[IMAGE], encode_text(question)])
    ids = np.repeat(pad_ids(prompt, 44)[None], len(frames), axis=0)
    there = np.ones((len(frames), 1, frames.shape[1]), bool)
    said = write_on(by.model, ids, np.full(len(ids), len(prompt)), frames[:, None], there,
                    interpolate=frames.shape[1] > 4)  # fmt: skip
    return [decode_ids(row[len(prompt) :]) for row in said]


photos = shipped.photos()
drawn, drawings, right_words = budget(ci=6, lab=200), {}, {}
for name, pairs in (("named pairs", captions.KNOWN), ("held-out pairs", captions.HELD_OUT)):
    made = [captions.shapes_picture(photos, pairs, np.random.default_rng([99, i])) for i in range(drawn)]
    drawings[name] = np.stack([one.frames for one in made]), np.array([one.answer for one in made])
    frames, truths = drawings[name][0], [one.answer.split() for one in made]
    said, what = [line.split() for line in say(frames)], [line.split() for line in say(frames, "what? ")]
    right_words[name] = [
        np.mean([a == b for a, b in zip(said, truths, strict=True)]),
        *(np.mean([len(a) > k and a[k].rstrip("s.") == b[k].rstrip("s.") for a, b in zip(said, truths, strict=True)])
          for k in range(3)),
        np.mean([a == [b[0], b[2]] for a, b in zip(what, truths, strict=True)]),
    ]  # fmt: skip
print(f"{'right, in %':16s}{'caption':>9s}{'count':>8s}{'colour':>8s}{'shape':>8s}{'what?':>9s}")
for name, values in right_words.items():
    caption, count, colour, shape, without = (100 * value for value in values)
    print(f"{name:16s}{caption:9.1f}{count:8.1f}{colour:8.1f}{shape:8.1f}{without:9.1f}")

# %% [markdown]
# The same pictures, and two answers. Of named pairs, 88.5 % of the captions are right. Of held-out pairs 28 %, although
# count and colour are right nearly always: it is the shape that goes wrong. And not because it is not seen. Asked
# "what?", the model names count and shape of the very same pictures in 85 %.
#
# What happened? Put other words before the shape, and see which of the four shapes the model finds likeliest then. We
# did so with 400 test pictures of held-out pairs:
#
# | before the shape stands | the right shape is likeliest |
# |---|---|
# | the colour it has: "a red ..." | 30 % |
# | another colour, which captions do name with this shape: "a green ..." | 82 % |
# | the question: "what? a ..." | 83 % |
#
# So the shape is seen, and it is the word that drives it out: after "red", not "square", for no caption of the training
# says "red square", and the model has learned that as well. It is not the language model's doing (its texts have all
# pairs, and it does not learn any more), and not the eyes'. The gated layers have learned it, from what the captions
# leave out. The resampler's tokens still know better: a linear classifier that reads the shape off them, trained on the
# pictures with "what?", is right in 86 % of the same pictures. Trained on the captioned ones, where the rule holds, it
# gets 32 %: it learns the rule.
#
# A model can see more than it says. If you measure captions alone, you take the one for the other.
#
# ### Take away what the words say alone
#
# If words drive the shape out, take away what they say without the picture. Let p(c | picture) be how likely the model
# finds a caption c after a picture, and p(c) how likely it finds it after pictures in general: the mean over pictures of
# the training. Choose the caption with the largest
#
# $$ \log p(c \mid \text{picture}) - \log p(c), $$
#
# its **pointwise mutual information** with the picture. "A red square." is unlikely after every picture; that stands in
# both terms and cancels. What is left is what this picture changes. Nothing is trained anew; but there must be a list to
# choose from. Take all captions that a picture can have: three numbers of four shapes in six colours, and ten digits in
# six colours, 132 in all. Three questions: which of them is right most often for named pairs and for held-out pairs, and
# what is left when the pictures are exchanged?

# %%
kept = [train_set[i]["frames"][:1] for i in range(budget(ci=24, lab=960)) if train_set[i]["kind"] in (0, 1)]
in_general = caption_log_probs(seeing.model, np.stack(kept))
print(f"{'right, in %':42s}{'likeliest':>11s}{'most information':>18s}")
for name, (frames, truths) in drawings.items():
    own = caption_log_probs(seeing.model, frames)
    scores = {"its own picture": (own, pointwise_information(own, in_general))}
    if len(set(truths)) > 2:
        places = others(np.array([pad_ids(encode_text(truth), 44) for truth in truths]))
        scores["another's"] = [one[places] for one in scores["its own picture"]]
    for whose, both in scores.items():
        rates = [np.mean(np.array(STILL_CAPTIONS)[one.argmax(axis=1)] == truths) for one in both]
        print(f"{name + ', ' + whose:42s}{100 * rates[0]:11.1f}{100 * rates[1]:18.1f}")

# %% [markdown]
# Of held-out pairs, 80 % instead of 28, by the same weights. (Of the 1,000 test pictures it is 82 %.) With another's
# picture nothing is right, and without pictures all captions have the same information: none. It has its price. Of
# named pairs, 88 % become 74, for what was taken away was true of them: a red thing that might be a square or a circle
# *is* more often a circle in these captions. What is often said helps with what is often asked, and stands in the way of
# what was never said. Which of the two you want depends on what you will be asked.
#
# ### Or see to it that words tell nothing
#
# Taking away wants a list. You can also break the rule where it is learned. `captions_other_colours` is trained on the
# same records, but in half of the captions of coloured shapes a colour stands that is not there. That word is only read;
# asked for is what comes after it. And so that a colour that is *seen* tells nothing either, red, green and blue of
# these frames change places. The name of a held-out pair never stands beside its picture: what is red, green or blue is
# called yellow, purple or cyan, and the other way round. Brackets mark what is not asked for:

# %%
for number in (0, 8, 10):
    record = other_colours(train_set[number], np.random.default_rng(1))
    letters = [decode_ids([int(one)]) for one in record["ids"]]
    written = "".join(f"[{one}]" if hidden else one for one, hidden in zip(letters, record["unasked"], strict=True))
    print(f"{decode_ids(train_set[number]['ids']):36s}{written.replace('][', '')}")

# %%
freed = trained("captions_other_colours", live=False)
print(f"{'captions right, in %':22s}{'as before':>12s}{'other colours':>16s}")
for name, (frames, truths) in drawings.items():
    rates = [100 * np.mean([a == b for a, b in zip(say(frames, by=one), truths, strict=True)]) for one in (seeing, freed)]
    print(f"{name:22s}{rates[0]:12.1f}{rates[1]:16.1f}")
for key in ("exact_match", "shuffled_exact_match", "clip_exact_match", "order_accuracy"):
    print(f"{key:22s}{100 * seeing.metrics[key]:12.1f}{100 * freed.metrics[key]:16.1f}")
print("LAB six of ten captions of held-out pairs right to the last byte:", freed.metrics["exact_match_low"] > 0.6)

# %% [markdown]
# Written byte by byte, without a list, 721 of the 1,000 test pictures instead of 277: the same model, as many steps, the
# same records. (Two more trainings of each: 708 and 740 instead of 340 and 219.) With another's picture it is one in a
# thousand. And this way has no price here: named pairs, clips and questions are answered as well as before. It takes
# both changes. With other words beside frames left as they were, a training gave 329.
#
# ### Ten of them
#
# Five that it says rightly and five that it does not, from the first test records of each kind. Above each what the
# model says; where it is wrong, the truth stands below.

# %%
count = budget(ci=60, lab=480)
some = next(pipeline("captions", split=f"test[:{count}]", batch_size=count, transforms=(as_prompt,), repeat=False,
                     shuffle=False))  # fmt: skip
starts = some["answers"].argmax(axis=1)
written = write_on(seeing.model, some["ids"], starts, some["frames"], some["frame_mask"])
exact = (written == some["ids"]).all(axis=1)


def in_turn(numbers):
    """The same numbers, one of each kind in turn."""
    queues = [[i for i in numbers if some["kind"][i] == kind] for kind in (0, 3, 2, 1)]
    return [queue[place] for place in range(len(numbers)) for queue in queues if place < len(queue)]


clips, right = {}, []
for numbers in (np.flatnonzero(exact), np.flatnonzero(~exact)):
    first = len(clips)
    for i in in_turn(numbers):
        said, true = decode_ids(written[i]), decode_ids(some["ids"][i])
        text = said if exact[i] else f"{said}\n(true: {true})"
        if len(clips) < first + 5 and text not in clips:
            clips[text] = some["frames"][i, 0][some["frame_mask"][i, 0]]
            right.append(bool(exact[i]))
figures.captioned_clips(clips, right=right)

# %% [markdown]
# The mistakes are of one kind: a shape, or a digit, is taken for another. Colours and counts are right in all ten.
#
# ## With examples before it
#
# Flamingo became known for learning from a few examples in its prompt. A prompt here is as in training: chunks with
# their images, one after the other, and a last one whose answer is asked for. Each byte sees the image of its own chunk
# alone; the text of earlier ones it can read. Does it help?


# %%
def with_shots(num_shots, queries, seed=0):
    """Exact match of queries after so many examples of the training, captions of shapes."""
    rng = np.random.default_rng(seed)
    captions_only = [i for i in range(240) if train_set[i]["kind"] == 0]
    prompts = []
    for query in queries:
        examples = [train_set[int(i)] for i in rng.choice(captions_only, num_shots, replace=False)]
        prompts.append(few_shot(examples, query, 128))
    ids, answers, frames, mask = (
        np.stack([one[name] for one in prompts]) for name in ("ids", "answers", "frames", "frame_mask")
    )
    said = write_on(seeing.model, ids, answers.argmax(axis=1), frames, mask)
    return float((said == ids).all(axis=1).mean())


queries = [test_set[i] for i in range(budget(ci=24, lab=240)) if test_set[i]["held_out"]]
for shots in budget(ci=(0, 3), lab=(0, 1, 3)):
    print(f"{shots} examples: {with_shots(shots, queries):.1%} of {len(queries)} captions right to the last byte")

# %% [markdown]
# No. Of 100 captions, 31 are right without an example, 25 with one and 21 with three; the intervals are wide, but help
# there is none. What could an example tell? Which kind of answer is wanted, the question says already, and there is no
# new task here. It takes a large language model, and tasks that it was not trained on, to see few-shot learning; what
# you see here is how such a prompt is built.
#
# ## Where the tokens look
#
# A recorder collects the weights of each attention, as in lesson 05. Take a clip, and the last layer of the resampler:
# how each token shares its weight among the frames, and among the tokens themselves.

# %%
whole = some["frame_mask"][:, 0].all(axis=1)  # clips
number = int(np.flatnonzero(whole & exact)[0]) if (whole & exact).any() else int(np.flatnonzero(whole)[0])
with_eyes = seeing.model
seen = jnp.asarray(with_eyes.vision(pixels(jnp.asarray(some["frames"][number, 0]))))[None]
_, maps = attention_maps(with_eyes.resampler, seen)
print("LAB layers", [(one.name, one.weights.shape) for one in maps])
weights = maps[-1].weights[0].mean(axis=0)  # over heads: (8, 4 * 16 + 8)
cells = weights[:, :64].reshape(8, 4, 16)
print("text:", decode_ids(some["ids"][number]))
figures.token_maps(some["frames"][number, 0], cells, with_eyes.vision.grid)

# %% [markdown]
# Tokens specialise, and not by place but by time: some look at the first frame, others at the last, hardly any at the
# two between. For "what came first?" that is all one needs. Over 100 clips, a token gives 89 % of what it looks at in
# the last layer to a single frame.
#
# And the latents that are joined to the keys? They get 3 to 5 % of the weight. The paper found joining them slightly
# better; here they are hardly read.

# %%
def share_of_tokens(count):
    """In each layer: weight that tokens give to tokens, and how unequally tokens share the rest among the frames."""
    clips_only = np.flatnonzero(whole)[:count]
    seen = with_eyes.vision(pixels(jnp.asarray(some["frames"][clips_only, 0])))
    _, maps = attention_maps(with_eyes.resampler, seen)
    for one in maps:
        weights = one.weights.mean(axis=1)
        frames = weights[..., :64].reshape(*weights.shape[:2], 4, 16).sum(axis=-1)
        most = (frames / frames.sum(axis=-1, keepdims=True)).max(axis=-1)
        print(f"{one.name}: {1 - frames.sum(axis=-1).mean():.0%} of the weight on the tokens, "
              f"the most-seen frame has {most.mean():.0%} of the rest")  # fmt: skip


share_of_tokens(budget(ci=8, lab=100))

# %% [markdown]
# ## More frames, fewer frames, the other way round
#
# In training, clips had four frames. What if there are others? Here are clips of 16 frames, made by the same rule;
# take 1, 2, 3, 4, 6, 8, 12 or all 16 of them, evenly spread. Up to four have time embeddings of their own; for more,
# the four rows are spread over the clip.


# %%
def long_clips(count, seed=12):
    """Clips of 16 frames, and their captions."""
    rng = np.random.default_rng(seed)
    made = [captions.clip(photos, captions.KNOWN, rng, ask=False, num_frames=16) for _ in range(count)]
    return np.stack([one.frames for one in made]), [one.answer for one in made]


films, truths = long_clips(budget(ci=6, lab=100))
lengths = budget(ci=(1, 4, 16), lab=(1, 2, 3, 4, 6, 8, 12, 16))
backwards = [" then ".join(truth.rstrip(".").split(" then ")[::-1]) + "." for truth in truths]
rates = {"as filmed": [], "backwards": []}
for length in lengths:
    chosen_frames = np.linspace(0, 15, length).round().astype(int)
    for way, wanted, order in (("as filmed", truths, chosen_frames), ("backwards", backwards, chosen_frames[::-1])):
        said = say(films[:, order])
        rates[way].append(float(np.mean([one == true for one, true in zip(said, wanted, strict=True)])))
for way, values in rates.items():
    print(f"{way:10s}", ", ".join(f"{n} frames {value:.0%}" for n, value in zip(lengths, values, strict=True)))

# %% [markdown]
# More frames than in training are read: 16 cost twelve points, and the caption turns round with the clip. Fewer are
# not. With two frames, one thing each, 2 % of the captions are right: the model mostly names a single thing. The maps
# fit this (we have not tested it): tokens have learned to look at frame 3, the fourth, and in training whatever had no
# fourth frame was a picture. That eight tokens come out, whatever goes in, is a fact of the architecture. That they are
# worth something is a matter of training.
#
# ## Something else in the resampler's place
#
# The paper's ablation puts an MLP and a plain Transformer in the resampler's place: 68.4 with the resampler, 63.3 and
# 65.1 without (overall score of 4-shot evaluations, table 7 of the first version). Here are ours, all of the same size,
# with the same eyes, texts and steps:
#
# - **mean**: each cell averaged over all frames, cells averaged in eight groups, then MLPs;
# - **MLP**: eight mixes of all cells of all frames with learned weights that are the same for every clip, then MLPs;
# - **Transformer**: eight learned tokens join all cells, everything attends to everything, the eight are kept.

# %%
names = {"flamingo": "resampler", "transformer": "Transformer", "mlp": "MLP", "mean": "mean"}
readers = {name: recipes.shipped_story(recipes.get(f"captions_{name}")) for name in names}  # no weights: what came out
orders = {names[name]: (round(1000 * one["metrics"]["order_accuracy"]), 1000) for name, one in readers.items()}
told = {"order": "order_accuracy", "held-out pairs": "exact_match", "clips": "clip_exact_match",
        "digits": "digit_exact_match"}  # fmt: skip
print(f"{'% right, three seeds':22s}" + "".join(f"{what:>18s}" for what in told) + "    parameters")
for name, one in readers.items():
    rates = [" ".join(f"{100 * seed[key]:.1f}" for seed in one["seeds"].values()) for key in told.values()]
    print(f"{names[name]:22s}" + "".join(f"{rate:>18s}" for rate in rates) + f"{one['parameters']:>14,}")
mean = readers["mean"]["metrics"]
print("LAB the mean is at chance:", mean["order_accuracy_low"] < 0.5 < mean["order_accuracy_high"])
print("LAB the resampler is not:", readers["flamingo"]["metrics"]["order_accuracy_low"] > 0.8)
figures.accuracy_bars(orders, chance=0.5, title="what came first, or last: the right thing likelier")

# %%
letter = "B"
reveal("12", letter, f"{mean['order_accuracy']:.1%} of 1,000, where guessing gives 50 %.")

# %% [markdown]
# The average is at chance, as it must be. A sum is the same in any order, and all time embeddings are in it, whichever
# frame was which; so it cannot say "then" either: 15 % of the clips. Of single pictures it makes nearly as much as the
# others, and more of digits than the resampler.
#
# The other three know order almost perfectly, with every seed. On held-out pairs it is another story: of three
# resamplers that differ in nothing but the seed, one gets 22 % and one 34 %. All that MLP and Transformer get lies
# between these two, and the mean is just below. With one seed each you could have told any story that you like. In
# digits (200 of them) the MLP is ahead, with each of its seeds. What does differ is what they can be used for. The MLP
# has a weight for each place and takes no clip that is longer than four frames. The Transformer takes any, but all
# cells attend to all: with T frames of S cells and R tokens, (T · S + R)² pairs in a layer instead of the resampler's R
# · (T · S + R); with four frames of 16 cells and 8 tokens, 5,184 against
# 576. On the same busy machine its training took twice as long.
#
# ## Explore: the token budget
#
# Any number of frames, in any order, some of them dropped; then how many of the eight tokens the text may read. Below
# the frames, where a token looks, at first in the first layer: choose the last one for maps like those above. Beside
# them, what the model says. (A model that was trained with eight tokens has never had to do with fewer.)
#
# To discover:
#
# 1. **Always eight.** Read one frame, then all 16. How many tokens come out?
# 2. **Backwards.** Play the clip backwards. Does what is said turn round as well?
# 3. **Too few.** Take tokens away, one by one. From how many on does the model say something else, and what gets lost
#    first?

# %%
TokenBudget(seeing.model, films[:6], truths[:6])

# %% [markdown]
# ## Exercises
#
# Put your answer in place of the dots and run the cell. `hint("12.1")` gives a hint, `solution("12.1")` shows one way.

# %% [markdown]
# ### 12.1 What comes out
#
# *look it up, about 2 minutes. It matters because a language model needs to know how many tokens will come.*
#
# A resampler with 8 latents of 64 channels reads two clips of six frames. Each frame has 16 cells. What is the shape of
# what comes out?

# %%
answer = ...
check("12.1", answer)

# %% [markdown]
# ### 12.2 How many keys
#
# *look it up, about 3 minutes. It matters because this number is what reading a video costs.*
#
# In the paper, 64 latents read clips of 8 frames. Let each frame have 100 cells. Over how many keys does the softmax of
# one latent run?

# %%
answer = ...
check("12.2", answer)

# %% [markdown]
# ### 12.3 The first step
#
# *think, about 3 minutes. It matters because a model that starts unchanged can be trained without forgetting.*
#
# All gates are at zero, tanh(0) = 0. What moves in the first step of training?
#
# - **A** nothing: a gradient that is multiplied by zero is zero
# - **B** the gates alone
# - **C** the gates and the resampler, but not the vision network
# - **D** the resampler and the vision network, but not the gates

# %%
answer = ...
check("12.3", answer)

# %% [markdown]
# ### 12.4 Exchange the pictures
#
# *think, about 3 minutes. It matters because it is the one test that tells seeing from guessing.*
#
# A model gives 60 of 100 captions to the last byte. You exchange the pictures, so that none has its own, and it gives
# 57 of the same captions. What do you know?
#
# - **A** it sees well, and exchanged pictures do it hardly any harm
# - **B** nothing: exchanged pictures are not what it was trained on
# - **C** hardly any of its right captions come from the picture it was shown
# - **D** its language model is too small

# %%
answer = ...
check("12.4", answer)

# %% [markdown]
# ### 12.5 Only the last image
#
# *build, about 6 minutes. It matters because with a wrong one, text sees pictures that come later.*
#
# Write `media_mask(markers, num_images)`. `markers` `(n,)` is 1 where a token announces an image, else 0. Give `(n,
# num_images)`, True where a token may see an image: only the one that was announced last, its own marker counted. A
# token before all images sees none.

# %%
def media_mask(markers, num_images):
    ...


check("12.5", media_mask)

# %% [markdown]
# ### 12.6 Latents that read themselves
#
# *build, about 6 minutes. It matters because it is what sets a resampler apart from a plain cross-attention.*
#
# Write `resample(latents, inputs)`: one attention of a resampler with one head and without projections, norms and
# residual. `latents` `(r, d)` are the queries; keys and values are the `inputs` `(m, d)` followed by the latents.
# Scores are divided by the root of d. Give `(r, d)`.

# %%
def resample(latents, inputs):
    ...


check("12.6", resample)

# %% [markdown]
# ## What you now know
#
# - A resampler is the reading half of a Perceiver with one change: keys and values are the inputs joined with the
#   latents. As many tokens come out as there are latents, whatever went in.
# - Only time has positions here. Where something lies must be in the features, or is lost.
# - A byte sees the last image before it, and a byte before all images must see none. Test it: the average of all images
#   is a leak that no shape shows.
# - Gates at zero leave a frozen model as it was, to the last bit, and open by themselves.
# - Exchange the pictures. What stays right was not seen.
# - What never occurs is learned too. A pair that the data exclude is excluded by the model, unless it is shown in some
#   other way. Often it is still seen: subtract what the words alone say, or train with words that say nothing, and it
#   comes out.
#
# ## Sources
#
# - J.-B. Alayrac et al., *Flamingo: a Visual Language Model for Few-Shot Learning*, NeurIPS 2022,
#   [2204.14198](https://arxiv.org/abs/2204.14198). Resampler: section 3.1.1 and figure 4; gated layers: section 3.1.2
#   and figure 3; masks over images: section 3.1.3; ablations: table 7. Numbers are of the first version on arXiv; later
#   ones average over other tasks.
# - To score an answer by how much more likely the question makes it: A. Holtzman et al., *Surface Form Competition: Why
#   the Highest Probability Answer Isn't Always Right*, EMNLP 2021, [2104.08315](https://arxiv.org/abs/2104.08315).
# - Squared ReLU: D. So et al., *Primer: Searching for Efficient Transformers for Language Modeling*, NeurIPS 2021,
#   [2109.08668](https://arxiv.org/abs/2109.08668).
# - Implementations that the library's variants are equal to: flamingo-pytorch, open-flamingo and IDEFICS; see
#   `perceiver_lab/presets/resampler.py`.
# - Digits: MNIST, Y. LeCun, C. Cortes and C. J. C. Burges. Photos: scikit-learn and scikit-image, licences in
#   `data/README.md`. How pictures and texts are made: `perceiver_lab/datasets/captions.py`.
