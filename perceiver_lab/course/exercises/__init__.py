"""The exercises of every lesson, one file each: question, hints, solution and the check in one place."""

from perceiver_lab.course.exercises.base import Exercise, Verdict, check, find, hint, lesson, solution, verdict

__all__ = ["Exercise", "Verdict", "check", "find", "hint", "lesson", "solution", "verdict"]
