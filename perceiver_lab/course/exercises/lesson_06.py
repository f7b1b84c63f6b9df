"""Lesson 06, Perceiver IO: the cost and the shapes of asking, chunks, coordinates, end-point errors."""

import jax.numpy as jnp
import numpy as np

from perceiver_lab.course.exercises import graders
from perceiver_lab.course.exercises.base import Exercise

_rng = np.random.default_rng(6)


def asked_in_chunks(answer, queries, size):
    """The answers to all queries, asked for at most `size` at a time."""
    return np.concatenate([answer(queries[start : start + size]) for start in range(0, len(queries), size)])


def mean_endpoint_error(flow, truth):
    """The mean distance (in pixels) over the pixels whose true flow is known."""
    error = np.sqrt(((flow - truth) ** 2).sum(axis=-1))
    return error[np.isfinite(truth).all(axis=-1)].mean()


def _known(truth):
    return np.isfinite(truth).all(axis=-1)


def _root_of_mean(flow, truth):
    return np.sqrt(((flow - truth) ** 2).sum(axis=-1)[_known(truth)].mean())


def _mean_of_squares(flow, truth):
    return ((flow - truth) ** 2).sum(axis=-1)[_known(truth)].mean()


def _sum_of_sides(flow, truth):
    return np.abs(flow - truth).sum(axis=-1)[_known(truth)].mean()


def _mean_of_sides(flow, truth):
    return np.abs(flow - truth)[_known(truth)].mean()


def _unknown_as_zero(flow, truth):
    return np.sqrt(((flow - np.nan_to_num(truth)) ** 2).sum(axis=-1)).mean()


def _over_all_pixels(flow, truth):
    error = np.sqrt(((flow - truth) ** 2).sum(axis=-1))
    return np.nansum(error) / error.size


def _grade_mean_error(answer):
    wrong = _mean_error(answer)
    if wrong and "NaN" in wrong:
        return "the result is NaN: NaN times 0 is NaN too, so choose the known pixels before you average"
    return wrong


class _Model:
    """Rows (o, e) -> answers (o, k), for at most so many rows at once."""

    def __init__(self, kernel, most):
        self.kernel, self.most = kernel, most

    def __call__(self, queries):
        queries = jnp.asarray(queries)
        if queries.ndim != 2 or queries.shape[1] != len(self.kernel):
            raise ValueError(f"answer was given {queries.shape}, not rows of {len(self.kernel)} channels")
        if len(queries) > self.most:
            raise ValueError(f"answer was given {len(queries)} queries at once, more than size={self.most}")
        return jnp.tanh(queries @ self.kernel)


def _case(count, size):
    kernel = _rng.normal(size=(4, 3)).astype(np.float32)
    return _Model(kernel, size), _rng.normal(size=(count, 4)).astype(np.float32), size


