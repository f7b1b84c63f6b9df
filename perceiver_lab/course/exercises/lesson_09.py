"""Lesson 09, Perceiver AR: what a latent may see, scores, floors, leaks, masks."""

import math

import numpy as np

from perceiver_lab.course.exercises import graders
from perceiver_lab.course.exercises.base import Exercise

_rng = np.random.default_rng(9)
_READ, _LATENT = 1024 * 8192, 1024 * 1024


def mask_of_the_read(num_inputs, num_latents):
    """(N, M): the latents sit at the last places, and each reads up to its own."""
    places = np.arange(num_inputs - num_latents, num_inputs)
    return places[:, None] >= np.arange(num_inputs)[None, :]


def later_and_reached(sizes, places):
    """(n, m): a gradient that is not 0, at an input behind the output's place."""
    places = np.asarray(places)[:, None]
    return (np.asarray(sizes) > 0) & (np.arange(sizes.shape[1]) > places) & (places >= 0)


def _upper_left(num_inputs, num_latents):
    return np.tril(np.ones((num_latents, num_inputs), bool))


def _own_left_out(num_inputs, num_latents):
    return np.tril(np.ones((num_latents, num_inputs), bool), num_inputs - num_latents - 1)


def _one_too_far(num_inputs, num_latents):
    return np.tril(np.ones((num_latents, num_inputs), bool), num_inputs - num_latents + 1)


def _turned_round(num_inputs, num_latents):
    return ~mask_of_the_read(num_inputs, num_latents)


def _square(num_inputs, num_latents):
    return np.tril(np.ones((num_inputs, num_inputs), bool))


def _with_nowhere(sizes, places):
    return (sizes > 0) & (np.arange(sizes.shape[1]) > places[:, None])


def _own_place_too(sizes, places):
    return (sizes > 0) & (np.arange(sizes.shape[1]) >= places[:, None]) & (places[:, None] >= 0)


def _whatever_is_later(sizes, places):
    return (np.arange(sizes.shape[1]) > places[:, None]) & (places[:, None] >= 0)


def _whatever_came_before(sizes, places):
    return (sizes > 0) & (np.arange(sizes.shape[1]) <= places[:, None]) & (places[:, None] >= 0)


def _rows_for_places(sizes, places):
    return (sizes > 0) & (np.arange(sizes.shape[1]) > np.arange(len(sizes))[:, None]) & (places[:, None] >= 0)


def _leak_case(count, size, places):
    sizes = _rng.random((count, size)) * (_rng.random((count, size)) < 0.6)
    return sizes, np.array(places)


