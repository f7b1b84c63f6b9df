"""Losses: outputs and targets in, one number out."""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Real, Shaped

from perceiver_lab.adapters import Modality


def cross_entropy(
    logits: Float[Array, "b k"],
    labels: Int[Array, " b"] | Float[Array, "b k"],
    *,
    label_smoothing: float = 0.0,
    weights: Real[Array, " b"] | None = None,
) -> Float[Array, ""]:
    """Softmax cross-entropy, averaged over the batch.

    With smoothing s the target y of K classes becomes (1 - s) y + s / K. Mixed labels (mixup, CutMix) are given as
    distributions; they are mixed first and smoothed afterwards, as in the release of Perceiver IO.

    Args:
      logits: unnormalised log-probabilities (B, K).
      labels: class numbers (B,), or distributions over the classes (B, K).
      label_smoothing: s in [0, 1).
      weights: one weight per example (B,), such as 0 for padding; the mean is weighted by them.

    Returns:
      The mean loss in nats, float32. A class number outside 0..K-1 makes it NaN: inside a compiled step nothing can
      be raised, and a NaN stops the training loop, which then names the records. So does a batch without examples, or
      with weights that are all 0: it has no mean.

    Raises:
      ValueError: shapes that do not fit, or s outside [0, 1).
    """
    if logits.ndim != 2 or not logits.shape[1] or labels.shape not in (logits.shape[:1], logits.shape):
        raise ValueError(
            f"cross_entropy got logits {logits.shape} and labels {labels.shape}; expected logits (batch, classes) and "
            "labels (batch,) or (batch, classes). Reduce the model's output to one row of logits per example first."
        )
    if not 0.0 <= label_smoothing < 1.0:
        raise ValueError(f"label_smoothing must lie in [0, 1), got {label_smoothing}; the papers use 0 or 0.1.")
    log_probs = jax.nn.log_softmax(logits.astype(jnp.float32))
    num_classes = logits.shape[-1]
    if labels.ndim == 1:
        in_range = (labels >= 0) & (labels < num_classes)
        hit = jnp.take_along_axis(log_probs, jnp.clip(labels, 0, num_classes - 1)[:, None], axis=-1)[:, 0]
        hit = jnp.where(in_range, hit, jnp.nan)
    else:
        hit = jnp.sum(labels.astype(jnp.float32) * log_probs, axis=-1)
    losses = -(1.0 - label_smoothing) * hit
    if label_smoothing:
        losses = losses - label_smoothing * jnp.mean(log_probs, axis=-1)
    if weights is None:
        return jnp.mean(losses)
    weights = weights.astype(jnp.float32)
    # where, not a product alone: 0 x NaN of a padded row would be NaN.
    return jnp.sum(jnp.where(weights == 0, 0.0, losses * weights)) / jnp.sum(weights)


def multimodal_loss(
    modalities: Sequence[Modality],
    outputs: Mapping[str, Float[Array, "..."]],
    targets: Mapping[str, Shaped[Array, "..."]],
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """The weighted sum of what each modality's own loss says, and each of them (2107.14795, section 4.3).

    Args:
      modalities: those with a `loss` count.
      outputs: of the model, by name.
      targets: by name, in the shape that the loss wants. Where a part of the outputs was asked for, that part of the
        targets: `MultimodalOutput.select`.

    Returns:
      The sum of weight times loss, and the losses without their weights, by name in order.

    Raises:
      ValueError: no modality with a loss, or one whose output or target is missing.
    """
    counted = sorted((one for one in modalities if one.loss is not None), key=lambda one: one.name)
    missing = [one.name for one in counted if one.name not in outputs or one.name not in targets]
    if missing or not counted:
        raise ValueError(
            "multimodal_loss wants an output and a target for each modality with a loss, "
            f"{[one.name for one in counted]}; outputs are {sorted(outputs)}, targets {sorted(targets)}. Ask the "
            "model for all of them, or leave the loss of a modality None."
        )
    losses = {one.name: one.loss(outputs[one.name], targets[one.name]) for one in counted}
    return sum(one.loss_weight * losses[one.name] for one in counted), losses
