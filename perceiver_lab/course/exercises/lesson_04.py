"""Lesson 04, the Perceiver: cost, weight sharing, sets of inputs, the readout."""

import numpy as np

from perceiver_lab.course.exercises import graders
from perceiver_lab.course.exercises.base import Exercise

_rng = np.random.default_rng(4)


def rows_in_order(images, positions, order):
    """The input rows (b, m, c + 2) of pictures, pixels and positions together, in another order."""
    flat = images.reshape(len(images), -1, images.shape[-1])
    places = np.broadcast_to(positions[None], (len(images), *positions.shape))
    return np.concatenate([flat, places], axis=-1)[:, order]


def _only_pixels(images, positions, order):
    rows = rows_in_order(images, positions, np.arange(len(order)))
    rows[..., : images.shape[-1]] = rows[:, order, : images.shape[-1]]
    return rows


def _only_positions(images, positions, order):
    rows = rows_in_order(images, positions, np.arange(len(order)))
    rows[..., images.shape[-1] :] = rows[:, order, images.shape[-1] :]
    return rows


def masked_readout(latents, kernel, bias, latent_mask):
    """Logits (b, k) from the average of the latents that are on."""
    on = latent_mask[..., None]
    mean = (latents * on).sum(axis=1) / np.maximum(on.sum(axis=1), 1)
    return mean @ kernel + bias


def _over_all(latents, kernel, bias, latent_mask):
    return (latents * latent_mask[..., None]).mean(axis=1) @ kernel + bias


def _summed(latents, kernel, bias, latent_mask):
    return (latents * latent_mask[..., None]).sum(axis=1) @ kernel + bias


def _unmasked(latents, kernel, bias, latent_mask):
    return latents.mean(axis=1) @ kernel + bias


_PICTURES = _rng.normal(size=(2, 3, 4, 2)).astype(np.float32)
_PLACES = _rng.uniform(-1, 1, (12, 2)).astype(np.float32)
_LATENTS = _rng.normal(size=(3, 6, 5)).astype(np.float32)
_MASK = np.array([[1, 1, 1, 1, 1, 1], [1, 0, 1, 0, 0, 1], [0, 0, 0, 0, 1, 0]], bool)

