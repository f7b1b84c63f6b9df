"""Output adapters: from latents or decoded queries to what is asked for.

A Perceiver's takes the latents (`ClassOutput`); a Perceiver IO's takes the decoded queries and is a `QueryOutput`.
"""

import math
from collections.abc import Sequence

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int, Shaped

from perceiver_lab.layers.positions import plain_linear
from perceiver_lab.ops import check_mask, take_cells


class ClassOutput(nnx.Module):
    """Class logits from the average of the latents through one linear layer (2103.03206, section 3.1)."""

    def __init__(self, latent_channels: int, num_classes: int, *, rngs: nnx.Rngs):
        """The weights start from zero, as in the release: every class begins equally likely."""
        self.num_classes = num_classes
        self.linear = nnx.Linear(latent_channels, num_classes, kernel_init=nnx.initializers.zeros, rngs=rngs)

    def __call__(
        self, latents: Float[Array, "b n d"], *, latent_mask: Bool[Array, "b n"] | None = None
    ) -> Float[Array, "b k"]:
        """Average and project.

        Args:
          latents: the latents after the last block.
          latent_mask: True = the latent takes part in the average. With none left the average is zero.
        """
        if latent_mask is None:
            return self.linear(latents.mean(axis=1))
        check_mask(latent_mask, latents.shape[:2], "latent_mask", "(B, N)")
        taking_part = latent_mask[..., None]
        count = jnp.maximum(taking_part.sum(axis=1), 1)
        return self.linear(jnp.where(taking_part, latents, 0.0).sum(axis=1) / count)


class QueryOutput(nnx.Module):
    """What becomes of the decoded queries: each on its own (`each`), then all of them together (`join`).

    Decoding in chunks calls `each` chunk by chunk and `join` once. A subclass replaces what it needs of the two.
    """

    def each(
        self, decoded: Float[Array, "b o e"], *, embedding: Float[Array, "v d"] | None = None
    ) -> Float[Array, "b o k"]:
        """What every query becomes on its own; here it stays as it is. `embedding`: the input adapter's, if any."""
        return decoded

    def join(self, rows: Float[Array, "b o k"], *, whole: bool = True) -> Float[Array, "b ..."]:
        """What all of them become together. `whole`: they are all the cells of the output, in order."""
        return rows

    def __call__(
        self, decoded: Float[Array, "b o e"], *, embedding: Float[Array, "v d"] | None = None, whole: bool = True
    ) -> Float[Array, "b ..."]:
        """Both: decoded queries (B, O, E) -> the output."""
        return self.join(self.each(decoded, embedding=embedding), whole=whole)

    def select(self, target: Shaped[Array, "b ..."], cells: Int[Array, "*b k"] | None = None) -> Shaped[Array, "b ..."]:
        """The part of a target that an answer for `cells` is to be compared with; the whole of it without cells.

        A target has the shape of the whole output: here (B, O, K), or (B, *grid, K).
        """
        return target if cells is None else take_cells(target.reshape(target.shape[0], -1, target.shape[-1]), cells)


class OnlyQuery(QueryOutput):
    """What one query asked for: (B, 1, K) -> (B, K). Of several queries, the first. No parameters."""

    def join(self, rows: Float[Array, "b o k"], *, whole: bool = True) -> Float[Array, "b k"]:
        """Drop the axis of the queries."""
        return rows[:, 0]

    def select(self, target: Shaped[Array, "b ..."], cells: Int[Array, "*b k"] | None = None) -> Shaped[Array, "b ..."]:
        """There is one answer, and it is compared with the whole target."""
        return target


class GridOutput(QueryOutput):
    """Decoded queries as they are, put on a grid: pixels, frames. No parameters."""

    def __init__(self, grid: Sequence[int]):
        """`grid`: sides of the output, such as (height, width) or (frames, height, width)."""
        self.grid = tuple(grid)

    def join(self, rows: Float[Array, "b o k"], *, whole: bool = True) -> Float[Array, "b ..."]:
        """(B, O, K) -> (B, *grid, K); a selection of cells stays a list."""
        return put_on_grid(rows, self.grid) if whole else rows


