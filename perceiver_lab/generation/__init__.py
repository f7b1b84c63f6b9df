"""Autoregressive models at work: tokens one after the other, from caches of fixed size, and bits per token."""

from perceiver_lab.generation.decoding import Generation, generate, stream
from perceiver_lab.generation.evaluation import TokenLosses, evaluate_tokens, strided_windows
from perceiver_lab.generation.held import Held, held_after

__all__ = [
    "Generation",
    "Held",
    "TokenLosses",
    "evaluate_tokens",
    "generate",
    "held_after",
    "stream",
    "strided_windows",
]
