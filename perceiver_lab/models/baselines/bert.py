"""A Transformer that answers at every element (BERT, 1810.04805): what a Perceiver IO on bytes is measured against."""

from dataclasses import dataclass

from flax import nnx
from jaxtyping import Array, Bool, Float

from perceiver_lab.layers import SelfAttentionStack, layer_norm
from perceiver_lab.layers.attention import check_heads
from perceiver_lab.layers.positions import plain_linear
from perceiver_lab.models.baselines.pixels import check_sizes
from perceiver_lab.ops import check_mask, input_mask


@dataclass(frozen=True, kw_only=True)
class BertConfig:
    """Sizes of a Transformer that answers at every element.

    Attributes:
      channels: width of the elements.
      num_layers: self-attention layers.
      num_heads: must divide `channels`.
      widening_factor: of the MLPs; Transformers have 4.
      dropout_rate: after each attention and each MLP, in training.

    Raises:
      ValueError: sizes that do not fit together, with the offending value.
    """

    channels: int = 64
    num_layers: int = 4
    num_heads: int = 4
    widening_factor: int = 4
    dropout_rate: float = 0.0

    def __post_init__(self):
        check_sizes(self, "channels", "num_layers", "num_heads", "widening_factor")
        check_heads(self.num_heads, channels=self.channels)


class Bert(nnx.Module):
    """Every element attends to every one; a byte is compared with the embedding of all (pre-norm, unlike BERT's).

    One layer costs M x M where a Perceiver IO's read costs M x N.
    """

    def __init__(
        self,
        config: BertConfig,
        *,
        input_adapter: nnx.Module,
        output_adapter: nnx.Module | None,
        rngs: nnx.Rngs,
    ):
        """Put a model together.

        Args:
          config: sizes.
          input_adapter: raw batch -> inputs (B, M, C); for bytes `adapters.ByteInput`, which has an `embedding_table`.
          output_adapter: what compares with that table, `adapters.ByteOutput`; None where a vector for each element is
            all that is wanted, (B, M, channels).
          rngs: for the initial weights.
        """
        self.config = config
        self.input_adapter = input_adapter
        self.embed = plain_linear(input_adapter.num_channels, config.channels, rngs=rngs)
        self.stack = SelfAttentionStack(
            config.num_layers,
            config.channels,
            num_heads=config.num_heads,
            widening_factor=config.widening_factor,
            dropout_rate=config.dropout_rate,
            rngs=rngs,
        )
        self.norm = layer_norm(config.channels, rngs)
        width = config.channels if output_adapter is None else input_adapter.embedding_table.shape[-1]
        self.answer = plain_linear(config.channels, width, rngs=rngs)
        self.output_adapter = output_adapter

    def __call__(
        self,
        x,
        *,
        positions: Float[Array, "b m n"] | None = None,
        mask: Bool[Array, "b m"] | None = None,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "b m v"]:
        """Ids (B, M) -> logits over the vocabulary at every element; without an output adapter, vectors.

        Args:
          x: what the input adapter reads.
          positions: coordinates of the elements, by default the adapter's own.
          mask: True = valid element (B, M); the others are not attended to.
          train: whether dropout acts.
          rngs: for dropout, stream "dropout".

        Raises:
          ValueError: ids, positions or mask of another shape.
        """
        inputs = self.input_adapter(x, positions=positions, train=train)
        check_mask(mask, inputs.shape[:2], "mask", "(B, M)")
        pairs = None if mask is None else input_mask(mask, inputs.shape[1])
        elements = self.norm(self.stack(self.embed(inputs), mask=pairs, train=train, rngs=rngs))
        answers = self.answer(elements)
        if self.output_adapter is None:
            return answers
        return self.output_adapter(answers, embedding=self.input_adapter.embedding_table)
