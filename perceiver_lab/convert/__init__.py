"""Weights of other implementations -> ours, and back."""

from perceiver_lab.convert.haiku import haiku_shapes, load_haiku, to_haiku
from perceiver_lab.convert.huggingface import huggingface_shapes, load_huggingface, to_huggingface
from perceiver_lab.convert.pickle_names import CheckpointError
from perceiver_lab.convert.pickles import Checkpoint, read_checkpoint
from perceiver_lab.convert.resampler import load_resampler, resampler_shapes, to_resampler

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "haiku_shapes",
    "huggingface_shapes",
    "load_haiku",
    "load_huggingface",
    "load_resampler",
    "read_checkpoint",
    "resampler_shapes",
    "to_haiku",
    "to_huggingface",
    "to_resampler",
]
