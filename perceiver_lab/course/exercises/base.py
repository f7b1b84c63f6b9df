"""Exercises and their checks.

A file `lesson_NN.py` in this folder holds `EXERCISES`, a tuple of `Exercise`. A lesson's text repeats each question
word for word (a test compares), leaves the answer empty, and calls `check("NN.n", answer)`.
"""

import difflib
import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class Unanswered(Exception):
    """Raised by a grader that finds an empty answer inside, such as a function that returns nothing yet."""


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """One exercise.

    Attributes:
      id: "NN.n", lesson and number.
      title: a few words.
      question: as it stands in the lesson, Markdown.
      minutes: how long it may take.
      difficulty: 1 look it up, 2 think, 3 build.
      grade: answer -> None if it is right, otherwise what is wrong with it, one sentence. See `graders`. What it raises
        counts as wrong too.
      because: said to a right answer: why it is right.
      hints: from faint to plain.
      solution: Python code whose last line assigns `answer`.
    """

    id: str
    title: str
    question: str
    minutes: int
    difficulty: int
    grade: Callable[[Any], str | None]
    because: str
    hints: tuple[str, ...]
    solution: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a check says. `status` is "right", "wrong" or "empty"."""

    status: str
    text: str

    def __str__(self):
        return self.text


def verdict(id: str, answer: Any) -> Verdict:
    """Judge an answer.

    Args:
      id: of the exercise.
      answer: anything. None, `...` and an empty text are no answer yet.

    Returns:
      One line of text, whatever the answer does.

    Raises:
      ValueError: no such exercise.
    """
    exercise = find(id)
    empty = Verdict(status="empty", text=f'… {id} Not answered yet. hint("{id}") helps.')
    if answer is None or answer is ... or (isinstance(answer, str) and not answer.strip()):
        return empty
    try:
        wrong = exercise.grade(answer)
    except Unanswered:
        return empty
    except Exception as error:  # a learner's code may raise anything; a check may not
        reason = _one_line(error) or "no message"
        wrong = f"checking your answer raised {type(error).__name__}: {reason}"
    if wrong is None:
        return Verdict(status="right", text=f"✓ {id} Right. {_one_line(exercise.because)}")
    wrong = _one_line(wrong)
    return Verdict(status="wrong", text=f"✗ {id} Not yet: {wrong}{'' if wrong[-1:] in '.?!' else '.'}")


def check(id: str, answer: Any) -> None:
    """Print what is to be said about an answer: one line.

    Raises:
      ValueError: no such exercise.
    """
    print(verdict(id, answer))


def hint(id: str, number: int = 1) -> None:
    """Print a hint; the higher its number, the plainer it is.

    Raises:
      ValueError: no such exercise, or not as many hints.
    """
    hints = find(id).hints
    if not 1 <= number <= len(hints):
        raise ValueError(f"Exercise {id} has hints 1 to {len(hints)}; there is no hint {number}.")
    more = f' Another: hint("{id}", {number + 1}).' if number < len(hints) else f' No more hints: solution("{id}").'
    print(f"{id} hint {number} of {len(hints)}: {_one_line(hints[number - 1])}{more}")


def solution(id: str) -> None:
    """Print a solution as code. There may be others.

    Raises:
      ValueError: no such exercise.
    """
    exercise = find(id)
    print(f"# {id} {exercise.title}\n{exercise.solution.strip()}")


def lesson(number: str) -> tuple[Exercise, ...]:
    """All exercises of a lesson, "01" to "13"; none where it has no file."""
    name = f"perceiver_lab.course.exercises.lesson_{number}"
    if importlib.util.find_spec(name) is None:
        return ()
    return importlib.import_module(name).EXERCISES


def find(id: str) -> Exercise:
    """An exercise by its id.

    Raises:
      ValueError: no such exercise, naming the nearest.
    """
    known = {exercise.id: exercise for exercise in lesson(str(id).partition(".")[0])}
    if id not in known:
        near = difflib.get_close_matches(str(id), known, n=3, cutoff=0.5) or list(known)
        there = f"That lesson has {', '.join(near)}" if near else "That lesson has none"
        raise ValueError(f'There is no exercise {id!r}. {there}. An id is lesson and number, such as "01.2".')
    return known[id]


def _one_line(text):
    return " ".join(str(text).split())
