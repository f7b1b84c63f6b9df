"""Models: one file, one frozen config. Each receives its adapters as constructor arguments."""

from perceiver_lab.models.decoder import Decoder
from perceiver_lab.models.perceiver import Perceiver, PerceiverConfig, PerceiverEncoder
from perceiver_lab.models.perceiver_io import PerceiverIO

__all__ = ["Decoder", "Perceiver", "PerceiverConfig", "PerceiverEncoder", "PerceiverIO"]
