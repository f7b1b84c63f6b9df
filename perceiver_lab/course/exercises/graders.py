"""Graders: functions that make an `Exercise.grade` from the right answer and the usual mistakes.

A grade is a function: answer -> None if right, otherwise one sentence about what is wrong. Each accepts an answer in
any sensible form: a number as int, float, text or array of one; a sequence as tuple, list or array; NumPy or JAX.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from perceiver_lab.course.exercises.base import Unanswered

Grade = Callable[[Any], str | None]


def number(
    expected: int | float,
    *,
    rel: float = 1e-6,
    mistakes: Sequence[tuple[int | float, str]] = (),
    otherwise: str | None = None,
) -> Grade:
    """One number.

    Args:
      expected: the right one.
      rel: relative tolerance, also of the mistakes.
      mistakes: (number, what was done to get it).
      otherwise: said to any other number; by default only whether it is too large or too small.
    """

    def grade(answer):
        value = as_number(answer)
        if value is None:
            return f"expected a number, got {_describe(answer)}"
        if math.isclose(value, expected, rel_tol=rel, abs_tol=1e-12):
            return None
        for wrong, reason in mistakes:
            if math.isclose(value, wrong, rel_tol=rel, abs_tol=1e-12):
                return reason
        return otherwise or f"{value:,.6g} is too {'large' if value > expected else 'small'}"

    return grade


def choice(expected: str, reasons: Mapping[str, str]) -> Grade:
    """One of several letters; `reasons` says for each wrong one why it is not."""
    letters = sorted({expected, *reasons})

    def grade(answer):
        letter = str(answer).strip().strip("().:'\"").upper()
        if letter == expected:
            return None
        return reasons.get(letter, f"expected one of {', '.join(letters)}, got {_describe(answer)}")

    return grade


def shape(expected: Sequence[int], *, mistakes: Sequence[tuple[Sequence[int], str]] = ()) -> Grade:
    """A shape: as tuple, list, text such as "(2, 3)", or an array that has it."""
    expected = tuple(expected)

    def grade(answer):
        value = as_shape(answer)
        if value is None:
            return f"expected a shape such as (2, 3), got {_describe(answer)}"
        if value == expected:
            return None
        for wrong, reason in mistakes:
            if value == tuple(wrong):
                return reason
        if len(value) != len(expected):
            return f"{value} has {len(value)} axes, expected {len(expected)}"
        if sorted(value) == sorted(expected):
            return f"{value} has the right numbers in another order"
        axis = next(axis for axis, pair in enumerate(zip(value, expected, strict=True)) if pair[0] != pair[1])
        return f"axis {axis} of {value} has another length"

    return grade


def array(expected: Any, *, atol: float = 1e-4, mistakes: Sequence[tuple[Any, str]] = ()) -> Grade:
    """Numbers in an array, list or tuple; compared elementwise."""

    def grade(answer):
        return compare(answer, expected, atol=atol, mistakes=mistakes)

    return grade


def function(
    reference: Callable,
    cases: Sequence[tuple],
    *,
    atol: float = 1e-4,
    mistakes: Sequence[tuple[Callable, str]] = (),
) -> Grade:
    """A function of arrays that must do what `reference` does.

    Args:
      reference: the right function.
      cases: tuples of arguments, NumPy arrays among them. The answer is tried on copies of them, and on JAX arrays
        where that raises.
      atol: of the comparison.
      mistakes: (wrong function, what it forgot). An answer that agrees with it in all cases gets this sentence.
    """

    def grade(answer):
        if not callable(answer):
            return f"expected a function, got {_describe(answer)}"
        results = [_call(answer, case) for case in cases]
        if any(result is None or result is ... for result in results):
            raise Unanswered
        diagnoses = [compare(result, reference(*case), atol=atol) for result, case in zip(results, cases, strict=True)]
        if not any(diagnoses):
            return None
        for wrong, reason in mistakes:
            pairs = zip(results, cases, strict=True)
            if all(compare(result, wrong(*case), atol=atol) is None for result, case in pairs):
                return reason
        return next(diagnosis for diagnosis in diagnoses if diagnosis)

    return grade


def compare(answer: Any, expected: Any, *, atol: float = 1e-4, mistakes: Sequence[tuple[Any, str]] = ()) -> str | None:
    """None if two arrays agree, otherwise how they differ."""
    value, expected = as_array(answer), np.asarray(expected)
    if value is None:
        return f"expected numbers, got {_describe(answer)}"
    if value.shape == expected.shape:
        if np.allclose(value, expected, rtol=1e-4, atol=atol):
            return None
        for wrong, reason in mistakes:
            if np.shape(wrong) == value.shape and np.allclose(value, wrong, rtol=1e-4, atol=atol):
                return reason
        if not np.isfinite(value).all():
            return "the result has values that are NaN or infinite"
        worst = np.unravel_index(np.abs(value - expected).argmax(), value.shape)
        at = f" at {tuple(int(index) for index in worst)}" if worst else ""
        return f"the shape is right, but the numbers differ by up to {np.abs(value - expected).max():.3g}{at}"
    return f"the result has shape {value.shape}, expected {expected.shape}"


def as_number(answer: Any) -> float | None:
    """A float, or None where the answer is none."""
    if isinstance(answer, bool | np.bool_):
        return None
    if isinstance(answer, str):
        answer = answer.replace(",", "").replace("_", "").strip()
    try:
        value = np.asarray(answer, dtype=np.float64) if not isinstance(answer, str) else np.float64(answer)
    except (TypeError, ValueError):
        return None
    return float(value.reshape(())) if value.size == 1 else None


def as_shape(answer: Any) -> tuple[int, ...] | None:
    """A tuple of ints, or None where the answer is none."""
    if isinstance(answer, str):
        parts = answer.strip().strip("()[]").replace("x", ",").split(",")
        answer = [part.strip() for part in parts if part.strip()]
        if not answer or not all(part.isdigit() for part in answer):
            return None
        return tuple(map(int, answer))
    if hasattr(answer, "shape") and getattr(answer, "ndim", 0) != 1:
        return tuple(map(int, answer.shape))
    try:
        parts = [as_number(part) for part in answer]
    except TypeError:
        return None
    return tuple(map(int, parts)) if all(part is not None and part == int(part) for part in parts) else None


def as_array(answer: Any) -> np.ndarray | None:
    """Numbers as float64, or None where the answer has none."""
    try:
        return np.asarray(answer, dtype=np.float64)
    except (TypeError, ValueError):
        return None


def _call(answer, case):
    """The answer's result, with arrays of the kind that it was written for."""
    try:
        return answer(*(np.array(one) if isinstance(one, np.ndarray) else one for one in case))
    except Exception:  # written for JAX arrays, perhaps: x.at[...]
        import jax.numpy as jnp

        return answer(*(jnp.asarray(one) if isinstance(one, np.ndarray) else one for one in case))


def _describe(answer):
    text = " ".join(repr(answer).split())
    return f"{type(answer).__name__} {text if len(text) <= 40 else text[:37] + '...'}"
