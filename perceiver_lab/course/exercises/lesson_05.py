"""Lesson 05, looking through latents: rollout, many maps for one answer, heads that watch positions, deletion."""

import numpy as np

from perceiver_lab.course.exercises import graders
from perceiver_lab.course.exercises.base import Exercise

_rng = np.random.default_rng(5)


def rolled(read, layers):
    """Rollout (b, n, m) of a read (b, h, n, m) and the latent layers (l, b, h, n, n) after it."""
    mixed = read.mean(axis=1)
    for weights in layers:
        mixed = (0.5 * weights.mean(axis=1) + 0.5 * np.eye(weights.shape[-1])) @ mixed
    return mixed


def _without_residual(read, layers):
    mixed = read.mean(axis=1)
    for weights in layers:
        mixed = weights.mean(axis=1) @ mixed
    return mixed


def _one_on_top(read, layers):
    mixed = read.mean(axis=1)
    for weights in layers:
        mixed = (weights.mean(axis=1) + np.eye(weights.shape[-1])) @ mixed
    return mixed


def position_share(maps):
    """What share of one latent's maps (b, m), measured from the even map, is the same on all pictures."""
    apart = maps - 1 / maps.shape[1]
    return (apart.mean(axis=0) ** 2).sum() / (apart**2).sum(axis=1).mean()


def _from_zero(maps):
    return (maps.mean(axis=0) ** 2).sum() / (maps**2).sum(axis=1).mean()


def blanked(values, rating, count, blank):
    """Values (m,) with the `count` elements of the highest rating blanked."""
    result = np.array(values)
    result[np.argsort(-rating)[:count]] = blank
    return result


def _the_lowest(values, rating, count, blank):
    return blanked(values, -rating, count, blank)


def _the_others(values, rating, count, blank):
    return np.where(np.argsort(np.argsort(-rating)) < count, values, blank)


def _the_largest(values, rating, count, blank):
    return blanked(values, values, count, blank)


def _softmax(scores):
    exponentials = np.exp(scores)
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


_READ = _softmax(_rng.normal(0, 2, (2, 2, 3, 7)))
_LAYERS = _softmax(_rng.normal(0, 2, (3, 2, 4, 3, 3)))
_MAPS = _softmax(_rng.normal(size=16) + _rng.normal(size=(5, 16)))
_VALUES, _RATING = _rng.normal(size=12), _rng.permutation(12) / 7

