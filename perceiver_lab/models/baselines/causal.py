"""A Transformer that reads from left to right: a language model."""

from collections.abc import Callable

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from perceiver_lab.layers import labelled
from perceiver_lab.models.baselines.bert import Bert
from perceiver_lab.ops import causal_mask

Before = Callable[[int, Float[Array, "b n c"]], Float[Array, "b n c"]]


class CausalTransformer(Bert):
    """The same layers, but each element attends only to those before it and itself: its answer is what comes next."""

    def __call__(
        self,
        x: Int[Array, "b n"],
        *,
        before: Before | None = None,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "b n v"]:
        """Ids (B, N) -> logits over the vocabulary for the id after each of them.

        Padding at the end is seen by nothing before it, so that no mask is needed.

        Args:
          x: what the input adapter reads.
          before: (number of a layer, the elements that it is about to be given) -> what it is given instead: the place
            of Flamingo's gated layers. By default nothing is changed.
          train: whether dropout acts.
          rngs: for dropout, stream "dropout".

        Raises:
          ValueError: ids that the input adapter refuses.
        """
        elements = self.embed(self.input_adapter(x, train=train))
        places = jnp.broadcast_to(jnp.arange(elements.shape[1])[None], elements.shape[:2])
        causal = causal_mask(places, places)
        for number in range(self.stack.num_layers):
            if before is not None:
                elements = before(number, elements)
            with labelled(f"layer {number}"):
                elements = self.stack.layer(number)(elements, mask=causal, train=train, rngs=rngs)
        return self.output_adapter(self.answer(self.norm(elements)), embedding=self.input_adapter.embedding_table)
