"""Exercises of lesson 02, the price of looking: scores, memory, projections, a read by hand, softmax in chunks."""

import math

import numpy as np

from perceiver_lab.course.exercises.base import Exercise
from perceiver_lab.course.exercises.graders import function, number

_rng = np.random.default_rng(2)


def read_cost(n, m, D, C):
    """Multiply-adds of attention with its projections, keys and values as wide as the inputs."""
    return 2 * n * m * C + 2 * m * C * C + 2 * n * D * C


def _as_flops(n, m, D, C):
    return 2 * read_cost(n, m, D, C)


def _scores_only(n, m, D, C):
    return 2 * n * m * C


def _no_sum(n, m, D, C):
    return read_cost(n, m, D, C) - n * m * C


def _no_values(n, m, D, C):
    return read_cost(n, m, D, C) - m * C * C


def _no_output(n, m, D, C):
    return read_cost(n, m, D, C) - n * D * C


def _no_queries_or_output(n, m, D, C):
    return read_cost(n, m, D, C) - 2 * n * D * C


def _at_latent_width(n, m, D, C):
    return 2 * n * m * D + 2 * m * C * D + 2 * n * D * D


def blend_in_chunks(scores, values, size):
    """softmax(scores) @ values, by at most `size` scores at a time."""
    peak, mass, total = -np.inf, 0.0, np.zeros(values.shape[1])
    for start in range(0, len(scores), size):
        part = scores[start : start + size]
        new_peak = max(peak, part.max())
        powers, fade = np.exp(part - new_peak), np.exp(peak - new_peak)
        mass = mass * fade + powers.sum()
        total = total * fade + powers @ values[start : start + size]
        peak = new_peak
    return total / mass


def _parts(scores, values, size):
    starts = range(0, len(scores), size)
    return [blend_in_chunks(scores[i : i + size], values[i : i + size], size) for i in starts]


def _mean_of_chunks(scores, values, size):
    return np.mean(_parts(scores, values, size), axis=0)


def _sum_of_chunks(scores, values, size):
    return np.sum(_parts(scores, values, size), axis=0)


def _last_chunk_missing(scores, values, size):
    whole = len(scores) // size * size
    return blend_in_chunks(scores[:whole], values[:whole], size)


def _last_chunk_only(scores, values, size):
    return _parts(scores, values, size)[-1]


def _weighted_by_length(scores, values, size):
    lengths = [len(scores[i : i + size]) for i in range(0, len(scores), size)]
    return np.average(_parts(scores, values, size), axis=0, weights=lengths)


def _own_peaks(scores, values, size):
    """Each chunk's powers relative to its own largest score, and added as if they were alike."""
    total, mass = np.zeros(values.shape[1]), 0.0
    for start in range(0, len(scores), size):
        part = scores[start : start + size]
        powers = np.exp(part - part.max())
        total, mass = total + powers @ values[start : start + size], mass + powers.sum()
    return total / mass


def _chunk_case(count, size, spread):
    return spread * _rng.normal(size=count), _rng.normal(size=(count, 3)), size


_chunks = function(
    blend_in_chunks,
    (_chunk_case(11, 4, 2.0), _chunk_case(9, 4, 1.0), _chunk_case(10, 3, 900.0)),
    mistakes=(
        (_mean_of_chunks, "the chunks' answers are averaged alike; a chunk counts by the sum of its powers"),
        (
            _weighted_by_length,
            "the chunks' answers are weighted by their lengths; a chunk counts by the sum of its powers",
        ),
        (_sum_of_chunks, "the chunks' answers are added up; divide only once, by the sum of all powers"),
        (_last_chunk_missing, "the last chunk is missing where `size` does not divide the number of scores"),
        (_last_chunk_only, "that is the last chunk's answer; carry what came before along"),
        (_own_peaks, "each chunk subtracts its own largest score; bring the sums to a common one before you add them"),
    ),
)


def _grade_chunks(answer):
    wrong = _chunks(answer)
    if wrong and "NaN" in wrong:
        return "exp of a large score overflows: subtract the largest score so far, and fade the sums when it grows"
    return wrong


