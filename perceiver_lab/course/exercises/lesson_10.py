"""Lesson 10, Decoding fast: latents in use, what a cache holds, what an edit spoils, temperature and nucleus."""

import numpy as np

from perceiver_lab.course.exercises import graders
from perceiver_lab.course.exercises.base import Exercise

_rng = np.random.default_rng(10)
_READ, _LAYER = 2 * 768 * 96, 2 * 128 * 96


def spoiled(place, num_events, num_latents):
    """[entries of inputs, latents] to be computed anew when the token at a place becomes another."""
    first = num_events - num_latents
    return np.array([1, num_events - max(place, first)])


def cooled(probabilities, temperature):
    """(V,): to the power 1 / T, normalised."""
    powers = np.asarray(probabilities, np.float64) ** (1 / temperature)
    return powers / powers.sum()


def nucleus(probabilities, top_p):
    """(V,): the likeliest tokens that together have top_p, the others 0, not normalised."""
    order = np.argsort(-probabilities)
    before = np.concatenate([[0.0], np.cumsum(probabilities[order])[:-1]])
    kept = np.zeros(len(order), bool)
    kept[order[before < top_p]] = True
    return np.where(kept, probabilities, 0)


def temperature_then_nucleus(probabilities, temperature, top_p):
    """(V,): the temperature first, then the nucleus of what comes out, normalised."""
    kept = nucleus(cooled(probabilities, temperature), top_p)
    return kept / kept.sum()


def _all_later_inputs(place, num_events, num_latents):
    return np.array([num_events - place, spoiled(place, num_events, num_latents)[1]])


def _without_its_own(place, num_events, num_latents):
    return np.array([1, num_events - max(place + 1, num_events - num_latents)])


def _all_latents(place, num_events, num_latents):
    return np.array([1, num_latents])


def _beyond_the_latents(place, num_events, num_latents):
    return np.array([1, num_events - place])


def _no_latents(place, num_events, num_latents):
    return np.array([1, int(place >= num_events - num_latents)])


def _nucleus_first(probabilities, temperature, top_p):
    return cooled(nucleus(np.asarray(probabilities, np.float64), top_p), temperature)


def _not_normalised(probabilities, temperature, top_p):
    return nucleus(cooled(probabilities, temperature), top_p)


def _warm_not_normalised(probabilities, temperature, top_p):
    kept = nucleus(np.asarray(probabilities, np.float64) ** (1 / temperature), top_p)
    return kept / kept.sum()


def _one_too_few(probabilities, temperature, top_p):
    p = cooled(probabilities, temperature)
    order = np.argsort(-p)
    kept = np.zeros(len(p), bool)
    kept[order[np.cumsum(p[order]) <= top_p]] = True
    kept[order[0]] = True
    return np.where(kept, p, 0) / p[kept].sum()


def _times_temperature(probabilities, temperature, top_p):
    return temperature_then_nucleus(probabilities, 1 / temperature, top_p)


def _no_nucleus(probabilities, temperature, top_p):
    return cooled(probabilities, temperature)


def _case(size, temperature, top_p):
    return _rng.dirichlet(np.full(size, 0.7)), temperature, top_p