def _only_whole_chunks(answer, queries, size):
    return asked_in_chunks(answer, queries[: len(queries) // size * size], size)


def _from_the_end(answer, queries, size):
    return asked_in_chunks(answer, queries, size)[::-1]


def _flows(height, width, unknown):
    truth = _rng.normal(size=(height, width, 2)).astype(np.float32)
    flow = truth + _rng.normal(size=truth.shape).astype(np.float32)
    truth[_rng.random((height, width)) < unknown] = np.nan
    return flow, truth


_mean_error = graders.function(
    mean_endpoint_error,
    [_flows(5, 7, 0.3), _flows(4, 4, 0.5), _flows(3, 6, 0.2)],
    mistakes=[
        (_root_of_mean, "that is the root of the mean square; take the root at each pixel, then the mean"),
        (_mean_of_squares, "those are squared distances: the root is missing"),
        (_sum_of_sides, "that is |dx| + |dy|; the distance is the root of dx² + dy²"),
        (_mean_of_sides, "that is the mean of |dx| and |dy|; the distance is the root of dx² + dy²"),
        (_unknown_as_zero, "unknown pixels count as if they stood still: leave them out"),
        (_over_all_pixels, "you divide by all pixels: divide by the number of those that are known"),
    ],
)

EXERCISES = (
    Exercise(
        id="06.1",
        title="What an answer costs",
        question="A picture of 2,304 pixels was read into 32 latents. You now ask for the colour at 40,000 points. How "
        "many scores (query against key) does one head of the decoder compute?",
        minutes=2,
        difficulty=1,
        grade=graders.number(
            1_280_000.0,
            mistakes=[
                (40_000.0**2, "the queries do not look at each other: each of them looks at the latents"),
                (40_000.0 * 2_304, "the decoder does not see the pixels: what they said is in the 32 latents now"),
                (2_304.0 * 32, "that would be an encoder that reads the pixels; the reading is over"),
                (40_000.0 * 32 + 2_304 * 32, "the latents are there already: nothing is read anew for a question"),
                (40_000.0, "each of the 40,000 queries has a score with each latent, not just one"),
            ],
        ),
        because="O * N, and the number of pixels is nowhere in it.",
        hints=(
            "The picture has been read already. What does the decoder look at, the pixels or something else?",
            "Who are the keys of the decoder's cross-attention?",
            "O queries and N keys make O * N scores.",
        ),
        solution="answer = 40_000 * 32",
    ),
    Exercise(
        id="06.2",
        title="Name the shape",
        question="A decoder with 4 heads reads 32 latents. You give it 8 scenes and ask each for its class (one "
        "query), its count (one query) and the colours at 288 points, all in one call. What shape do the attention "
        "weights have?",
        minutes=3,
        difficulty=1,
        grade=graders.shape(
            (8, 4, 290, 32),
            mistakes=[
                ((8, 4, 32, 290), "the queries ask, so they are the rows: queries come before keys"),
                ((8, 4, 288, 32), "the class and the count are queries too: two more rows"),
                ((8, 290, 32), "the axis of the heads is missing"),
                ((8, 4, 290, 290), "the queries do not look at each other, they look at the latents"),
                ((8, 4, 290, 2304), "the decoder reads the latents, not the pixels"),
                ((8, 4, 3, 32), "three tasks, but 290 queries: each point is one"),
            ],
        ),
        because="Batch, heads, all queries one after the other, latents.",
        hints=(
            "How many questions does each scene hear in all? The answers' widths do not matter here.",
            "The order of the axes is batch, head, query, key.",
            "1 + 1 + 288 queries; 32 keys.",
        ),
        solution="answer = (8, 4, 1 + 1 + 288, 32)",
    ),
    Exercise(
        id="06.3",
        title="What would tie the answers together",
        question="In this lesson an answer does not depend on what else is asked. Which change to the decoder would "
        "make it depend on that?\n\n"
        "- **A** four heads instead of one\n"
        "- **B** a self-attention layer on the decoded queries\n"
        "- **C** a wider MLP on the decoded queries\n"
        "- **D** adding the query to what it read",
        minutes=3,
        difficulty=2,
        grade=graders.choice(
            "B",
            {
                "A": "every head has a softmax for each query by itself: still no query sees another",
                "C": "the MLP works on each row by itself, however wide it is",
                "D": "each query is added to its own row only",
            },
        ),
        because="Self-attention mixes the rows of the queries: then half of the questions is another question.",
        hints=(
            "For two queries to influence each other, something must carry from one row to the other.",
            "Look for the operation that takes something from one row of queries into another.",
            "Softmax over keys, MLPs and sums work row by row.",
        ),
        solution='answer = "B"',
    ),
    Exercise(
        id="06.4",
        title="Off by one cell",
        question="A released model decodes a grid of 48 columns. Asked for the last column alone, by its number, it "
        "computes the coordinate -1 + 2 i / d. Which number comes out?",
        minutes=3,
        difficulty=2,
        grade=graders.number(
            -1 + 2 * 47 / 48,
            rel=5e-4,
            mistakes=[
                (1.0, "that is the last column of the whole grid; its index is 47, and i / d is not i / (d - 1)"),
                (47 / 48, "that is 47 / 48; coordinates go from -1, so it is -1 + 2 * 47 / 48"),
                (-1 + 2 * 46 / 48, "columns are counted from 0: the last of 48 has the index 47"),
            ],
        ),
        because="The whole grid has 1 there: the query lies almost a whole column too far to the left.",
        hints=(
            "The first of 48 columns has the index 0.",
            "So the last of the 48 columns has the index 47, and d is 48.",
            "-1 + 2 * 47 / 48.",
        ),
        solution="answer = -1 + 2 * 47 / 48",
    ),
    Exercise(
        id="06.5",
        title="Forty thousand questions, a hundred at a time",
        question="Write `in_chunks(answer, queries, size)`. `answer` takes at most `size` rows of queries, (o, e), and "
        "returns their answers, (o, k). Return the answers to all of `queries`, in order; their number need not be a "
        "multiple of `size`.",
        minutes=6,
        difficulty=3,
        grade=graders.function(
            asked_in_chunks,
            [_case(12, 4), _case(11, 4), _case(7, 5)],
            mistakes=[
                (_only_whole_chunks, "the last chunk is missing where `size` does not divide the number of queries"),
                (_from_the_end, "all answers are there, but in another order than the queries"),
                (
                    lambda answer, queries, size: asked_in_chunks(answer, queries, size)[None],
                    "the answers are right, with an axis too many: return (o, k)",
                ),
            ],
        ),
        because="No answer depends on the others, so the memory of one chunk is enough for any number of them.",
        hints=(
            "An answer depends only on its own query: ask in portions, and put the answers one after another.",
            "range(0, len(queries), size) gives where the chunks begin; the last one may be shorter.",
            "Collect answer(queries[start : start + size]) in a list and concatenate.",
        ),
        solution="import numpy as np\n\n\n"
        "def in_chunks(answer, queries, size):\n"
        "    parts = [answer(queries[start : start + size]) for start in range(0, len(queries), size)]\n"
        "    return np.concatenate(parts)\n\n\n"
        "answer = in_chunks",
    ),
    Exercise(
        id="06.6",
        title="Where nobody knows",
        question="Write `mean_error(flow, truth)`: the mean end-point error in pixels of a flow field `(h, w, 2)`. "
        "The truth was not measured everywhere: there it holds NaN, and those pixels do not count.",
        minutes=6,
        difficulty=3,
        grade=_grade_mean_error,
        because="This is how flow is judged, here and in the paper.",
        hints=(
            "Find the pixels whose truth is known first, in both of its components; the mean is over those alone.",
            "np.isfinite(truth).all(axis=-1) says where the truth is known.",
            "error = np.sqrt(((flow - truth) ** 2).sum(axis=-1)), then the mean of error[known].",
        ),
        solution="import numpy as np\n\n\n"
        "def mean_error(flow, truth):\n"
        "    known = np.isfinite(truth).all(axis=-1)\n"
        "    error = np.sqrt(((flow - truth) ** 2).sum(axis=-1))\n"
        "    return error[known].mean()\n\n\n"
        "answer = mean_error",
    ),
)
