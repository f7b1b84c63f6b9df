"""What a decoder is asked for: all outputs, some cells, or any positions, of one kind or of several groups.

The two halves of decoding that depend on it: building the queries, and doing so chunk by chunk.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array

from perceiver_lab.ops import take_cells


@dataclass(frozen=True)
class Asked:
    """The queries of one group (of the only one, under the name None) and what they are made of.

    Attributes:
      adapter: its query adapter.
      total: how many queries.
      features: one row of features per query (B, total, F), or None.
      cells: numbers (total,) or (B, total), or None for all.
      positions: coordinates (B, total, axes), or None.
    """

    adapter: nnx.Module
    total: int
    features: Array | None
    cells: Array | None
    positions: Array | None

    @property
    def whole(self) -> bool:
        """All cells in order."""
        return self.cells is None and self.positions is None

    def chunk(self, number: Array, size: int) -> dict[str, Array]:
        """The arguments that ask for `size` of the queries; the last chunk ends where the queries do."""
        start = jnp.minimum(number * size, self.total - size)

        def rows(array, axis):
            return jax.lax.dynamic_slice_in_dim(array, start, size, axis)

        given: dict[str, Array] = {}
        if self.features is not None:
            given["features"] = rows(self.features, 1)
        if self.positions is not None:
            given["positions"] = rows(self.positions, 1)
        elif self.cells is not None:
            given["cells"] = rows(self.cells, self.cells.ndim - 1)
        elif size < self.total or getattr(self.adapter, "subsampling", None) == "release":
            given["cells"] = start + jnp.arange(size)
        return given


def asked(queries: nnx.Module, inputs: Array, *, features, cells, positions) -> dict[str | None, Asked]:
    """By group, in order; arguments as of a query adapter, but with one row of features per cell.

    Raises:
      ValueError: what the query adapter refuses.
    """
    grouped = hasattr(queries, "groups")
    features, cells, positions = (
        {} if value is None else value if grouped else {None: value} for value in (features, cells, positions)
    )
    if grouped:
        sizes = queries.sizes(inputs, cells=cells, positions=positions)
        adapters = {name: queries.groups[name] for name in sizes}
    else:
        adapters = {None: queries}
        sizes = {None: queries.num_queries(inputs, cells=cells.get(None), positions=positions.get(None))}
    return {
        name: Asked(
            adapter,
            sizes[name],
            _at(features.get(name), cells.get(name)),
            cells.get(name),
            positions.get(name),
        )
        for name, adapter in adapters.items()
    }


def _at(features, cells):
    return features if features is None or cells is None else take_cells(features, cells)


def build(queries: nnx.Module, inputs: Array, given: Mapping[str | None, Mapping[str, Array]]) -> Array:
    """Call a query adapter with what each group is given.

    Queries that are the same for every example are made once, (1, O, E): the decoder norms and projects them once too.
    """
    if None in given:
        alike = not queries.needs_inputs and all(array.ndim == 1 for array in given[None].values())
        return queries(inputs[:1] if alike else inputs, **given[None])
    by_option: dict[str, dict[str, Any]] = {"cells": {}, "features": {}, "positions": {}}
    for name, arguments in given.items():
        for option, value in arguments.items():
            by_option[option][name] = value
    # A group that is not asked has no entry; to leave it out takes an empty selection.
    for name in set(queries.names) - set(given):
        by_option["cells"][name] = jnp.zeros(0, int)
    return queries(inputs, **by_option)


def build_all(queries: nnx.Module, inputs: Array, groups: Mapping[str | None, Asked]) -> Array:
    """All queries at once; as in `build`, once for all examples where they are alike."""
    options = ("features", "cells", "positions")
    return build(
        queries,
        inputs,
        {
            name: {option: getattr(one, option) for option in options if getattr(one, option) is not None}
            for name, one in groups.items()
        },
    )


def in_chunks(
    groups: Mapping[str | None, Asked],
    num_chunks: int,
    rows_of: Callable[[dict, Array | None, dict[str | None, int]], dict[str | None, Array]],
    query_mask: Array | None,
) -> dict[str | None, Array]:
    """Rows of all queries, computed chunk by chunk under one compilation and written into their places.

    Every group is cut into the same number of chunks, as in the published decoding of videos with 128 chunks; a group
    of fewer queries is asked for one of them again and again. Where a chunk would run over the end it begins earlier,
    so that all have the same size and nothing is padded.

    Args:
      groups: from `asked`.
      num_chunks: of each group.
      rows_of: (arguments by group, mask of these queries, their number by group) -> rows (B, size, K) by group.
      query_mask: (B, O) over all groups, or None.
    """
    sizes = {name: _chunk_size(one, num_chunks) for name, one in groups.items()}
    begins, begin = {}, 0
    for name, one in groups.items():
        begins[name], begin = begin, begin + one.total

    def start(name, number):
        return jnp.minimum(number * sizes[name], groups[name].total - sizes[name])

    def compute(number):
        given = {name: one.chunk(number, sizes[name]) for name, one in groups.items()}
        mask = query_mask
        if mask is not None:
            parts = [
                jax.lax.dynamic_slice_in_dim(mask, begins[name] + start(name, number), sizes[name], axis=1)
                for name in groups
            ]
            mask = jnp.concatenate(parts, axis=1)
        return rows_of(given, mask, sizes)

    def step(rows, number):
        computed = compute(number)
        return {
            name: jax.lax.dynamic_update_slice_in_dim(rows[name], computed[name], start(name, number), axis=1)
            for name in rows
        }, None

    shapes = jax.eval_shape(compute, jnp.zeros((), int))
    empty = {
        name: jnp.zeros((shape.shape[0], groups[name].total, *shape.shape[2:]), shape.dtype)
        for name, shape in shapes.items()
    }
    return jax.lax.scan(step, empty, jnp.arange(num_chunks))[0]


def _chunk_size(one, num_chunks):
    selected = one.adapter.num_queries(None, cells=jnp.zeros(1, int)) if one.whole else 1
    # The release gives all rows of a learned table whatever was selected.
    return one.total if selected > 1 else -(-one.total // num_chunks)
