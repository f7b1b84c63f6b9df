"""Padding, where latents sit, positions from the end, and the shift by one."""

import jax.numpy as jnp
import numpy as np

from perceiver_lab.ops import (
    inputs_and_targets,
    latent_indices,
    latent_targets,
    sequence_lengths,
    take_inputs,
    terminal_positions,
)

TOKENS = jnp.array([[4, 5, 6, 7], [4, 5, 0, 0], [0, 0, 0, 0], [4, 0, 5, 6]])
LENGTHS = [4, 2, 0, 1]


def test_a_sequence_ends_at_its_first_padding():
    np.testing.assert_array_equal(sequence_lengths(TOKENS), LENGTHS)


def test_latents_sit_on_the_last_inputs():
    np.testing.assert_array_equal(
        latent_indices(jnp.array(LENGTHS), 3), [[1, 2, 3], [-1, 0, 1], [-1, -1, -1], [-1, -1, 0]]
    )


def test_a_latent_without_input_takes_the_last_row():
    indices = jnp.array([[-1, 0, 1]] * 4)
    np.testing.assert_array_equal(take_inputs(TOKENS, indices)[0], [7, 4, 5])
    rows = jnp.arange(24.0).reshape(4, 3, 2)
    np.testing.assert_array_equal(take_inputs(rows, indices)[1], [[10, 11], [6, 7], [8, 9]])


def test_positions_are_counted_from_the_last_token():
    np.testing.assert_array_equal(
        terminal_positions(jnp.array([4, 2, 1]), 4), [[3, 2, 1, 0], [1, 0, 3, 2], [0, 3, 2, 1]]
    )


def test_targets_are_the_sequence_one_step_later():
    events = jnp.array([[2, 5, 6, 7], [2, 5, 6, 0], [2, 0, 0, 0]])
    inputs, targets = inputs_and_targets(events)
    np.testing.assert_array_equal(inputs, [[2, 5, 6], [2, 5, 0], [0, 0, 0]])
    np.testing.assert_array_equal(targets, [[5, 6, 7], [5, 6, 0], [0, 0, 0]])


def test_what_belongs_to_tokens_is_shifted_with_them():
    events = jnp.array([[2, 5, 6, 0]])
    places = jnp.array([[[1, 9], [2, 8], [3, 7], [0, 0]]])
    inputs, targets = inputs_and_targets(places, events)
    np.testing.assert_array_equal(inputs, [[[1, 9], [2, 8], [0, 0]]])
    np.testing.assert_array_equal(targets, [[[2, 8], [3, 7], [0, 0]]])


def test_each_latent_is_asked_for_the_token_after_its_own():
    inputs, targets = inputs_and_targets(jnp.array([[2, 5, 6, 7, 8], [2, 5, 0, 0, 0], [2, 0, 0, 0, 0]]))
    labels, weights = latent_targets(inputs, targets, 3)
    np.testing.assert_array_equal(labels[0], [6, 7, 8])
    np.testing.assert_array_equal(weights, [[1, 1, 1], [0, 0, 1], [0, 0, 0]])
    assert labels[1, 2] == 5
