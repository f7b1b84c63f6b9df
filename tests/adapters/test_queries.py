import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from perceiver_lab.adapters import InputQueries, MultimodalQueries, PositionQueries
from perceiver_lab.layers import FourierPositions, LearnedPositions, ProjectedPositions
from perceiver_lab.ops import fourier_features, grid_coordinates, release_coordinates

INPUTS = jax.random.normal(jax.random.key(0), (4, 9, 5))


def fourier(shape=(2, 3), **options):
    return PositionQueries(FourierPositions(shape, num_bands=2), **options)


def table(rows=1, channels=4):
    return PositionQueries(LearnedPositions((rows,), channels, rngs=nnx.Rngs(0)))


def grouped(**options):
    groups = {"image": fourier(), "class": table(channels=3), "own": InputQueries(5)}
    return MultimodalQueries(groups, rngs=nnx.Rngs(1), **options)


@pytest.mark.parametrize("kind", ["fourier", "projected", "table", "inputs"])
@given(cells=st.lists(st.integers(0, 5), min_size=3, max_size=3))
@settings(max_examples=8)
def test_selected_cells_are_asked_as_among_all_of_them_also_cell_by_example(kind, cells):
    positions = FourierPositions((2, 3), num_bands=2)
    queries = {
        "fourier": fourier(),
        "projected": PositionQueries(ProjectedPositions(positions, 4, rngs=nnx.Rngs(0))),
        "table": table(6),
        "inputs": InputQueries(5),
    }[kind]
    every, cells = queries(INPUTS), jnp.array(cells)
    np.testing.assert_allclose(queries(INPUTS, cells=cells), every[:, cells], atol=1e-6)
    assert queries.num_queries(INPUTS, cells=cells) == len(cells)
    assert queries.num_queries(INPUTS) == every.shape[1]
    own = jnp.stack([cells, 5 - cells, cells[::-1], jnp.zeros_like(cells)])
    found = queries(INPUTS, cells=own)
    for row in range(4):
        np.testing.assert_allclose(found[row], every[row, own[row]], atol=1e-6)


def test_cells_may_be_known_only_when_compiled():
    cells = jnp.array([5, 1])
    compiled = jax.jit(lambda cells: fourier()(INPUTS, cells=cells))
    np.testing.assert_allclose(compiled(cells), fourier()(INPUTS, cells=cells), atol=1e-6)


def test_positions_between_the_cells():
    positions = jnp.broadcast_to(grid_coordinates((5, 7))[None], (4, 35, 2))
    found = fourier()(INPUTS, positions=positions)
    np.testing.assert_allclose(found, fourier_features(positions, num_bands=2, max_resolution=(2, 3)), atol=1e-6)
    assert fourier().num_queries(INPUTS, positions=positions) == 35
    grid = jnp.broadcast_to(grid_coordinates((2, 3))[None], (4, 6, 2))
    np.testing.assert_allclose(fourier()(INPUTS, positions=grid), fourier()(INPUTS), atol=1e-6)


def test_the_release_counts_a_whole_table_and_moves_the_coordinates():
    cells = jnp.array([5, 1])
    queries = PositionQueries(LearnedPositions((6,), 4, rngs=nnx.Rngs(0)), subsampling="release")
    assert queries.num_queries(INPUTS, cells=cells) == queries(INPUTS, cells=cells).shape[1] == 6
    own = jnp.stack([cells, cells + 0, cells - 1, cells - 1])
    found = fourier(subsampling="release")(INPUTS, cells=own)
    np.testing.assert_allclose(found[2, :, :2], release_coordinates(own[2], (2, 3)), atol=1e-6)


def test_the_inputs_themselves():
    np.testing.assert_array_equal(InputQueries(5)(INPUTS), INPUTS)


def test_groups_follow_each_other_by_name_each_with_its_learned_padding():
    queries = grouped()
    found = queries(INPUTS)
    assert queries.names == ("class", "image", "own")
    assert queries.sizes(INPUTS) == {"class": 1, "image": 6, "own": 9}
    assert found.shape == (4, 16, queries.num_channels) == (4, queries.num_queries(INPUTS), 10 + 2)
    np.testing.assert_array_equal(found[:, :1, :3], queries.groups["class"](INPUTS))
    np.testing.assert_array_equal(found[:, 1:7, :10], queries.groups["image"](INPUTS))
    np.testing.assert_array_equal(found[:, 7:, :5], INPUTS)
    for rows, name, width in ((found[:, :1], "class", 9), (found[:, 1:7], "image", 2), (found[:, 7:], "own", 7)):
        padding = queries.paddings[name].table[...]
        assert padding.shape == (1, width)
        np.testing.assert_array_equal(rows[..., -width:], np.broadcast_to(padding, (*rows.shape[:2], width)))


