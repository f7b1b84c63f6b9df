"""Perceiver IO (2107.14795): the Perceiver's encoder, and a decoder that can be asked for outputs of any shape.

    inputs (B, M, C) --encode--> latents (B, N, D) --decode, with queries (B, O, E)--> outputs (B, O, K)

The encoder is the Perceiver's. The decoder is one more cross-attention, in which each output's query reads the latents:
its cost is O x N, and outputs can be asked for one at a time.
"""

from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from perceiver_lab.layers import CrossAttentionBlock, labelled
from perceiver_lab.layers.positions import plain_linear
from perceiver_lab.models.perceiver import PerceiverConfig, PerceiverEncoder, embed, without_dropped
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
        self.output = (
            None if output_channels is None else plain_linear(queries.num_channels, output_channels, rngs=rngs)
        )
        self.num_channels = queries.num_channels if output_channels is None else output_channels

    def __call__(
        self,
        latents: Float[Array, "b n d"],
        queries: Float[Array, "b o e"],
        *,
        query_mask: Bool[Array, "b o"] | None = None,
        latent_mask: Bool[Array, "b n"] | None = None,
    ) -> Float[Array, "b o k"]:
        """Answer the queries.

        Args:
          latents: what the encoder made of the inputs.
          queries: from `self.queries`, or any others of their width.
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
        if queries.ndim != 3 or queries.shape[-1] != width or 0 in queries.shape or len(queries) != len(latents):
            raise ValueError(
                f"queries must be (B, O, E) with B = {len(latents)}, the latents' batch size, and E = {width}; got "
                f"shape {queries.shape}."
            )
        check_mask(valid, queries.shape[:2], "query_mask", "(B, O)")
        check_mask(on, latents.shape[:2], "latent_mask", "(B, N)")
        rows = None if valid is None else query_mask(valid, latents.shape[1])
        columns = None if on is None else input_mask(on, queries.shape[1])
        return columns if rows is None else rows if columns is None else rows & columns


class PerceiverIO(nnx.Module):
    """Input adapter, encoder, decoder and, if the outputs need it, an output adapter."""

    def __init__(
        self,
        config: PerceiverConfig,
        *,
        input_adapter: nnx.Module,
        decoder: Decoder,
        output_adapter: nnx.Module | None = None,
        rngs: nnx.Rngs,
    ):
        """Put a model together.

        Args:
          config: sizes of the encoder; the released models read once.
          input_adapter: raw batch -> inputs (B, M, C); see `adapters.inputs`.
          decoder: its latent width must be the encoder's.
          output_adapter: decoded queries -> output, such as `adapters.OnlyQuery` for class logits.
          rngs: for the initial weights.

        Raises:
          ValueError: a decoder for latents of another width.
        """
        if decoder.latent_channels != config.latent_channels:
            raise ValueError(
                f"The decoder reads latents of {decoder.latent_channels} channels, but latent_channels is "
                f"{config.latent_channels}. Build the decoder with the encoder's width."
            )
        self.input_adapter = input_adapter
        self.encoder = PerceiverEncoder(config, input_adapter.num_channels, rngs=rngs)
        self.decoder = decoder
        self.output_adapter = output_adapter

    @property
    def config(self) -> PerceiverConfig:
        """Sizes of the encoder."""
        return self.encoder.config

    @property
    def latents(self) -> nnx.Param:
        """The learned latent array (N, D), before it has read anything."""
        return self.encoder.latents.table

    def embed(
        self,
        x,
        *,
        positions: Float[Array, "b m a"] | None = None,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "b m c"]:
        """Raw batch -> inputs."""
        return embed(self.input_adapter, x, positions=positions, train=train, rngs=rngs)

    def encode(
        self,
        inputs: Float[Array, "b m c"],
        *,
        mask: Bool[Array, "b m"] | None = None,
        latent_mask: Bool[Array, "b n"] | None = None,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "b n d"]:
        """Inputs -> latents; see `PerceiverEncoder`."""
        return self.encoder(inputs, mask=mask, latent_mask=latent_mask, train=train, rngs=rngs)

    def decode(
        self,
        latents: Float[Array, "b n d"],
        *,
        queries: Float[Array, "b o e"] | None = None,
        query_mask: Bool[Array, "b o"] | None = None,
        latent_mask: Bool[Array, "b n"] | None = None,
    ):
        """Latents -> outputs for the queries given, by default for all that the decoder has; see `Decoder`."""
        queries = self.decoder.queries(latents) if queries is None else queries
        decoded = self.decoder(latents, queries, query_mask=query_mask, latent_mask=latent_mask)
        return decoded if self.output_adapter is None else self.output_adapter(decoded)

    def __call__(
        self,
        x,
        *,
        positions: Float[Array, "b m a"] | None = None,
        mask: Bool[Array, "b m"] | None = None,
        latent_mask: Bool[Array, "b n"] | None = None,
        query_mask: Bool[Array, "b o"] | None = None,
        cells: Int[Array, " k"] | None = None,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ):
        """Raw batch -> outputs (B, O, K), or what the output adapter makes of them.

        Args:
          x: what the input adapter reads.
          positions: coordinates of the elements, by default the adapter's own grid.
          mask: True = valid element (B, M).
          latent_mask: True = latent on (B, N). One that is off is neither attended to nor decoded.
          query_mask: True = valid query (B, O).
          cells: numbers of the outputs that are asked for; by default all.
          train: dropout acts in the encoder, batch norm uses the batch's own statistics, modalities are dropped.
          rngs: streams "dropout" and, where the adapter drops or masks modalities, "modality" and "mask".
        """
        inputs = self.embed(x, positions=positions, train=train, rngs=rngs)
        mask = without_dropped(self.input_adapter, x, mask, train=train, rngs=rngs)
        latents = self.encode(inputs, mask=mask, latent_mask=latent_mask, train=train, rngs=rngs)
        queries = self.decoder.queries(inputs, cells=cells)
        return self.decode(latents, queries=queries, query_mask=query_mask, latent_mask=latent_mask)
