"""Weights of other implementations -> ours, and back."""

from perceiver_lab.convert.haiku import haiku_shapes, load_haiku, to_haiku

__all__ = ["haiku_shapes", "load_haiku", "to_haiku"]
