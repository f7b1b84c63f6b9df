"""Lesson 08, many senses in one array: rates, shapes, padding, mask tokens, compression, loss weights."""

import numpy as np

from perceiver_lab.course.exercises import graders
from perceiver_lab.course.exercises.base import Exercise

_rng = np.random.default_rng(8)
_PIXELS, _SAMPLES = 16 * 224 * 224 * 3, 30_720  # of the paper's videos


def padded(parts, vectors):
    """Rows (m, c) of each modality, widened by its learned vector, one modality after the other."""
    widened = [
        np.concatenate([rows, np.broadcast_to(vector, (len(rows), len(vector)))], axis=1)
        for rows, vector in zip(parts, vectors, strict=True)
    ]
    return np.concatenate(widened)


def hidden_rows(rows, token, hidden):
    """The token in place of every row of the examples whose modality is hidden."""
    return np.where(hidden[:, None, None], token, rows)


def _array_case(sizes, width):
    parts = [_rng.normal(size=size).astype(np.float32) for size in sizes]
    return parts, [_rng.normal(size=width - channels).astype(np.float32) for _, channels in sizes]


def _vector_first(parts, vectors):
    return np.concatenate(
        [
            np.concatenate([np.broadcast_to(vector, (len(rows), len(vector))), rows], axis=1)
            for rows, vector in zip(parts, vectors, strict=True)
        ]
    )


def _zeros(parts, vectors):
    return padded(parts, [np.zeros_like(vector) for vector in vectors])


def _first_row_only(parts, vectors):
    found, begin = _zeros(parts, vectors), 0
    for rows, vector in zip(parts, vectors, strict=True):
        found[begin, rows.shape[1] :] = vector
        begin += len(rows)
    return found


def _last_first(parts, vectors):
    return padded(parts[::-1], vectors[::-1])


def _hide_case(batch, count, channels, hidden):
    rows = _rng.normal(size=(batch, count, channels)).astype(np.float32)
    return rows, _rng.normal(size=channels).astype(np.float32), np.array(hidden)


def _shown_instead(rows, token, hidden):
    return hidden_rows(rows, token, ~hidden)


def _added(rows, token, hidden):
    return rows + np.where(hidden[:, None, None], token, 0)


def _emptied(rows, token, hidden):
    return np.where(hidden[:, None, None], 0, rows)


def _first_element(rows, token, hidden):
    found = rows.copy()
    found[hidden, 0] = token
    return found


