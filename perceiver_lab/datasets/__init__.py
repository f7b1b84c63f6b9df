"""Data sets by name, and the way from their records to batches. Nothing heavy is imported before a set is opened.

`load(name, split)` gives records, `arrays(name, split)` a whole set in memory, `pipeline(name, ...)` an endless,
resumable stream of batches, changed on the way by what is in `transforms`.
"""

from perceiver_lab.datasets.augment import evaluation_crop, normalise, random_area_crop, random_mirror, resize_cubic
from perceiver_lab.datasets.battle import pad_units, turn_battle
from perceiver_lab.datasets.bytes import decode_ids, encode_text, hide_ids, is_text, pad_ids
from perceiver_lab.datasets.cells import in_a_row, mean_cells, smooth_cells, white_noise
from perceiver_lab.datasets.clouds import along_curve, sample_points, turn_points, unit_cube
from perceiver_lab.datasets.contexts import ContextCounts, preceding
from perceiver_lab.datasets.dense import pet_kinds, sample_cells, spread_cells, turn_and_mirror
from perceiver_lab.datasets.events import crop_events, events_text, mirrored, text_events
from perceiver_lab.datasets.flow import mirror_pair, sample_flow, scale_pair
from perceiver_lab.datasets.flow_files import flying_chairs, read_flo, sintel, write_flo
from perceiver_lab.datasets.loading import arrays, content_sha256, data_hash, load, names
from perceiver_lab.datasets.maestro import maestro
from perceiver_lab.datasets.masking import first_window, mask_spans, mask_words, random_window
from perceiver_lab.datasets.mixing import draw_mix, mix_pairs
from perceiver_lab.datasets.modelnet import modelnet40, read_off
from perceiver_lab.datasets.motorcycle import motorcycle
from perceiver_lab.datasets.ngrams import NeighbourCounts, PrecedingCounts, speaker_guesses
from perceiver_lab.datasets.paths import cache_root, data_root
from perceiver_lab.datasets.pictures import events_picture, halve, picture_events, sound_events, tokens_sound
from perceiver_lab.datasets.pipeline import pipeline
from perceiver_lab.datasets.randaugment import randaugment
from perceiver_lab.datasets.senses import ask_some, hide_one, scale_video
from perceiver_lab.datasets.sound import (
    add_noise,
    center_sound,
    change_speed,
    even_loudness,
    one_second,
    shift_sound,
    turn_down,
)
from perceiver_lab.datasets.transforms import (
    center_crop,
    jitter_positions,
    permute_pixels,
    pixel_positions,
    random_crop,
    random_shift,
    sample_pixels,
    standardise,
    to_float,
)

__all__ = [
    "ContextCounts",
    "NeighbourCounts",
    "PrecedingCounts",
    "add_noise",
    "along_curve",
    "arrays",
    "ask_some",
    "cache_root",
    "center_crop",
    "center_sound",
    "change_speed",
    "content_sha256",
    "crop_events",
    "data_hash",
    "data_root",
    "decode_ids",
    "draw_mix",
    "encode_text",
    "evaluation_crop",
    "even_loudness",
    "events_picture",
    "events_text",
    "first_window",
    "flying_chairs",
    "halve",
    "hide_ids",
    "hide_one",
    "in_a_row",
    "is_text",
    "jitter_positions",
    "load",
    "maestro",
    "mask_spans",
    "mask_words",
    "mean_cells",
    "mirror_pair",
    "mirrored",
    "mix_pairs",
    "modelnet40",
    "motorcycle",
    "names",
    "normalise",
    "one_second",
    "pad_ids",
    "pad_units",
    "permute_pixels",
    "pet_kinds",
    "picture_events",
    "pipeline",
    "pixel_positions",
    "preceding",
    "randaugment",
    "random_area_crop",
    "random_crop",
    "random_mirror",
    "random_shift",
    "random_window",
    "read_flo",
    "read_off",
    "resize_cubic",
    "sample_cells",
    "sample_flow",
    "sample_pixels",
    "sample_points",
    "scale_pair",
    "scale_video",
    "shift_sound",
    "sintel",
    "smooth_cells",
    "sound_events",
    "speaker_guesses",
    "spread_cells",
    "standardise",
    "text_events",
    "to_float",
    "tokens_sound",
    "turn_and_mirror",
    "turn_battle",
    "turn_down",
    "turn_points",
    "unit_cube",
    "white_noise",
    "write_flo",
]
