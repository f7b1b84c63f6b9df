"""A Perceiver IO whose latents are kept: after an example is read once, every question costs the decoder alone."""

import functools
import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Num

from perceiver_lab.adapters import PositionQueries
from perceiver_lab.adapters.queries import is_table
from perceiver_lab.explorers.attention import grid_of
from perceiver_lab.layers import record_attention

KEPT_EXAMPLES = 8
# Questions are padded to one of two numbers, so that the decoder is compiled twice and never again.
FEW, MANY = 72, 4096

Points = Float[np.ndarray, "o 2"]  # rows and columns of the picture; whole numbers are the middles of its pixels
Queries = Float[np.ndarray, "o e"]
Read = Callable[[nnx.Module, Array], tuple[Array, Array]]


class QueryModel:
    """Questions to one model about some examples; its weights are those of this moment."""

    def __init__(
        self, model: nnx.Module, inputs: Num[np.ndarray, "b ..."], shape: Sequence[int], read: Read | None = None
    ):
        """Copy the weights.

        Args:
          model: a `PerceiverIO`. Its queries are grouped by task, or of one kind.
          inputs: what its input adapter reads, one row per example.
          shape: height and width of the picture on which points lie.
          read: how the model reads; by default it embeds the inputs and encodes them.

        Raises:
          ValueError: another model; queries that need input features.
        """
        queries = getattr(getattr(model, "decoder", None), "queries", None)
        if queries is None:
            raise ValueError(
                f"{type(model).__name__} cannot be asked: the query playground takes a PerceiverIO, which has a "
                "decoder with queries."
            )
        self.groups = dict(queries.groups) if hasattr(queries, "groups") else {None: queries}
        if any(group.feature_channels for group in self.groups.values()):
            raise ValueError(
                "These queries contain input features, which lie at the pixels and nowhere between: the query "
                "playground takes queries made of positions alone, or the inputs themselves as queries."
            )
        graphdef, state = nnx.split(model)
        # A copy: a training step may take the model's own buffers away.
        self._state = jax.tree.map(jnp.copy, state)
        self._inputs, self.shape = inputs, tuple(shape)
        self._encode, self._build, self._few, self._many = _programs(graphdef, read_all if read is None else read)
        self._kept = functools.lru_cache(KEPT_EXAMPLES)(self._read_example)
        self._cells = functools.lru_cache(KEPT_EXAMPLES * len(self.groups))(self._all_cells)
        self._field = functools.lru_cache(KEPT_EXAMPLES * len(self.groups))(self._decode_field)

    def between(self, group: str | None) -> bool:
        """Whether a group can be asked at any point; others answer at their own cells only."""
        queries = self.groups[group]
        return isinstance(queries, PositionQueries) and not is_table(queries.positions)

    def num_queries(self, group: str | None) -> int:
        """How many queries the group has."""
        return self.groups[group].num_queries(self._kept(0)[0])

    def queries(self, example: int, group: str | None, points: Points | None) -> Queries:
        """The queries that ask a group at points, or the only one of a group that is asked once (None).

        A group without positions is asked at the cell that each point lies in.
        """
        if points is None or not self.between(group):
            cells = self._cells(example, group)
            return cells if points is None else cells[self.cell_of(points, len(cells))]
        positions = self._positions(points, self.groups[group].positions.shape)
        count = FEW if len(points) <= FEW else MANY
        made = [
            self._build(self._state, self._kept(example)[0], _padded(positions[start : start + count], count), group)[0]
            for start in range(0, len(positions), count)
        ]
        return np.concatenate([np.asarray(part) for part in made])[: len(points)]

    def answer_few(
        self, example: int, queries: Queries
    ) -> tuple[dict[str | None, Float[np.ndarray, "o _"]], Float[np.ndarray, "o n"]]:
        """What every group makes of these queries, and how much each looks at each latent (mean of the heads)."""
        rows, weights = [], []
        for start in range(0, len(queries), FEW):
            part = queries[start : start + FEW]
            found, looked = self._few(self._state, self._kept(example)[1], _padded(part, FEW))
            rows.append({name: np.asarray(value)[0, : len(part)] for name, value in found.items()})
            weights.append(np.asarray(looked)[: len(part)])
        return {name: np.concatenate([one[name] for one in rows]) for name in rows[0]}, np.concatenate(weights)

    def answer_many(self, example: int, group: str | None, points: Points) -> Float[np.ndarray, "o k"]:
        """One group's rows at many points. A group without positions is asked once at all cells, and then looked up."""
        if not self.between(group):
            field = self._field(example, group)
            return field[self.cell_of(points, len(field))]
        return self._decode_many(example, group, self.queries(example, group, points))

    def cell_of(self, points: Points, num_cells: int) -> np.ndarray:
        """The number of the cell, of those that tile the picture row by row, in which each point lies."""
        grid = grid_of(num_cells, self.shape)
        scaled = (points + 0.5) * np.array([[g / s for g, s in zip(grid, self.shape, strict=True)]])
        row, column = np.clip(scaled.astype(int), 0, np.array([grid]) - 1).T
        return row * grid[1] + column

    def _positions(self, points, grid):
        """Coordinates of `grid_coordinates`: -1 and 1 are the middles of the first and the last cell."""
        axes = []
        for axis, (cells, pixels) in enumerate(zip(grid, self.shape, strict=True)):
            cell = (points[:, axis] + 0.5) * (cells / pixels) - 0.5
            axes.append(2 * cell / max(1, cells - 1) - 1)
        return np.stack(axes, axis=-1).astype(np.float32)

    def _read_example(self, example):
        inputs, latents = self._encode(self._state, jnp.asarray(self._inputs[example : example + 1]))
        # Where the inputs are not the queries they need not be kept; the latents stand for their batch size.
        needed = any(group.needs_inputs for group in self.groups.values())
        return (inputs if needed else latents), latents

    def _all_cells(self, example, group):
        return np.asarray(self._build(self._state, self._kept(example)[0], None, group)[0])

    def _decode_field(self, example, group):
        cells = self._cells(example, group)
        return self._decode_many(example, group, cells, count=min(MANY, len(cells)))

    def _decode_many(self, example, group, queries, count=MANY):
        parts = []
        for start in range(0, len(queries), count):
            part = queries[start : start + count]
            rows = self._many(self._state, self._kept(example)[1], _padded(part, count))[group]
            parts.append(np.asarray(rows)[0, : len(part)])
        return np.concatenate(parts)


