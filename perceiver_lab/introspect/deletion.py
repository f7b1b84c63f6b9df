"""What an answer hangs on, by experiment: take parts of the input away, or turn them a little, and look at the answer.

Three maps over the elements of an input, and the curve that says what any map is worth. An element is deleted in one
of two ways: its value is *blanked* and its position stays, or, as only a model of sets allows, its row is *left out*.
"""

import functools
import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from perceiver_lab.introspect.maps import check_model

Inputs = Float[Array, "b *cells c"] | Float[np.ndarray, "b *cells c"]


def gradient_maps(model: nnx.Module, x: Inputs, classes: Int[np.ndarray, " b"]) -> Float[np.ndarray, "b *cells c"]:
    """The derivative of each example's logit of one class by every value of its input (1312.6034, section 3).

    Signed. Its size says how fast the logit changes; times the distance from a blank value, which change a linear model
    would have of blanking.

    Args:
      model: a classifier, called as `model(x)`.
      x: a batch of floats.
      classes: of each example.

    Raises:
      ValueError: no model, or not one class for each example.
    """
    check_model(model, "gradient_maps")
    _check_classes(x, classes)
    graphdef, state = nnx.split(model)
    return np.asarray(_slope(graphdef)(state, jnp.asarray(x), jnp.asarray(classes)))


def occlusion_maps(
    model: nnx.Module, x: Inputs, classes: Int[np.ndarray, " b"], *, blank: float | None = None
) -> Float[np.ndarray, "b m"]:
    """By how much the logit of one class falls when a single element is deleted (after 1311.2901, section 4.2).

    Positive: the element speaks for the class. One call of the model for each of the M elements.

    Args:
      model: a classifier, called as `model(x)`; where rows are left out as `model(x, mask=...)`, such as a Perceiver.
      x: a batch of floats; its elements are the cells, M = their product.
      classes: of each example.
      blank: the value that an element is given; None leaves its row out of what is read.

    Raises:
      ValueError: no model, not one class for each example, or a model whose rows are not the cells of x.
    """
    ask = _asking(model, x, classes, blank, "occlusion_maps")
    count = math.prod(x.shape[1:-1])
    keep = np.ones((len(x), count), bool)
    intact, maps = ask(keep)[0], np.zeros(keep.shape, np.float32)
    for element in range(count):
        keep[:, element] = False
        maps[:, element] = intact - ask(keep)[0]
        keep[:, element] = True
    return maps


def deletion_curves(
    model: nnx.Module,
    x: Inputs,
    maps: Float[np.ndarray, "b m"],
    classes: Int[np.ndarray, " b"],
    counts: Sequence[int],
    *,
    blank: float | None = None,
) -> Float[np.ndarray, "b k"]:
    """The probability of one class after the first so many elements were deleted, those that a map rates highest first.

    The sooner it falls, the better the map knows what the answer hangs on: the *deletion* metric of 1806.07421
    (section 3.4). Elements that the map rates alike come in a random order, always the same.

    Args:
      model, x, classes, blank: as for `occlusion_maps`.
      maps: a rating for every element.
      counts: how many elements are deleted, K numbers from 0 to M.

    Raises:
      ValueError: as `occlusion_maps`; maps or counts that do not fit x.
    """
    ask = _asking(model, x, classes, blank, "deletion_curves")
    count = math.prod(x.shape[1:-1])
    if maps.shape != (len(x), count) or not all(0 <= number <= count for number in counts):
        raise ValueError(
            f"deletion_curves rates the {count} elements of {len(x)} examples: maps must be {(len(x), count)} and the "
            f"counts from 0 to {count}; got {maps.shape} and {list(counts)}."
        )
    chance = np.random.default_rng(0).random(maps.shape)
    rank = np.lexsort((chance, -maps), axis=1).argsort(axis=1)
    return np.stack([ask(rank >= number)[1] for number in counts], axis=1)


def _asking(model, x, classes, blank, function) -> Callable[[Bool[np.ndarray, "b m"]], tuple[np.ndarray, np.ndarray]]:
    """(which elements are kept) -> logits and probabilities of the classes."""
    check_model(model, function)
    _check_classes(x, classes)
    graphdef, state = nnx.split(model)
    if blank is None:
        embedded = hasattr(model, "embed") and jax.eval_shape(
            lambda state, x: nnx.merge(graphdef, state).embed(x), state, x
        )
        rows = embedded.shape[1] if embedded else "no"
        if rows != math.prod(x.shape[1:-1]):
            raise ValueError(
                f"{function} leaves out rows of a model that reads the cells of x one by one; here x of shape "
                f"{x.shape} becomes {rows} rows. Blank values instead: blank=0.0, say."
            )
    answer, x = _answer(graphdef, blank is None), jnp.asarray(x)
    value = jnp.float32(0.0 if blank is None else blank)

    def ask(keep):
        return tuple(np.asarray(part) for part in answer(state, x, keep, value, jnp.asarray(classes)))

    return ask


@functools.lru_cache(maxsize=64)
def _answer(graphdef, left_out):
    @jax.jit
    def answer(state, x, keep, value, classes):
        model = nnx.merge(graphdef, state)
        if left_out:
            logits = model(x, mask=keep)
        else:
            logits = model(jnp.where(keep.reshape(*x.shape[:-1], 1), x, value))
        return tuple(_chosen(part, classes) for part in (logits, jax.nn.softmax(logits)))

    return answer


@functools.lru_cache(maxsize=64)
def _slope(graphdef):
    @jax.jit
    def slope(state, x, classes):
        return jax.grad(lambda x: _chosen(nnx.merge(graphdef, state)(x), classes).sum())(x)

    return slope


def _chosen(values, classes):
    return jnp.take_along_axis(values, classes[:, None], axis=-1)[:, 0]


def _check_classes(x, classes):
    if np.shape(classes) != np.shape(x)[:1]:
        raise ValueError(
            f"Give one class for each of the {np.shape(x)[0]} examples, such as logits.argmax(-1); got shape "
            f"{np.shape(classes)}."
        )
