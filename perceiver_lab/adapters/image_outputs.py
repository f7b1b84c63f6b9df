"""Output adapters for images, videos and optical flow: decoded queries on a grid, and what is made of that grid."""

from collections.abc import Sequence

from flax import nnx
from jaxtyping import Array, Float, Int, Shaped

from perceiver_lab.adapters.outputs import GridOutput, QueryOutput, put_on_grid
from perceiver_lab.layers import ConvUpsample
from perceiver_lab.layers.positions import plain_linear
from perceiver_lab.ops import depth_to_space, space_to_depth


class FlowOutput(GridOutput):
    """Optical flow from the decoder's two channels: decoded * multiply_by / divide_by, on the grid (2107.14795, H).

    The released model divides by 100 in its decoder and multiplies by 20 outside; its result is (u, v) in pixels.
    """

    def __init__(self, grid: Sequence[int], *, divide_by: float = 100.0, multiply_by: float = 20.0):
        """`grid`: (height, width). No parameters.

        Raises:
          ValueError: a division by zero.
        """
        super().__init__(grid)
        if not divide_by:
            raise ValueError("divide_by=0: give the number of units of the decoder in one of the flow, such as 100.")
        self.divide_by, self.multiply_by = divide_by, multiply_by

    def each(
        self, decoded: Float[Array, "b o k"], *, embedding: Float[Array, "v d"] | None = None
    ) -> Float[Array, "b o k"]:
        """Rescale."""
        return decoded / self.divide_by * self.multiply_by


class Conv1x1Output(GridOutput):
    """A linear layer on every cell of a grid; with a `stride`, on every `stride`-th of each row and column only."""

    def __init__(
        self, input_channels: int, output_channels: int, *, grid: Sequence[int], stride: int = 1, rngs: nnx.Rngs
    ):
        """`grid`: (height, width). The release calls the stride an upsampling; it leaves cells out."""
        super().__init__(grid)
        self.stride = stride
        self.linear = plain_linear(input_channels, output_channels, rngs=rngs)

    def each(
        self, decoded: Float[Array, "b o e"], *, embedding: Float[Array, "v d"] | None = None
    ) -> Float[Array, "b o k"]:
        """(B, O, E) -> (B, O, K)."""
        return self.linear(decoded)

    def join(self, rows: Float[Array, "b o k"], *, whole: bool = True) -> Float[Array, "b ..."]:
        """(B, ceil(H / stride), ceil(W / stride), K); a selection of cells stays a list."""
        return super().join(rows)[..., :: self.stride, :: self.stride, :] if whole else rows


class PatchesOutput(GridOutput):
    """Every decoded query is a block of pixels: (B, O, f*f*C) -> (B, f*H, f*W, C), and the same for videos."""

    def __init__(self, grid: Sequence[int], *, factor: int, time_factor: int = 1):
        """`grid`: sides in blocks; the factors as in `Patches`. No parameters."""
        super().__init__(grid)
        self.factor, self.time_factor = factor, time_factor

    def join(self, rows: Float[Array, "b o k"], *, whole: bool = True) -> Float[Array, "b ..."]:
        """The blocks in their places; a selection of them stays a list of blocks."""
        if not whole:
            return rows
        pixels = depth_to_space(super().join(rows), self.factor, self.time_factor)
        video = len(self.grid) == 3  # one frame is still a video
        return pixels.reshape(rows.shape[0], -1, *pixels.shape[-3:]) if video else pixels

    def select(self, target: Shaped[Array, "b ..."], cells: Int[Array, "*b k"] | None = None) -> Shaped[Array, "b ..."]:
        """The blocks of a target (B, *pixels, C) that were asked for."""
        return target if cells is None else super().select(space_to_depth(target, self.factor, self.time_factor), cells)


class ConvOutput(QueryOutput):
    """A coarse grid of decoded queries, enlarged by transposed convolutions; see `layers.ConvUpsample`."""

    def __init__(
        self,
        input_channels: int,
        output_channels: int,
        *,
        grid: Sequence[int],
        space: int = 2,
        time: int = 0,
        rngs: nnx.Rngs,
    ):
        """`grid`: of the queries; each of `space` and `time` doubles its sides."""
        self.grid = tuple(grid)
        self.upsample = ConvUpsample(input_channels, output_channels, space=space, time=time, rngs=rngs)

    def join(self, rows: Float[Array, "b o k"], *, whole: bool = True) -> Float[Array, "b ..."]:
        """(B, O, E) -> (B, 2^space H, 2^space W, K).

        Raises:
          ValueError: a selection of cells, which have no neighbours to convolve with.
        """
        if not whole:
            raise ValueError(
                "Convolutions enlarge a whole grid of decoded queries, not a selection of cells or positions: leave "
                "`cells` and the positions of queries out, or use another output adapter."
            )
        return self.upsample(put_on_grid(rows, self.grid))
