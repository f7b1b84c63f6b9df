"""Exercises of lesson 03, "Where am I?": widths, aliases, waves from scratch, coordinates of crops."""

import numpy as np

from perceiver_lab.course.exercises.base import Exercise
from perceiver_lab.course.exercises.graders import as_number, choice, function, number


def _waves(x, num_bands, max_resolution):
    return _rows(x, np.linspace(1, max_resolution / 2, num_bands))


def _rows(x, frequencies, turn=np.pi):
    phases = turn * np.asarray(x)[:, None] * frequencies
    return np.concatenate([np.asarray(x)[:, None], np.sin(phases), np.cos(phases)], axis=1)


def _interleaved(x, num_bands, max_resolution):
    rows = _waves(x, num_bands, max_resolution)
    pairs = np.stack([rows[:, 1 : 1 + num_bands], rows[:, 1 + num_bands :]], axis=-1)
    return np.concatenate([rows[:, :1], pairs.reshape(len(rows), -1)], axis=1)


def _cosines_first(x, num_bands, max_resolution):
    rows = _waves(x, num_bands, max_resolution)
    return np.concatenate([rows[:, :1], rows[:, 1 + num_bands :], rows[:, 1 : 1 + num_bands]], axis=1)


_WAVE_CASES = (
    (np.linspace(-1, 1, 16), 4, 16),
    (np.array([-0.9, -0.25, 0.1, 0.7]), 7, 20),
    (np.linspace(-1, 1, 5), 3, 30),
)

_WAVE_MISTAKES = (
    (
        lambda x, k, r: _waves(x, k, r)[:, 1:],
        "the coordinate itself is missing: it comes first, before the sines",
    ),
    (_cosines_first, "the sines come before the cosines"),
    (_interleaved, "all sines come first, then all cosines; yours take turns"),
    (
        lambda x, k, r: _rows(x, np.linspace(1, r, k)),
        "the frequencies should end at half of max_resolution, the Nyquist frequency; yours go twice as far",
    ),
    (
        lambda x, k, r: _rows(x, np.linspace(1, r / 2, k), turn=1.0),
        "the phase lacks its factor π",
    ),
    (
        lambda x, k, r: _rows(x, np.linspace(1, r / 2, k), turn=2 * np.pi),
        "the phase has a factor 2π; on [-1, 1] the Perceiver takes π · f · x",
    ),
    (
        lambda x, k, r: _rows(x, np.linspace(1, r / 2, k, endpoint=False)),
        "the last frequency should be max_resolution / 2 itself: both ends of the list are included",
    ),
    (
        lambda x, k, r: _rows(x, np.geomspace(1, r / 2, k)),
        "the frequencies are evenly spaced (linspace), not by equal factors",
    ),
    (
        lambda x, k, r: _rows(x, 2.0 ** np.arange(k)),
        "doubling the frequency is NeRF's way; the Perceiver spaces them evenly from 1 to max_resolution / 2",
    ),
)


def _frame(offset, crop, frame):
    return (offset + np.arange(crop)) * 2 / (frame - 1) - 1


_FRAME_CASES = ((0, 5, 5), (8, 224, 240), (3, 4, 9), (2, 3, 33))

_FRAME_MISTAKES = (
    (
        lambda offset, crop, frame: np.linspace(-1, 1, crop),
        "those are relative to the crop: they do not depend on where it was cut out",
    ),
    (
        lambda offset, crop, frame: np.arange(crop) * 2 / (frame - 1) - 1,
        "the offset is not used: every crop would lie at the start of the frame",
    ),
    (
        lambda offset, crop, frame: (offset + np.arange(crop)) * 2 / frame - 1,
        "the last cell of the frame should get 1: with both ends included there are frame - 1 steps, not frame",
    ),
    (
        lambda offset, crop, frame: (offset + np.arange(crop)) / (frame - 1),
        "coordinates run from -1 to 1, yours from 0 to 1",
    ),
)


def _either_way_round(expected, mistakes):
    """A frequency: −f is as good as f, since the cosine is the same."""
    grade = number(expected, mistakes=mistakes)

    def grade_size(answer):
        value = as_number(answer)
        return grade(answer if value is None else abs(value))

    return grade_size


