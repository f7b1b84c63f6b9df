"""Explorers: widgets in a notebook, pages of their own through `export_html`."""

from perceiver_lab.explorers.attention import AttentionExplorer
from perceiver_lab.explorers.base import Explorer
from perceiver_lab.explorers.budget import TokenBudget
from perceiver_lab.explorers.drag import DragQuery
from perceiver_lab.explorers.fourier import FourierBandwidth
from perceiver_lab.explorers.mixer import SenseMixer
from perceiver_lab.explorers.painter import MaskPainter
from perceiver_lab.explorers.planner import BudgetPlanner
from perceiver_lab.explorers.playground import QueryPlayground
from perceiver_lab.explorers.playground_tasks import Task
from perceiver_lab.explorers.providers import ArrayProvider, ModelProvider, Provider
from perceiver_lab.explorers.ruler import ContextRuler
from perceiver_lab.explorers.shapes import ShapeTracer
from perceiver_lab.explorers.shuffle import ShuffleDial
from perceiver_lab.explorers.stepper import DecodeStepper
from perceiver_lab.explorers.unshuffle import Unshuffler
from perceiver_lab.explorers.ward import WardRound

__all__ = [
    "ArrayProvider",
    "AttentionExplorer",
    "BudgetPlanner",
    "ContextRuler",
    "DecodeStepper",
    "DragQuery",
    "Explorer",
    "FourierBandwidth",
    "MaskPainter",
    "ModelProvider",
    "Provider",
    "QueryPlayground",
    "SenseMixer",
    "ShapeTracer",
    "ShuffleDial",
    "Task",
    "TokenBudget",
    "Unshuffler",
    "WardRound",
]