EXERCISES = (
    Exercise(
        id="02.1",
        title="Ten seconds of sound",
        question="""A recording of 10 seconds has 16,000 samples per second, and each sample is one input. 256 latents
read it with one head. How many scores are computed?""",
        minutes=2,
        difficulty=1,
        grade=number(
            256 * 160_000,
            mistakes=(
                (160_000**2, "that is self-attention among the samples; here latents ask"),
                (256 * 16_000, "that is one second of ten"),
                (256**2, "that is a layer on the latents; the read compares latents with samples"),
                (2 * 256 * 160_000, "one score for each pair of latent and sample, not two"),
                (160_000, "that is the number of inputs; each of them has a score with every latent"),
            ),
        ),
        because="256 latents times 160,000 samples: 41 million, where self-attention would need 25.6 billion.",
        hints=(
            "A score belongs to a pair of a query and a key.",
            "The queries are the latents, and the keys are made of the inputs.",
            "10 seconds have 10 * 16_000 samples.",
        ),
        solution="answer = 256 * 10 * 16_000",
    ),
    Exercise(
        id="02.2",
        title="As much as fits",
        question="""An accelerator has 80 billion bytes free. What is the largest number of inputs whose self-attention
scores, one head in float32, just fit?""",
        minutes=4,
        difficulty=2,
        grade=number(
            math.isqrt(20 * 10**9),
            rel=2e-5,
            mistakes=(
                (20e9, "that many scores fit; the number of inputs is its square root"),
                (math.sqrt(80e9), "a float32 takes four bytes, not one"),
                (math.sqrt(80e9 * 4), "the bytes of a score divide, they do not multiply"),
                (math.sqrt(10e9), "a float32 takes four bytes, not eight"),
                (80e9, "those are the bytes: divide by four for the scores, and take the root"),
            ),
        ),
        because="Four bytes for each of M * M scores. Ten seconds of raw sound do not fit.",
        hints=(
            "How many bytes do M * M scores take?",
            "4 * M * M is 80 billion.",
            "M is the square root of 20 billion.",
        ),
        solution="answer = int((80e9 / 4) ** 0.5)",
    ),
    Exercise(
        id="02.3",
        title="Making keys or comparing them",
        question="""A Perceiver reads inputs of 130 channels; keys and values are as wide as the inputs. With how many
latents do scores and weighted sum cost as much as making the keys and values?""",
        minutes=4,
        difficulty=2,
        grade=number(
            130,
            mistakes=(
                (
                    260,
                    "that counts only the scores or only the sum against keys and values together: take both of both",
                ),
                (65, "that counts keys or values alone against scores and sum together: take both of both"),
                (130**2, "one factor of 130 cancels: M * C * 2C against N * M * 2C"),
                (1, "more latents are needed: M * C * 2C has the factor C twice, N * M * 2C once"),
                (261, "that would be for inputs of 261 channels, as in the lesson"),
            ),
        ),
        because="N * M * 2C equals M * C * 2C where N is C: as many latents as channels, whatever M is.",
        hints=(
            "Write both down: M inputs, N latents, C channels.",
            "Scores and sum take N * M * (C + C), keys and values M * C * (C + C).",
            "Cancel what both have in common: N on one side, C on the other.",
        ),
        solution="answer = 130",
    ),
    Exercise(
        id="02.4",
        title="The price of a read",
        question="""Write `read_cost(n, m, D, C)`: the multiply-adds of the attention in a read, with all its
projections and without the MLP. n latents of width D, m inputs of width C; queries, keys and values have width C.""",
        minutes=8,
        difficulty=3,
        grade=function(
            read_cost,
            ((2, 5, 7, 3), (8, 4, 3, 6), (3, 3, 5, 2)),
            mistakes=(
                (_as_flops, "those are FLOPs: a multiply-add is one here, not two"),
                (_scores_only, "the projections are missing: queries, keys, values and output"),
                (_no_sum, "the weighted sum of the values is missing: n * m * C once more"),
                (_no_values, "keys and values are both made from the inputs: m * C * C twice"),
                (_no_output, "one of the latents' two projections is missing: queries from D to C, output from C to D"),
                (_no_queries_or_output, "the latents are projected too: queries from D to C, output from C to D"),
                (_at_latent_width, "queries, keys and values have the inputs' width C here, not the latents' width D"),
            ),
        ),
        because="Two products with all pairs, two projections of the inputs, two of the latents.",
        hints=(
            "A product of (a, b) with (b, c) takes a * b * c multiply-adds. There are six of them.",
            "Two have n * m in them, two have m * C * C, two have n * D * C.",
            "2 * n * m * C for scores and sum; the other four are projections.",
        ),
        solution="""
def read_cost(n, m, D, C):
    looking = n * m * C + n * m * C
    inputs = m * C * C + m * C * C
    latents = n * D * C + n * C * D
    return looking + inputs + latents

answer = read_cost
""",
    ),
    Exercise(
        id="02.5",
        title="A softmax in pieces",
        question="""Write `blend_in_chunks(scores, values, size)`: softmax(scores) @ values for scores (m,) and values
(m, e), looking at no more than `size` scores at a time. Scores may be large, such as 1,000.""",
        minutes=15,
        difficulty=3,
        grade=_grade_chunks,
        because="A sum of powers and one of weighted values, relative to the largest score yet: exact in any memory.",
        hints=(
            "Keep two running sums: of the powers, and of the powers times the values. Divide once, at the end.",
            "Keep the largest score so far too, and take exp(score - largest).",
            "When a larger one comes, multiply both sums by exp(old - new) before you add the next chunk.",
        ),
        solution="""
def blend_in_chunks(scores, values, size):
    largest, mass, total = -np.inf, 0.0, 0.0
    for start in range(0, len(scores), size):
        s, v = scores[start : start + size], values[start : start + size]
        new = max(largest, s.max())
        fade, powers = np.exp(largest - new), np.exp(s - new)
        mass, total = mass * fade + powers.sum(), total * fade + powers @ v
        largest = new
    return total / mass

answer = blend_in_chunks
""",
    ),
)
