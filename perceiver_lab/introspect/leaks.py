"""Who reaches whom: a gradient that finds what an output can see, and with it a mask that lets the future through."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int


class Leak(NamedTuple):
    """An output that depends on something that comes later in its sequence.

    Attributes:
      example: number in the batch.
      place: where the output stands.
      later: the place that it must not depend on, but does.
      size: norm of the gradient there.
    """

    example: int
    place: int
    later: int
    size: float


class Reach(NamedTuple):
    """How much every output depends on every input.

    Attributes:
      sizes: norm of the gradient of output n with respect to input m; exactly 0 where nothing arrives.
      places: where each output stands in the sequence, -1 for one that stands nowhere and is not judged.
    """

    sizes: Float[np.ndarray, "b n m"]
    places: Int[np.ndarray, "b n"]

    @property
    def leaks(self) -> list[Leak]:
        """All outputs that depend on a later input; of a causal model, none."""
        places = self.places[..., None]
        later = (self.sizes > 0) & (np.arange(self.sizes.shape[-1]) > places) & (places >= 0)
        return [
            Leak(b, int(self.places[b, n]), m, float(self.sizes[b, n, m])) for b, n, m in np.argwhere(later).tolist()
        ]


def reach(
    answer: Callable[[Float[Array, "b m c"]], Float[Array, "b n v"]],
    inputs: Float[Array, "b m c"] | Float[np.ndarray, "b m c"],
    places: Int[Array, "b n"] | Int[np.ndarray, "b n"],
) -> Reach:
    """Ask by gradient which inputs each output depends on.

    A masked score has gradient 0 to the last bit, so that no threshold is needed. The number that is differentiated is
    a random mixture of an output's V logits: of one logit alone, or of their sum, the gradient might be 0 by chance.

    ::

        placement = model.place(tokens)
        inputs = model.embed(tokens, placement.positions)
        answer = lambda inputs: model.predict(model.process(model.read(inputs, placement), placement))
        reach(answer, inputs, placement.latent_index).leaks

    Args:
      answer: embedded inputs -> logits; examples must not depend on each other.
      inputs: embedded tokens, which can be differentiated by, unlike the tokens themselves.
      places: of the outputs in their sequence.

    Raises:
      ValueError: places that do not fit, or logits that depend on no input at all, as those of an output layer that
        starts from zero: no leak could be seen in them.
    """
    inputs, places = jnp.asarray(inputs), np.asarray(places)
    logits = jax.eval_shape(answer, inputs)
    if places.shape != logits.shape[:2]:
        raise ValueError(
            f"places must be (B, N) = {logits.shape[:2]}, where each output stands; got {places.shape}. A Perceiver AR "
            "has them in `model.place(tokens).latent_index`."
        )
    sizes = np.asarray(_sizes(answer, inputs, logits.shape))
    if not sizes.any():
        raise ValueError(
            "The logits depend on no input, so that no leak could be seen: an output layer that starts from zero hides "
            "all of them. Build the model with zero_output=False, or train it first."
        )
    return Reach(sizes, places)


def _sizes(answer, inputs, shape):
    """Norms (b, n, m): one pass back for each output."""
    mixture = jax.random.normal(jax.random.key(0), shape[-1:])

    @jax.jit
    def gradients(inputs):
        _, back = jax.vjp(lambda inputs: answer(inputs) @ mixture, inputs)
        one_by_one = jnp.broadcast_to(jnp.eye(shape[1])[:, None], (shape[1], *shape[:2]))  # (n, b, n)
        return jax.vmap(lambda chosen: jnp.linalg.norm(back(chosen)[0], axis=-1))(one_by_one)

    return jnp.moveaxis(gradients(inputs), 0, 1)
