"""The exercises of lesson 03: right answers in every form, the usual mistakes with their diagnoses, empty cells."""

import jax.numpy as jnp
import numpy as np

from perceiver_lab.ops import crop_coordinates, fourier_features, grid_coordinates
from tests.course.answers import Answers


def waves_1d(x, num_bands, max_resolution):
    phases = np.pi * x[:, None] * np.linspace(1, max_resolution / 2, num_bands)
    return np.concatenate([x[:, None], np.sin(phases), np.cos(phases)], axis=1)


def waves_by_library(x, num_bands, max_resolution):
    return fourier_features(jnp.asarray(x)[:, None], num_bands=num_bands, max_resolution=(max_resolution,))


def waves_by_loop(x, num_bands, max_resolution):
    frequencies = [1 + i * (max_resolution / 2 - 1) / (num_bands - 1) for i in range(num_bands)]
    return [
        [value, *(np.sin(np.pi * f * value) for f in frequencies), *(np.cos(np.pi * f * value) for f in frequencies)]
        for value in x
    ]


def waves_with(x, frequencies, order=(0, 1, 2), turn=np.pi):
    phases = turn * x[:, None] * frequencies
    parts = [x[:, None], np.sin(phases), np.cos(phases)]
    return np.concatenate([parts[number] for number in order], axis=1)


def waves_in_turns(x, num_bands, max_resolution):
    columns = [x]
    for f in np.linspace(1, max_resolution / 2, num_bands):
        columns += [np.sin(np.pi * f * x), np.cos(np.pi * f * x)]
    return np.stack(columns, axis=1)


def frame_by_library(offset, crop, frame):
    return crop_coordinates(jnp.asarray([[offset]], jnp.float32), (crop,), (frame,))[0, :, 0]


RIGHT = [
    ("03.1", 198),
    ("03.1", "198"),
    ("03.1", np.array([198])),
    ("03.2", 11),
    ("03.2", 11.0),
    ("03.2", "11"),
    ("03.2", -11),
    ("03.3", waves_1d),
    ("03.3", waves_by_library),
    ("03.3", waves_by_loop),
    ("03.4", "A"),
    ("03.4", " (a) "),
    ("03.5", lambda offset, crop, frame: -1 + (offset + np.arange(crop)) * 2 / (frame - 1)),
    ("03.5", lambda offset, crop, frame: np.linspace(-1, 1, frame)[offset : offset + crop]),
    ("03.5", lambda offset, crop, frame: grid_coordinates((frame,))[offset : offset + crop, 0]),
    ("03.5", frame_by_library),
]

WRONG = [
    ("03.1", 195, "three colours"),
    ("03.1", 133, "two axes"),
    ("03.1", 130, "two axes"),
    ("03.1", 102, "a sine and a cosine"),
    ("03.1", 68, "one axis"),
    ("03.1", 192, "coordinates and the three colours"),
    ("03.1", 196, "three values per pixel"),
    ("03.1", 5000, "too large"),
    ("03.1", [1, 2], "expected a number"),
    ("03.2", 12, "31 steps"),
    ("03.2", 20, "the wave itself"),
    ("03.2", 4.5, "how far 20 lies above"),
    ("03.2", 15.5, "the limit itself"),
    ("03.2", 16, "half of the cells"),
    ("03.2", 42, "it is faster"),
    ("03.2", "slower", "expected a number"),
    ("03.3", lambda x, k, r: waves_1d(x, k, r)[:, 1:], "the coordinate itself is missing"),
    ("03.3", lambda x, k, r: waves_with(x, np.linspace(1, r / 2, k), (0, 2, 1)), "before the cosines"),
    ("03.3", waves_in_turns, "take turns"),
    ("03.3", lambda x, k, r: waves_with(x, np.linspace(1, r, k)), "half of max_resolution"),
    ("03.3", lambda x, k, r: waves_with(x, np.linspace(1, r / 2, k), turn=1), "lacks its factor π"),
    ("03.3", lambda x, k, r: waves_with(x, np.linspace(1, r / 2, k), turn=2 * np.pi), "2π"),
    ("03.3", lambda x, k, r: waves_with(x, np.linspace(1, r / 2, k + 1)[:-1]), "both ends"),
    ("03.3", lambda x, k, r: waves_with(x, np.geomspace(1, r / 2, k)), "evenly spaced"),
    ("03.3", lambda x, k, r: waves_with(x, 2.0 ** np.arange(k)), "NeRF"),
    ("03.3", lambda x, k, r: waves_1d(x, k, r).T, "shape"),
    ("03.3", lambda x, k, r: 1 / 0, "ZeroDivisionError"),
    ("03.3", 7, "expected a function"),
    ("03.4", "B", "none for a pixel between"),
    ("03.4", "C", "Fourier features can"),
    ("03.4", "D", "at every coordinate"),
    ("03.4", "E", "one of A, B, C, D"),
    ("03.5", lambda offset, crop, frame: np.linspace(-1, 1, crop), "relative to the crop"),
    ("03.5", lambda offset, crop, frame: np.linspace(-1, 1, frame)[:crop], "the offset is not used"),
    ("03.5", lambda offset, crop, frame: (offset + np.arange(crop)) * 2 / frame - 1, "frame - 1 steps"),
    ("03.5", lambda offset, crop, frame: np.linspace(0, 1, frame)[offset : offset + crop], "from 0 to 1"),
    ("03.5", lambda offset, crop, frame: np.linspace(-1, 1, frame), "shape"),
    ("03.5", "−1", "expected a function"),
]


class TestAnswers(Answers):
    number = "03"
    right = RIGHT
    wrong = WRONG