EXERCISES = (
    Exercise(
        id="05.1",
        title="Roll by hand",
        question="Two latents read three pixels: latent 0 with the weights 0.5, 0.5, 0, latent 1 with 0, 0.2, 0.8. "
        "Then comes one latent layer, in which latent 0 attends to latents 0 and 1 with 0.6 and 0.4. Half of a layer's "
        "output is its input. Which weights on the three pixels does rollout give latent 0?",
        minutes=4,
        difficulty=1,
        grade=graders.array(
            [0.4, 0.44, 0.16],
            mistakes=[
                ([0.3, 0.38, 0.32], "that is the layer's map times the read; half of the layer's output is its input"),
                ([0.5, 0.5, 0.0], "those are the weights of its read; the latent layer mixes latent 1 in"),
                ([0.8, 0.88, 0.32], "they sum to two: the residual and the map count one half each"),
                ([0.2, 0.32, 0.48], "the shares are the wrong way round: latent 0 keeps 0.8 of itself, and takes 0.2"),
            ],
        ),
        because="Latent 0 keeps 0.5 + 0.5 * 0.6 = 0.8 of what it read, and takes 0.2 of what latent 1 read.",
        hints=(
            "How much of latent 0 is in latent 0 after the layer, and how much of latent 1?",
            "With the residual the layer's row is 0.5 * (0.6, 0.4) + 0.5 * (1, 0) = (0.8, 0.2).",
            "0.8 * (0.5, 0.5, 0) + 0.2 * (0, 0.2, 0.8).",
        ),
        solution="import numpy as np\n\n"
        "read = np.array([[0.5, 0.5, 0.0], [0.0, 0.2, 0.8]])\n"
        "row = 0.5 * np.array([0.6, 0.4]) + 0.5 * np.array([1.0, 0.0])\n"
        "answer = row @ read",
    ),
    Exercise(
        id="05.2",
        title="What follows?",
        question="In the first read, latent 7 puts half of its weight on one pixel. The model says that the picture is "
        "a 7. What follows?\n\n"
        "- **A** without this pixel the model would say something else\n"
        "- **B** half of the average of values that latent 7 takes in comes from this pixel's value\n"
        "- **C** the pixel speaks for the 7\n"
        "- **D** the pixel is among those with the most ink",
        minutes=3,
        difficulty=2,
        grade=graders.choice(
            "B",
            {
                "A": "there are other latents, other reads and a residual; only taking the pixel away can tell",
                "C": "a weight has no sign: the pixel's value may as well speak against the 7",
                "D": "the lesson's model has latents that look at dark places, whatever stands there",
            },
        ),
        because="A weight says how much of a value is taken, not what the value does to the answer.",
        hints=(
            "Write down what a read computes with a weight, and what happens to the result.",
            "Between the weight and the logit lie the value, the output projection, MLPs, layers and other latents.",
            "One of the four is the definition of attention. The others would need an experiment.",
        ),
        solution='answer = "B"',
    ),
    Exercise(
        id="05.3",
        title="Many maps, one answer",
        question="The published Perceiver for ImageNet reads 50,176 pixels with one head and values of 261 channels. "
        "Among how many independent directions, at least, can the map of one latent be moved so that its weights still "
        "sum to one and the latent still reads exactly the same? (Leave aside that weights may not be negative.)",
        minutes=4,
        difficulty=2,
        grade=graders.number(
            50176 - 261 - 1,
            mistakes=[
                (50176 - 261, "the weights must sum to one as well, which is one condition more"),
                (261, "that is the number of conditions that the values make; what is left free is the question"),
                (262, "that is the number of conditions; what is left free is the question"),
                (50176, "what the latent reads must stay: 261 sums over the pixels are given"),
                (50175, "you kept the sum of the weights; the 261 channels of what is read must stay too"),
            ],
        ),
        because="50,176 weights, 261 channels to keep and one sum: the map is nearly all freedom.",
        hints=(
            "What the latent reads is 261 weighted sums over the pixels.",
            "Each sum that must stay is one linear equation for the 50,176 weights. So is their own sum.",
            "Directions that are left: weights less equations.",
        ),
        solution="answer = 50176 - 261 - 1",
    ),
    Exercise(
        id="05.4",
        title="Rollout",
        question="Write `rolled(read, layers)`: from the weights of a read `(b, h, n, m)` and of the latent layers "
        "after it, `(l, b, h, n, n)`, the rollout to the inputs, `(b, n, m)`. Heads are averaged, and half of each "
        "latent layer's output is its input; nothing is kept of the latents before the read.",
        minutes=8,
        difficulty=3,
        grade=graders.function(
            rolled,
            [(_READ, _LAYERS), (_READ[:1], _LAYERS[:1, :1])],
            mistakes=[
                (_without_residual, "half of each latent layer's output is its input: mix in the identity"),
                (_one_on_top, "the rows do not sum to one: map and identity count one half each"),
                (
                    lambda read, layers: rolled(read, layers[::-1]),
                    "the layers are multiplied in the wrong order: the later a layer, the further left it stands",
                ),
                (
                    lambda read, layers: rolled(read, layers) * read.shape[1],
                    "the heads of the read are summed; they are to be averaged",
                ),
            ],
        ),
        because="Rows sum to one all the way: each layer mixes what the layers before had mixed.",
        hints=(
            "Average over the axis of the heads first: then everything is matrices.",
            "A latent layer with its residual is 0.5 * W + 0.5 * I.",
            "Start with the read's matrix, and multiply each layer's from the left: mixed = layer @ mixed.",
        ),
        solution="import numpy as np\n\n\n"
        "def rolled(read, layers):\n"
        "    mixed = read.mean(axis=1)\n"
        "    for weights in layers:\n"
        "        mixed = (0.5 * weights.mean(axis=1) + 0.5 * np.eye(weights.shape[-1])) @ mixed\n"
        "    return mixed\n\n\n"
        "answer = rolled",
    ),
    Exercise(
        id="05.5",
        title="Does it look at all?",
        question="Write `share(maps)`: from the maps `(b, m)` of one latent on `b` pictures, the share of what tells "
        "them from an even map (weight `1 / m` everywhere) that is the same on all pictures. That is the squared "
        "length of the mean map less the even one, over the mean squared length of the maps less the even one.",
        minutes=6,
        difficulty=3,
        grade=graders.function(
            position_share,
            [(_MAPS,), (_MAPS[:2],), (np.repeat(_MAPS[:1], 3, axis=0),)],
            mistakes=[
                (_from_zero, "measure from the even map, not from zero: take off 1 / m before you square"),
                (
                    lambda maps: 1 - position_share(maps),
                    "that part changes with the picture; give the other one",
                ),
                (lambda maps: np.sqrt(position_share(maps)), "compare squared lengths, not lengths"),
            ],
        ),
        because="One means that the latent looks at places, whatever stands there; 1 / b is what chance leaves.",
        hints=(
            "Take off 1 / m from every weight first.",
            "Above the line: average over the pictures, then square and sum over the pixels.",
            "Below the line: square and sum over the pixels, then average over the pictures.",
        ),
        solution="def share(maps):\n"
        "    apart = maps - 1 / maps.shape[1]\n"
        "    return (apart.mean(axis=0) ** 2).sum() / (apart**2).sum(axis=1).mean()\n\n\n"
        "answer = share",
    ),
    Exercise(
        id="05.6",
        title="One point of a deletion curve",
        question="Write `blanked(values, rating, count, blank)`: the values `(m,)` of a picture after its `count` "
        "pixels of the highest `rating` `(m,)` have been set to `blank`. No two ratings are the same.",
        minutes=5,
        difficulty=3,
        grade=graders.function(
            blanked,
            [(_VALUES, _RATING, 4, -1.0), (_VALUES, _RATING, 0, -1.0), (_VALUES, _RATING, 12, 0.0)],
            mistakes=[
                (_the_lowest, "those are the pixels of the lowest rating; the highest go first"),
                (_the_others, "you kept what was to go, and blanked what was to stay"),
                (_the_largest, "you went by the values themselves; go by the rating"),
            ],
        ),
        because="Ask the model at each count, and the probabilities are the deletion curve.",
        hints=(
            "np.argsort sorts upwards; sort the negative rating to have the highest first.",
            "The first `count` entries of that order are the pixels to blank.",
            "Copy the values before you write into them.",
        ),
        solution="import numpy as np\n\n\n"
        "def blanked(values, rating, count, blank):\n"
        "    result = np.array(values)\n"
        "    result[np.argsort(-rating)[:count]] = blank\n"
        "    return result\n\n\n"
        "answer = blanked",
    ),
)
