"""The exercises of lesson 02: right answers in any form, the usual mistakes by name."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from perceiver_lab.course.exercises import lesson_02 as own
from perceiver_lab.introspect import cost
from perceiver_lab.layers import Attention
from tests.course.answers import Answers


def read_by_shapes(n, m, D, C):
    """One product after the other."""
    shapes = [(n, D, C), (m, C, C), (m, C, C), (n, C, m), (n, m, C), (n, C, D)]
    return np.int64(sum(a * b * c for a, b, c in shapes))


def read_by_library(n, m, D, C):
    make = lambda: Attention(D, C, num_heads=1, qk_channels=C, output_channels=D, rngs=nnx.Rngs(0))  # noqa: E731
    rows = (jax.ShapeDtypeStruct((1, *shape), jnp.float32) for shape in ((n, D), (m, C)))
    return [cost(nnx.eval_shape(make), *rows).multiply_adds][0]


def chunks_in_two_passes(scores, values, size):
    starts = range(0, len(scores), size)
    largest = max(scores[i : i + size].max() for i in starts)
    powers = [np.exp(scores[i : i + size] - largest) for i in starts]
    total = sum(p @ values[i : i + size] for p, i in zip(powers, starts, strict=True))
    return total / sum(p.sum() for p in powers)


def chunks_in_logarithms(scores, values, size):
    """Answers of the chunks, blended by the logarithms of their sums."""
    pieces = [(scores[i : i + size], values[i : i + size]) for i in range(0, len(scores), size)]
    sums = jnp.array([jax.nn.logsumexp(s) for s, _ in pieces])
    answers = jnp.stack([jax.nn.softmax(s) @ v for s, v in pieces])
    return jax.nn.softmax(sums) @ answers


def chunks_of_one(scores, values, size):
    return own.blend_in_chunks(scores, values, 1).tolist()


def chunks_that_overflow(scores, values, size):
    with np.errstate(all="ignore"):
        return np.exp(scores) @ values / np.exp(scores).sum()


RIGHT = [
    ("02.1", 40_960_000),
    ("02.1", "40,960,000"),
    ("02.1", 4.096e7),
    ("02.2", 141_421),
    ("02.2", (80e9 / 4) ** 0.5),
    ("02.2", np.sqrt(20e9)),
    ("02.2", "141421"),
    ("02.3", 130),
    ("02.3", "130"),
    ("02.4", own.read_cost),
    ("02.4", read_by_shapes),
    ("02.4", read_by_library),
    ("02.5", own.blend_in_chunks),
    ("02.5", chunks_in_two_passes),
    ("02.5", chunks_in_logarithms),
    ("02.5", chunks_of_one),
]
WRONG = [
    ("02.1", 160_000**2, "here latents ask"),
    ("02.1", 256 * 16_000, "one second of ten"),
    ("02.1", 256**2, "latents with samples"),
    ("02.1", 2 * 256 * 160_000, "not two"),
    ("02.1", 160_000, "number of inputs"),
    ("02.1", "many", "expected a number"),
    ("02.2", 20e9, "its square root"),
    ("02.2", np.sqrt(80e9), "four bytes, not one"),
    ("02.2", np.sqrt(320e9), "they do not multiply"),
    ("02.2", np.sqrt(10e9), "not eight"),
    ("02.2", 80e9, "those are the bytes"),
    ("02.2", 141_000, "too small"),
    ("02.3", 260, "take both of both"),
    ("02.3", 65, "keys or values alone"),
    ("02.3", 16_900, "one factor of 130 cancels"),
    ("02.3", 1, "more latents"),
    ("02.3", 261, "as in the lesson"),
    ("02.4", own._as_flops, "not two"),
    ("02.4", own._scores_only, "projections are missing"),
    ("02.4", own._no_sum, "weighted sum of the values"),
    ("02.4", own._no_values, "m * C * C twice"),
    ("02.4", own._no_output, "two projections is missing"),
    ("02.4", own._no_queries_or_output, "projected too"),
    ("02.4", own._at_latent_width, "not the latents' width"),
    ("02.4", lambda n, m, D, C: (n, m), "shape"),
    ("02.4", lambda n: n, "TypeError"),
    ("02.4", 7, "expected a function"),
    ("02.5", own._mean_of_chunks, "averaged alike"),
    ("02.5", own._weighted_by_length, "by their lengths"),
    ("02.5", own._sum_of_chunks, "divide only once"),
    ("02.5", own._last_chunk_missing, "last chunk is missing"),
    ("02.5", own._last_chunk_only, "carry what came before"),
    ("02.5", own._own_peaks, "its own largest score"),
    ("02.5", chunks_that_overflow, "overflows"),
    ("02.5", lambda scores, values, size: values, "shape"),
    ("02.5", "softmax", "expected a function"),
]


class TestAnswers(Answers):
    number = "02"
    right = RIGHT
    wrong = WRONG
