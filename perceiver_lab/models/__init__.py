"""Models: one file, one frozen config. Each receives its adapters as constructor arguments."""

from perceiver_lab.models.ar_cache import ARCache, empty_cache, extend
from perceiver_lab.models.decoder import Decoder
from perceiver_lab.models.flamingo import Flamingo
from perceiver_lab.models.gated import GatedConfig, GatedCrossAttention, GatedLayers
from perceiver_lab.models.hip import HiP, HiPClassBottleneck
from perceiver_lab.models.hip_config import HiPConfig
from perceiver_lab.models.perceiver import Perceiver, PerceiverConfig, PerceiverEncoder
from perceiver_lab.models.perceiver_ar import PerceiverAR, PerceiverARConfig
from perceiver_lab.models.perceiver_io import PerceiverIO
from perceiver_lab.models.resampler import Resampler, ResamplerConfig

__all__ = [
    "ARCache",
    "Decoder",
    "Flamingo",
    "GatedConfig",
    "GatedCrossAttention",
    "GatedLayers",
    "HiP",
    "HiPClassBottleneck",
    "HiPConfig",
    "Perceiver",
    "PerceiverAR",
    "PerceiverARConfig",
    "PerceiverConfig",
    "PerceiverEncoder",
    "PerceiverIO",
    "Resampler",
    "ResamplerConfig",
    "empty_cache",
    "extend",
]
