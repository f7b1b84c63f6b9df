"""Lesson 12, the resampler: tokens out, keys in, gates, masks over images, and what a shuffled picture proves."""

import numpy as np

from perceiver_lab.course.exercises import graders
from perceiver_lab.course.exercises.base import Exercise

_rng = np.random.default_rng(12)


def last_image(markers, num_images):
    """True where a token sees an image: the one that was announced last, its own marker counted."""
    return np.cumsum(markers)[:, None] == np.arange(1, num_images + 1)


def resample(latents, inputs):
    """One head without projections: latents (r, d) read inputs (m, d) and themselves."""
    keys = np.concatenate([inputs, latents])
    return _softmax(latents @ keys.T / np.sqrt(keys.shape[1])) @ keys


def _softmax(scores, axis=1):
    weights = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return weights / weights.sum(axis=axis, keepdims=True)


def _all_earlier(markers, num_images):
    return np.cumsum(markers)[:, None] >= np.arange(1, num_images + 1)


def _marker_sees_the_one_before(markers, num_images):
    return (np.cumsum(markers) - markers)[:, None] == np.arange(1, num_images + 1)


def _from_the_start(markers, num_images):
    return np.maximum(np.cumsum(markers), 1)[:, None] == np.arange(1, num_images + 1)


def _one_too_far(markers, num_images):
    return np.cumsum(markers)[:, None] == np.arange(num_images)


def _inputs_alone(latents, inputs):
    return _softmax(latents @ inputs.T / np.sqrt(inputs.shape[1])) @ inputs


def _unscaled(latents, inputs):
    keys = np.concatenate([inputs, latents])
    return _softmax(latents @ keys.T) @ keys


def _over_latents(latents, inputs):
    keys = np.concatenate([inputs, latents])
    return _softmax(latents @ keys.T / np.sqrt(keys.shape[1]), axis=0) @ keys


def _with_residual(latents, inputs):
    return latents + resample(latents, inputs)


