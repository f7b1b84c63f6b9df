"""Pure functions on arrays: attention, masks, positions, patches, sequences, sampling, sound."""

from perceiver_lab.ops.attention import attend, attention_weights
from perceiver_lab.ops.causal import causal_cross_attend
from perceiver_lab.ops.cross import CrossParams, choose_form, cross_attend, multiply_adds
from perceiver_lab.ops.grouping import Cut, Grouping, cut_groups, group, one_group, regroup, ungroup
from perceiver_lab.ops.masks import causal_mask, check_mask, input_mask, query_mask
from perceiver_lab.ops.patches import depth_to_space, extract_patches, flow_patches, space_to_depth
from perceiver_lab.ops.positions import (
    cell_coordinates,
    crop_coordinates,
    fourier_features,
    grid_coordinates,
    num_fourier_features,
    release_coordinates,
    sinusoidal_positions,
    take_cells,
)
from perceiver_lab.ops.rotary import Rotation, rotary_frequencies, rotate, rotation
from perceiver_lab.ops.sampling import filter_logits, sample
from perceiver_lab.ops.sequences import (
    inputs_and_targets,
    latent_indices,
    latent_targets,
    sequence_lengths,
    take_inputs,
    terminal_positions,
)
from perceiver_lab.ops.slices import cross_attend_slices
from perceiver_lab.ops.sound import log_mel, mel, mel_filterbank, mulaw_decode, mulaw_encode, spectrogram

__all__ = [
    "CrossParams",
    "Cut",
    "Grouping",
    "Rotation",
    "attend",
    "attention_weights",
    "causal_cross_attend",
    "causal_mask",
    "cell_coordinates",
    "check_mask",
    "choose_form",
    "crop_coordinates",
    "cross_attend",
    "cross_attend_slices",
    "cut_groups",
    "depth_to_space",
    "extract_patches",
    "filter_logits",
    "flow_patches",
    "fourier_features",
    "grid_coordinates",
    "group",
    "input_mask",
    "inputs_and_targets",
    "latent_indices",
    "latent_targets",
    "log_mel",
    "mel",
    "mel_filterbank",
    "mulaw_decode",
    "mulaw_encode",
    "multiply_adds",
    "num_fourier_features",
    "one_group",
    "query_mask",
    "regroup",
    "release_coordinates",
    "rotary_frequencies",
    "rotate",
    "rotation",
    "sample",
    "sequence_lengths",
    "sinusoidal_positions",
    "space_to_depth",
    "spectrogram",
    "take_cells",
    "take_inputs",
    "terminal_positions",
    "ungroup",
]
