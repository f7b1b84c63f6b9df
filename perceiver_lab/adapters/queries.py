"""Query adapters: what a Perceiver IO is asked for, as an array of queries (B, O, E).

All are called alike, `queries(inputs, features=..., cells=..., positions=...)`, and tell the number of queries that the
same call makes: `queries.num_queries(inputs, cells=..., positions=...)`. Several kinds at once: `MultimodalQueries`.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from perceiver_lab.layers import LearnedPositions, ProjectedPositions
from perceiver_lab.ops import release_coordinates, take_cells

SUBSAMPLINGS = ("grid", "release")


class PositionQueries(nnx.Module):
    """One query per output element, made of its position (2107.14795, section 3.2).

    A single learned query asks for class logits; a learned query per byte for text; Fourier features of the pixels
    for an image, or of any points between them.
    """

    needs_inputs = False  # what is asked for does not depend on what was read

    def __init__(self, positions: nnx.Module, *, feature_channels: int = 0, subsampling: str = "grid"):
        """Queries without parameters of their own; those are the positions'.

        Args:
          positions: one of `layers.positions`, over the grid of the outputs.
          feature_channels: width of the input features that come before the position in each query; 0 for none.
          subsampling: how selected cells are encoded. "grid": exactly as they would be among all of them. "release":
            as the released models do it, with the coordinates of `ops.release_coordinates`; a learned table then
            ignores the selection and gives all of its rows.

        Raises:
          ValueError: another `subsampling`.
        """
        if subsampling not in SUBSAMPLINGS:
            raise ValueError(f"subsampling={subsampling!r} is unknown; choose one of {', '.join(SUBSAMPLINGS)}.")
        self.positions, self.feature_channels, self.subsampling = positions, feature_channels, subsampling
        self.num_channels = feature_channels + positions.num_channels

    def __call__(
        self,
        inputs: Float[Array, "b m c"],
        *,
        features: Float[Array, "b o f"] | None = None,
        cells: Int[Array, "*b k"] | None = None,
        positions: Float[Array, "b o a"] | None = None,
    ) -> Float[Array, "b o e"]:
        """Build the queries.

        Args:
          inputs: any array of the batch; only its batch size counts here.
          features: input features (B, O, feature_channels), one row per query.
          cells: numbers of the cells that are asked for, row-major over the grid: (K,) for all examples or (B, K); by
            default all cells, in order.
          positions: coordinates in [-1, 1] that are asked for instead of cells, (B, O, axes); a learned table has
            none between its rows.

        Raises:
          ValueError: features that do not fit, or that were not announced; cells that are not on the grid; cells and
            positions at once, or positions of another shape.
        """
        encoded = self._encode(inputs, cells, positions)
        encoded = encoded if encoded.ndim == 3 else encoded[None]
        encoded = jnp.broadcast_to(encoded, (inputs.shape[0], *encoded.shape[1:]))
        if not self.feature_channels and features is None:
            return encoded
        expected = (*encoded.shape[:2], self.feature_channels)
        if features is None or features.shape != expected:
            raise ValueError(
                f"These queries take features (B, O, feature_channels) = {expected}; got "
                f"{None if features is None else features.shape}. There must be one row of features per query."
            )
        return jnp.concatenate([features, encoded], axis=-1)

    def num_queries(self, inputs, *, cells=None, positions=None) -> int:
        """How many queries the same call makes."""
        if positions is not None:
            return positions.shape[1]
        whole = cells is None or (self.subsampling == "release" and is_table(self.positions))
        return math.prod(self.positions.shape) if whole else cells.shape[-1]

    @property
    def num_cells(self) -> int:
        """Cells of the grid, which is what `cells` are numbers of."""
        return math.prod(self.positions.shape)

    def _encode(self, inputs, cells, positions):
        if positions is not None:
            check_positions(positions, inputs.shape[0], len(self.positions.shape), cells)
            return self.positions(positions)
        if cells is None:
            return self.positions()
        check_cells(cells, inputs.shape[0], self.num_cells)
        if self.subsampling == "grid":
            return self.positions.at(cells)
        if is_table(self.positions):
            return self.positions()
        return self.positions(release_coordinates(cells, self.positions.shape))


class InputQueries(nnx.Module):
    """The inputs themselves, features and positions: one output per input, as for optical flow (2107.14795, H).

    No parameters. The release refuses to select some of them; here `cells` does, so that training can ask for a part.
    """

    needs_inputs = True

    def __init__(self, num_channels: int):
        """`num_channels` is the width of the inputs, the input adapter's `num_channels`."""
        self.num_channels = num_channels
        self.feature_channels = 0

    def __call__(
        self,
        inputs: Float[Array, "b m c"],
        *,
        features: None = None,
        cells: Int[Array, "*b k"] | None = None,
        positions: None = None,
    ) -> Float[Array, "b o c"]:
        """The inputs, or those at `cells`: (K,) for all examples or (B, K).

        Raises:
          ValueError: inputs of another width; cells that are not there; features or positions, which inputs have.
        """
        if features is not None or positions is not None:
            raise ValueError(
                "These queries are the encoder's inputs, which have features and positions already: leave `features` "
                "and `positions` out, or move the inputs themselves."
            )
        if inputs.ndim != 3 or inputs.shape[-1] != self.num_channels:
            raise ValueError(
                f"These queries are the encoder's inputs, (B, M, {self.num_channels}); got shape {inputs.shape}. Give "
                "what `model.embed` returns."
            )
        if cells is None:
            return inputs
        check_cells(cells, *inputs.shape[:2])
        return take_cells(inputs, cells)

    def num_queries(self, inputs, *, cells=None, positions=None) -> int:
        """How many queries the same call makes."""
        return inputs.shape[1] if cells is None else cells.shape[-1]


