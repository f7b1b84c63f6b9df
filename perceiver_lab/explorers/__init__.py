"""Explorers: widgets in a notebook, pages of their own through `export_html`."""

from perceiver_lab.explorers.attention import AttentionExplorer
from perceiver_lab.explorers.base import Explorer
from perceiver_lab.explorers.providers import ArrayProvider, ModelProvider, Provider

__all__ = ["ArrayProvider", "AttentionExplorer", "Explorer", "ModelProvider", "Provider"]