def test_cells_and_positions_by_group():
    queries, every = grouped(), grouped()(INPUTS)
    cells = {"image": jnp.array([4, 0]), "own": jnp.array([[0], [3], [1], [2]])}
    found = queries(INPUTS, cells=cells)
    assert queries.sizes(INPUTS, cells=cells) == {"class": 1, "image": 2, "own": 1}
    np.testing.assert_allclose(found[:, :3], every[:, jnp.array([0, 5, 1])], atol=1e-6)
    np.testing.assert_array_equal(found[1, 3], every[1, 7 + 3])
    points = {"image": jnp.zeros((4, 3, 2))}
    assert queries.sizes(INPUTS, positions=points) == {"class": 1, "image": 3, "own": 9}
    assert queries(INPUTS, positions=points).shape == (4, 13, 12)


def test_an_empty_selection_leaves_a_group_out():
    queries, none = grouped(), jnp.zeros(0, int)
    cells = {"own": none, "class": none}
    assert queries.sizes(INPUTS, cells=cells) == {"image": 6}
    np.testing.assert_array_equal(queries(INPUTS, cells=cells), queries(INPUTS)[:, 1:7])
    with pytest.raises(ValueError, match="at least one query must be asked for"):
        queries(INPUTS, cells=dict.fromkeys(queries.names, none))


def test_features_by_group():
    groups = {"image": fourier(feature_channels=3), "class": table()}
    queries = MultimodalQueries(groups, rngs=nnx.Rngs(0))
    features = jax.random.normal(jax.random.key(1), (4, 6, 3))
    np.testing.assert_array_equal(queries(INPUTS, features={"image": features})[:, 1:, :3], features)
    assert queries.feature_channels == {"class": 0, "image": 3}


def test_only_input_queries_need_the_inputs():
    assert grouped().needs_inputs
    assert not MultimodalQueries({"class": table()}, rngs=nnx.Rngs(0)).needs_inputs


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fourier()(INPUTS, cells=jnp.array([0, 6])), "cells from 0 to 6 .* there are 6 of them"),
        (lambda: InputQueries(5)(INPUTS, cells=jnp.array([-1])), "cells from -1 to -1 .* numbered from 0 to 8"),
        (
            lambda: fourier()(INPUTS, cells=jnp.zeros((3, 2), int)),
            r"or \(B, K\) = \(4, K\); got int32 of shape \(3, 2\)",
        ),
        (lambda: fourier()(INPUTS, cells=jnp.array([0.5])), "cells must be integers"),
        (lambda: fourier()(INPUTS, positions=jnp.zeros((4, 3, 3))), r"\(B, O, axes\) = \(4, O, 2\).*\(4, 3, 3\)"),
        (
            lambda: fourier()(INPUTS, positions=jnp.zeros((4, 3, 2)), cells=jnp.array([0])),
            "give `cells` or `positions`, not both",
        ),
        (lambda: table()(INPUTS, positions=jnp.zeros((4, 3, 1))), "cannot encode given coordinates"),
        (lambda: InputQueries(5)(INPUTS, positions=jnp.zeros((4, 3, 2))), "leave `features` and `positions` out"),
        (lambda: InputQueries(5)(INPUTS, features=INPUTS), "leave `features` and `positions` out"),
        (lambda: InputQueries(6)(INPUTS), r"\(B, M, 6\); got shape \(4, 9, 5\). Give what `model.embed` returns"),
        (lambda: grouped()(INPUTS, cells=jnp.array([0])), r"cells of grouped queries is a mapping .*; got Array"),
        (lambda: grouped()(INPUTS, cells={"sound": None}), r"\['class', 'image', 'own'\]; got \['sound'\]"),
        (lambda: MultimodalQueries({}, rngs=nnx.Rngs(0)), "at least one group"),
        (lambda: grouped(min_padding_size=0), "min_padding_size=0: .* at least one channel"),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
