"""Exercises of lesson 01: cross-attention."""

import numpy as np

from perceiver_lab.course.exercises.base import Exercise
from perceiver_lab.course.exercises.graders import as_array, choice, function, number, shape

KEYS = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])


def finds_second_key(answer):
    """Grade of 01.2: any query that puts more than 0.99 of its weight on the second key."""
    query = as_array(answer)
    if query is None or query.size != 2:
        return "a query for these keys is two numbers, such as [3.0, 0.0]"
    if not np.isfinite(query).all():
        return "the two numbers must be finite"
    weights = _softmax(KEYS @ query.reshape(2) / np.sqrt(2), axis=-1)
    if weights[1] > 0.99:
        return None
    shown = np.round(weights, 3).tolist()
    if weights.argmax() != 1:
        return f"the weights are {shown}: key {weights.argmax() + 1} gets most. Which way does the second key point?"
    return f"the weights are {shown}: the right key leads, but not by enough. What makes its score larger?"


def masked_attention(q, k, v, mask):
    """The reference of 01.4: q (n, d), k (m, d), v (m, e), mask (n, m) -> (n, e)."""
    scores = np.where(mask, q @ k.T / np.sqrt(q.shape[-1]), -1e30)
    weights = _softmax(scores, axis=-1) * mask.any(axis=-1, keepdims=True)
    return weights @ v


def _softmax(scores, axis):
    powers = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def _no_scale(q, k, v, mask):
    return masked_attention(q * np.sqrt(q.shape[-1]), k, v, mask)


def _scale_by_width(q, k, v, mask):
    return masked_attention(q / np.sqrt(q.shape[-1]), k, v, mask)


def _mask_inverted(q, k, v, mask):
    return masked_attention(q, k, v, ~mask)


def _mask_forgotten(q, k, v, mask):
    return masked_attention(q, k, v, np.ones_like(mask))


def _wrong_axis(q, k, v, mask):
    scores = np.where(mask, q @ k.T / np.sqrt(q.shape[-1]), -1e30)
    return _softmax(scores, axis=0) * mask.any(axis=-1, keepdims=True) @ v


def _mask_after(q, k, v, mask):
    return _softmax(q @ k.T / np.sqrt(q.shape[-1]), axis=-1) * mask @ v


def _score_zero(q, k, v, mask):
    return _softmax(q @ k.T / np.sqrt(q.shape[-1]) * mask, axis=-1) @ v


def _empty_row_averages(q, k, v, mask):
    scores = np.where(mask, q @ k.T / np.sqrt(q.shape[-1]), -1e30)
    return _softmax(scores, axis=-1) @ v


def _attention_cases():
    rng = np.random.default_rng(0)
    q, k, v = (rng.normal(size=size) for size in [(4, 3), (6, 3), (6, 2)])
    mask = np.array([[1, 1, 1, 1, 1, 1], [1, 1, 0, 0, 1, 0], [0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 0]], bool)
    return ((q, k, v, mask),)


def _nan_row(grade):
    """Name the commonest cause before the general complaint about NaN."""

    def graded(answer):
        complaint = grade(answer)
        if complaint and "NaN" in complaint:
            return "the row of the query that may attend to nothing is NaN: use a large finite number, not infinity"
        return complaint

    return graded


def split_heads(x, num_heads):
    """The reference of 01.5: (m, c) -> (m, h, c / h)."""
    return x.reshape(x.shape[0], num_heads, -1)


def _strided(x, num_heads):
    return x.reshape(x.shape[0], -1, num_heads).transpose(0, 2, 1)


def _width_first(x, num_heads):
    return x.reshape(x.shape[0], -1, num_heads)


def _heads_first(x, num_heads):
    return split_heads(x, num_heads).transpose(1, 0, 2)


def _rows_cut(x, num_heads):
    return x.reshape(num_heads, x.shape[0], -1)


def _heads_from_rows(x, num_heads):
    return x.reshape(num_heads, x.shape[0], -1).transpose(1, 0, 2)


