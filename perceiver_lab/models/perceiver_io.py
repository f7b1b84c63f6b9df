"""Perceiver IO (2107.14795): the Perceiver's encoder, and a decoder that can be asked for outputs of any shape.

    inputs (B, M, C) --encode--> latents (B, N, D) --decode, with queries (B, O, E)--> outputs (B, O, K)

The encoder is the Perceiver's. The decoder is one more cross-attention, in which each output's query reads the latents:
its cost is O x N, and outputs can be asked for one at a time.
"""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int, PyTree

from perceiver_lab.models.asking import asked, build, build_all, in_chunks
from perceiver_lab.models.decoder import Decoder
from perceiver_lab.models.perceiver import EncodingModel, PerceiverConfig, PerceiverEncoder, without_dropped
from perceiver_lab.ops import check_mask

Cells = Int[Array, "..."]  # (K,) or (B, K); by group where the queries are grouped


class PerceiverIO(EncodingModel):
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

    def read(
        self,
        inputs: Float[Array, "b m c"],
        *,
        mask: Bool[Array, "b m"] | None = None,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "b n d"]:
        """The first half of `encode`: the latents after they read the inputs."""
        return self.encoder.first_read(inputs, mask=mask, train=train, rngs=rngs)

    def process(
        self,
        latents: Float[Array, "b n d"],
        inputs: Float[Array, "b m c"] | None = None,
        *,
        mask: Bool[Array, "b m"] | None = None,
        latent_mask: Bool[Array, "b n"] | None = None,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "b n d"]:
        """The second half of `encode`: the latent blocks; `inputs` only where they are read more than once."""
        return self.encoder.process(latents, inputs, mask=mask, latent_mask=latent_mask, train=train, rngs=rngs)

    def decode(
        self,
        latents: Float[Array, "b n d"],
        *,
        inputs: Float[Array, "b m c"] | None = None,
        features: PyTree[Float[Array, "b _ _"]] | None = None,
        cells: PyTree[Cells] | None = None,
        positions: PyTree[Float[Array, "b _ _"]] | None = None,
        queries: Float[Array, "b o e"] | None = None,
        query_mask: Bool[Array, "b o"] | None = None,
        latent_mask: Bool[Array, "b n"] | None = None,
    ):
        """Latents -> outputs, by default all that the decoder has queries for.

        Args:
          latents: what the encoder made of the inputs.
          inputs: the encoder's inputs, where they are the queries.
          features: input features, one row per cell, where they are part of the queries.
          cells: numbers of the outputs that are asked for, (K,) or (B, K); by group where the queries are grouped.
          positions: coordinates that are asked for instead, (B, O, axes), or that by group.
          queries: ready queries instead of all these, such as a part of `model.decoder.queries(inputs)`. With grouped
            queries, whose outputs could not be told apart, what the decoder gives is returned as it is.
          query_mask: True = valid query (B, O); groups follow each other by name.
          latent_mask: True = latent on (B, N).

        Raises:
          ValueError: what the decoder and its queries refuse, or inputs or features that are missing.
        """
        masks = {"query_mask": query_mask, "latent_mask": latent_mask}
        if queries is not None:
            decoded = self.decoder(latents, queries, **masks)
            grouped = hasattr(self.decoder.queries, "groups")
            return decoded if grouped else self._join(self._each({None: decoded}), {None: False})
        inputs = self._inputs(latents, inputs)
        groups = asked(self.decoder.queries, inputs, features=features, cells=cells, positions=positions)
        decoded = self.decoder(latents, build_all(self.decoder.queries, inputs, groups), **masks)
        rows = self._each(_split(decoded, {name: one.total for name, one in groups.items()}))
        return self._join(rows, {name: one.whole for name, one in groups.items()})

    def decode_in_chunks(
        self,
        latents: Float[Array, "b n d"],
        *,
        num_chunks: int,
        inputs: Float[Array, "b m c"] | None = None,
        features: PyTree[Float[Array, "b _ _"]] | None = None,
        cells: PyTree[Cells] | None = None,
        positions: PyTree[Float[Array, "b _ _"]] | None = None,
        query_mask: Bool[Array, "b o"] | None = None,
        latent_mask: Bool[Array, "b n"] | None = None,
    ):
        """The same outputs, with the memory of one chunk of queries: under jit one loop, compiled once.

        Every group of queries is cut into `num_chunks`, as in the published decoding of videos with 128. Queries with
        `subsampling="release"` then have the coordinates of selected cells, so that chunks and the whole differ there.

        Args:
          num_chunks: at least 1.
          latents, inputs, features, cells, positions, query_mask, latent_mask: as in `decode`.

        Raises:
          ValueError: as in `decode`, or no chunk.
        """
        if num_chunks < 1:
            raise ValueError(f"num_chunks={num_chunks} must be at least 1.")
        inputs = self._inputs(latents, inputs)
        queries = self.decoder.queries
        groups = asked(queries, inputs, features=features, cells=cells, positions=positions)
        # What is refused is refused here, where values are known; in the loop they are not.
        whole = nnx.eval_shape(lambda: build_all(queries, inputs, groups))
        check_mask(query_mask, (len(latents), whole.shape[1]), "query_mask", "(B, O)")

        def rows_of(given, mask, sizes):
            decoded = self.decoder(latents, build(queries, inputs, given), query_mask=mask, latent_mask=latent_mask)
            return self._each(_split(decoded, sizes))

        rows = in_chunks(groups, num_chunks, rows_of, query_mask)
        return self._join(rows, {name: one.whole for name, one in groups.items()})

    def __call__(
        self,
        x,
        *,
        positions: Float[Array, "b m a"] | None = None,
        mask: Bool[Array, "b m"] | None = None,
        latent_mask: Bool[Array, "b n"] | None = None,
        query_mask: Bool[Array, "b o"] | None = None,
        cells: PyTree[Cells] | None = None,
        query_positions: PyTree[Float[Array, "b _ _"]] | None = None,
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
          cells: numbers of the outputs that are asked for, by default all; see `decode`.
          query_positions: coordinates that are asked for instead; `positions` of `decode`.
          train: dropout acts in the encoder, batch norm uses the batch's own statistics, modalities are dropped.
          rngs: streams "dropout" and, where the adapter drops or masks modalities, "modality" and "mask".
        """
        features, inputs = self._features_and_inputs(x, positions, train, rngs)
        mask = without_dropped(self.input_adapter, x, mask, train=train, rngs=rngs)
        latents = self.encode(inputs, mask=mask, latent_mask=latent_mask, train=train, rngs=rngs)
        return self.decode(
            latents,
            inputs=inputs,
            features=features,
            cells=cells,
            positions=query_positions,
            query_mask=query_mask,
            latent_mask=latent_mask,
        )

    def query_features(self, x, *, train: bool = False) -> PyTree[Float[Array, "b _ _"]] | None:
        """The input features that belong into the queries, `features` of `decode`: None where none do."""
        wanted = getattr(self.decoder.queries, "feature_channels", 0)
        if not isinstance(wanted, dict):
            return self.input_adapter.features(x, train=train) if wanted else None
        parts = {name: self.input_adapter.modalities[name] for name, width in wanted.items() if width}
        return {name: part.features(x[name], train=train) for name, part in parts.items()} or None

    def _features_and_inputs(self, x, positions, train, rngs):
        features = self.query_features(x, train=train)
        if features is None or isinstance(features, dict) or not hasattr(self.input_adapter, "place"):
            return features, self.embed(x, positions=positions, train=train, rngs=rngs)
        # Once only: the averages of a batch norm move with every call.
        return features, self.input_adapter.place(features, positions=positions)

    def _inputs(self, latents, inputs):
        if inputs is None and self.decoder.queries.needs_inputs:
            raise ValueError(
                "The queries of this model are its inputs: give them to the decoder too, "
                "model.decode(latents, inputs=model.embed(x))."
            )
        return latents if inputs is None else inputs

    def _each(self, parts):
        adapter = self.output_adapter
        if adapter is None:
            return parts
        embedding = getattr(self.input_adapter, "embedding_table", None)
        if hasattr(adapter, "parts"):
            return adapter.each(parts, embedding=embedding)
        embedding = None if isinstance(embedding, dict) else embedding
        return {name: adapter.each(part, embedding=embedding) for name, part in parts.items()}

    def _join(self, rows, whole):
        adapter = self.output_adapter
        if adapter is None or not hasattr(adapter, "parts"):
            rows = jnp.concatenate(list(rows.values()), axis=1)
            return rows if adapter is None else adapter.join(rows, whole=all(whole.values()))
        return adapter.join(rows, whole=whole)


def _split(decoded, sizes):
    parts, start = {}, 0
    for name, size in sizes.items():
        parts[name], start = decoded[:, start : start + size], start + size
    return parts
