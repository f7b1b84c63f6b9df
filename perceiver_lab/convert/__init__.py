"""Weights of other implementations -> ours, and back."""

from perceiver_lab.convert.haiku import haiku_shapes, load_haiku, to_haiku
from perceiver_lab.convert.pickle_names import CheckpointError
from perceiver_lab.convert.pickles import Checkpoint, read_checkpoint

__all__ = ["Checkpoint", "CheckpointError", "haiku_shapes", "load_haiku", "read_checkpoint", "to_haiku"]