EXERCISES = (
    Exercise(
        id="03.1",
        title="How wide is a row?",
        question=(
            "A video of 16 frames of 224 × 224 pixels in colour is read pixel by pixel, with Fourier features of 32 "
            "bands on each of its three axes. How many channels has each row that the Perceiver reads?"
        ),
        minutes=2,
        difficulty=1,
        grade=number(
            198.0,
            mistakes=(
                (195.0, "those are the positions; each pixel also brings its three colours"),
                (133.0, "that is an image's two axes; a video has three, time comes first"),
                (130.0, "that is an image's two axes; a video has three, time comes first, and then the colours"),
                (102.0, "a band gives two channels per axis, a sine and a cosine"),
                (68.0, "that is one axis; the pixel has three coordinates, and waves along each"),
                (192.0, "those are the waves; the three coordinates and the three colours are missing"),
                (196.0, "in colour there are three values per pixel, not one"),
            ),
        ),
        because="3 colours + 3 coordinates + 3 axes × 32 bands × 2 = 198.",
        hints=(
            "The row of a pixel is what it shows, followed by where it lies. Count the two apart.",
            "Per axis: one coordinate, and a sine and a cosine for each band.",
            "3 × (1 + 2 × 32) for the positions. What else is in the row?",
        ),
        solution="answer = 3 + 3 * (1 + 2 * 32)",
    ),
    Exercise(
        id="03.2",
        title="Its double",
        question=(
            "On an axis of 32 cells from −1 to 1, both ends included, cos(π·20·x) takes the same values at the cells, "
            "sign aside, as a slower wave cos(π·f·x). Which f?"
        ),
        minutes=3,
        difficulty=2,
        grade=_either_way_round(
            11.0,
            mistakes=(
                (12.0, "32 cells have 31 steps between them, and it is the steps that count"),
                (20.0, "that is the wave itself; its double is slower"),
                (4.5, "that is how far 20 lies above the limit of 15.5; go as far below it"),
                (15.5, "that is the limit itself, the Nyquist frequency"),
                (16.0, "that is half of the cells; the limit is (cells − 1) / 2, and 20 is mirrored in it"),
                (42.0, "that wave has the same samples too, but it is faster; a slower one is asked for"),
            ),
        ),
        because="(32 − 1) − 20 = 11: frequencies are mirrored in the limit, 15.5.",
        hints=(
            "Doubles agree at the cells, whatever they do between them. Look at the picture with 16 cells first.",
            "On 16 cells, 8 looked like 7, and 9 like 6.",
            "f and its double add up to the number of steps between the cells.",
        ),
        solution=(
            "import numpy as np\n\n"
            "x = np.linspace(-1, 1, 32)\n"
            "wave = np.cos(np.pi * 20 * x)\n"
            "slower = range(1, 16)\n"
            "answer = min(slower, key=lambda f: np.abs(np.abs(wave) - np.abs(np.cos(np.pi * f * x))).max())"
        ),
    ),
    Exercise(
        id="03.3",
        title="Waves from scratch",
        question=(
            "Write `waves_1d(x, num_bands, max_resolution)`: for coordinates x of shape (cells,) the Fourier features "
            "of one axis as the Perceiver has them, [coordinate | sines | cosines], of shape "
            "(cells, 1 + 2 · num_bands)."
        ),
        minutes=8,
        difficulty=3,
        grade=function(_waves, _WAVE_CASES, atol=2e-3, mistakes=_WAVE_MISTAKES),
        because="coordinate, sines, cosines, at evenly spaced frequencies up to half the resolution.",
        hints=(
            "`np.linspace(1, max_resolution / 2, num_bands)` are the frequencies.",
            "`x[:, None] * frequencies` has one row per cell and one column per band.",
            "`np.concatenate([x[:, None], np.sin(phases), np.cos(phases)], axis=1)`, with the π in the phases.",
        ),
        solution=(
            "import numpy as np\n\n\n"
            "def waves_1d(x, num_bands, max_resolution):\n"
            "    frequencies = np.linspace(1, max_resolution / 2, num_bands)\n"
            "    phases = np.pi * x[:, None] * frequencies\n"
            "    return np.concatenate([x[:, None], np.sin(phases), np.cos(phases)], axis=1)\n\n\n"
            "answer = waves_1d"
        ),
    ),
    Exercise(
        id="03.4",
        title="A larger picture",
        question=(
            "A Perceiver was trained on pictures of 64 × 64. It now gets one of 128 × 128, coordinates from −1 to 1 "
            "again. Which encoding can say where the new pixels are, without a new parameter? A: Fourier features with "
            "the bands that it was trained with. B: the learned table. C: both. D: neither."
        ),
        minutes=3,
        difficulty=2,
        grade=choice(
            "A",
            {
                "B": "the table has 64 × 64 rows, and none for a pixel between two of its cells",
                "C": "Fourier features can, but the table has 64 × 64 rows, and none for what lies between two cells",
                "D": "a wave has a value at every coordinate, also between the cells that it was trained on",
            },
        ),
        because=(
            "a wave has a value everywhere, a table only at its cells. How well the model then reads the picture is "
            "another question, as the held-out pixels of the cat have shown."
        ),
        hints=(
            "What is stored for each pixel, and what is computed from its coordinates?",
            "Which of the two painted anything sensible on the held-out pixels of the cat?",
            "What does `LearnedPositions` answer when it is called with coordinates?",
        ),
        solution='answer = "A"',
    ),
    Exercise(
        id="03.5",
        title="Relative to the frame",
        question=(
            "Write `frame_coordinates(offset, crop, frame)` for one axis: the coordinates of the cells of a crop, of "
            "shape (crop,), on the grid of the whole frame, which runs from −1 at its first cell to 1 at its last. The "
            "crop starts at cell `offset`, counted from 0."
        ),
        minutes=5,
        difficulty=2,
        grade=function(_frame, _FRAME_CASES, mistakes=_FRAME_MISTAKES),
        because="cell i of the crop is cell offset + i of the frame, and the frame has frame − 1 steps.",
        hints=(
            "The crop shows a part of the frame: its first cell is not at −1, unless the offset is 0.",
            "Which cell of the frame is cell i of the crop?",
            "Cell c of the frame lies at −1 + c · 2 / (frame − 1).",
        ),
        solution=(
            "import numpy as np\n\n\n"
            "def frame_coordinates(offset, crop, frame):\n"
            "    return -1 + (offset + np.arange(crop)) * 2 / (frame - 1)\n\n\n"
            "answer = frame_coordinates"
        ),
    ),
)