class LinearOutput(QueryOutput):
    """A linear layer on every decoded query (2107.14795, section 3.2)."""

    def __init__(
        self,
        input_channels: int,
        output_channels: int,
        *,
        only_query: bool = False,
        grid: Sequence[int] | GridOutput | None = None,
        rngs: nnx.Rngs,
    ):
        """A projection to K channels.

        Args:
          input_channels: E, width of the decoded queries.
          output_channels: K.
          only_query: there is one query, and its row is the output, as for class logits.
          grid: sides of the grid that all rows are put on, or an adapter that puts them there, such as
            `PatchesOutput`; by default none.
          rngs: for the initial weights.
        """
        self.linear = plain_linear(input_channels, output_channels, rngs=rngs)
        self.only_query = OnlyQuery() if only_query else None
        self.grid = grid if grid is None or isinstance(grid, GridOutput) else GridOutput(grid)

    def each(
        self, decoded: Float[Array, "b o e"], *, embedding: Float[Array, "v d"] | None = None
    ) -> Float[Array, "b o k"]:
        """(B, O, E) -> (B, O, K)."""
        return self.linear(decoded)

    def join(self, rows: Float[Array, "b o k"], *, whole: bool = True) -> Float[Array, "b ..."]:
        """(B, O, K), or (B, K) of the first query, or (B, *grid, K)."""
        for part in (self.only_query, self.grid):
            if part is not None:
                return part.join(rows, whole=whole)
        return rows

    def select(self, target: Shaped[Array, "b ..."], cells: Int[Array, "*b k"] | None = None) -> Shaped[Array, "b ..."]:
        """As of `OnlyQuery`, of the grid's adapter, or of all others."""
        for part in (self.only_query, self.grid):
            if part is not None:
                return part.select(target, cells)
        return super().select(target, cells)


class AudioOutput(QueryOutput):
    """A stretch of raw sound from every decoded query: (B, O, E) -> (B, O * samples_per_patch)."""

    def __init__(self, input_channels: int, samples_per_patch: int, *, rngs: nnx.Rngs):
        """`samples_per_patch` as in `AudioPatches`."""
        self.samples_per_patch = samples_per_patch
        self.linear = plain_linear(input_channels, samples_per_patch, rngs=rngs)

    def each(
        self, decoded: Float[Array, "b o e"], *, embedding: Float[Array, "v d"] | None = None
    ) -> Float[Array, "b o p"]:
        """(B, O, E) -> (B, O, P)."""
        return self.linear(decoded)

    def join(self, rows: Float[Array, "b o p"], *, whole: bool = True) -> Float[Array, "b t"]:
        """The stretches one after the other, those of a selection too."""
        return rows.reshape(rows.shape[0], -1)

    def select(self, target: Shaped[Array, "b ..."], cells: Int[Array, "*b k"] | None = None) -> Shaped[Array, "b t"]:
        """Of sound (B, T) or (B, T, 1), the stretches that were asked for."""
        rows = target.reshape(target.shape[0], -1, self.samples_per_patch)
        return (rows if cells is None else take_cells(rows, cells)).reshape(target.shape[0], -1)


class ByteOutput(QueryOutput):
    """Logits over the vocabulary: likeness to each byte's own input embedding, decoded E^T + bias (2107.14795, 4.1).

    The table E belongs to the input adapter; the model hands it over at every call, so that there is one of it.
    """

    def __init__(self, vocabulary: int = 262):
        """The bias starts from zeros."""
        self.bias = nnx.Param(jnp.zeros(vocabulary))

    def each(
        self, decoded: Float[Array, "b o d"], *, embedding: Float[Array, "v d"] | None = None
    ) -> Float[Array, "b o v"]:
        """(B, O, D) -> (B, O, vocabulary).

        Raises:
          ValueError: no table, or one of another size.
        """
        expected = (self.bias.shape[0], decoded.shape[-1])
        if embedding is None or embedding.shape != expected:
            raise ValueError(
                f"These outputs compare with an embedding (vocabulary, channels) = {expected}; got "
                f"{None if embedding is None else embedding.shape}. The input adapter must be a ByteInput of that "
                "vocabulary, as wide as the decoded queries."
            )
        return decoded @ embedding.T + self.bias[...][None, None]


def put_on_grid(rows: Float[Array, "b o k"], grid: tuple[int, ...]) -> Float[Array, "b ..."]:
    """(B, O, K) -> (B, *grid, K).

    Raises:
      ValueError: as many rows as the grid has no cells.
    """
    if rows.shape[1] != math.prod(grid):
        raise ValueError(
            f"{rows.shape[1]} decoded queries do not fill a grid of {grid}, {math.prod(grid)} cells: ask for each "
            "of its cells, or give the output adapter the grid of the queries."
        )
    return rows.reshape(rows.shape[0], *grid, rows.shape[-1])
