"""Lesson 13, clinic and capstone: signs, one-hot maps, overflow, masks of padding, and point clouds."""

import numpy as np

from perceiver_lab.course.exercises import graders
from perceiver_lab.course.exercises.base import Exercise

_rng = np.random.default_rng(13)


def looked_at(weights):
    """(...,): how many elements each row of a map looks at, the exponential of its entropy."""
    weights = np.asarray(weights)
    logs = np.log(np.where(weights > 0, weights, 1.0))
    return np.exp(-(weights * logs).sum(axis=-1))


def may_be_read(lengths, size):
    """(b, size): True in front of each sequence's end."""
    return np.arange(size)[None] < np.asarray(lengths)[:, None]


def into_the_unit_cube(points):
    """(m, 3): mean 0, and the largest coordinate 1."""
    centred = points - points.mean(axis=0)
    return centred / np.abs(centred).max()


def _entropy(weights):
    return np.log(looked_at(weights))


def _in_bits(weights):
    return np.exp(np.log(looked_at(weights)) / np.log(2))


def _of_the_largest(weights):
    return 1 / np.asarray(weights).max(axis=-1)


def _of_all_rows(weights):
    return np.exp(_entropy(weights).mean())


def _inverted(lengths, size):
    return ~may_be_read(lengths, size)


def _one_more(lengths, size):
    return may_be_read(np.asarray(lengths) + 1, size)


def _one_less(lengths, size):
    return may_be_read(np.asarray(lengths) - 1, size)


def _pairs(lengths, size):
    mask = may_be_read(lengths, size)
    return mask[:, :, None] & mask[:, None]


def _axis_by_axis(points):
    centred = points - points.mean(axis=0)
    return centred / np.abs(centred).max(axis=0)


def _not_centred(points):
    return points / np.abs(points).max()


def _unit_ball(points):
    centred = points - points.mean(axis=0)
    return centred / np.linalg.norm(centred, axis=-1).max()


def _middle_of_the_box(points):
    centred = points - (points.max(axis=0) + points.min(axis=0)) / 2
    return centred / np.abs(centred).max()


def _one_mean(points):
    centred = points - points.mean()
    return centred / np.abs(centred).max()


def _maps(rows, size):
    """Rows that sum to one, some weights of them 0."""
    weights = _rng.random((rows, size)) ** 3 * (_rng.random((rows, size)) < 0.7)
    weights[:, 0] += 0.1
    return weights / weights.sum(axis=-1, keepdims=True)


