"""The configurations of the Hierarchical Perceiver (2202.10890), from the size tables of the released code.

The paper's own tables may differ. Every preset reads the 50,176 pixels of a colour image of 224 x 224 and gives them
back; `VARIANTS` has the sizes alone, for other modalities:

    HiP(VARIANTS["hip_16"], {"image": (50_176, 3), "label": (1, 1000)}, rngs=nnx.Rngs(0))

HiP-256 is built for the largest inputs: a million pixels are 256 groups of 4,096. Its widest stack, 18 layers, is that
of the first block with a single group, below the processor.
"""

from flax import nnx

from perceiver_lab.models import HiP, HiPConfig

IMAGE = {"image": (224 * 224, 3)}

VARIANTS = {
    "hip_mini": HiPConfig(
        num_groups=(16, 1, 16),
        num_self_attends_per_block=(2, 1, 1),
        num_latents=(128, 64, 128),
        latent_channels=(128, 1024, 128),
        num_self_heads=(4, 32, 4),
        embedding_channels=32,
    ),
    "hip_16": HiPConfig(
        num_groups=(16, 4, 1, 1, 1, 4, 16),
        num_self_attends_per_block=(2, 2, 18, 2, 1, 1, 1),
        num_latents=(128, 256, 256, 64, 256, 256, 128),
        latent_channels=(128, 256, 512, 1024, 512, 256, 128),
        num_self_heads=(4, 8, 16, 32, 16, 8, 4),
        embedding_channels=32,
    ),
    "hip_16x3": HiPConfig(
        num_groups=(16, 1, 16),
        num_self_attends_per_block=(2, 18, 2),
        num_latents=(128, 256, 128),
        latent_channels=(128, 1024, 128),
        num_self_heads=(4, 32, 4),
        embedding_channels=32,
    ),
    "hip_256": HiPConfig(
        num_groups=(256, 64, 16, 4, 1, 1, 1, 4, 16, 64, 256),
        num_self_attends_per_block=(1, 1, 2, 2, 18, 2, 1, 1, 1, 1, 1),
        num_latents=(32, 64, 128, 256, 256, 64, 256, 256, 128, 64, 32),
        latent_channels=(64, 96, 128, 256, 512, 1024, 256, 128, 64, 32, 16),
        num_self_heads=(1, 2, 4, 8, 16, 32, 16, 8, 4, 2, 1),
        embedding_channels=16,
    ),
    "hip_flat_mini": HiPConfig(
        num_groups=(1,),
        num_self_attends_per_block=(2,),
        num_latents=(128,),
        latent_channels=(128,),
        num_self_heads=2,
        self_widening_factor=2,
        embedding_channels=128,
    ),
    "hip_flat_50m": HiPConfig(
        num_groups=(1,),
        num_self_attends_per_block=(8,),
        num_latents=(1024,),
        latent_channels=(512,),
        num_self_heads=8,
        num_cross_heads=8,
        cross_widening_factor=4,
        embedding_channels=512,
    ),
    "hip_flat_150m": HiPConfig(
        num_groups=(1,),
        num_self_attends_per_block=(12,),
        num_latents=(1024,),
        latent_channels=(896,),
        num_self_heads=16,
        num_cross_heads=16,
        cross_widening_factor=4,
        embedding_channels=896,
    ),
}


def hip_mini(*, rngs: nnx.Rngs) -> HiP:
    """HiP Mini, the release's small test model: 20,272,611 parameters (Table "Mini" of the code)."""
    return HiP(VARIANTS["hip_mini"], IMAGE, rngs=rngs)


def hip_16(*, rngs: nnx.Rngs) -> HiP:
    """HiP-16, seven levels from 16 groups up to one: 100,787,939 parameters (Table "16" of the code)."""
    return HiP(VARIANTS["hip_16"], IMAGE, rngs=rngs)


def hip_16x3(*, rngs: nnx.Rngs) -> HiP:
    """HiP-16x3, the same in three levels, its 18 layers in the processor: 234,803,299 parameters (Table "16x3")."""
    return HiP(VARIANTS["hip_16x3"], IMAGE, rngs=rngs)


def hip_256(*, rngs: nnx.Rngs) -> HiP:
    """HiP-256, eleven levels from 256 groups up to one: 96,367,155 parameters (Table "256" of the code)."""
    return HiP(VARIANTS["hip_256"], IMAGE, rngs=rngs)


def hip_flat_mini(*, rngs: nnx.Rngs) -> HiP:
    """The small flat baseline, "PerceiverIO mini": 6,904,451 parameters (Table "io_mini" of the code)."""
    return HiP(VARIANTS["hip_flat_mini"], IMAGE, rngs=rngs)


def hip_flat_50m(*, rngs: nnx.Rngs) -> HiP:
    """The flat baseline with 1024 latents of 512 in 8 layers: 56,169,475 parameters (Table "io_c_50m").

    Not the Perceiver IO of 2107.14795: learned positions are added instead of Fourier features beside the pixels, the
    queries are those positions, and the MLPs have squared ReLUs.
    """
    return HiP(VARIANTS["hip_flat_50m"], IMAGE, rngs=rngs)


def hip_flat_150m(*, rngs: nnx.Rngs) -> HiP:
    """The flat baseline with 1024 latents of 896 in 12 layers: 176,101,635 parameters (Table "io_c_150m")."""
    return HiP(VARIANTS["hip_flat_150m"], IMAGE, rngs=rngs)


HIP = (hip_mini, hip_16, hip_16x3, hip_256, hip_flat_mini, hip_flat_50m, hip_flat_150m)