EXERCISES = (
    Exercise(
        id="04.1",
        title="A longer input",
        question="A Perceiver with 512 latents reads pictures of 224 x 224 pixels. You give it pictures of 448 x 448. "
        "By which factor does the number of scores in one read grow?",
        minutes=2,
        difficulty=1,
        grade=graders.number(
            4.0,
            mistakes=[
                (2.0, "the side doubles, and with it the number of pixels grows fourfold: M = 448 * 448"),
                (16.0, "that is the growth of M * M, of self-attention on the pixels; a read has M * N scores"),
                (1.0, "the latents stay 512, but each of them now looks at more pixels"),
                (4.0 * 50176 * 512, "that is the new number of scores; the question asks for the factor"),
            ],
        ),
        because="M * N grows as M does. Self-attention on the pixels would grow sixteenfold.",
        hints=(
            "One score for each pair of a latent and a pixel. Which of the two numbers grows?",
            "How many pixels does each picture have?",
            "The scores of a read are M * N, and N stays 512.",
        ),
        solution="answer = (448 * 448 * 512) / (224 * 224 * 512)",
    ),
    Exercise(
        id="04.2",
        title="Deeper for nothing",
        question="The Perceiver of this lesson has 2 reads, 2 towers and 75,884 parameters, with shared weights. How "
        "many has it with 8 reads and 8 towers, shared as before?",
        minutes=3,
        difficulty=1,
        grade=graders.number(
            75_884.0,
            mistakes=[
                (4.0 * 75_884, "you multiplied everything by four, but what is used again is not stored again"),
                (8.0 * 75_884, "you multiplied everything by eight, but what is used again is not stored again"),
                (500_242.0, "that is without sharing: eight reads and eight towers with weights of their own"),
            ],
            otherwise="which weights does the third read use, and which the third tower?",
        ),
        because="All reads from the second on share their weights, and so do all towers: it only computes longer.",
        hints=(
            "What does it mean that two reads share their weights?",
            'Look at `w["reads"][min(number, 1)]` in `perceiver`: which weights does the third read use?',
            "Count what is stored, not what is computed.",
        ),
        solution="answer = 75_884",
    ),
    Exercise(
        id="04.3",
        title="Name the shape",
        question="The canvas Perceiver (32 latents, one head in a read, four heads in a latent layer) is given 4 "
        "canvases of 224 x 224 pixels. What shape do the attention weights of its second read have?",
        minutes=2,
        difficulty=1,
        grade=graders.shape(
            (4, 1, 32, 50176),
            mistakes=[
                ((4, 1, 50176, 32), "the latents ask, so they are the rows: queries come before inputs"),
                ((4, 32, 50176), "the axis of the heads is missing; a read has one head, and its axis has length 1"),
                ((4, 4, 32, 32), "that is a latent layer; a read looks at the pixels"),
                ((4, 4, 32, 50176), "four heads is what a latent layer has; a read has one here"),
                ((4, 1, 32, 224, 224), "to attention the pixels are one list, not a plane: 224 * 224 of them"),
            ],
        ),
        because="Batch, heads, latents that ask, pixels that answer.",
        hints=(
            "A read: who asks, and who answers? The picture is one long array of pixels by then.",
            "The order of the axes is batch, head, query, input.",
            "224 * 224 = 50,176.",
        ),
        solution="answer = (4, 1, 32, 224 * 224)",
    ),
    Exercise(
        id="04.4",
        title="What breaks it",
        question="Pixels are shuffled together with their positions. Which change to the Perceiver would make its "
        "logits depend on the order?\n\n"
        "- **A** more reads\n"
        "- **B** a convolution over the input array before the first read\n"
        "- **C** an MLP on every input row before the first read\n"
        "- **D** a latent array twice as large",
        minutes=3,
        difficulty=2,
        grade=graders.choice(
            "B",
            {
                "A": "every further read sums over the inputs like the first; more of them stay as blind to the order",
                "C": "an MLP on each row by itself moves along with its row; nothing asks for the row next to it",
                "D": "more latents ask more questions, but each of them still sums over the inputs",
            },
        ),
        because="A convolution mixes rows that lie side by side in the array, and shuffling gives each row other "
        "neighbours.",
        hints=(
            "Attention does not see the order of rows, only what is in them. Which step mixes rows before the read?",
            "Which of them looks at which row lies next to which?",
            "An operation on each row alone commutes with shuffling; a sum over rows ignores it.",
        ),
        solution='answer = "B"',
    ),
    Exercise(
        id="04.5",
        title="Tear it up",
        question="Write `rows(images, positions, order)`: from pictures `(b, h, w, c)` and the coordinates "
        "`(h * w, 2)` of their pixels make the input rows `(b, h * w, c + 2)`, pixel channels first, and put the rows "
        "into the given order: row `i` of the result is row `order[i]`.",
        minutes=8,
        difficulty=3,
        grade=graders.function(
            rows_in_order,
            [(_PICTURES, _PLACES, _rng.permutation(12)), (_PICTURES[:1], _PLACES, _rng.permutation(12))],
            mistakes=[
                (_only_pixels, "the pixels move but their positions stay behind: that is another picture"),
                (_only_positions, "the positions move but their pixels stay behind: that is another picture"),
                (
                    lambda images, positions, order: rows_in_order(images, positions, np.arange(len(order))),
                    "the rows are right but in their old order",
                ),
                (
                    lambda images, positions, order: rows_in_order(images, positions, np.argsort(order)),
                    "row order[i] of your result is row i: that is the inverse of the order asked for",
                ),
                (
                    lambda images, positions, order: rows_in_order(images, positions, order)[
                        ..., [*range(images.shape[-1], images.shape[-1] + 2), *range(images.shape[-1])]
                    ],
                    "the rows are right, but the pixel's channels should come first and its position after them",
                ),
            ],
        ),
        because="One index moves pixels and positions alike, so the set of rows stays what it was.",
        hints=(
            "Three steps: make pictures a list of pixels, write its position behind each pixel, put the list in order.",
            "Flatten the pictures to (b, h * w, c) and repeat the positions for each of them.",
            "Join along the last axis first; then index once: rows[:, order].",
        ),
        solution="import numpy as np\n\n\n"
        "def rows(images, positions, order):\n"
        "    flat = images.reshape(len(images), -1, images.shape[-1])\n"
        "    places = np.broadcast_to(positions[None], (len(images), *positions.shape))\n"
        "    return np.concatenate([flat, places], axis=-1)[:, order]\n\n\n"
        "answer = rows",
    ),
    Exercise(
        id="04.6",
        title="Latents that are off",
        question="Write `readout(latents, kernel, bias, latent_mask)`: logits `(b, k)` from the average of only those "
        "latents whose `latent_mask` `(b, n)` is True. Every example has at least one.",
        minutes=8,
        difficulty=3,
        grade=graders.function(
            masked_readout,
            [
                (_LATENTS, _rng.normal(size=(5, 4)).astype(np.float32), np.arange(4, dtype=np.float32), _MASK),
                (_LATENTS[:2], _rng.normal(size=(5, 3)).astype(np.float32), np.zeros(3, np.float32), _MASK[:2]),
            ],
            mistakes=[
                (_over_all, "you divide by all latents; divide by the number of those that are on"),
                (_summed, "that is the sum of the latents that are on; the readout wants their average"),
                (_unmasked, "the latents that are off still take part in the average"),
                (
                    lambda latents, kernel, bias, latent_mask: masked_readout(latents, kernel, 0 * bias, latent_mask),
                    "the bias is missing",
                ),
            ],
        ),
        because="An average over what is left: this is what happens when you switch latents off in the explorer.",
        hints=(
            "An average over some: their sum, divided by their number, which differs from example to example.",
            "Multiply by latent_mask[..., None] before you sum over the latents.",
            "Divide by latent_mask.sum(axis=1, keepdims=True), then apply kernel and bias.",
        ),
        solution="def readout(latents, kernel, bias, latent_mask):\n"
        "    on = latent_mask[..., None]\n"
        "    mean = (latents * on).sum(axis=1) / on.sum(axis=1)\n"
        "    return mean @ kernel + bias\n\n\n"
        "answer = readout",
    ),
)
