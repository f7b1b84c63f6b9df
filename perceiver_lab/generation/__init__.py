"""Autoregressive models at work: tokens one after the other, from caches of fixed size, and bits per token."""

from perceiver_lab.generation.decoding import Generation, generate, stream
from perceiver_lab.generation.evaluation import TokenLosses, evaluate_tokens, strided_windows

__all__ = ["Generation", "TokenLosses", "evaluate_tokens", "generate", "stream", "strided_windows"]
