"""Query adapters: what a Perceiver IO is asked for, as an array of queries (B, O, E)."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from perceiver_lab.layers import LearnedPositions, ProjectedPositions
from perceiver_lab.ops import release_coordinates

SUBSAMPLINGS = ("grid", "release")


class PositionQueries(nnx.Module):
    """One query per output element, made of its position (2107.14795, section 3.2).

    A single learned query asks for class logits; a learned query per byte for text; Fourier features of the pixels
    for an image.
    """

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
        cells: Int[Array, " k"] | None = None,
    ) -> Float[Array, "b o e"]:
        """Build the queries.

        Args:
          inputs: any array of the batch; only its batch size counts here.
          features: input features (B, O, feature_channels), one per query.
          cells: numbers of the cells that are asked for, row-major over the grid; by default all, in order.

        Raises:
          ValueError: features that do not fit, or that were not announced.
        """
        encoded = self._encode(cells)[None]
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

    def _encode(self, cells):
        if cells is None:
            return self.positions()
        if self.subsampling == "grid":
            return self.positions()[cells]
        if is_table(self.positions):
            return self.positions()
        return self.positions(release_coordinates(cells, self.positions.shape)[None])[0]


def is_table(positions: nnx.Module) -> bool:
    """Whether an encoding is learned row by row, so that it cannot encode given coordinates."""
    inner = positions.inner if isinstance(positions, ProjectedPositions) else positions
    return isinstance(inner, LearnedPositions)
