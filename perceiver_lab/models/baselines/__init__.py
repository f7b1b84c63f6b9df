"""What a Perceiver is measured against: a ConvNet, a Vision Transformer, and a Transformer on the inputs themselves.

All are called alike: `model(x, *, positions=None, train=False, rngs=None) -> logits (B, num_classes)`; those of `Bert`,
which answers at every element, are (B, M, vocabulary), and so are those that read from left to right: a
`CausalTransformer`, and a `RelativeTransformer`, which is a Music Transformer or a Transformer-XL. A `PointNet` reads
point clouds, and takes a mask in place of positions; a `UNet` answers at every pixel, and takes neither. `readers` has
what stands in a resampler's place instead.
"""

from perceiver_lab.models.baselines.bert import Bert, BertConfig
from perceiver_lab.models.baselines.causal import CausalTransformer
from perceiver_lab.models.baselines.convnet import ConvNet, ConvNetConfig
from perceiver_lab.models.baselines.matching import count_parameters, match_parameters
from perceiver_lab.models.baselines.pointnet import PointNet, PointNetConfig
from perceiver_lab.models.baselines.readers import MeanPooling, PlainTransformer, TokenMLP
from perceiver_lab.models.baselines.relative import RelativeConfig, RelativeTransformer
from perceiver_lab.models.baselines.transformer import TransformerConfig, TransformerEncoder
from perceiver_lab.models.baselines.unet import UNet, UNetConfig
from perceiver_lab.models.baselines.vit import ViT, ViTConfig

__all__ = [
    "Bert",
    "BertConfig",
    "CausalTransformer",
    "ConvNet",
    "ConvNetConfig",
    "MeanPooling",
    "PlainTransformer",
    "PointNet",
    "PointNetConfig",
    "RelativeConfig",
    "RelativeTransformer",
    "TokenMLP",
    "TransformerConfig",
    "TransformerEncoder",
    "UNet",
    "UNetConfig",
    "ViT",
    "ViTConfig",
    "count_parameters",
    "match_parameters",
]