EXERCISES = (
    Exercise(
        id="08.1",
        title="What a rate can hold",
        question="A recording has 16,000 samples a second. Up to which frequency, in Hz, can it hold a tone?",
        minutes=2,
        difficulty=1,
        grade=graders.number(
            8000.0,
            rel=1e-3,
            mistakes=[
                (16_000.0, "a tone that is sampled once per turn looks like a constant: it takes two samples a turn"),
                (4000.0, "that is for the 8,000 samples a second of this lesson's sounds"),
                (32_000.0, "the other way round: half of the rate, not twice the rate"),
            ],
        ),
        because="Two samples for each turn: the Nyquist frequency of lesson 03, half of the rate.",
        hints=(
            "It is the question of lesson 03 again, along time: how many turns can so many cells hold?",
            "A turn needs at least two samples.",
            "Half of the rate.",
        ),
        solution="answer = 16_000 / 2",
    ),
    Exercise(
        id="08.2",
        title="Name the shape",
        question="One modality has 40 rows of 20 channels, another 300 rows of 35, positions included. The wider of "
        "the two gets 4 learned channels of padding, the other as many as it needs. What shape does the input array of "
        "a batch of 8 have?",
        minutes=3,
        difficulty=1,
        grade=graders.shape(
            (8, 340, 39),
            mistakes=[
                ((8, 340, 35), "the widest gets padding too: 4 channels more"),
                ((8, 340, 55), "the modalities stand one after the other, not side by side: widths do not add up"),
                ((8, 340, 59), "the modalities stand one after the other, not side by side: widths do not add up"),
                ((8, 300, 39), "the rows of both are in the array: 40 + 300"),
                ((340, 39), "the axis of the batch is missing"),
                ((8, 39, 340), "rows come before channels"),
            ],
        ),
        because="Rows add up; the width is that of the widest and its padding, and every other is padded to it.",
        hints=(
            "The order of the axes is batch, rows, channels.",
            "Rows follow each other, so their numbers add up. All rows must be equally wide.",
            "40 + 300 rows, 35 + 4 channels.",
        ),
        solution="answer = (8, 40 + 300, 35 + 4)",
    ),
    Exercise(
        id="08.3",
        title="Silence is not nothing",
        question="At test there is no sound. What is wrong with giving the auto-encoder 8,000 zeros instead of leaving "
        "the sound out?\n\n"
        "- **A** zeros would switch the sound's rows off\n"
        "- **B** a row of zeros has no positions, so the array would be too narrow\n"
        "- **C** the model takes the silence for what was heard, and in its training there always was a word in it\n"
        "- **D** nothing: the mask token is a row of zeros too",
        minutes=3,
        difficulty=2,
        grade=graders.choice(
            "C",
            {
                "A": "the rows stay: their positions and their padding are there, and the latents attend to them",
                "B": "positions and padding do not depend on the samples: the array has its usual width",
                "D": "the token is learned, and it takes the place of positions and padding as well",
            },
        ),
        because="Only the mask token says that nothing is known, and training has taught the model what to do then.",
        hints=(
            "What of a row comes from the samples, and what is there whatever they are?",
            "Ask what the model has met in its training: silence for a second, or the token?",
            "Silence is an observation. The token stands for the lack of one.",
        ),
        solution='answer = "C"',
    ),
    Exercise(
        id="08.4",
        title="Count it the other way",
        question="The paper's smallest auto-encoder has 196 latents of 512 channels, and 352x is said of it. A clip "
        "has 16 frames of 224 x 224 pixels with 3 colours each, and 30,720 samples of sound. How many of these raw "
        "numbers are there for each number in the latents?",
        minutes=4,
        difficulty=2,
        grade=graders.number(
            (_PIXELS + _SAMPLES) / (196 * 512),
            rel=5e-3,
            mistakes=[
                (352.0, "that is the paper's count, which takes the padded input array for the data"),
                (52_097 * 704 / (196 * 512), "that counts the padded input array; count pixels and samples"),
                (50_657 * 704 / (196 * 512), "that counts the padded input array; count pixels and samples"),
                ((_PIXELS / 3 + _SAMPLES) / (196 * 512), "each pixel has three numbers"),
                ((_PIXELS + _SAMPLES) / (784 * 512), "that is the model with 784 latents"),
                ((_PIXELS + _SAMPLES) / 196, "each of the 196 latents has 512 numbers"),
                (196 * 512 / (_PIXELS + _SAMPLES), "the other way round: numbers in over numbers in the latents"),
                (_PIXELS / 16 / (196 * 512), "there are 16 frames, and the sound"),
            ],
        ),
        because="2,439,168 numbers in, 100,352 in the latents: a fourteenth of what is said.",
        hints=(
            "Count what comes from the file: numbers of pixels and samples, no positions and no padding.",
            "16 * 224 * 224 * 3 numbers of pixels, and 30,720 of sound.",
            "Divide by 196 * 512.",
        ),
        solution="answer = (16 * 224 * 224 * 3 + 30_720) / (196 * 512)",
    ),
    Exercise(
        id="08.5",
        title="One array",
        question="Write `one_array(parts, vectors)`. `parts` is a list of arrays `(m, c)`, one for each modality, with "
        "different numbers of rows and channels; `vectors` is a list of their paddings, as long as each one needs. Put "
        "each vector behind the channels of every row of its modality, and the modalities one after the other.",
        minutes=6,
        difficulty=3,
        grade=graders.function(
            padded,
            [_array_case([(1, 3), (5, 6), (4, 2)], 8), _array_case([(7, 4), (2, 5)], 6)],
            mistakes=[
                (_vector_first, "the padding stands before the channels: put it behind them"),
                (_zeros, "zeros would make all modalities look alike: take the vectors"),
                (_first_row_only, "only the first row of each modality got its vector: every row gets it"),
                (_last_first, "the modalities stand in another order than in `parts`"),
            ],
        ),
        because="This is all that makes an input array of many senses; the library does the same for a batch.",
        hints=(
            "np.broadcast_to(vector, (m, len(vector))) repeats a vector for m rows.",
            "np.concatenate([rows, repeated], axis=1) widens one modality.",
            "Collect the widened modalities in a list and concatenate them along axis 0.",
        ),
        solution="import numpy as np\n\n\n"
        "def one_array(parts, vectors):\n"
        "    widened = []\n"
        "    for rows, vector in zip(parts, vectors):\n"
        "        repeated = np.broadcast_to(vector, (len(rows), len(vector)))\n"
        "        widened.append(np.concatenate([rows, repeated], axis=1))\n"
        "    return np.concatenate(widened)\n\n\n"
        "answer = one_array",
    ),
    Exercise(
        id="08.6",
        title="Hide a sense",
        question="Write `put_token(rows, token, hidden)`. `rows` `(b, m, c)` are the padded rows of one modality, "
        "`token` `(c,)` is its mask token, `hidden` `(b,)` is True for the examples that must not show it. Their rows "
        "become the token; all other examples stay as they are.",
        minutes=5,
        difficulty=3,
        grade=graders.function(
            hidden_rows,
            [_hide_case(4, 3, 5, [True, False, False, True]), _hide_case(3, 6, 2, [False, True, False])],
            mistakes=[
                (_shown_instead, "the wrong ones: the token stands where nothing is hidden"),
                (_added, "the token was added to the rows: it takes their place, or they could still be read"),
                (_emptied, "hidden rows became zeros: they become the token"),
                (_first_element, "only the first row of a hidden modality became the token: all of them do"),
            ],
        ),
        because="Positions and padding go as well: behind the token nothing can be told any more but how many rows "
        "there are.",
        hints=(
            "hidden[:, None, None] has the shape (b, 1, 1), which fits to (b, m, c).",
            "np.where(condition, one, other) chooses element by element.",
            "np.where(hidden[:, None, None], token, rows).",
        ),
        solution="import numpy as np\n\n\n"
        "def put_token(rows, token, hidden):\n"
        "    return np.where(hidden[:, None, None], token, rows)\n\n\n"
        "answer = put_token",
    ),
)
