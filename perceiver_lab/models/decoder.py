"""The decoder of Perceiver IO (2107.14795): one cross-attention in which each output's query reads the latents."""

from flax import nnx
from jaxtyping import Array, Bool, Float

from perceiver_lab.layers import CrossAttentionBlock, labelled
from perceiver_lab.layers.positions import plain_linear
from perceiver_lab.ops import check_mask, input_mask, query_mask


class Decoder(nnx.Module):
    """Queries read the latents and are projected to the outputs (2107.14795, section 3.2 and appendix E).

    x = attention(norm(queries), norm(latents)), with the queries added only if asked for
    outputs = (x + mlp(norm(x))) W + b
    """

    def __init__(
        self,
        queries: nnx.Module,
        latent_channels: int,
        *,
        output_channels: int | None,
        num_heads: int = 1,
        qk_channels: int | None = None,
        v_channels: int | None = None,
        widening_factor: int = 1,
        use_query_residual: bool = False,
        zero_output: bool = False,
        rngs: nnx.Rngs,
    ):
        """Put a decoder together.

        Args:
          queries: what is asked for; one of `adapters.queries`.
          latent_channels: D.
          output_channels: K; None leaves the last projection out, and the outputs are as wide as the queries.
          num_heads: must divide the two widths that follow.
          qk_channels: width at which queries and latents meet; by default D.
          v_channels: width of the values; by default `qk_channels`.
          widening_factor: of the MLP.
          use_query_residual: add the queries to what they read.
          zero_output: the last projection starts from zero, as for optical flow, where "nothing moves" is a good guess.
          rngs: for the initial weights.

        Raises:
          ValueError: more heads than divide the widths.
        """
        self.queries = queries
        self.latent_channels = latent_channels
        self.block = CrossAttentionBlock(
            queries.num_channels,
            latent_channels,
            num_heads=num_heads,
            qk_channels=qk_channels,
            v_channels=v_channels,
            widening_factor=widening_factor,
            use_query_residual=use_query_residual,
            rngs=rngs,
        )
        self.output = _projection(queries.num_channels, output_channels, zero_output, rngs)
        self.num_channels = queries.num_channels if output_channels is None else output_channels

    def __call__(
        self,
        latents: Float[Array, "b n d"],
        queries: Float[Array, "#b o e"],
        *,
        query_mask: Bool[Array, "b o"] | None = None,
        latent_mask: Bool[Array, "b n"] | None = None,
    ) -> Float[Array, "b o k"]:
        """Answer the queries.

        Args:
          latents: what the encoder made of the inputs.
          queries: from `self.queries`, or any others of their width; (1, O, E) asks every example the same.
          query_mask: True = valid. A masked query reads nothing: without the query residual its output is a constant.
          latent_mask: True = on. A latent that is off is not read.

        Raises:
          ValueError: arrays or masks of another shape.
        """
        mask = self._mask(latents, queries, query_mask, latent_mask)
        with labelled("decode"):
            x = self.block(queries, latents, mask=mask)
        return x if self.output is None else self.output(x)

    def _mask(self, latents, queries, valid, on):
        width = self.queries.num_channels
        if latents.ndim != 3 or latents.shape[-1] != self.latent_channels or 0 in latents.shape:
            raise ValueError(f"latents must be (B, N, D) with D = {self.latent_channels}; got shape {latents.shape}.")
        batches = (1, len(latents))
        if queries.ndim != 3 or queries.shape[-1] != width or 0 in queries.shape or len(queries) not in batches:
            raise ValueError(
                f"queries must be (B, O, E) with B = {len(latents)}, the latents' batch size, or 1, and E = "
                f"{width}; got shape {queries.shape}."
            )
        check_mask(valid, (len(latents), queries.shape[1]), "query_mask", "(B, O)")
        check_mask(on, latents.shape[:2], "latent_mask", "(B, N)")
        rows = None if valid is None else query_mask(valid, latents.shape[1])
        columns = None if on is None else input_mask(on, queries.shape[1])
        return columns if rows is None else rows if columns is None else rows & columns


def _projection(query_channels, output_channels, from_zero, rngs):
    if output_channels is None:
        return None
    if from_zero:
        return nnx.Linear(query_channels, output_channels, kernel_init=nnx.initializers.zeros, rngs=rngs)
    return plain_linear(query_channels, output_channels, rngs=rngs)
