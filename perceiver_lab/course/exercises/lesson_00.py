"""Exercises of lesson 00, first contact: shares, softmax by hand, temperature, attention for many queries."""

import math

import numpy as np

from perceiver_lab.course.exercises.base import Exercise
from perceiver_lab.course.exercises.graders import as_number, function, number

_rng = np.random.default_rng(0)


def _softmax(scores, axis=-1):
    powers = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def blend(queries, places, colours, temperature):
    """queries (n, 2), places (m, 2), colours (m, 3) -> (n, 3)."""
    return _softmax(queries @ places.T / temperature) @ colours


def _times_temperature(queries, places, colours, temperature):
    return blend(queries, places, colours, 1 / temperature)


def _no_temperature(queries, places, colours, temperature):
    return blend(queries, places, colours, 1.0)


def _over_queries(queries, places, colours, temperature):
    return _softmax(queries @ places.T / temperature, axis=0) @ colours


def _over_everything(queries, places, colours, temperature):
    powers = np.exp(queries @ places.T / temperature)
    return powers / powers.sum() @ colours


def _not_normalised(queries, places, colours, temperature):
    return np.exp(queries @ places.T / temperature) @ colours


def _no_exponential(queries, places, colours, temperature):
    scores = queries @ places.T / temperature
    return scores / scores.sum(axis=-1, keepdims=True) @ colours


def _winner_only(queries, places, colours, temperature):
    return colours[(queries @ places.T).argmax(axis=-1)]


def _weights_only(queries, places, colours, temperature):
    return _softmax(queries @ places.T / temperature)


def _case(num_queries, num_dots, temperature):
    queries, places = _rng.normal(size=(num_queries, 2)), _rng.normal(size=(num_dots, 2))
    return queries, places, _rng.random((num_dots, 3)), temperature


_blend = function(
    blend,
    (_case(4, 6, 0.5), _case(5, 7, 2.0), _case(3, 4, 1.0)),
    mistakes=(
        (_times_temperature, "you multiply by the temperature; divide by it: hot means that differences count less"),
        (_no_temperature, "the temperature has no effect yet: divide the scores by it before exp"),
        (_over_queries, "the softmax runs over the queries; each query shares a weight of one among the dots: axis=-1"),
        (_over_everything, "you divide by the sum of all powers; divide each row by the sum of that row"),
        (_not_normalised, "the weights do not sum to one yet: divide the powers of each row by their sum"),
        (_no_exponential, "you divide the scores themselves by their sum, and scores may be negative: exp comes first"),
        (_winner_only, "only the best dot counts in your answer; every dot does, by its weight"),
        (_weights_only, "those are the weights, (n, m); multiply them with the colours"),
    ),
)


def temperature_for(scores, share):
    """The temperature at which the largest of softmax(scores / temperature) is `share`: by halving an interval."""
    cold, hot = 1e-6, 1e6
    for _ in range(100):
        middle = np.sqrt(cold * hot)
        cold, hot = (middle, hot) if _softmax(scores / middle).max() > share else (cold, middle)
    return middle


def _factor(scores, share):
    return 1 / temperature_for(scores, share)


def _share_itself(scores, share):
    return share


def _two_dots(scores, share):
    second, first = np.sort(scores)[-2:]
    return (first - second) / np.log(share / (1 - share))


def _shares_of_scores(scores, share):
    return scores.max() / np.log(share / (1 - share))


def _one_step(scores, share):
    """From temperature 1, by the rule of three."""
    return _softmax(scores).max() / share


_temperature = function(
    temperature_for,
    ((np.array([0.0, 1.0]), 0.9), (np.array([0.3, -0.2, 1.4, 1.1, 0.0, -2.0]), 0.7), (np.array([3.0, 1.0, -1.0]), 0.6)),
    atol=1e-2,
    mistakes=(
        (_factor, "that is one over the temperature, the factor on the scores; scores are divided by the temperature"),
        (_share_itself, "you return the share; return the temperature at which the best dot gets it"),
        (
            _two_dots,
            "that is right for two dots; with more, the others take a part of the weight too, so search for it",
        ),
        (_shares_of_scores, "only differences of scores count: the best score by itself says nothing"),
        (_one_step, "the share does not fall in proportion as the temperature rises; search: halve an interval"),
    ),
)


def _grade_temperature(answer):
    """An array of one number is a number too."""

    def one(scores, share):
        found = answer(scores, share)
        return found if found is None or found is ... or as_number(found) is None else as_number(found)

    return _temperature(one if callable(answer) else answer)


