"""Lesson 11, the Hierarchical Perceiver: groups, regrouping, what can be learned of positions, and what cannot."""

import numpy as np

from perceiver_lab.course.exercises import graders
from perceiver_lab.course.exercises.base import Exercise

_rng = np.random.default_rng(11)


def grouped(rows, num_groups):
    """Rows (b, m, c) in runs (b, g, s, c), filled up with zeros after the last."""
    size = -(-rows.shape[1] // num_groups)
    missing = num_groups * size - rows.shape[1]
    return np.pad(rows, ((0, 0), (0, missing), (0, 0))).reshape(len(rows), num_groups, size, rows.shape[2])


def hidden_error(outputs, targets, hidden):
    """The mean squared error of hidden elements."""
    return np.square(outputs - targets)[hidden].mean()


def _every_other(rows, num_groups):
    """Element i in group i mod g: dealt like cards."""
    runs = grouped(rows, num_groups)
    padded = runs.reshape(len(rows), -1, rows.shape[2])
    return padded.reshape(len(rows), -1, num_groups, rows.shape[2]).swapaxes(1, 2)


def _zeros_first(rows, num_groups):
    return grouped(rows[:, ::-1], num_groups)[:, ::-1, ::-1]


def _cut_short(rows, num_groups):
    size = rows.shape[1] // num_groups
    return rows[:, : num_groups * size].reshape(len(rows), num_groups, size, rows.shape[2])


def _by_size(rows, num_groups):
    """Groups of that size, instead of that many groups."""
    return grouped(rows, -(-rows.shape[1] // num_groups))


def _over_all(outputs, targets, hidden):
    return np.square(outputs - targets).mean()


def _of_the_visible(outputs, targets, hidden):
    return np.square(outputs - targets)[~hidden].mean()


def _diluted(outputs, targets, hidden):
    return (np.square(outputs - targets) * hidden[..., None]).mean()


def _summed(outputs, targets, hidden):
    return np.square(outputs - targets)[hidden].sum()


def _error_case(batch, count, channels):
    outputs, targets = _rng.normal(size=(2, batch, count, channels)).astype(np.float32)
    hidden = _rng.random((batch, count)) < 0.6
    hidden[0, :2] = True, False
    return outputs, targets, hidden


EXERCISES = (
    Exercise(
        id="11.1",
        title="What a latent reads",
        question="A picture has 1024 x 1024 pixels. HiP-256 cuts them into 256 groups. How many pixels does a latent "
        "of the first block read?",
        minutes=2,
        difficulty=1,
        grade=graders.number(
            4096,
            mistakes=[
                (1_048_576, "that is all of them; a latent reads its own group"),
                (256, "that is the number of groups; how many pixels are in one?"),
                (1024, "that is one row of pixels; count all pixels first"),
                (196, "that is a group of a picture of 224 x 224"),
                (131_072, "that counts the 32 latents of a group; each of them reads the same pixels"),
            ],
        ),
        because="1,048,576 / 256 = 4,096: four rows of pixels, for pixels are counted row by row.",
        hints=(
            "Attention does not leave a group.",
            "All groups have the same size.",
            "1024 * 1024 pixels in 256 groups.",
        ),
        solution="answer = 1024 * 1024 / 256",
    ),
    Exercise(
        id="11.2",
        title="Meet on the way up",
        question="HiP-16's first block gives, for a batch of 2, latents of the shape (2, 16, 128, 128): batch, groups, "
        "latents, channels. The second block has 4 groups. Which shape does it read?",
        minutes=3,
        difficulty=1,
        grade=graders.shape(
            (2, 4, 512, 128),
            mistakes=[
                (
                    (2, 4, 128, 128),
                    "three quarters of the latents are lost: four groups become one, with all they have",
                ),
                ((2, 4, 128, 512), "latents stand one after the other in a group; their width stays"),
                ((2, 4, 256, 256), "that is what the second block makes of what it reads"),
                ((2, 4, 32, 128), "fewer groups are larger groups"),
                ((2, 4, 512, 256), "regrouping changes no width; the block's own latents do"),
                ((4, 512, 128), "the axis of the batch is missing"),
            ],
        ),
        because="Nothing is computed in regrouping: 16 x 128 latents are 4 x 512 latents.",
        hints=(
            "Regrouping keeps all latents, and each keeps its channels.",
            "There are 16 * 128 latents for each example.",
            "Share them out among 4 groups.",
        ),
        solution="answer = (2, 4, 16 * 128 // 4, 128)",
    ),
    Exercise(
        id="11.3",
        title="Upside down",
        question="Two trainings that differ in the seed alone end with the same loss. Both put pictures together, one "
        "of them upside down. What could the second training have been told, to get it right?\n\n"
        "- **A** nothing is missing: longer training would have turned it\n"
        "- **B** a smaller learning rate, so that the table cannot turn over\n"
        "- **C** nothing in these data would do: both tables give the same outputs, so no loss of them can prefer one\n"
        "- **D** a lower rate of hiding, so that more of the picture is seen",
        minutes=3,
        difficulty=2,
        grade=graders.choice(
            "C",
            {
                "A": "the loss is the same already: no gradient would turn it",
                "B": "the table does not turn over on the way; nothing prefers one way from the start",
                "D": "however many cells are seen, how near they lie is all that their colours tell",
            },
        ),
        because="What lies near what is in the data. Which side is up is a name that we give.",
        hints=(
            "A gradient needs a difference in the loss.",
            "Would the outputs change if all positions were turned upside down together?",
            "A learned cloud has no sign on it that says: this side up.",
        ),
        solution='answer = "C"',
    ),
    Exercise(
        id="11.4",
        title="White noise",
        question="Cells of white noise have the mean 0 and the variance 1, and know nothing of each other. Half of "
        "them are hidden. What is the mean squared error of the best possible model on the hidden cells?",
        minutes=3,
        difficulty=2,
        grade=graders.number(
            1.0,
            rel=1e-3,
            mistakes=[
                (0.0, "no visible cell tells anything of a hidden one, so none can be guessed exactly"),
                (0.5, "the error is the mean over the hidden cells alone; that half is hidden does not halve it"),
                (2.0, "that is what a guess at random costs, drawn like the cells; always saying 0 costs less"),
                (0.25, "the error is the mean over the hidden cells alone"),
            ],
        ),
        because="The best guess is the mean, 0, and its squared error is the variance.",
        hints=(
            "What is the best guess of a number of which nothing is known but mean and variance?",
            "Guess the mean. How far off is that, squared, on average?",
            "That is what variance means.",
        ),
        solution="answer = 1.0",
    ),
    Exercise(
        id="11.5",
        title="Cut into groups",
        question="Write `cut(rows, num_groups)`. `rows` `(b, m, c)` are the elements of one modality. Give `(b, g, s, "
        "c)`: g groups of neighbours in the order in which they come, all of the same size s, as small as can be. "
        "Where the elements do not come out even, rows of zeros follow after the last one.",
        minutes=6,
        difficulty=3,
        grade=graders.function(
            grouped,
            [
                (_rng.normal(size=(2, 12, 3)).astype(np.float32), 4),
                (_rng.normal(size=(1, 19, 2)).astype(np.float32), 4),
                (_rng.normal(size=(3, 5, 4)).astype(np.float32), 3),
            ],
            mistakes=[
                (_every_other, "elements were dealt out like cards: a group is a run of neighbours"),
                (_zeros_first, "the zeros stand before the first element: they belong after the last"),
                (_cut_short, "elements that do not come out even were dropped: fill up with zeros instead"),
                (_by_size, "that makes groups of that size; make that many groups"),
            ],
        ),
        because="One pad and one reshape: cutting costs nothing.",
        hints=(
            "The size of a group is m / g, rounded up: -(-m // g).",
            "np.pad(rows, ((0, 0), (0, missing), (0, 0))) adds rows of zeros at the end.",
            "Then reshape to (b, g, s, c).",
        ),
        solution="import numpy as np\n\n\n"
        "def cut(rows, num_groups):\n"
        "    b, m, c = rows.shape\n"
        "    size = -(-m // num_groups)\n"
        "    padded = np.pad(rows, ((0, 0), (0, num_groups * size - m), (0, 0)))\n"
        "    return padded.reshape(b, num_groups, size, c)\n\n\n"
        "answer = cut",
    ),
    Exercise(
        id="11.6",
        title="The loss of what is hidden",
        question="Write `masked_error(outputs, targets, hidden)`. `outputs` and `targets` are `(b, m, c)`, `hidden` "
        "`(b, m)` is True where an element was hidden. Give the mean squared error over the hidden elements and their "
        "channels.",
        minutes=5,
        difficulty=3,
        grade=graders.function(
            hidden_error,
            [_error_case(3, 6, 2), _error_case(2, 10, 1)],
            mistakes=[
                (_over_all, "that is the error of all elements: those that were shown can be copied"),
                (_of_the_visible, "the wrong ones: count the elements that were hidden"),
                (_diluted, "the sum is over the hidden elements, but it was divided by the number of all of them"),
                (_summed, "that is a sum; take the mean"),
            ],
        ),
        because="A visible element could be copied without knowing anything of the others. A hidden one has to be told "
        "from its neighbours, so a model must find out which these are.",
        hints=(
            "array[hidden] with hidden of the shape (b, m) picks elements: (number of hidden ones, c).",
            "Square the differences first, then pick.",
            "np.square(outputs - targets)[hidden].mean().",
        ),
        solution="import numpy as np\n\n\n"
        "def masked_error(outputs, targets, hidden):\n"
        "    return np.square(outputs - targets)[hidden].mean()\n\n\n"
        "answer = masked_error",
    ),
)
