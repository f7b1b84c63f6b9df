"""Flax modules: attention, MLP, blocks, stacks, position encodings, convolutions."""

from perceiver_lab.layers.attention import Attention, LayerNorm, layer_norm
from perceiver_lab.layers.blocks import CrossAttentionBlock, SelfAttentionBlock
from perceiver_lab.layers.causal import CausalCrossAttentionBlock, CausalSelfAttentionBlock, CausalStack, Memory
from perceiver_lab.layers.conv import BatchNorm, ConvDownsample, ConvUpsample, TransposedConv
from perceiver_lab.layers.mlp import MLP, GatedMLP
from perceiver_lab.layers.positions import FourierPositions, LearnedPositions, ProjectedPositions, SinusoidalPositions
from perceiver_lab.layers.precision import compute_in
from perceiver_lab.layers.recording import AttentionMap, labelled, record_attention
from perceiver_lab.layers.stack import SelfAttentionStack

__all__ = [
    "MLP",
    "Attention",
    "AttentionMap",
    "BatchNorm",
    "CausalCrossAttentionBlock",
    "CausalSelfAttentionBlock",
    "CausalStack",
    "ConvDownsample",
    "ConvUpsample",
    "CrossAttentionBlock",
    "FourierPositions",
    "GatedMLP",
    "LayerNorm",
    "LearnedPositions",
    "Memory",
    "ProjectedPositions",
    "SelfAttentionBlock",
    "SelfAttentionStack",
    "SinusoidalPositions",
    "TransposedConv",
    "compute_in",
    "labelled",
    "layer_norm",
    "record_attention",
]
