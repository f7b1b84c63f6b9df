"""Masked auto-encoding: hide elements of any modalities, ask for them, count the error (after 2202.10890).

The paper learns positions this way, but the released code has neither masking nor loss. What is here is this library's:

- of every modality with a rate r, each example hides round(r x M) of its M elements, a new draw at every step;
- a hidden element is zero before it is embedded. Its position stays: the model knows where something is missing;
- the loss is the mean squared error of the hidden elements, of classes their cross-entropy, summed by weights;
- training goes on at one rate of hiding. (The learning rate's schedule is the recipe's.)
"""

from collections.abc import Collection, Mapping

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from perceiver_lab.training.forward import Batch, LossFunction

Elements = Mapping[str, Float[Array, "b _ _"]]
Hidden = Mapping[str, Bool[Array, "b _"]]


def hide(x: Elements, rates: Mapping[str, float], key: Array) -> tuple[dict, dict]:
    """Hide elements of each modality.

    Args:
      x: name -> (B, M, c).
      rates: name -> share of the elements to hide, from 0 to 1; a modality that is not named shows all of them. Of one
        with a rate above 0 at least one element is hidden.
      key: for the draw, the same in every example's number of hidden elements, not in their places.

    Returns:
      The modalities with zeros in the hidden places, and where those are: name -> (B, M), True = hidden.

    Raises:
      ValueError: a rate that is no share, or of a modality that is not there.
    """
    check_rates(rates, x)
    hidden = {}
    for number, name in enumerate(sorted(x)):
        batch, size = x[name].shape[:2]
        rate = rates.get(name, 0.0)
        count = max(round(rate * size), 1) if rate else 0
        order = jax.random.uniform(jax.random.fold_in(key, number), (batch, size)).argsort(axis=1)
        hidden[name] = order.argsort(axis=1) < count
    return {name: jnp.where(hidden[name][..., None], 0.0, rows) for name, rows in x.items()}, hidden


def masked_loss(
    outputs: Elements,
    targets: Elements,
    hidden: Hidden,
    *,
    weights: Mapping[str, float] | None = None,
    classes: Collection[str] = (),
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """The error at the hidden elements, and what it is made of.

    Args:
      outputs: name -> (B, M, k) reconstructions; of classes logits.
      targets: name -> (B, M, k) what was there; of classes distributions, such as one-hot rows.
      hidden: name -> (B, M), True = hidden, as `hide` gives it.
      weights: of the modalities in the sum, by default 1.
      classes: names of the modalities that are classes.

    Returns:
      The sum over the modalities that hide something of weight x error, and NAME_hidden and NAME_all: the mean over the
      hidden elements and over all of them, of the squared error (the mean over channels) or of the cross-entropy in
      nats. Without a hidden element, NAME_hidden is 0.

    Raises:
      ValueError: modalities that differ between the arguments, or arrays of other shapes.
    """
    weights = {} if weights is None else weights
    _check_alike(outputs, targets, hidden, [*weights, *classes])
    loss, parts = jnp.zeros(()), {}
    for name, target in targets.items():
        output, target = outputs[name].astype(jnp.float32), target.astype(jnp.float32)
        if name in classes:
            errors = -(target * jax.nn.log_softmax(output)).sum(axis=-1)
        else:
            errors = ((output - target) ** 2).mean(axis=-1)
        parts[f"{name}_hidden"] = _mean(errors, hidden[name])
        parts[f"{name}_all"] = errors.mean()
        loss = loss + weights.get(name, 1.0) * parts[f"{name}_hidden"]
    return loss, parts


def masked_autoencoding(
    rates: Mapping[str, float], *, weights: Mapping[str, float] | None = None, classes: Collection[str] = ()
) -> LossFunction:
    """A loss for training: hide, reconstruct, compare.

    Args:
      rates: name -> share of hidden elements, for every modality that the model reads. The paper's is not known here;
        0.85 is a good one for pixels, 1.0 for a label that is to be guessed.
      weights, classes: as in `masked_loss`.

    Raises:
      ValueError: (from the loss) a modality that the batch lacks, and what `hide` and `masked_loss` refuse.
    """

    def loss_fn(model: nnx.Module, batch: Batch, rngs: nnx.Rngs):
        missing = sorted(set(rates) - set(batch))
        if missing:
            raise ValueError(f"The batch has {sorted(batch)}, but not {missing}, which the rates {dict(rates)} hide.")
        x = {name: batch[name] for name in rates}
        visible, hidden = hide(x, rates, rngs.mask())
        return masked_loss(model(visible, train=True, rngs=rngs), x, hidden, weights=weights, classes=classes)

    return loss_fn


def check_rates(rates: Mapping[str, float], names: Collection[str]) -> None:
    """Refuse rates of hiding that are no shares or of unknown modalities.

    Raises:
      ValueError: naming them.
    """
    unknown = sorted(set(rates) - set(names))
    if unknown or not all(0 <= rate <= 1 for rate in rates.values()):
        raise ValueError(
            f"rates {dict(rates)} must be shares from 0 to 1 of the modalities that there are, {sorted(names)}."
        )


def _check_alike(outputs, targets, hidden, named):
    shapes = [{name: tuple(rows.shape) for name, rows in part.items()} for part in (outputs, targets)]
    masks = {name: tuple(rows.shape) for name, rows in hidden.items()}
    alike = shapes[0] == shapes[1] and masks == {name: shape[:2] for name, shape in shapes[1].items()}
    if not alike or not shapes[0] or not set(named) <= set(masks):
        raise ValueError(
            f"masked_loss compares outputs {shapes[0]} with targets {shapes[1]} where they are hidden, {masks}; these "
            f"must be the same modalities of the same shapes, and hold what weights and classes name: {named}."
        )


def _mean(errors, where):
    return jnp.where(where, errors, 0.0).sum() / jnp.maximum(where.sum(), 1)