EXERCISES = (
    Exercise(
        id="10.1",
        title="How many latents?",
        question="The model of the chorales has 128 latents, a full pass makes 64 of them. A prompt is continued. The "
        "first new token comes from the full pass of the prompt. How many latents does the cache hold when the 100th "
        "new token is said?",
        minutes=3,
        difficulty=1,
        grade=graders.number(
            98,
            mistakes=[
                (99, "count again: the first new token needs no latent more than the full pass made"),
                (163, "the cache holds at most 128: a full pass comes between"),
                (164, "the cache holds at most 128: a full pass comes between"),
                (34, "those are the latents made since the full pass, which itself made 64"),
                (35, "after a full pass come 64 tokens from the cache, so that every 65th token is a full pass"),
                (128, "it is full at the 65th token, and then a full pass starts again with 64"),
                (64, "that is so at the 66th token, when the second full pass is made"),
            ],
        ),
        because="Tokens 1 and 66 come from full passes. Token 100 is 34 later: 64 + 34 latents.",
        hints=(
            "With 64 latents comes the first token, with 65 the second, ..., with 128 the 65th.",
            "The 66th token needs a full pass again, with 64 latents.",
            "64 + (100 - 66).",
        ),
        solution="answer = 64 + (100 - 1) % 65",
    ),
    Exercise(
        id="10.2",
        title="What is kept",
        question="How many numbers does a full cache of the chorale model hold? It has room for 768 inputs and 128 "
        "latents, 96 channels everywhere, one read and 3 latent layers.",
        minutes=3,
        difficulty=1,
        grade=graders.number(
            _READ + 3 * _LAYER,
            mistakes=[
                ((_READ + 3 * _LAYER) // 2, "keys and values are kept: twice as many"),
                (_READ, "that is for the inputs: the latents have keys and values too, in every layer"),
                (_READ + _LAYER, "each of the 3 latent layers keeps keys and values of its own"),
                (4 * _READ, "that is what a Transformer of 4 layers keeps: here the inputs are read once"),
                (4 * (_READ + 3 * _LAYER), "that is in bytes: numbers are asked for"),
                (3 * _LAYER, "the inputs are missing: 2 * 768 * 96"),
                (_READ + 4 * _LAYER, "the read keeps keys and values of inputs; 3 layers keep those of latents"),
            ],
        ),
        because="Twice 768 * 96 for the read, and three times twice 128 * 96. A Transformer of 4 layers keeps 589,824.",
        hints=(
            "Keys and values: two numbers for each channel.",
            "The read keeps them for 768 inputs, each of 3 layers for 128 latents.",
            "2 * 768 * 96 + 3 * 2 * 128 * 96.",
        ),
        solution="answer = 2 * 768 * 96 + 3 * 2 * 128 * 96",
    ),
    Exercise(
        id="10.3",
        title="An old wrong note",
        question="500 tokens are written, the cache holds 100 latents. You change the note at place 40. What has to be "
        "computed anew before the next token can be said, so that it is said as by a model that knew the new note all "
        "along?\n\n"
        "- **A** keys and values of one input; the latents are all later, so they stay\n"
        "- **B** keys and values of all inputs from place 40 on, and all latents\n"
        "- **C** keys and values of one input, and all 100 latents\n"
        "- **D** nothing: the next latent reads the new note by itself",
        minutes=3,
        difficulty=2,
        grade=graders.choice(
            "C",
            {
                "A": "the latents have read place 40, so what they carry comes from the old note",
                "B": "keys and values of an input depend on its own token and place, not on what came before",
                "D": "it would read the old keys and values, and attend to latents that know the old note",
            },
        ),
        because="Inputs do not look at each other, so one entry is spoiled; every latent has read it.",
        hints=(
            "Of what do keys and values of an input depend? Of what those of a latent?",
            "All 100 latents sit behind place 40. Which of them may read it?",
            "One input, and each latent that has read it.",
        ),
        solution='answer = "C"',
    ),
    Exercise(
        id="10.4",
        title="A cooler model",
        question="Two tokens can come, with probabilities 0.8 and 0.2. What is the probability of the first at "
        "temperature 0.5?",
        minutes=3,
        difficulty=2,
        grade=graders.number(
            16 / 17,
            rel=2e-3,
            mistakes=[
                (2 / 3, "that is temperature 2: a temperature below 1 makes the likelier one likelier"),
                (0.64, "divide by the sum of both squares, so that the probabilities add up to 1"),
                (0.8, "that is temperature 1: the logits are divided by 0.5"),
                (1.0, "that is temperature 0: some chance is left to the other"),
                (1.6, "a probability is at most 1; dividing acts on the logits, not on probabilities"),
                (0.4, "dividing acts on the logits, not on probabilities"),
            ],
        ),
        because="Logits divided by 0.5 are doubled, so that probabilities are squared: 0.64 against 0.04.",
        hints=(
            "The logits are ln 0.8 and ln 0.2. Divide them by 0.5, then softmax.",
            "exp(2 ln p) is p squared.",
            "0.8**2 / (0.8**2 + 0.2**2).",
        ),
        solution="answer = 0.8**2 / (0.8**2 + 0.2**2)",
    ),
    Exercise(
        id="10.5",
        title="The other order",
        question="Other programs let the temperature act first, and take the nucleus of what comes out. Write "
        "`heat_then_cut(probabilities, temperature, top_p)` in this order, for an array `(V,)` of probabilities, none "
        "equal to another: warm or cool them; then keep the likeliest, as few as together have at least `top_p`. "
        "Return `(V,)` probabilities that add up to 1, 0 for what was dropped.",
        minutes=6,
        difficulty=3,
        grade=graders.function(
            temperature_then_nucleus,
            [_case(9, 1.0, 0.9), _case(6, 0.5, 0.8), _case(12, 2.0, 0.6), _case(12, 1.6, 0.9)],
            mistakes=[
                (_nucleus_first, "that is the order of the lesson: here the temperature comes first"),
                (_not_normalised, "what is left has to add up to 1"),
                (_warm_not_normalised, "the nucleus is of probabilities: divide by the sum before you take it, too"),
                (_one_too_few, "the token with which the sum reaches top_p stays: together they have at least top_p"),
                (_times_temperature, "divide logits by the temperature: a power of 1 / T, not T"),
                (_no_nucleus, "nothing is dropped here: keep the likeliest tokens only"),
            ],
        ),
        because="The order matters: at T > 1 the flatter distribution needs more tokens for the same share, so that "
        "the tail that the nucleus should drop comes back in.",
        hints=(
            "Dividing logits by T raises probabilities to the power 1 / T; then divide by their sum.",
            "order = np.argsort(-p) lists the tokens from the likeliest on; np.cumsum(p[order]) are their sums.",
            "Keep a token if those before it have less than top_p together; divide what is left by its sum.",
        ),
        solution="import numpy as np\n\n\n"
        "def heat_then_cut(probabilities, temperature, top_p):\n"
        "    p = probabilities ** (1 / temperature)\n"
        "    p = p / p.sum()\n"
        "    order = np.argsort(-p)\n"
        "    kept = np.zeros(len(p), bool)\n"
        "    kept[order[np.cumsum(p[order]) - p[order] < top_p]] = True\n"
        "    return np.where(kept, p, 0) / p[kept].sum()\n\n\n"
        "answer = heat_then_cut",
    ),
    Exercise(
        id="10.6",
        title="What an edit spoils",
        question="Write `to_redo(place, num_events, num_latents)`. A cache holds `num_events` inputs, and latents at "
        "the last `num_latents` of their places, counted from 0. The token at `place` becomes another. Return an array "
        "of two numbers: for how many inputs keys and values must be computed anew, and how many latents.",
        minutes=5,
        difficulty=3,
        grade=graders.function(
            spoiled,
            [(3, 50, 10), (45, 50, 10), (49, 50, 10), (40, 50, 10)],
            mistakes=[
                (_all_later_inputs, "inputs do not look at each other: one entry is spoiled, wherever it is"),
                (_without_its_own, "the latent at the place itself was made of the old token"),
                (_all_latents, "latents before the place have not seen it: they stay"),
                (_beyond_the_latents, "there are no more latents than num_latents"),
                (_no_latents, "the latents behind the place have read it, or attended to those that have"),
            ],
        ),
        because="One input; and every latent at this place or behind it, of those that there are.",
        hints=(
            "The oldest latent sits at place num_events - num_latents.",
            "Spoiled latents start at `place`, or at the oldest one if that comes later.",
            "[1, num_events - max(place, num_events - num_latents)].",
        ),
        solution="import numpy as np\n\n\n"
        "def to_redo(place, num_events, num_latents):\n"
        "    oldest = num_events - num_latents\n"
        "    return np.array([1, num_events - max(place, oldest)])\n\n\n"
        "answer = to_redo",
    ),
)
