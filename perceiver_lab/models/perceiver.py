"""The Perceiver (2103.03206): a small latent array reads a large input array, again and again.

    inputs (B, M, C) --read--> latents (B, N, D) --block--> latents --read--> ... --mean over latents--> logits

One *read* is a cross-attention block; one *block* is a stack of self-attention layers on the latents. The paper reads
several times; the model that was released later reads once and then repeats its block.
"""

from dataclasses import dataclass

from flax import nnx
from jaxtyping import Array, Bool, Float

from perceiver_lab.layers import CrossAttentionBlock, LearnedPositions, SelfAttentionStack, labelled
from perceiver_lab.layers.attention import check_heads
from perceiver_lab.layers.blocks import repeat_batch
from perceiver_lab.ops import check_mask, input_mask
from perceiver_lab.ops.slices import INPUTS_AXIS


@dataclass(frozen=True, kw_only=True)
class PerceiverConfig:
    """Sizes of a Perceiver encoder.

    Attributes:
      num_latents: N.
      latent_channels: D.
      num_reads: how often the inputs are read. Blocks are spread evenly after the reads.
      num_blocks: latent blocks in all; a multiple of `num_reads`.
      num_self_attends_per_block: layers per block.
      num_cross_heads: heads of a read; the paper has 1.
      num_self_heads: heads of a latent layer; the paper has 8.
      cross_widening_factor: of the MLP after a read.
      self_widening_factor: of the MLP in a latent layer.
      qk_channels: width of queries and keys, everywhere; by default the inputs' in a read and D in a block.
      v_channels: width of the values, everywhere; by default `qk_channels`.
      share_weights: one block serves all, and the reads from the second on share theirs (the first keeps its own).
      use_query_residual: add the latents as they were to what they read.
      dropout_rate: after each attention and each MLP, in training.

    Raises:
      ValueError: sizes that do not fit together, with the offending value.
    """

    num_latents: int
    latent_channels: int
    num_reads: int = 1
    num_blocks: int = 1
    num_self_attends_per_block: int = 6
    num_cross_heads: int = 1
    num_self_heads: int = 8
    cross_widening_factor: int = 1
    self_widening_factor: int = 1
    qk_channels: int | None = None
    v_channels: int | None = None
    share_weights: bool = True
    use_query_residual: bool = True
    dropout_rate: float = 0.0

    def __post_init__(self):
        for name in ("num_latents", "latent_channels", "num_reads", "num_blocks", "num_self_attends_per_block"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1.")
        if self.num_blocks % self.num_reads:
            raise ValueError(
                f"num_blocks={self.num_blocks} is no multiple of num_reads={self.num_reads}: each read is followed by "
                "the same number of blocks. Change one of them."
            )
        if not 0 <= self.dropout_rate < 1:
            raise ValueError(f"dropout_rate={self.dropout_rate} must be at least 0 and below 1.")
        # The release asks this of the latents' own width even where other widths are set.
        check_heads(self.num_self_heads, latent_channels=self.latent_channels)
        check_heads(self.num_cross_heads, latent_channels=self.latent_channels)


class PerceiverEncoder(nnx.Module):
    """Latents that read inputs (B, M, C) and think about them: (B, N, D)."""

    def __init__(self, config: PerceiverConfig, input_channels: int, *, rngs: nnx.Rngs):
        """Build reads and blocks.

        Args:
          config: sizes.
          input_channels: C.
          rngs: for the initial weights.
        """
        self.config = config
        self.input_channels = input_channels
        self.latents = LearnedPositions((config.num_latents,), config.latent_channels, rngs=rngs)
        num_own_reads = min(config.num_reads, 2) if config.share_weights else config.num_reads
        num_own_blocks = 1 if config.share_weights else config.num_blocks
        self.reads = nnx.data([_make_read(config, input_channels, rngs) for _ in range(num_own_reads)])
        self.blocks = nnx.data([_make_block(config, rngs) for _ in range(num_own_blocks)])

    def __call__(
        self,
        inputs: Float[Array, "b m c"],
        *,
        mask: Bool[Array, "b m"] | None = None,
        latent_mask: Bool[Array, "b n"] | None = None,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "b n d"]:
        """Alternate reads and blocks.

        Args:
          inputs: what is read, positions included.
          mask: True = valid input; padding is not read.
          latent_mask: True = on; a latent that is off is not attended to by the others.
          train: whether dropout acts.
          rngs: for dropout, stream "dropout".

        Raises:
          ValueError: inputs or masks of another shape.
        """
        latents = self.first_read(inputs, mask=mask, train=train, rngs=rngs)
        return self.process(latents, inputs, mask=mask, latent_mask=latent_mask, train=train, rngs=rngs)

    def first_read(
        self,
        inputs: Float[Array, "b m c"],
        *,
        mask: Bool[Array, "b m"] | None = None,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "b n d"]:
        """The latents after the first read. Arguments as above; which latents are on plays no part in it."""
        self._check(inputs, mask)
        return self._read(0, repeat_batch(self.latents(), inputs.shape[0]), inputs, mask, train, rngs)

    def process(
        self,
        latents: Float[Array, "b n d"],
        inputs: Float[Array, "b m c"] | None,
        *,
        mask: Bool[Array, "b m"] | None = None,
        latent_mask: Bool[Array, "b n"] | None = None,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "b n d"]:
        """Everything after the first read. Where that is the only one, `inputs` is not used and may be None."""
        config = self.config
        check_mask(latent_mask, (latents.shape[0], config.num_latents), "latent_mask", "(B, N)")
        block_mask = None if latent_mask is None else input_mask(latent_mask, config.num_latents)
        blocks_per_read = config.num_blocks // config.num_reads
        for number in range(config.num_blocks):
            if number and number % blocks_per_read == 0:
                latents = self._read(number // blocks_per_read, latents, inputs, mask, train, rngs)
            with labelled(f"block {number}"):
                block = self.blocks[min(number, len(self.blocks) - 1)]
                latents = block(latents, mask=block_mask, train=train, rngs=rngs)
        return latents

    def _read(self, index, latents, inputs, mask, train, rngs):
        read = self.reads[min(index, len(self.reads) - 1)]
        read_mask = None if mask is None else input_mask(mask, self.config.num_latents)
        with labelled(f"read {index}"):
            return read(latents, inputs, mask=read_mask, train=train, rngs=rngs)

    def _check(self, inputs, mask):
        if inputs.ndim != 3 or inputs.shape[-1] != self.input_channels or 0 in inputs.shape:
            raise ValueError(
                f"inputs must be (B, M, C) with C = {self.input_channels} and nothing empty; got shape {inputs.shape}. "
                "The input adapter's num_channels and the encoder's input_channels must agree."
            )
        check_mask(mask, inputs.shape[:2], "mask", "(B, M)")


class EncodingModel(nnx.Module):
    """What the models share that are built on this encoder: `input_adapter`, `encoder`, and the steps up to latents."""

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
        """Raw batch -> inputs; random numbers go to the adapters that mask, in evaluation too."""
        masking = {} if getattr(self.input_adapter, "mask_rates", None) is None else {"rngs": rngs}
        return self.input_adapter(x, positions=positions, train=train, **masking)

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


class Perceiver(EncodingModel):
    """Input adapter, encoder, and a readout from the average of the latents: the classifier of 2103.03206."""

    def __init__(
        self, config: PerceiverConfig, *, input_adapter: nnx.Module, output_adapter: nnx.Module, rngs: nnx.Rngs
    ):
        """Put a model together.

        Args:
          config: sizes of the encoder.
          input_adapter: raw batch -> inputs (B, M, C); see `adapters.inputs`.
          output_adapter: latents (B, N, D) -> output; see `adapters.ClassOutput`.
          rngs: for the initial weights.
        """
        self.input_adapter = input_adapter
        self.encoder = PerceiverEncoder(config, input_adapter.num_channels, rngs=rngs)
        self.output_adapter = output_adapter

    def decode(self, latents: Float[Array, "b n d"], *, latent_mask: Bool[Array, "b n"] | None = None):
        """Latents -> output; latents that are off are left out of the average."""
        return self.output_adapter(latents, latent_mask=latent_mask)

    def __call__(
        self,
        x,
        *,
        positions: Float[Array, "b m a"] | None = None,
        mask: Bool[Array, "b m"] | None = None,
        latent_mask: Bool[Array, "b n"] | None = None,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "b k"]:
        """Raw batch -> class logits.

        Args:
          x: what the input adapter reads.
          positions: coordinates of the elements, by default the adapter's own grid.
          mask: True = valid element (B, M).
          latent_mask: True = latent on (B, N). One that is off is neither attended to nor averaged.
          train: dropout acts, batch norm uses the batch's own statistics, modalities are dropped at their rates.
          rngs: streams "dropout" and, where the adapter drops or masks modalities, "modality" and "mask".
        """
        inputs = self.embed(x, positions=positions, train=train, rngs=rngs)
        mask = without_dropped(self.input_adapter, x, mask, train=train, rngs=rngs)
        latents = self.encode(inputs, mask=mask, latent_mask=latent_mask, train=train, rngs=rngs)
        return self.decode(latents, latent_mask=latent_mask)


def without_dropped(input_adapter: nnx.Module, x, mask, *, train: bool, rngs: nnx.Rngs | None):
    """The input mask, with the modalities taken out that this training step drops.

    Raises:
      ValueError: there are no rngs to choose them with.
    """
    if not train or not any(getattr(input_adapter, "drop_rates", ())):
        return mask
    if rngs is None:
        raise ValueError(
            f"In training, this adapter drops modalities at random, at rates {input_adapter.drop_rates}: call the "
            "model with rngs=nnx.Rngs(modality=seed, dropout=seed)."
        )
    kept = input_adapter.drop_mask(x, rngs.modality())
    return kept if mask is None else mask & kept


def _make_read(config, input_channels, rngs):
    return CrossAttentionBlock(
        config.latent_channels,
        input_channels,
        num_heads=config.num_cross_heads,
        qk_channels=config.qk_channels,
        v_channels=config.v_channels,
        widening_factor=config.cross_widening_factor,
        use_query_residual=config.use_query_residual,
        dropout_rate=config.dropout_rate,
        axis_name=INPUTS_AXIS,
        rngs=rngs,
    )


def _make_block(config, rngs):
    return SelfAttentionStack(
        config.num_self_attends_per_block,
        config.latent_channels,
        num_heads=config.num_self_heads,
        qk_channels=config.qk_channels,
        v_channels=config.v_channels,
        widening_factor=config.self_widening_factor,
        dropout_rate=config.dropout_rate,
        rngs=rngs,
    )