EXERCISES = (
    Exercise(
        id="00.1",
        title="Equal shares",
        question="""Six dots get equal weights, and the weights sum to one. How large is each? Give a number.""",
        minutes=1,
        difficulty=1,
        grade=number(
            1 / 6,
            rel=3e-3,
            mistakes=(
                (1.0, "then they would sum to six; all six together have the one"),
                (6.0, "that is the number of dots; their weights are shares of one"),
                (1 / 5, "there are six dots to share it, not five"),
                (100 / 6, "that is in percent; a weight is a fraction of one"),
                (0.17, "that is rounded too far: six times 0.17 is 1.02"),
                (0.16, "that is rounded too far: six times 0.16 is 0.96"),
            ),
        ),
        because="One divided by six. Whoever looks at everything alike gives each of m things 1 / m.",
        hints=(
            "The six of them make one whole.",
            "Python calculates: a division may stand in place of the dots.",
            "Write answer = 1 / 6.",
        ),
        solution="answer = 1 / 6",
    ),
    Exercise(
        id="00.2",
        title="A softmax by hand",
        question="""Two dots have the scores 0 and 1.0986, which is the logarithm of 3. The temperature is 1. Which
weight does the second dot get?""",
        minutes=3,
        difficulty=2,
        grade=number(
            0.75,
            rel=1e-3,
            mistakes=(
                (3.0, "that is its power, exp of the score; divide it by the sum of both powers"),
                (0.25, "that is the weight of the first dot"),
                (1.0, "you divided the scores by their sum; exp comes first, and exp(0) is 1, not 0"),
                (1 / 3, "that is the first dot's power over the second's; a weight is a power over the sum of both"),
                (2 / 3, "the powers are 1 and 3: together they are 4"),
            ),
        ),
        because="The powers are 1 and 3, their sum is 4: the weights are 1/4 and 3/4.",
        hints=(
            "First exp of each score, then a share of the sum.",
            "exp(0) is 1, whatever the unit.",
            "exp of the logarithm of 3 is 3: the powers are 1 and 3.",
        ),
        solution="answer = 3 / (1 + 3)",
    ),
    Exercise(
        id="00.3",
        title="Half as hot",
        question="""At temperature 1, dot C gets four times the weight of dot E. How many times its weight does it get
at temperature 0.5?""",
        minutes=4,
        difficulty=2,
        grade=number(
            16,
            rel=1e-3,
            mistakes=(
                (
                    8.0,
                    "the difference of the scores doubles, and it stands in the exponent: it does not double the ratio",
                ),
                (2.0, "that is at temperature 2: colder makes the ratio larger, not smaller"),
                (4.0, "the temperature does matter: it divides both scores, and so their difference"),
                (1.0, "equal weights come when it gets very hot; it got colder"),
                (math.exp(2), "the ratio at temperature 1 is four, so start from that: exp(2 d) if exp(d) is 4"),
            ),
        ),
        because="The ratio of two weights is exp(difference / temperature): half the temperature squares it.",
        hints=(
            "Both weights have the same sum below them, so their ratio is the ratio of their powers.",
            "The ratio of two powers is exp of the difference of the scores, divided by the temperature.",
            "exp(d / 1) is 4. What is exp(d / 0.5), which is exp(d) times exp(d)?",
        ),
        solution="answer = 4**2",
    ),
    Exercise(
        id="00.4",
        title="From memory, for many queries",
        question="""Write `blend(queries, places, colours, temperature)`: queries (n, 2), places (m, 2), colours (m, 3).
Return what each query reads, (n, 3).""",
        minutes=10,
        difficulty=3,
        grade=_blend,
        because="Scores, temperature, softmax over the dots, average: this is attention, and there is no more to it.",
        hints=(
            "Three lines: scores (n, m), weights (n, m), answers (n, 3).",
            "queries @ places.T gives all scores at once: a row for each query.",
            "Divide the powers by powers.sum(axis=-1, keepdims=True), so that each row sums to one.",
        ),
        solution="""
def blend(queries, places, colours, temperature):
    powers = np.exp(queries @ places.T / temperature)
    weights = powers / powers.sum(axis=-1, keepdims=True)
    return weights @ colours

answer = blend
""",
    ),
    Exercise(
        id="00.5",
        title="How cold must it be?",
        question="""Write `temperature_for(scores, share)`: the temperature at which the dot with the highest score gets
the weight `share`. It is enough to be right to a hundredth.""",
        minutes=12,
        difficulty=3,
        grade=_grade_temperature,
        because="The colder, the more the best dot gets, always: so an interval can be halved until it is small.",
        hints=(
            "There is no formula for more than two dots. But hotter always means a smaller share for the best one.",
            "Start with an interval that is surely wide enough, 0.001 to 1000, and look at a temperature inside.",
            "If the best dot gets more than `share` there, the middle becomes the new lower end, otherwise the upper.",
        ),
        solution="""
def temperature_for(scores, share):
    cold, hot = 0.001, 1000.0
    for _ in range(60):
        middle = (cold * hot) ** 0.5
        powers = np.exp((scores - scores.max()) / middle)
        if powers.max() / powers.sum() > share:
            cold = middle
        else:
            hot = middle
    return middle

answer = temperature_for
""",
    ),
)