def _head_cases():
    return ((np.arange(5 * 12, dtype=np.float32).reshape(5, 12), 3), (np.arange(48.0).reshape(4, 12), 4))


EXERCISES = (
    Exercise(
        id="01.1",
        title="The shape of an answer",
        question="""Before you run anything: what is the shape of `attend(q, k, v)` if q has shape (2, 16, 4, 8), k has
(2, 900, 4, 8) and v has (2, 900, 4, 12)? Give a tuple.""",
        minutes=2,
        difficulty=1,
        grade=shape(
            (2, 16, 4, 12),
            mistakes=(
                (
                    (2, 900, 4, 12),
                    "that is the shape of v. The 900 inputs are averaged over and not in the output",
                ),
                ((2, 16, 4, 8), "that is the shape of q. What is averaged are the values, and they are 12 wide"),
                ((2, 900, 4, 8), "that is the shape of k. The output has one row for each query"),
                ((2, 4, 16, 900), "that is the shape of the weights; they still have to meet the values"),
                ((2, 16, 48), "that is what comes after the heads have been put side by side; attend keeps them apart"),
                ((2, 16, 900, 12), "the 900 inputs are averaged over: they are not in the output"),
            ),
        ),
        because="Batch and heads stay, the queries give the rows, the values give the width, and the 900 are gone.",
        hints=(
            "One answer per query, each a blend of values. Which array gives the number of rows, and which the width?",
            "In the einsum b n h d, b m h d -> b h n m, and then b h n m, b m h e -> b n h e: which letter disappears?",
            "b = 2, n = 16, h = 4, and e is the last axis of v.",
        ),
        solution="answer = (2, 16, 4, 12)",
    ),
    Exercise(
        id="01.2",
        title="A query that finds",
        question="""Three keys point to the right, up, and to the left: [1, 0], [0, 1], [-1, 0]. Find a query, two
numbers, that gives the second key more than 0.99 of the weight. Scores are divided by the square root of 2, as
always.""",
        minutes=5,
        difficulty=2,
        grade=finds_second_key,
        because="The query points where the key points, and it is long: its length says how sure it is.",
        hints=(
            "Only the second key points up. Which query suits it and neither of the others?",
            "The score is the product of query and key. Which direction makes the second score the largest?",
            "With the query [0, s] the scores are 0, s / 1.41 and 0. Softmax then gives exp(s / 1.41) against 1 + 1.",
        ),
        solution="answer = [0.0, 10.0]",
    ),
    Exercise(
        id="01.3",
        title="What the bottleneck saves",
        question="""A Perceiver with 512 latents reads the 50,176 pixels of an image, with one head. Self-attention
would compare each pixel with each pixel. How many times fewer scores does the Perceiver's read need?""",
        minutes=3,
        difficulty=1,
        grade=number(
            98,
            mistakes=(
                (1 / 98, "that is the inverse: the read needs fewer scores, so the factor is above one"),
                (512, "512 is what each pixel is compared with; compare it with what it was compared with before"),
                (50176, "50,176 x 50,176 scores against how many?"),
                (512 * 50176, "that is the number of scores of the read; what is the other number, and their ratio?"),
                (50176**2, "that is the number of scores of self-attention; how many does the read need?"),
                (98**2, "the latents enter once, not twice: 512 x 50,176, not 512 x 512"),
                (100, "nearly; 98 is 50,176 / 512 exactly"),
            ),
        ),
        because="50,176 x 50,176 against 512 x 50,176: one factor of 50,176 became 512, and 50,176 / 512 = 98.",
        hints=(
            "Count scores, not pixels: one score for each pair of a query and a key.",
            "n queries and m keys need n x m scores. What are n and m in the two cases?",
            "Divide 50,176 x 50,176 by 512 x 50,176.",
        ),
        solution="answer = (50_176 * 50_176) / (512 * 50_176)",
    ),
    Exercise(
        id="01.4",
        title="Attention with a mask, from memory",
        question="""Write `masked_attention(q, k, v, mask)` for one image and one head: q (n, d), k (m, d), v (m, e),
and a mask (n, m) with True where a query may look. Do not forget the scale, and give zeros where a query may look at
nothing.""",
        minutes=12,
        difficulty=3,
        grade=_nan_row(
            function(
                masked_attention,
                _attention_cases(),
                mistakes=(
                    (_no_scale, "the scores are not divided by the square root of d"),
                    (_scale_by_width, "the scores are divided by d; it is the square root of d"),
                    (_mask_inverted, "your mask works the other way round: here True means that a query may look"),
                    (_mask_forgotten, "the mask has no effect yet"),
                    (_wrong_axis, "your softmax runs over the queries; each query spreads its weight over the keys"),
                    (_mask_after, "you mask after the softmax: the weights that are left do not sum to one any more"),
                    (_score_zero, "a score of zero still gets weight, since exp(0) is 1; it must be very negative"),
                    (_empty_row_averages, "the query that may look at nothing gets an average; it should get zeros"),
                ),
            )
        ),
        because="Scale, mask before the softmax, softmax over the keys, and zeros for whoever may look at nothing.",
        hints=(
            "Four steps: scores, mask, softmax over the keys (axis=-1), product with v.",
            "np.where(mask, scores, -1e30) before the softmax. A row of -1e30 becomes equal weights: which is it?",
            "mask.any(axis=-1, keepdims=True) is False where a query may look at nothing: multiply the result by it.",
        ),
        solution="""
def masked_attention(q, k, v, mask):
    scores = np.where(mask, q @ k.T / np.sqrt(q.shape[-1]), -1e30)
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = powers / powers.sum(axis=-1, keepdims=True)
    return weights @ v * mask.any(axis=-1, keepdims=True)

answer = masked_attention
""",
    ),
    Exercise(
        id="01.5",
        title="Which channels belong to a head?",
        question="""Write `split(x, num_heads)`: x (m, c) becomes (m, h, c / h), and head 0 owns the *first* c / h
channels, head 1 the next, and so on.""",
        minutes=6,
        difficulty=2,
        grade=function(
            split_heads,
            _head_cases(),
            mistakes=(
                (_strided, "head 0 gets every h-th channel; it should get the first c / h, which lie side by side"),
                (_width_first, "the last two axes are the wrong way round: (m, h, c / h), heads before their width"),
                (_heads_first, "the heads come first; the rows should: (m, h, c / h)"),
                (_rows_cut, "this cuts the rows into heads, and mixes different inputs; cut the channels"),
                (_heads_from_rows, "this cuts the rows into heads, and mixes different inputs; cut the channels"),
            ),
        ),
        because="reshape fills the last axis first, so each head gets neighbouring channels of the same row.",
        hints=(
            "Take one row of 6 channels and 2 heads: which channels does head 0 own? Did any of them have to move?",
            "One reshape is enough.",
            "x.reshape(m, h, -1): the last axis is filled first, with the first c / h channels of a row.",
        ),
        solution="""
def split(x, num_heads):
    return x.reshape(x.shape[0], num_heads, -1)

answer = split
""",
    ),
    Exercise(
        id="01.6",
        title="What leaves the output alone?",
        question="""One of these changes leaves the output of cross-attention exactly as it was (up to rounding). Which?
A: the rows of the queries are shuffled. B: the rows of keys and values are shuffled together. C: the rows of the values
alone are shuffled. D: all keys are multiplied by 2.""",
        minutes=3,
        difficulty=2,
        grade=choice(
            "B",
            {
                "A": "the output has a row for each query, so its rows are shuffled with them",
                "C": "then keys find the wrong values: the weights stay, but what they weigh does not",
                "D": "the scores double, so softmax becomes sharper and the weights change",
            },
        ),
        because="Every key still finds its own value, and a sum does not depend on the order of its terms.",
        hints=(
            "The output of query n is the sum over m of weight(n, m) times value(m).",
            "Does a sum care in which order its terms come? And what must stay together in each term?",
            "You saw it happen, at the end of the section about the module.",
        ),
        solution='answer = "B"',
    ),
)
