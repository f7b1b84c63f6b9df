"""The loss of autoregressive models: what each latent says about the token after its own (2202.07765)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Real

from perceiver_lab.ops import latent_targets
from perceiver_lab.training.forward import LossFunction


def token_losses(
    logits: Float[Array, "b n v"],
    targets: Int[Array, "b n"],
    *,
    weights: Real[Array, "b n"] | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
) -> tuple[Float[Array, "b n"], Float[Array, "b n"]]:
    """Cross-entropy of every prediction on its own, as in the code released with Perceiver AR.

    With smoothing s of V tokens the target is 1 - s on the right one and s / (V - 1) on each other, and a constant is
    taken off, so that the best possible prediction has loss 0. The z-loss, z_loss * (log Z)^2 with Z the sum of the
    exponentiated logits, keeps the logits from drifting; it is part of the loss.

    Args:
      logits: unnormalised log-probabilities.
      targets: the tokens that were right.
      weights: of each prediction, 0 for one that does not count; by default 1.
      label_smoothing: s in [0, 1).
      z_loss: factor of the z-loss; published 1e-4 in training, 0 in evaluation.

    Returns:
      The losses in nats, and the z-losses in them, both times the weights, float32. A target outside of 0..V-1 that
      counts makes its loss NaN.

    Raises:
      ValueError: shapes that do not fit, s outside [0, 1), or a vocabulary of less than two tokens.
    """
    if (
        logits.ndim != 3
        or targets.shape != logits.shape[:2]
        or (weights is not None and weights.shape != targets.shape)
    ):
        raise ValueError(
            f"token_losses got logits {logits.shape}, targets {targets.shape} and weights "
            f"{None if weights is None else weights.shape}; expected (B, N, V), (B, N) and (B, N)."
        )
    if not 0.0 <= label_smoothing < 1.0:
        raise ValueError(f"label_smoothing must lie in [0, 1), got {label_smoothing}; the published models use 0.")
    if logits.shape[-1] < 2:
        raise ValueError(f"token_losses got a vocabulary of {logits.shape[-1]}; with less than 2 nothing is predicted.")
    logits = logits.astype(jnp.float32)
    num_tokens = logits.shape[-1]
    log_z = jax.nn.logsumexp(logits, axis=-1)
    known = (targets >= 0) & (targets < num_tokens)
    hit = jnp.take_along_axis(logits, jnp.clip(targets, 0, num_tokens - 1)[..., None], axis=-1)[..., 0] - log_z
    losses = -jnp.where(known, hit, jnp.nan)
    if label_smoothing:
        rest = label_smoothing / (num_tokens - 1)
        others = logits.sum(axis=-1) - num_tokens * log_z - hit
        best = (1 - label_smoothing) * jnp.log(1 - label_smoothing) + label_smoothing * jnp.log(rest)
        losses = (1 - label_smoothing) * losses - rest * others + best
    z_losses = z_loss * log_z**2
    losses = losses + z_losses
    if weights is None:
        return losses, z_losses
    # where, not a product alone: 0 x NaN of a padded place would be NaN.
    return tuple(jnp.where(weights == 0, 0.0, one * weights) for one in (losses, z_losses))


def next_token_loss(*, label_smoothing: float = 0.0, z_loss: float = 1e-4) -> LossFunction:
    """The training loss of a Perceiver AR: the sum over all latents of the batch, as published.

    A sum, not a mean: with the published clipping of the gradient's norm at 1, its direction is what the optimiser
    sees, and a mean would sometimes stay below the bound.

    The batch holds "inputs" and "targets" (B, M), and perhaps "positions" (B, M, axes). Reported beside the loss:
    "nats", the mean per token without the z-loss, and "tokens", how many counted.
    """

    def loss_fn(model, batch, rngs):
        places = {"positions": batch["positions"]} if "positions" in batch else {}
        logits = model(batch["inputs"], train=True, rngs=rngs, **places)
        labels, weights = latent_targets(batch["inputs"], batch["targets"], logits.shape[1])
        losses, z_losses = token_losses(logits, labels, weights=weights, label_smoothing=label_smoothing, z_loss=z_loss)
        count = weights.sum()
        nats = (losses - z_losses).sum() / jnp.maximum(count, 1)
        return losses.sum(), {"nats": nats, "z_loss": z_losses.sum(), "tokens": count}

    return loss_fn
