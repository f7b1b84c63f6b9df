"""What stands between data and array: input adapters, query adapters, output adapters. Models know none of them."""

from perceiver_lab.adapters.features import AudioPatches, Conv1x1, Convolutions, FlowPatches, Patches, Pixels
from perceiver_lab.adapters.frames import FrameInput
from perceiver_lab.adapters.grouped_queries import MultimodalQueries
from perceiver_lab.adapters.image_outputs import Conv1x1Output, ConvOutput, FlowOutput, PatchesOutput
from perceiver_lab.adapters.inputs import GridInput, ImageInput, OneHotInput, PointInput
from perceiver_lab.adapters.modalities import Modality, MultimodalOutput, multimodal_adapters
from perceiver_lab.adapters.multimodal import MultimodalInput
from perceiver_lab.adapters.outputs import (
    AudioOutput,
    ByteOutput,
    ClassOutput,
    GridOutput,
    LinearOutput,
    OnlyQuery,
    QueryOutput,
)
from perceiver_lab.adapters.pointers import Pointer
from perceiver_lab.adapters.queries import InputQueries, PositionQueries
from perceiver_lab.adapters.sequences import ByteInput, EntityInput
from perceiver_lab.adapters.sound import LogMel, SideBySide
from perceiver_lab.adapters.tokens import TokenInput
from perceiver_lab.adapters.windows import WindowInput

__all__ = [
    "AudioOutput",
    "AudioPatches",
    "ByteInput",
    "ByteOutput",
    "ClassOutput",
    "Conv1x1",
    "Conv1x1Output",
    "ConvOutput",
    "Convolutions",
    "EntityInput",
    "FlowOutput",
    "FlowPatches",
    "FrameInput",
    "GridInput",
    "GridOutput",
    "ImageInput",
    "InputQueries",
    "LinearOutput",
    "LogMel",
    "Modality",
    "MultimodalInput",
    "MultimodalOutput",
    "MultimodalQueries",
    "OneHotInput",
    "OnlyQuery",
    "Patches",
    "PatchesOutput",
    "Pixels",
    "PointInput",
    "Pointer",
    "PositionQueries",
    "QueryOutput",
    "SideBySide",
    "TokenInput",
    "WindowInput",
    "multimodal_adapters",
]