EXERCISES = (
    Exercise(
        id="12.1",
        title="What comes out",
        question="A resampler with 8 latents of 64 channels reads two clips of six frames. Each frame has 16 cells. "
        "What is the shape of what comes out?",
        minutes=2,
        difficulty=1,
        grade=graders.shape(
            (2, 8, 64),
            mistakes=[
                ((2, 6, 8, 64), "that is eight tokens for every frame; the frames of a clip are read together"),
                ((2, 48, 64), "that is eight tokens for every frame; the frames of a clip are read together"),
                ((2, 96, 64), "those are the cells that are read; as many rows come out as there are latents"),
                ((2, 104, 64), "those are the keys: cells and latents; as many rows come out as there are queries"),
                ((8, 64), "the axis of the two clips is missing"),
            ],
        ),
        because="Queries decide how many rows come out, and the queries are the latents.",
        hints=(
            "What decides how many rows an attention gives: its queries, or its keys?",
            "The queries are the latents, the same for each clip.",
            "Clips, latents, channels.",
        ),
        solution="answer = (2, 8, 64)",
    ),
    Exercise(
        id="12.2",
        title="How many keys",
        question="In the paper, 64 latents read clips of 8 frames. Let each frame have 100 cells. Over how many keys "
        "does the softmax of one latent run?",
        minutes=3,
        difficulty=1,
        grade=graders.number(
            864,
            mistakes=[
                (800, "those are the cells; a latent of a resampler also reads the latents, itself among them"),
                (64, "that is the number of queries"),
                (164, "that is one frame and the latents; the frames of a clip are read together"),
                (6400, "that counts pairs of a query and a key of one frame"),
                (801, "it reads all latents, not only itself"),
                (55296, "that counts the pairs of all queries and keys; one latent has one query"),
            ],
        ),
        because="8 x 100 cells, and after them the 64 latents as they stand: keys and values are both, joined.",
        hints=(
            "Keys come from the inputs, and from one more array.",
            "There are 8 x 100 cells.",
            "The latents are joined to them.",
        ),
        solution="answer = 8 * 100 + 64",
    ),
    Exercise(
        id="12.3",
        title="The first step",
        question="All gates are at zero, tanh(0) = 0. What moves in the first step of training?\n\n"
        "- **A** nothing: a gradient that is multiplied by zero is zero\n"
        "- **B** the gates alone\n"
        "- **C** the gates and the resampler, but not the vision network\n"
        "- **D** the resampler and the vision network, but not the gates",
        minutes=3,
        difficulty=2,
        grade=graders.choice(
            "B",
            {
                "A": "a gate's own gradient is not multiplied by the gate, but by what it would let through",
                "C": "the resampler is reached through the gate, and the gate is closed",
                "D": "those two are behind the closed gate; the gate itself stands before it",
            },
        ),
        because="In y + tanh(a) * f at a = 0, the slope along a is f, and the slope along f is tanh(a) = 0.",
        hints=(
            "Write y + tanh(a) * f and take the derivative, once along a and once along f.",
            "One of the two has the factor tanh(a).",
            "Vision and resampler lie inside f.",
        ),
        solution='answer = "B"',
    ),
    Exercise(
        id="12.4",
        title="Exchange the pictures",
        question="A model gives 60 of 100 captions to the last byte. You exchange the pictures, so that none has its "
        "own, and it gives 57 of the same captions. What do you know?\n\n"
        "- **A** it sees well, and exchanged pictures do it hardly any harm\n"
        "- **B** nothing: exchanged pictures are not what it was trained on\n"
        "- **C** hardly any of its right captions come from the picture it was shown\n"
        "- **D** its language model is too small",
        minutes=3,
        difficulty=2,
        grade=graders.choice(
            "C",
            {
                "A": "with another picture the old caption is wrong; whoever sees would stop giving it",
                "B": "each picture is one that it might have been shown, only with another caption",
                "D": "a small language model does not explain why the picture makes no difference",
            },
        ),
        because="The captions were the same, only the pictures were others: what is right without the right picture "
        "was not read off it.",
        hints=(
            "Compare the two numbers: what changed between them?",
            "If it read its captions off the pictures, what would it say about an exchanged one?",
            "57 of 60 right captions did not need the right picture.",
        ),
        solution='answer = "C"',
    ),
    Exercise(
        id="12.5",
        title="Only the last image",
        question="Write `media_mask(markers, num_images)`. `markers` `(n,)` is 1 where a token announces an image, "
        "else 0. Give `(n, num_images)`, True where a token may see an image: only the one that was announced last, "
        "its own marker counted. A token before all images sees none.",
        minutes=6,
        difficulty=3,
        grade=graders.function(
            last_image,
            [
                (np.array([0, 1, 0, 0, 1, 0]), 2),
                (np.array([1, 0, 1, 1, 0, 0, 0]), 3),
                (np.array([0, 0, 1, 0]), 2),
            ],
            mistakes=[
                (_all_earlier, "a token sees all images so far; only the last of them is to be seen"),
                (_marker_sees_the_one_before, "a marker counts for itself: its token sees the image it announces"),
                (_from_the_start, "tokens before all images see the first one: nothing has been announced to them"),
                (
                    _one_too_far,
                    "a token sees the image after the one announced last: the first image has number 1 here",
                ),
            ],
        ),
        because="Counting markers up to a token gives the number of the image that it may see. 0 is none.",
        hints=(
            "np.cumsum(markers) counts the images that have been announced up to each token.",
            "Compare it with 1, 2, ..., num_images.",
            "np.cumsum(markers)[:, None] == np.arange(1, num_images + 1).",
        ),
        solution="import numpy as np\n\n\n"
        "def media_mask(markers, num_images):\n"
        "    return np.cumsum(markers)[:, None] == np.arange(1, num_images + 1)\n\n\n"
        "answer = media_mask",
    ),
    Exercise(
        id="12.6",
        title="Latents that read themselves",
        question="Write `resample(latents, inputs)`: one attention of a resampler with one head and without "
        "projections, norms and residual. `latents` `(r, d)` are the queries; keys and values are the `inputs` "
        "`(m, d)` followed by the latents. Scores are divided by the root of d. Give `(r, d)`.",
        minutes=6,
        difficulty=3,
        grade=graders.function(
            resample,
            [
                (_rng.normal(size=(3, 4)).astype(np.float32), _rng.normal(size=(7, 4)).astype(np.float32)),
                (_rng.normal(size=(2, 8)).astype(np.float32), _rng.normal(size=(5, 8)).astype(np.float32)),
            ],
            mistakes=[
                (_inputs_alone, "keys and values are the inputs alone: the latents read themselves as well"),
                (_unscaled, "the scores were not divided by the root of d"),
                (_over_latents, "the softmax runs over the queries; each row over its keys"),
                (_with_residual, "the latents were added: the residual is not asked for"),
            ],
        ),
        because="The one line in which a resampler differs from the cross-attention of lesson 01 is the concatenation.",
        hints=(
            "keys = np.concatenate([inputs, latents]); the values are the same.",
            "Scores: latents @ keys.T / np.sqrt(d); then a softmax over each row.",
            "The weights (r, m + r) times the values (m + r, d).",
        ),
        solution="import numpy as np\n\n\n"
        "def resample(latents, inputs):\n"
        "    keys = np.concatenate([inputs, latents])\n"
        "    scores = latents @ keys.T / np.sqrt(keys.shape[1])\n"
        "    weights = np.exp(scores - scores.max(axis=1, keepdims=True))\n"
        "    return weights / weights.sum(axis=1, keepdims=True) @ keys\n\n\n"
        "answer = resample",
    ),
)
