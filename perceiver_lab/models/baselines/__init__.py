"""What a Perceiver is measured against: a ConvNet, a Vision Transformer, and a Transformer on the inputs themselves.

All are called alike: `model(x, *, positions=None, train=False, rngs=None) -> logits (B, num_classes)`; those of `Bert`,
which answers at every element, are (B, M, vocabulary).
"""

from perceiver_lab.models.baselines.bert import Bert, BertConfig
from perceiver_lab.models.baselines.convnet import ConvNet, ConvNetConfig
from perceiver_lab.models.baselines.matching import count_parameters, match_parameters
from perceiver_lab.models.baselines.transformer import TransformerConfig, TransformerEncoder
from perceiver_lab.models.baselines.vit import ViT, ViTConfig

__all__ = [
    "Bert",
    "BertConfig",
    "ConvNet",
    "ConvNetConfig",
    "TransformerConfig",
    "TransformerEncoder",
    "ViT",
    "ViTConfig",
    "count_parameters",
    "match_parameters",
]
