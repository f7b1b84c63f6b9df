"""What stands between data and array: input adapters and output adapters. Models know none of them."""

from perceiver_lab.adapters.features import AudioPatches, Conv1x1, Convolutions, Patches, Pixels
from perceiver_lab.adapters.inputs import GridInput, ImageInput, MultimodalInput, OneHotInput, PointInput
from perceiver_lab.adapters.outputs import ClassOutput

__all__ = [
    "AudioPatches",
    "ClassOutput",
    "Conv1x1",
    "Convolutions",
    "GridInput",
    "ImageInput",
    "MultimodalInput",
    "OneHotInput",
    "Patches",
    "Pixels",
    "PointInput",
]