def read_all(model: nnx.Module, x: Array) -> tuple[Array, Array]:
    """What a model reads, for queries that are made of it, and the latents after reading."""
    inputs = model.embed(x)
    return inputs, model.encode(inputs)


def _padded(rows: np.ndarray, count: int) -> np.ndarray:
    """(O, E) -> (1, count, E); what is added is thrown away again."""
    return np.pad(rows, ((0, count - len(rows)), (0, 0)))[None]


@functools.lru_cache(maxsize=16)
def _programs(graphdef, read):
    """Reading, asking and answering, compiled once for each structure and each set of shapes."""

    @jax.jit
    def encode(state, x):
        return read(nnx.merge(graphdef, state), x)

    @functools.partial(jax.jit, static_argnames="group")
    def build(state, inputs, positions, group):
        queries = nnx.merge(graphdef, state).decoder.queries
        if group is None:
            return queries(inputs, positions=positions)
        nothing = {name: jnp.zeros(0, int) for name in queries.names if name != group}
        given = None if positions is None else {group: positions}
        return queries.build_each(inputs, cells=nothing, positions=given)[group]

    def readouts(model, decoded):
        names = getattr(model.decoder.queries, "names", (None,))
        adapter, table = model.output_adapter, getattr(model.input_adapter, "embedding_table", None)
        if adapter is None:
            return dict.fromkeys(names, decoded)
        if hasattr(adapter, "parts"):
            return adapter.each(dict.fromkeys(names, decoded), embedding=table)
        return {name: adapter.each(decoded, embedding=table) for name in names}

    @jax.jit
    def few(state, latents, queries):
        model = nnx.merge(graphdef, state)
        with record_attention() as maps:
            decoded = model.decoder(latents, queries)
        return readouts(model, decoded), maps[-1].weights[0].mean(0)

    @jax.jit
    def many(state, latents, queries):
        # Answers of all groups: another group then needs no other program.
        model = nnx.merge(graphdef, state)
        return readouts(model, model.decoder(latents, queries))

    return encode, build, few, many


def window_shape(shape: Sequence[int]) -> tuple[int, int]:
    """Rows and columns of at most MANY queries, 64 x 64 of a square, that have the proportions of a picture."""
    height, width = shape
    rows = max(1, math.isqrt(MANY * height // width))
    return rows, max(1, min(MANY // rows, round(rows * width / height)))
