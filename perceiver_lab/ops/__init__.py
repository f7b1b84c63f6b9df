"""Pure functions on arrays: attention, masks, positions, patches, sound."""

from perceiver_lab.ops.attention import attend, attention_weights
from perceiver_lab.ops.cross import CrossParams, choose_form, cross_attend, multiply_adds
from perceiver_lab.ops.masks import check_mask, input_mask, query_mask
from perceiver_lab.ops.patches import depth_to_space, extract_patches, flow_patches, space_to_depth
from perceiver_lab.ops.positions import (
    cell_coordinates,
    crop_coordinates,
    fourier_features,
    grid_coordinates,
    num_fourier_features,
    release_coordinates,
    take_cells,
)
from perceiver_lab.ops.sound import log_mel, mel, mel_filterbank, mulaw_decode, mulaw_encode, spectrogram

__all__ = [
    "CrossParams",
    "attend",
    "attention_weights",
    "cell_coordinates",
    "check_mask",
    "choose_form",
    "crop_coordinates",
    "cross_attend",
    "depth_to_space",
    "extract_patches",
    "flow_patches",
    "fourier_features",
    "grid_coordinates",
    "input_mask",
    "log_mel",
    "mel",
    "mel_filterbank",
    "mulaw_decode",
    "mulaw_encode",
    "multiply_adds",
    "num_fourier_features",
    "query_mask",
    "release_coordinates",
    "space_to_depth",
    "spectrogram",
    "take_cells",
]