EXERCISES = (
    Exercise(
        id="09.1",
        title="What a latent may see",
        question="A Perceiver AR reads 1,000 events, numbered from 0, with 100 latents, also numbered from 0. How many "
        "events may latent 9 read?",
        minutes=2,
        difficulty=1,
        grade=graders.number(
            910,
            mistakes=[
                (909, "it sits at place 909, and may read that one too: count from 0"),
                (10, "that is a staircase from the upper left: latents sit at the last places"),
                (9, "that is a staircase from the upper left: latents sit at the last places"),
                (911, "place 910 is what it has to foretell"),
                (1000, "only the last latent may read all of them"),
                (100, "the number of latents limits the latent layers, not the read"),
            ],
        ),
        because="Latent 9 sits at place 900 + 9 and reads places 0 to 909.",
        hints=(
            "Where do the latents sit? At the last 100 of 1,000 places.",
            "Latent 0 sits at place 900, so latent 9 at place 909.",
            "Places 0 to 909 are 910 events.",
        ),
        solution="answer = 1000 - 100 + 9 + 1",
    ),
    Exercise(
        id="09.2",
        title="Count the scores",
        question="A context of 8,192, 1,024 latents, one read and 6 latent layers. How many scores does one head "
        "compute in a pass, in the read and all latent layers together, masked ones included?",
        minutes=3,
        difficulty=1,
        grade=graders.number(
            _READ + 6 * _LATENT,
            mistakes=[
                (_READ, "that is the read alone: 6 latent layers follow"),
                (_READ + _LATENT, "there are 6 latent layers, each with its own scores"),
                (7 * _READ, "the latent layers compare latents with latents: 1,024 * 1,024"),
                (7 * 8192**2, "that is a Transformer of 7 layers on the inputs"),
                (8192**2 + 6 * _LATENT, "the read compares latents with inputs: 1,024 * 8,192"),
                (6 * _LATENT, "the read is missing: 1,024 * 8,192"),
            ],
        ),
        because="8.4 million in the read and 6.3 million in the layers; a Transformer of 7 layers has 470 million.",
        hints=(
            "A score for each pair of a row that asks and a row that answers.",
            "In the read 1,024 ask and 8,192 answer; in a latent layer 1,024 ask and 1,024 answer.",
            "1024 * 8192 + 6 * 1024 * 1024.",
        ),
        solution="answer = 1024 * 8192 + 6 * 1024 * 1024",
    ),
    Exercise(
        id="09.3",
        title="Too good to be true",
        question="A colleague trains a model on the copy task of this lesson and reports a training loss of 0.4 nats "
        "for each token, where the floor is 1.30. What should both of you do first?\n\n"
        "- **A** train longer, for the loss has not reached 0 yet\n"
        "- **B** look for a leak, by the gradient of a logit with respect to later inputs\n"
        "- **C** take more latents, since 16 are too few to say more\n"
        "- **D** publish, for the model has found a rule in the random symbols",
        minutes=3,
        difficulty=2,
        grade=graders.choice(
            "B",
            {
                "A": "an honest loss cannot go below 1.30, so 0 is nothing to hope for",
                "C": "the loss is too low, not too high",
                "D": "symbols drawn at random have no rule: a model that knows them has seen them",
            },
        ),
        because="Below the floor, the model must have seen what it is asked for; the gradient names the place.",
        hints=(
            "What does the floor mean, and who can get below it?",
            "Random symbols can only be known by seeing them.",
            "Which test of this lesson shows what a latent can see?",
        ),
        solution='answer = "B"',
    ),
    Exercise(
        id="09.4",
        title="A floor of your own",
        question="A sequence of this lesson is read up to place 40, so that the 16 latents sit at places 25 to 40. "
        "What is the lowest loss, in nats and averaged over the 16, that an honest model can reach there?",
        minutes=4,
        difficulty=2,
        grade=graders.number(
            6 / 16 * math.log(256),
            rel=5e-3,
            mistakes=[
                (7 / 16 * math.log(256), "the latent at place 31 foretells event 32, which mirrors event 31"),
                (math.log(256), "that is the price of one random symbol; most of the 16 are certain"),
                (6 * math.log(256), "that is the sum: the mean over 16 latents is asked for"),
                (6 / 16 * 8, "that is in bits: a random symbol costs ln 256 nats"),
                (120 / 512 * math.log(256), "that is the mean over all cuts; here the cut is known"),
                (10 / 16 * math.log(256), "the other way round: events from 32 on are certain"),
                (0.0, "the first latents have to foretell random symbols"),
            ],
        ),
        because="Events 26 to 31 are random, six of the 16 that are foretold, and each costs ln 256 = 5.55 nats.",
        hints=(
            "The latent at place p foretells event p + 1. Which events are foretold here?",
            "Events 26 to 41. Those before 32 are random, the others can be known.",
            "Six of 16, each ln 256 nats.",
        ),
        solution="import math\n\nanswer = 6 / 16 * math.log(256)",
    ),
    Exercise(
        id="09.5",
        title="The mask of the read",
        question="Write `read_mask(num_inputs, num_latents)`: a bool array of shape `(num_latents, num_inputs)`, True "
        "where a latent may read an input. The latents sit at the last places, and each may read up to its own, that "
        "one included.",
        minutes=5,
        difficulty=3,
        grade=graders.function(
            mask_of_the_read,
            [(10, 4), (7, 7), (9, 1)],
            mistakes=[
                (_upper_left, "the staircase starts in the upper left: the last latent must see every input"),
                (_own_left_out, "each latent may read its own place too"),
                (_one_too_far, "this leaks: each latent sees the place that it has to foretell"),
                (_turned_round, "True means may read, everywhere in this library"),
                (_square, "there is one row for each latent, not for each input"),
            ],
        ),
        because="The place of each latent is compared with that of each input; N = M gives the usual triangle.",
        hints=(
            "At which places do the latents sit? np.arange(num_inputs - num_latents, num_inputs).",
            "Compare them with all places: places[:, None] and np.arange(num_inputs)[None, :].",
            "places[:, None] >= np.arange(num_inputs)[None, :].",
        ),
        solution="import numpy as np\n\n\n"
        "def read_mask(num_inputs, num_latents):\n"
        "    places = np.arange(num_inputs - num_latents, num_inputs)\n"
        "    return places[:, None] >= np.arange(num_inputs)[None, :]\n\n\n"
        "answer = read_mask",
    ),
    Exercise(
        id="09.6",
        title="A leak detector",
        question="Write `find_leaks(sizes, places)`. `sizes` `(n, m)` are norms of gradients of each output with "
        "respect to each input, `places` `(n,)` says where each output stands, -1 for one that stands nowhere and is "
        "not judged. Return a bool array `(n, m)`, True where an output depends on an input that comes after its "
        "place.",
        minutes=6,
        difficulty=3,
        grade=graders.function(
            later_and_reached,
            [_leak_case(4, 9, [5, 6, 7, 8]), _leak_case(5, 6, [-1, -1, 0, 1, 2])],
            mistakes=[
                (_with_nowhere, "outputs with place -1 stand nowhere: they are not judged"),
                (_own_place_too, "an output may depend on its own place"),
                (_whatever_is_later, "a later input is a leak only where its gradient is not 0"),
                (_whatever_came_before, "what came before may be seen: look behind the place"),
                (_rows_for_places, "row 0 does not stand at place 0: `places` says where each output stands"),
            ],
        ),
        because="This is what the library's `introspect.reach(...).leaks` lists.",
        hints=(
            "Three conditions have to hold together: join them with &.",
            "np.arange(m)[None, :] > places[:, None] is True behind each output's place.",
            "(sizes > 0) & (np.arange(m)[None, :] > places[:, None]) & (places[:, None] >= 0).",
        ),
        solution="import numpy as np\n\n\n"
        "def find_leaks(sizes, places):\n"
        "    later = np.arange(sizes.shape[1])[None, :] > places[:, None]\n"
        "    return (sizes > 0) & later & (places[:, None] >= 0)\n\n\n"
        "answer = find_leaks",
    ),
)
