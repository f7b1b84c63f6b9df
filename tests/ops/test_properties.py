"""Pure functions under sizes and values of any kind: what they document, or a `ValueError` in words."""

import itertools
import math

import hypothesis.strategies as st
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

from perceiver_lab.ops import masks, patches, sampling, sequences, sound, tiles

MANY = settings(max_examples=100, deadline=None)

REFUSED = {
    "block 0": lambda: patches.space_to_depth(jnp.zeros((1, 4, 4, 1)), 0),
    "block -2": lambda: patches.space_to_depth(jnp.zeros((1, 4, 4, 1)), -2),
    "frames 0": lambda: patches.space_to_depth(jnp.zeros((1, 2, 4, 4, 1)), 2, 0),
    "depth 0": lambda: patches.depth_to_space(jnp.zeros((1, 4, 4, 4)), 0),
    "patch 0": lambda: patches.extract_patches(jnp.zeros((1, 4, 4, 1)), (0, 2)),
    "stride 0": lambda: patches.extract_patches(jnp.zeros((1, 4, 4, 1)), (2, 2), strides=(0, 1)),
    "rate 0": lambda: patches.extract_patches(jnp.zeros((1, 4, 4, 1)), (2, 2), rates=(1, 0)),
    "neighbourhood": lambda: patches.flow_patches(jnp.zeros((1, 2, 4, 4, 1)), -1),
    "hop 0": lambda: sound.spectrogram(jnp.zeros((1, 8)), window=4, hop=0),
    "hop -2": lambda: sound.spectrogram(jnp.zeros((1, 8)), window=4, hop=-2),
    "no sound": lambda: sound.spectrogram(jnp.zeros((1, 0)), window=4, hop=2),
    "no window": lambda: sound.mel_filterbank(num_bands=2, window=0, rate=8000),
    "no rate": lambda: sound.mel_filterbank(num_bands=2, window=64, rate=0),
    "bands": lambda: sound.mel_filterbank(num_bands=-3, window=64, rate=8000),
    "sample": lambda: sound.mulaw_encode(np.array([0.0, math.nan])),
    "tile 0": lambda: tiles.tile_starts(10, 0, 0),
    "overlap": lambda: tiles.tile_starts(10, 4, 4),
    "small": lambda: tiles.tile_starts(3, 4, 0),
    "temperature": lambda: sampling.check_sampling(math.nan),
    "top_p": lambda: sampling.check_sampling(1.0, top_p=math.nan),
    "mask": lambda: masks.check_mask(jnp.zeros((2, 3), int), (2, 3), "mask", "(B, M)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case):
    with pytest.raises(ValueError, match=r"\w+ \w+") as e:
        REFUSED[case]()
    assert len(str(e.value)) > 30


@MANY
@given(st.integers(1, 40), st.integers(1, 12), st.data())
def test_tiles_cover_the_image(extent, tile, data):
    overlap = data.draw(st.integers(0, tile - 1))
    if extent < tile:
        with pytest.raises(ValueError, match="Tiles are for larger images"):
            tiles.tile_starts(extent, tile, overlap)
        return
    starts = tiles.tile_starts(extent, tile, overlap)
    assert sorted(set(starts)) == list(starts) and starts[0] == 0 and starts[-1] == extent - tile
    assert all(1 <= after - before <= tile - overlap for before, after in itertools.pairwise(starts))
    weights = tiles.blend_weights((tile, extent))
    assert weights.shape == (tile, extent) and weights.min() == 1 and weights.max() == (min(tile, extent) + 1) // 2


@MANY
@given(st.lists(st.floats(-3, 3) | st.sampled_from([math.inf, -math.inf, 1e300, -0.0]), max_size=20))
def test_samples_and_their_codes(values):
    """Decoding gives back the sample to within half a step, or the loudest there is."""
    samples = np.array(values, np.float64)
    decoded = sound.mulaw_decode(sound.mulaw_encode(samples))
    assert decoded.dtype == np.float32 and decoded.shape == samples.shape
    inside = np.clip(samples, -0.981, 0.981)
    assert (np.abs(decoded - inside) <= np.abs(inside) / 32 + 4 / 8192).all()


@MANY
@given(st.lists(st.lists(st.integers(0, 9), min_size=4, max_size=4), min_size=3, max_size=3), st.sampled_from((1, 6)))
def test_tokens_and_latents(rows, num_latents):
    """Where latents sit and what they are asked for, against the same thing said in Python."""
    tokens = np.array(rows, np.int32)
    lengths = [row.index(0) if 0 in row else 4 for row in rows]
    np.testing.assert_array_equal(sequences.sequence_lengths(jnp.asarray(tokens)), lengths)
    places = [[max(length - num_latents + i, -1) for i in range(num_latents)] for length in lengths]
    found = sequences.latent_indices(jnp.asarray(lengths), num_latents)
    np.testing.assert_array_equal(found, places)
    inputs, targets = sequences.inputs_and_targets(jnp.asarray(tokens))
    np.testing.assert_array_equal(targets, tokens[:, 1:])
    for row, length, read in zip(tokens, lengths, np.asarray(inputs), strict=True):
        expected = row[:-1].copy()
        expected[length - 1 : length] = 0
        np.testing.assert_array_equal(read, expected)
    labels, weights = sequences.latent_targets(inputs, targets, num_latents)
    for number, read in enumerate(np.asarray(inputs)):
        end = list(read).index(0) if 0 in read else 3
        wanted = [int(targets[number, end - i]) if end - i >= 0 else 0 for i in range(num_latents, 0, -1)]
        counted = np.asarray(weights[number]) == 1
        np.testing.assert_array_equal(counted, np.array(wanted) != 0)
        np.testing.assert_array_equal(np.asarray(labels[number])[counted], np.array(wanted)[counted])


@MANY
@given(st.sampled_from([(1, 4, 6, 1), (2, 4, 6, 3), (1, 2, 4, 6, 1)]), st.sampled_from((1, 2)), st.integers(0, 99))
def test_blocks_go_there_and_back(shape, factor, seed):
    x = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    time_factor = factor if len(shape) == 5 else 1
    deep = patches.space_to_depth(jnp.asarray(x), factor, time_factor)
    assert deep.size == x.size and deep.shape[-1] == shape[-1] * factor**2 * time_factor
    np.testing.assert_array_equal(patches.depth_to_space(deep, factor, time_factor), x)
