"""Causal cross-attention from the last inputs to all of them, for sequences of any length (2202.07765, section 3).

Whether a latent may read an input follows from two small arrays of indices, so that the (n, m) mask of a long sequence
is never built: `causal_mask` of a chunk at a time.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from perceiver_lab.ops.attention import (
    MASKED,
    attend,
    choose_one_pass,
    default_chunk,
    loop,
    running_softmax,
    weighted_values,
)
from perceiver_lab.ops.cross import CrossParams, project
from perceiver_lab.ops.masks import causal_mask
from perceiver_lab.ops.rotary import Rotation, rotate
from perceiver_lab.ops.sequences import NOWHERE

CAUSAL_FORMS = ("auto", "plain", "chunked")


def causal_cross_attend(
    q: Float[Array, "b n h d"],
    inputs: Float[Array, "b m c"],
    params: CrossParams,
    *,
    query_index: Int[Array, "b n"],
    key_index: Int[Array, "b m"],
    key_rotation: Rotation | None = None,
    form: str = "auto",
    chunk: int | None = None,
) -> Float[Array, "b n h e"]:
    """Let projected queries attend to inputs up to their own place, which are neither normalised nor projected yet.

    Args:
      q: queries, projected, split into heads and turned.
      inputs: the input array as it comes.
      params: norm and projections of the inputs.
      query_index: place of each query in the sequence, -1 for none; see `ops.causal_mask`.
      key_index: place of each input, `NOWHERE` for one that may not be read.
      key_rotation: by which the keys are turned.
      form: "plain", which holds keys, values and scores of all inputs; "chunked", whose memory does not grow with m;
        "auto" takes "chunked" where the scores are so many that it pays.
      chunk: inputs per step of the chunked form; by default so many that the scores of a step stay in the cache.

    Returns:
      The context before the output projection. A query without a place gets the mean of all values, as in the released
      code; one with a place of which nothing may be read gets zeros.

    Raises:
      ValueError: unknown `form`, a chunk below 1, or shapes that do not fit together.
    """
    _check(q, inputs, query_index, key_index, form, chunk)
    b, n, h, d = q.shape
    if form == "auto":
        form = "chunked" if b * h * n * inputs.shape[1] > loop().from_scores else "plain"
    q, query_index = reading_alike(q, query_index)
    if form == "plain":
        k, v = project(inputs, params, h)
        q, k = q.astype(k.dtype), rotate(k, key_rotation)
        impl = choose_one_pass(q, k, v, platform=jax.default_backend())
        return attend(q, k, v, mask=causal_mask(query_index, key_index), impl=impl)
    queries = q * d**-0.5

    def read(inputs, key_index, *turn):
        k, v = project(inputs, params, h)
        k = rotate(k, Rotation(*turn) if turn else None)
        scores = jnp.einsum("bnhd,bmhd->bhnm", queries, k, preferred_element_type=jnp.float32)
        scores = jnp.where(causal_mask(query_index, key_index)[:, None], scores, MASKED)
        return scores, lambda weights: weighted_values(weights, v)

    arrays = (inputs, key_index, *(key_rotation or ()))
    width = params.value_kernel.shape[1] // h
    return jnp.moveaxis(running_softmax(read, arrays, (b, h, n), width, chunk or default_chunk(b * h * n)), 1, 2)


def reading_alike(
    q: Float[Array, "b n h d"], query_index: Int[Array, "b n"]
) -> tuple[Float[Array, "b n h d"], Int[Array, "b n"]]:
    """Queries and their places, where a query without a place reads everything alike.

    In the released code all its scores are equally low, so that its softmax is the plain mean of all values, padding
    included. A query of zeros that may read everything gives that mean. Nothing that counts ever reads it.
    """
    nowhere = query_index < 0
    return jnp.where(nowhere[..., None, None], 0.0, q), jnp.where(nowhere, NOWHERE, query_index)


def _check(q, inputs, query_index, key_index, form, chunk):
    if form not in CAUSAL_FORMS:
        raise ValueError(f"form={form!r} is unknown; choose one of {', '.join(map(repr, CAUSAL_FORMS))}.")
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk={chunk}: a step reads at least one input. Leave it out for the default.")
    if query_index.shape != q.shape[:2] or key_index.shape != inputs.shape[:2] or len(q) != len(inputs):
        raise ValueError(
            f"query_index must be (b, n) as q {q.shape} and key_index (b, m) as inputs {inputs.shape}, with one batch "
            f"size; got {query_index.shape} and {key_index.shape}."
        )
