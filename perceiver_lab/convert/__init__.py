"""Weights of other implementations -> ours, and back."""

from perceiver_lab.convert.haiku import haiku_shapes, load_haiku, to_haiku
from perceiver_lab.convert.huggingface import huggingface_shapes, load_huggingface, to_huggingface
from perceiver_lab.convert.pickle_names import CheckpointError
from perceiver_lab.convert.pickles import Checkpoint, read_checkpoint

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "haiku_shapes",
    "huggingface_shapes",
    "load_haiku",
    "load_huggingface",
    "read_checkpoint",
    "to_haiku",
    "to_huggingface",
]
