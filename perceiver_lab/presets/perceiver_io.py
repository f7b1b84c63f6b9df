"""The configurations of the Perceiver IO paper (Jaegle et al. 2022, 2107.14795) as they were released: ImageNet."""

from flax import nnx

from perceiver_lab.adapters import Conv1x1, Convolutions, GridInput, ImageInput, OnlyQuery, PositionQueries
from perceiver_lab.layers import FourierPositions, LearnedPositions, ProjectedPositions
from perceiver_lab.models import Decoder, PerceiverConfig, PerceiverIO

IMAGE = (224, 224, 3)


def imagenet_fourier_io(*, rngs: nnx.Rngs) -> PerceiverIO:
    """ImageNet from 50,176 pixels with Fourier features: 79.0 % top-1, 48,440,627 parameters, 407 GFLOPs (Table 7).

    Configuration A of appendix A.1: 512 latents of 1024, one read, 8 times the same block of 6 layers; one learned
    query of 1024 channels asks for the 1000 logits.
    """
    return _imagenet(ImageInput(IMAGE, num_bands=64), rngs=rngs)


def imagenet_learned_io(*, rngs: nnx.Rngs) -> PerceiverIO:
    """ImageNet with learned positions: 72.7 % top-1, 62,255,848 parameters (Table 7).

    Pixels go through a linear layer to 256 channels; positions are a table of 256 channels and a projection. The
    released notebook builds the decoder without the query residual, other ports with it; the shapes are the same.
    """
    features = Conv1x1(IMAGE, channels=256, rngs=rngs)
    positions = ProjectedPositions(LearnedPositions(features.grid, 256, rngs=rngs), 256, rngs=rngs)
    return _imagenet(GridInput(features, positions), rngs=rngs, use_query_residual=False)


def imagenet_conv_io(*, rngs: nnx.Rngs) -> PerceiverIO:
    """ImageNet through a convolution and a max-pool: 82.1 % top-1, 48,646,522 parameters (Table 7).

    A 7 x 7 convolution to 64 channels with batch norm and a 3 x 3 max-pool leave 56 x 56 cells.
    """
    features = Convolutions(IMAGE, channels=64, rngs=rngs)
    return _imagenet(GridInput(features, FourierPositions(features.grid, num_bands=64)), rngs=rngs)


def _imagenet(input_adapter: GridInput, *, rngs: nnx.Rngs, use_query_residual: bool = True) -> PerceiverIO:
    config = PerceiverConfig(num_latents=512, latent_channels=1024, num_blocks=8, num_self_attends_per_block=6)
    decoder = Decoder(
        PositionQueries(LearnedPositions((1,), 1024, rngs=rngs)),
        config.latent_channels,
        output_channels=1000,
        use_query_residual=use_query_residual,
        rngs=rngs,
    )
    return PerceiverIO(config, input_adapter=input_adapter, decoder=decoder, output_adapter=OnlyQuery(), rngs=rngs)


IMAGENET_IO = (imagenet_fourier_io, imagenet_learned_io, imagenet_conv_io)
