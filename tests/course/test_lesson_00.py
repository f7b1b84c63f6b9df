"""The exercises of lesson 00: right answers in any form, the usual mistakes by name."""

import jax
import jax.numpy as jnp
import numpy as np

from perceiver_lab.course.exercises import lesson_00 as own
from perceiver_lab.ops import attend
from tests.course.answers import Answers


def blend_by_loop(queries, places, colours, temperature):
    answers = []
    for query in queries:
        powers = [np.exp(sum(q * k for q, k in zip(query, place, strict=True)) / temperature) for place in places]
        answers.append(sum(p / sum(powers) * c for p, c in zip(powers, colours, strict=True)))
    return answers


def blend_by_einsum(queries, places, colours, temperature):
    scores = np.einsum("nd,md->nm", queries, places) / temperature
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return np.einsum("nm,mc->nc", powers, colours) / powers.sum(-1)[:, None]


def blend_by_jax(queries, places, colours, temperature):
    return jax.nn.softmax(jnp.dot(queries, places.T) / temperature) @ colours


def blend_by_library(queries, places, colours, temperature):
    q, k, v = (jnp.asarray(x, jnp.float32)[None, :, None] for x in (queries, places, colours))
    return attend(q, k, v, scale=1 / temperature)[0, :, 0]


def temperature_by_search(scores, share):
    """A table, fine enough."""
    tried = np.arange(0.005, 50, 0.005)
    powers = np.exp((scores - scores.max()) / tried[:, None])
    return tried[np.abs(powers.max(1) / powers.sum(1) - share).argmin()]


def temperature_by_warming_up(scores, share):
    temperature = 0.1
    while 1 / np.exp((scores - scores.max()) / temperature).sum() > share:
        temperature *= 1.003
    return np.array([temperature])


RIGHT = [
    ("00.1", 1 / 6),
    ("00.1", 0.167),
    ("00.1", "0.1667"),
    ("00.1", np.float32(1 / 6)),
    ("00.1", [1 / 6]),
    ("00.2", 0.75),
    ("00.2", "0.75"),
    ("00.2", jax.nn.softmax(jnp.array([0, 1.0986]))[1]),
    ("00.3", 16),
    ("00.3", "16.0"),
    ("00.3", np.exp(np.log(4) / 0.5)),
    ("00.4", own.blend),
    ("00.4", blend_by_loop),
    ("00.4", blend_by_einsum),
    ("00.4", blend_by_jax),
    ("00.4", blend_by_library),
    ("00.5", own.temperature_for),
    ("00.5", temperature_by_search),
    ("00.5", temperature_by_warming_up),
]
WRONG = [
    ("00.1", 1, "sum to six"),
    ("00.1", 6, "number of dots"),
    ("00.1", 0.2, "not five"),
    ("00.1", 100 / 6, "in percent"),
    ("00.1", 0.17, "six times 0.17"),
    ("00.1", 0.16, "six times 0.16"),
    ("00.1", "a sixth", "expected a number"),
    ("00.2", 3, "divide it by the sum"),
    ("00.2", 0.25, "first dot"),
    ("00.2", 1.0, "exp comes first"),
    ("00.2", 1 / 3, "a power over the sum"),
    ("00.2", 2 / 3, "together they are 4"),
    ("00.2", 0.5, "too small"),
    ("00.3", 8, "stands in the exponent"),
    ("00.3", 2, "at temperature 2"),
    ("00.3", 4, "does matter"),
    ("00.3", 1, "very hot"),
    ("00.3", np.exp(2), "start from that"),
    ("00.4", own._times_temperature, "divide by it"),
    ("00.4", own._no_temperature, "no effect yet"),
    ("00.4", own._over_queries, "runs over the queries"),
    ("00.4", own._over_everything, "sum of that row"),
    ("00.4", own._not_normalised, "do not sum to one"),
    ("00.4", own._no_exponential, "exp comes first"),
    ("00.4", own._winner_only, "every dot does"),
    ("00.4", own._weights_only, "multiply them with the colours"),
    ("00.4", lambda queries, places, colours, temperature: colours, "shape"),
    ("00.4", lambda queries: queries, "TypeError"),
    ("00.4", 0.5, "expected a function"),
    ("00.5", own._factor, "one over the temperature"),
    ("00.5", own._share_itself, "you return the share"),
    ("00.5", own._two_dots, "right for two dots"),
    ("00.5", own._shares_of_scores, "only differences of scores count"),
    ("00.5", own._one_step, "halve an interval"),
    ("00.5", lambda scores, share: -own.temperature_for(scores, share), "differ by up to"),
    ("00.5", lambda scores, share: scores / share, "shape"),
    ("00.5", "cold", "expected a function"),
]


class TestAnswers(Answers):
    number = "00"
    right = RIGHT
    wrong = WRONG