def is_table(positions: nnx.Module) -> bool:
    """Whether an encoding is learned row by row, so that it cannot encode given coordinates."""
    inner = positions.inner if isinstance(positions, ProjectedPositions) else positions
    return isinstance(inner, LearnedPositions)


def check_positions(positions: Array, batch: int, num_axes: int, cells: Array | None) -> None:
    """Refuse coordinates that no query can be made of.

    Raises:
      ValueError: another shape than (B, O, axes), or cells beside them.
    """
    if cells is not None:
        raise ValueError("A query is asked for at a cell or at a position: give `cells` or `positions`, not both.")
    if positions.ndim != 3 or positions.shape[0] != batch or positions.shape[2] != num_axes or 0 in positions.shape:
        raise ValueError(
            f"positions of queries must be (B, O, axes) = ({batch}, O, {num_axes}), one coordinate in [-1, 1] per axis "
            f"and query; got shape {positions.shape}."
        )


def check_cells(cells: Array, batch: int, num_cells: int) -> None:
    """Refuse cells that are not on the grid. Inside a compiled function their values are unknown and not checked.

    Raises:
      ValueError: another shape than (K,) or (B, K), no integers, or, outside of jit, numbers beyond the grid.
    """
    shaped = cells.ndim == 1 or (cells.ndim == 2 and cells.shape[0] == batch)
    if not shaped or not jnp.issubdtype(cells.dtype, jnp.integer):
        raise ValueError(
            f"cells must be integers (K,), the same for all examples, or (B, K) = ({batch}, K); got {cells.dtype} of "
            f"shape {cells.shape}."
        )
    if isinstance(cells, jax.core.Tracer) or cells.size == 0:
        return
    known = np.asarray(cells)  # NumPy: within a compiled function JAX would not know the least of them
    first, last = known.min(), known.max()
    if first < 0 or last >= num_cells:
        raise ValueError(
            f"cells from {first} to {last} were asked for, but there are {num_cells} of them, "
            f"numbered from 0 to {num_cells - 1} row by row."
        )
