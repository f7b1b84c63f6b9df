"""What a notebook needs around its lesson: set-up and mode, predictions, exercises with their checks."""

from perceiver_lab.course.exercises import check, hint, solution
from perceiver_lab.course.modes import budget, mode
from perceiver_lab.course.notebook import predict, reveal, setup

__all__ = ["budget", "check", "hint", "mode", "predict", "reveal", "setup", "solution"]
