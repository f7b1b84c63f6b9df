"""What a model makes of its latents when some of them are off."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float

from perceiver_lab.introspect.maps import check_model


class Ablation(NamedTuple):
    """Outputs with all latents on, and with some of them off."""

    intact: Float[np.ndarray, "b *output"]
    ablated: Float[np.ndarray, "k b *output"]


class FirstRead:
    """A batch that a model has read once, to ask many times what it makes of it with other latents on.

    The inputs are embedded and read a first time when this is created, with the weights of that moment; which latents
    are on plays no part so far. A call then runs the latent layers only, and further reads where the model has them.
    """

    def __init__(
        self,
        model: nnx.Module,
        x: Any,
        *,
        positions: Float[Array, "b m a"] | Float[np.ndarray, "b m a"] | None = None,
        mask: Bool[Array, "b m"] | Bool[np.ndarray, "b m"] | None = None,
    ):
        """Read the batch.

        Args:
          model: a Perceiver or Perceiver IO.
          x: a batch, as the model takes it.
          positions: of the inputs, by default the adapter's own.
          mask: True = valid element (B, M).

        Raises:
          ValueError: a model without a latent array.
        """
        check_model(model, "FirstRead")
        if not hasattr(model, "encoder") or not hasattr(model.encoder, "first_read"):
            raise ValueError(
                f"{type(model).__name__} has no latents that could be switched off: give a Perceiver or a PerceiverIO."
            )
        graphdef, state = nnx.split(model)
        # A copy: training goes on in the same variables, and may give their buffers away.
        self._state = jax.tree.map(jnp.copy, state)
        read, self._finish = _programs(graphdef)
        inputs, self._latents = read(self._state, x, positions, mask)
        # Where the inputs are neither read again nor asked with, they need not be kept.
        asked_with = hasattr(model, "decoder") and model.decoder.queries.needs_inputs
        self._inputs, self._mask = (inputs, mask) if model.config.num_reads > 1 or asked_with else (None, None)
        self.shape = self._latents.shape[:2]

    def __call__(
        self, latent_mask: Bool[Array, "b n"] | Bool[np.ndarray, "b n"] | None = None
    ) -> Float[np.ndarray, "b *output"]:
        """The model's output with these latents on (True), by default with all.

        Raises:
          ValueError: a mask that is not bool of shape (B, N).
        """
        if latent_mask is None:
            latent_mask = np.ones(self.shape, bool)
        return np.asarray(self._finish(self._state, self._inputs, self._latents, self._mask, latent_mask))


def ablate(
    model: nnx.Module,
    x: Any,
    latent_masks: Bool[Array, "k n"] | Bool[np.ndarray, "k n"] | None = None,
    *,
    positions: Float[Array, "b m a"] | Float[np.ndarray, "b m a"] | None = None,
    mask: Bool[Array, "b m"] | Bool[np.ndarray, "b m"] | None = None,
) -> Ablation:
    """Switch latents off and see what the model says.

    A latent that is off is not attended to by the others and is left out of the readout. The inputs are embedded and
    read the first time once only, see `FirstRead`.

    Args:
      model: a Perceiver or Perceiver IO.
      x: a batch, as the model takes it.
      latent_masks: K masks, each for the whole batch, True = on; by default every latent off by itself (K = N).
      positions: of the inputs, by default the adapter's own.
      mask: True = valid element (B, M).

    Returns:
      `intact` (B, ...), the output with all latents on, and `ablated` (K, B, ...), one output for each mask.

    Raises:
      ValueError: a model without latents, or masks that are not bool of shape (K, N).
    """
    read = FirstRead(model, x, positions=positions, mask=mask)
    batch, num_latents = read.shape
    masks = ~np.eye(num_latents, dtype=bool) if latent_masks is None else np.asarray(latent_masks)
    if masks.ndim != 2 or masks.shape[1] != num_latents or masks.dtype != bool or not len(masks):
        raise ValueError(
            f"latent_masks must be bool of shape (K, N) with N = {num_latents} latents, True where a latent is on; got "
            f"{masks.dtype} of shape {masks.shape}. One mask needs an axis in front: mask[None]."
        )
    ablated = [read(np.broadcast_to(one[None], (batch, num_latents))) for one in masks]
    return Ablation(read(), np.stack(ablated))


@functools.lru_cache(maxsize=64)
def _programs(graphdef):
    """The two halves of a model, compiled once for each structure and each set of shapes."""

    @jax.jit
    def read(state, x, positions, mask):
        model = nnx.merge(graphdef, state)
        inputs = model.embed(x, positions=positions)
        return inputs, model.encoder.first_read(inputs, mask=mask)

    @jax.jit
    def finish(state, inputs, latents, mask, latent_mask):
        model = nnx.merge(graphdef, state)
        latents = model.encoder.process(latents, inputs, mask=mask, latent_mask=latent_mask)
        asked_with = {"inputs": inputs} if hasattr(model, "decoder") and model.decoder.queries.needs_inputs else {}
        return model.decode(latents, latent_mask=latent_mask, **asked_with)

    return read, finish