EXERCISES = (
    Exercise(
        id="13.1",
        title="The same in any order",
        question="A model that reads images gives the same logits, to six decimals, when all pixels change places. Its "
        "accuracy is 30 %, where 98 % was expected. What do you look at first?\n\n"
        "- **A** the learning rate\n"
        "- **B** the position channels of the inputs\n"
        "- **C** the number of latents\n"
        "- **D** the softmax of the decoder",
        minutes=2,
        difficulty=1,
        grade=graders.choice(
            "B",
            {
                "A": "a badly trained model would still answer differently when pixels move",
                "C": "few latents answer worse, but they do not forget where things are",
                "D": "what comes after the read cannot make it blind to places: it never knew them",
            },
        ),
        because="Attention knows no order. Without positions an image is a bag of pixels, whatever else is right.",
        hints=(
            "What does a read know of the order of its inputs?",
            "Nothing, except what stands in the inputs themselves.",
            "Which channels say where a pixel is?",
        ),
        solution='answer = "B"',
    ),
    Exercise(
        id="13.2",
        title="How many does it look at?",
        question="Write `looked_at(weights)`. `weights` `(n, m)` are rows of a map, each summing to one, some weights "
        "exactly 0. Return for each row the exponential of its entropy (in nats): 1 for a row that looks at one "
        "element, m for one that looks at all alike.",
        minutes=5,
        difficulty=3,
        grade=graders.function(
            looked_at,
            [(_maps(4, 9),), (np.eye(5),), (np.full((3, 8), 1 / 8),)],
            mistakes=[
                (_entropy, "that is the entropy itself: take its exponential"),
                (_in_bits, "that is an entropy in bits with a base of e: take both in nats"),
                (_of_the_largest, "that is one over the largest weight: the others count too"),
                (_of_all_rows, "one number for each row, not one for all"),
            ],
        ),
        because="It is a count that needs no threshold: 1 is a one-hot softmax, m a read that does not choose.",
        hints=(
            "The entropy of a row is minus the sum of w log w.",
            "Where w is 0, w log w is 0: np.log(np.where(weights > 0, weights, 1)) is safe.",
            "np.exp(-(weights * logs).sum(axis=-1)).",
        ),
        solution="import numpy as np\n\n\n"
        "def looked_at(weights):\n"
        "    logs = np.log(np.where(weights > 0, weights, 1.0))\n"
        "    return np.exp(-(weights * logs).sum(axis=-1))\n\n\n"
        "answer = looked_at",
    ),
    Exercise(
        id="13.3",
        title="How far may it drift?",
        question="The largest number of float16 is 65,504. The largest value of a healthy read is 3.2. Its value "
        "projection drifts to 2^k times its size, and its output projection to 2^-k times. What is the largest whole k "
        "at which no value overflows?",
        minutes=3,
        difficulty=2,
        grade=graders.number(
            14,
            mistakes=[
                (15, "3.2 * 2^15 is 104,858, more than 65,504"),
                (16, "2^16 is 65,536: even 1.0 would overflow"),
                (13, "that is safe, but there is room for one more doubling"),
                (127, "that would be float32 or bfloat16: float16 has 5 bits for the exponent"),
            ],
        ),
        because="3.2 * 2^14 = 52,429 fits, twice as much does not. bfloat16 would go on to k = 126.",
        hints=(
            "3.2 * 2^k must not exceed 65,504.",
            "65,504 / 3.2 = 20,470. Which power of two is just below?",
            "2^14 = 16,384.",
        ),
        solution="import math\n\nanswer = math.floor(math.log2(65504 / 3.2))",
    ),
    Exercise(
        id="13.4",
        title="No leak in the model",
        question="A language model reaches a training loss below the floor of its task. `reach` finds no gradient from "
        "any output to a later input. Where can the answer still come from?\n\n"
        "- **A** nowhere: without such a gradient there is no leak, so the floor was too high or was computed wrongly\n"
        "- **B** from the inputs at the output's own place or before: the batch may hold what is asked for there\n"
        "- **C** from the softmax, which normalises over later places\n"
        "- **D** from dropout, which acts in training only",
        minutes=3,
        difficulty=2,
        grade=graders.choice(
            "B",
            {
                "A": "the model cannot see later inputs; but what if the batch was put together wrongly",
                "C": "a softmax over later places would show in the gradient, and there is none",
                "D": "dropout takes something away, and tells nothing",
            },
        ),
        because="If targets were not shifted, or the pipeline copied them into the inputs, a causal model reads them.",
        hints=(
            "`reach` examines the model. What else lies between a text and a loss?",
            "The pipeline: which event is the input at a place, and which is its target?",
            "Imagine targets that were not shifted by one.",
        ),
        solution='answer = "B"',
    ),
    Exercise(
        id="13.5",
        title="Padding",
        question="Write `read_mask(lengths, size)`: a bool array `(b, size)` for sequences of the given lengths, "
        "padded on the right to `size`. True where an element may be read, as everywhere in this library.",
        minutes=4,
        difficulty=3,
        grade=graders.function(
            may_be_read,
            [(np.array([3, 5, 1]), 5), (np.array([2, 6]), 8)],
            mistakes=[
                (_inverted, "this is True on the padding: the mask is inverted"),
                (_one_more, "one element too many: a sequence of 3 has places 0, 1 and 2"),
                (_one_less, "the last element of each sequence may be read too"),
                (_pairs, "one row for each sequence: (b, size), not pairs of elements"),
            ],
        ),
        because="Its opposite raises no error either. A test that padding changes no answer finds it at once.",
        hints=(
            "Which places of a sequence of length 3 may be read? 0, 1 and 2.",
            "Compare np.arange(size)[None] with lengths[:, None].",
            "np.arange(size)[None] < lengths[:, None].",
        ),
        solution="import numpy as np\n\n\n"
        "def read_mask(lengths, size):\n"
        "    return np.arange(size)[None] < lengths[:, None]\n\n\n"
        "answer = read_mask",
    ),
    Exercise(
        id="13.6",
        title="Into the unit cube",
        question="Write `unit_cube(points)`: move the mean of points `(m, 3)` to 0, and scale them, all axes alike, so "
        "that the largest absolute coordinate is 1.",
        minutes=4,
        difficulty=3,
        grade=graders.function(
            into_the_unit_cube,
            [(_rng.normal(size=(20, 3)) * (1, 2, 4) + 3,), (_rng.random((7, 3)),)],
            mistakes=[
                (_axis_by_axis, "each axis has a scale of its own here: a rod would become a cube"),
                (_not_centred, "the mean is not at 0: a cloud elsewhere would look different"),
                (_unit_ball, "that is the unit ball: the largest coordinate, not the largest distance, becomes 1"),
                (_middle_of_the_box, "that is the middle of the box around the points, not their mean"),
                (_one_mean, "there is one mean for each axis: points.mean(axis=0)"),
            ],
        ),
        because="Where the cloud stood and how large it was is gone; its proportions stay.",
        hints=(
            "First centre, then scale.",
            "The mean of each axis: points.mean(axis=0). The scale: one number for all.",
            "centred / np.abs(centred).max().",
        ),
        solution="import numpy as np\n\n\n"
        "def unit_cube(points):\n"
        "    centred = points - points.mean(axis=0)\n"
        "    return centred / np.abs(centred).max()\n\n\n"
        "answer = unit_cube",
    ),
)
