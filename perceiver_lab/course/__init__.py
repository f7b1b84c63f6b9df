"""What a notebook needs around its lesson: set-up and mode, trained models, predictions, exercises."""

from perceiver_lab.course.exercises import check, hint, solution
from perceiver_lab.course.live import LiveCurve
from perceiver_lab.course.measurements import measured
from perceiver_lab.course.modes import budget, mode
from perceiver_lab.course.notebook import predict, reveal, setup

# The function takes the name from its module, on purpose: what is imported first stays bound.
from perceiver_lab.course.trained import trained

__all__ = [
    "LiveCurve",
    "budget",
    "check",
    "hint",
    "measured",
    "mode",
    "predict",
    "reveal",
    "setup",
    "solution",
    "trained",
]
