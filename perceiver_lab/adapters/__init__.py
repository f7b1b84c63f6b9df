"""What stands between data and array: input adapters, query adapters, output adapters. Models know none of them."""

from perceiver_lab.adapters.features import AudioPatches, Conv1x1, Convolutions, Patches, Pixels
from perceiver_lab.adapters.grouped_queries import MultimodalQueries
from perceiver_lab.adapters.inputs import GridInput, ImageInput, OneHotInput, PointInput
from perceiver_lab.adapters.multimodal import MultimodalInput
from perceiver_lab.adapters.outputs import ClassOutput, LinearOutput, OnlyQuery
from perceiver_lab.adapters.queries import InputQueries, PositionQueries

__all__ = [
    "AudioPatches",
    "ClassOutput",
    "Conv1x1",
    "Convolutions",
    "GridInput",
    "ImageInput",
    "InputQueries",
    "LinearOutput",
    "MultimodalInput",
    "MultimodalQueries",
    "OneHotInput",
    "OnlyQuery",
    "Patches",
    "Pixels",
    "PointInput",
    "PositionQueries",
]
