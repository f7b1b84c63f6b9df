"""What counting is worth on pictures pixel by pixel, and on sounds sample by sample."""

import numpy as np
from jaxtyping import Float, Int

from perceiver_lab.datasets import ContextCounts, load, preceding
from perceiver_lab.datasets.quantiser import spoken_quantiser
from perceiver_lab.ops.sequences import NUM_SPECIAL_TOKENS, PAD
from perceiver_lab.recipes.base import Recipe

AROUND = ((0, -1), (-1, 0), (-1, 1), (-1, -1), (0, -2), (-2, 0))  # (rows, columns) to a pixel's neighbours, as counted
REACH = 6  # samples or codes before the next one that an n-gram may use
TAPS = 16  # samples that the linear predictor reads
FINE, COARSE = 128, 12  # steps in which the predictor's guess, and the size of its last errors, are told to who counts


def count_pixels(recipe: Recipe) -> dict[str, float]:
    """Bits per pixel of the test pictures, by counting.

    Returns:
      "alone", how often each value occurs; "markov", told the pixel to the left; "neighbours", told as many of `AROUND`
      as are best on the last sixth of the training pictures; "known", how many that are.
    """
    train, test = (_events(recipe, split) for split in (recipe.data.train, recipe.data.test))
    side = int(np.sqrt(len(train[0]) - 1))
    return _count(train, test, lambda events: pixel_contexts(events, side), {"alone": 0, "markov": 1}, "neighbours")


def count_samples(recipe: Recipe) -> dict[str, float]:
    """Bits per sample of the test clips, by counting.

    Returns:
      "alone" and "markov" as above; "n-gram", told as many samples before as are best on the last sixth of the training
      clips, "known" of them; "predictor", told in `FINE` steps what a linear predictor of `TAPS` samples says, and in
      `COARSE` ones how far it was off last.
    """
    train, test = (_events(recipe, split) for split in (recipe.data.train, recipe.data.test))
    found = _count(train, test, lambda events: preceding(events[1:], REACH), {"alone": 0, "markov": 1}, "n-gram")
    taps = linear_predictor(train)
    guesses = _count(train, test, lambda events: predictor_contexts(events, taps), {}, "predictor")
    return found | {"predictor": guesses["predictor"]}


def count_codes(recipe: Recipe) -> dict[str, float]:
    """Bits per code of the test clips, by counting.

    Returns:
      "alone", told the stage of the code only; "markov", the code before as well; "n-gram", as many codes before as are
      best on the last sixth of the training clips; "known", how many numbers that is told, the stage counted.
    """
    train, test = (_events(recipe, split) for split in (recipe.data.train, recipe.data.test))
    return _count(train, test, code_contexts, {"alone": 1, "markov": 2}, "n-gram")


def code_contexts(events: Int[np.ndarray, " m"]) -> Int[np.ndarray, "n k"]:
    """For every code its stage, and the codes before, the nearest first."""
    stage = np.arange(len(events) - 1) % len(spoken_quantiser().codebooks)
    return np.concatenate([stage[:, None], preceding(np.asarray(events)[1:], REACH)], axis=1)


def pixel_contexts(events: Int[np.ndarray, " m"], side: int) -> Int[np.ndarray, "n k"]:
    """For every pixel of a square picture, the values of its neighbours that come earlier; beyond the border paper."""
    image = np.pad(np.asarray(events)[1:].reshape(side, side) - NUM_SPECIAL_TOKENS, 2)
    moved = [image[2 + row : 2 + row + side, 2 + column : 2 + column + side] for row, column in AROUND]
    return np.stack(moved, axis=-1).reshape(side * side, len(AROUND)).astype(np.int64)


def linear_predictor(clips: list[Int[np.ndarray, "_"]]) -> Float[np.ndarray, " taps"]:
    """The weights of the last `TAPS` levels, the nearest first, that predict the next one best in least squares."""
    rows, wanted = zip(*(_windows(events) for events in clips), strict=True)
    return np.linalg.lstsq(np.concatenate(rows), np.concatenate(wanted), rcond=None)[0]


def predictor_contexts(events: Int[np.ndarray, " m"], taps: Float[np.ndarray, " taps"]) -> Int[np.ndarray, "n 3"]:
    """For every sample: the guess in steps, the size of the last errors in steps that double, the level before."""
    rows, wanted = _windows(events)
    guess = np.clip(rows @ taps, -128, 127)
    error = np.abs(np.concatenate([[0.0], (wanted - guess)[:-1]]))
    for now in range(1, len(error)):  # a large error is remembered for a while
        error[now] = max(error[now], 0.9 * error[now - 1])
    size = np.minimum(np.log2(1 + error) * 2, COARSE - 1).astype(np.int64)
    step = ((guess + 128) * FINE / 256).astype(np.int64)
    return np.stack([step, size, (rows[:, 0] + 128).astype(np.int64)], axis=1)


def _windows(events):
    levels = np.asarray(events)[1:] - NUM_SPECIAL_TOKENS - 128.0
    padded = np.concatenate([np.zeros(TAPS), levels])
    return np.stack([padded[TAPS - back : len(padded) - back] for back in range(1, TAPS + 1)], axis=1), levels


def _events(recipe, split):
    """All documents of a split, as they are."""
    source, rng = load(recipe.data.name, split), np.random.default_rng(0)
    documents = []
    for number in range(len(source)):
        record = source[number]
        for change in recipe.data.test_transforms:
            record = change(record, rng)
        documents.append(record["events"][record["events"] != PAD])
    return documents


def _count(train, test, contexts, names, best_name):
    """Bits of the test with as much known as `names` says, and with as much as is best on held-out training data."""
    symbols = int(max(one.max() for one in train)) + 1
    cut = len(train) * 5 // 6
    told = {
        part: (np.concatenate([one[1:] for one in documents]), np.concatenate([contexts(one) for one in documents]))
        for part, documents in {"first": train[:cut], "last": train[cut:], "all": train, "test": test}.items()
    }
    trial = ContextCounts(*told["first"], num_symbols=symbols)
    best = int(np.argmin([trial.bits(*told["last"], known=known).mean() for known in range(trial.reach + 1)]))
    counts = ContextCounts(*told["all"], num_symbols=symbols)
    found = {name: float(counts.bits(*told["test"], known=known).mean()) for name, known in names.items()}
    return found | {best_name: float(counts.bits(*told["test"], known=best).mean()), "known": best}
