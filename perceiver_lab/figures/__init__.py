"""Figures: arrays in, a figure with alt text out. All come from `figure`, and show themselves at the end of a cell."""

from perceiver_lab.figures.asking import labels_to_rgb, perceiver_io_diagram, query_points
from perceiver_lab.figures.battles import battle
from perceiver_lab.figures.captions import captioned_clips, flamingo_diagram, media_mask, token_maps
from perceiver_lab.figures.clouds import point_clouds
from perceiver_lab.figures.decoding import cache_film, heated_bars
from perceiver_lab.figures.diagrams import cross_attention_shapes, perceiver_diagram
from perceiver_lab.figures.explaining import explanations, ways_to_look
from perceiver_lab.figures.flow import flow_grid, flow_to_rgb, wheel_rgb
from perceiver_lab.figures.hierarchy import hip_diagram, laid_out_grid, position_clouds
from perceiver_lab.figures.images import attention_on_image, image_grid, map_grid, overlay, to_rgb
from perceiver_lab.figures.music import note_name, piano_roll, synthesise
from perceiver_lab.figures.players import Players
from perceiver_lab.figures.results import accuracy_bars, confusion, loss_curve, share_curves, wilson_interval
from perceiver_lab.figures.senses import (
    attention_on_sound,
    input_array,
    senses_diagram,
    sound_pictures,
    videos_and_sounds,
)
from perceiver_lab.figures.sequences import copy_frame, copy_maps, mirror_share, perceiver_ar_diagram, who_sees_whom
from perceiver_lab.figures.signals import fourier_bands, spectrum
from perceiver_lab.figures.style import (
    COLOURS,
    DASHES,
    MARKERS,
    SEQUENTIAL,
    SIGNED,
    SURPRISE,
    DescribedFigure,
    figure,
    image_html,
    series,
    signed_limits,
    style,
)
from perceiver_lab.figures.text import bits_bars, latents_on_text, masked_bytes_diagram, text_cells

__all__ = [
    "COLOURS",
    "DASHES",
    "MARKERS",
    "SEQUENTIAL",
    "SIGNED",
    "SURPRISE",
    "DescribedFigure",
    "Players",
    "accuracy_bars",
    "attention_on_image",
    "attention_on_sound",
    "battle",
    "bits_bars",
    "cache_film",
    "captioned_clips",
    "confusion",
    "copy_frame",
    "copy_maps",
    "cross_attention_shapes",
    "explanations",
    "figure",
    "flamingo_diagram",
    "flow_grid",
    "flow_to_rgb",
    "fourier_bands",
    "heated_bars",
    "hip_diagram",
    "image_grid",
    "image_html",
    "input_array",
    "labels_to_rgb",
    "laid_out_grid",
    "latents_on_text",
    "loss_curve",
    "map_grid",
    "masked_bytes_diagram",
    "media_mask",
    "mirror_share",
    "note_name",
    "overlay",
    "perceiver_ar_diagram",
    "perceiver_diagram",
    "perceiver_io_diagram",
    "piano_roll",
    "point_clouds",
    "position_clouds",
    "query_points",
    "senses_diagram",
    "series",
    "share_curves",
    "signed_limits",
    "sound_pictures",
    "spectrum",
    "style",
    "synthesise",
    "text_cells",
    "to_rgb",
    "token_maps",
    "videos_and_sounds",
    "ways_to_look",
    "wheel_rgb",
    "who_sees_whom",
    "wilson_interval",
]
