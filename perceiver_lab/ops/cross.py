"""Cross-attention from few latents to very many inputs, with the inputs' LayerNorm and projections inside.

Written out, with x_hat the normalised inputs, g and o the norm's scale and bias:

    x = x_hat * g + o        k = x W_k + b_k        v = x W_v + b_v        context = softmax(q k^T / sqrt(d)) v

Four forms compute it. *Plain* does just that, and holds keys, values and scores of all m inputs. *Chunked* walks over
the inputs with a running softmax, so that its memory does not grow with m. *Folded* uses that matrix products may be
regrouped: with few latents it is cheaper to carry W_k and W_v over to the latents' side than to project m inputs,

    q k^T   = ((q W_k^T) * g) x_hat^T + one constant per query, which the softmax ignores
    context = ((P x_hat) * g + o) W_v + b_v, because each row of P sums to one

which is the same algebra in another order, not an approximation. *Folded and chunked* does both.

One input may be larger than a device. Then each device of a mesh axis reads a slice of it, in any of these forms, and
what they hand to each other is what the chunks of one device do: for each query a sum of the width of the values, the
largest score and the softmax's denominator, whatever m is.
"""

import contextlib
import contextvars
from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from perceiver_lab.ops.attention import (
    MASKED,
    attend,
    attention_weights,
    choose_one_pass,
    default_chunk,
    loop,
    running_softmax,
    weighted_values,
)

FORMS = ("auto", "plain", "chunked", "folded", "folded_chunked")
LAYER_NORM_EPSILON = 1e-5


class CrossParams(NamedTuple):
    """What the inputs go through on their way to keys and values. c input channels, k and v all heads' widths."""

    norm_scale: Float[Array, " c"]
    norm_bias: Float[Array, " c"]
    key_kernel: Float[Array, "c k"]
    key_bias: Float[Array, " k"]
    value_kernel: Float[Array, "c v"]
    value_bias: Float[Array, " v"]


class Choice(NamedTuple):
    """The form that one call took, and the counts that decided it. As text it says why."""

    form: str
    num_latents: int
    num_inputs: int
    plain: int  # multiply-adds per example, and so is the next
    folded: int
    scores: int  # of the whole batch

    def __str__(self) -> str:
        sign, way = ("<", "folded") if self.folded < self.plain else (">=", "not folded")
        most = loop().from_scores
        pace = f"> {most:,}: in chunks" if self.scores > most else f"<= {most:,}: in one pass"
        return (
            f"{self.form}: {self.num_latents:,} latents read {self.num_inputs:,} inputs; {self.folded:,} multiply-adds "
            f"folded {sign} {self.plain:,} plain: {way}; {self.scores:,} scores {pace}"
        )


_choices = contextvars.ContextVar("choices", default=None)


@contextlib.contextmanager
def noted_choices() -> Iterator[list[Choice]]:
    """While this is open, each call of `cross_attend` that chooses its form, also within a trace, is noted."""
    token = _choices.set([])
    try:
        yield _choices.get()
    finally:
        _choices.reset(token)


def cross_attend(
    q: Float[Array, "b n h d"],
    inputs: Float[Array, "b m c"],
    params: CrossParams,
    *,
    mask: Bool[Array, "b n m"] | None = None,
    form: str = "auto",
    chunk: int | None = None,
    axis_name: str | None = None,
) -> Float[Array, "b n h e"]:
    """Let projected queries attend to inputs that are neither normalised nor projected yet.

    Args:
      q: queries, already projected and split into heads.
      inputs: the input array as it comes.
      params: norm and projections of the inputs.
      mask: True where query n may attend to input m.
      form: "plain", "chunked", "folded" or "folded_chunked", equal up to rounding; "auto" takes `choose_form`.
      chunk: inputs per step of the chunked forms; by default so many that the scores of a step stay in the cache.
      axis_name: of the mapped axis (`jax.shard_map`) over whose devices the inputs are dealt out: `inputs` and `mask`
        are this device's slice, all else and the result are the same on each. `ops.cross_attend_slices` maps it.

    Returns:
      The context before the output projection; zeros for a query that may attend to nothing.

    Raises:
      ValueError: unknown `form`, a chunk below 1, or shapes that do not fit together.
    """
    _check(q, inputs, params, mask, form, chunk)
    b, n, h, _ = q.shape
    if form == "auto":
        qk_channels, v_channels = params.key_kernel.shape[1], params.value_kernel.shape[1]
        widths = {"num_heads": h, "qk_channels": qk_channels, "v_channels": v_channels}
        form = choose_form(n, *inputs.shape[1:], **widths, batch_size=b)
        choices = _choices.get()
        if choices is not None:
            counted = multiply_adds(n, *inputs.shape[1:], **widths)
            choices.append(Choice(form, n, inputs.shape[1], **counted, scores=b * h * n * inputs.shape[1]))
    if axis_name is not None and form in ("plain", "folded"):  # one chunk, whose softmax is not finished yet
        form, chunk = {"plain": "chunked", "folded": "folded_chunked"}[form], inputs.shape[1]
    if form == "plain":
        k, v = project(inputs, params, h)
        q = q.astype(k.dtype)
        return attend(q, k, v, mask=mask, impl=choose_one_pass(q, k, v, platform=jax.default_backend()))
    if form == "chunked":
        return _chunked(q, inputs, params, mask, chunk, axis_name)
    queries = _fold_queries(q, params)
    if form == "folded":
        rows = _rows(mask, h)
        x = normalise(inputs).astype(queries.dtype)
        weights = attention_weights(queries[:, :, None], x[:, :, None], mask=rows, scale=1.0)[:, 0]
        seen = _seen(weights, x)
    else:
        seen = _folded_chunked(queries, inputs, _rows(mask, h), chunk, axis_name)
    return _unfold_values(seen.reshape(b, h, n, -1), params, _any(mask, axis_name))


def choose_form(
    num_latents: int,
    num_inputs: int,
    input_channels: int,
    *,
    num_heads: int,
    qk_channels: int,
    v_channels: int,
    batch_size: int = 1,
) -> str:
    """The form that needs the fewest multiply-adds, in chunks where all scores together are so many that it pays."""
    counted = multiply_adds(
        num_latents, num_inputs, input_channels, num_heads=num_heads, qk_channels=qk_channels, v_channels=v_channels
    )
    folded = counted["folded"] < counted["plain"]
    if batch_size * num_heads * num_latents * num_inputs <= loop().from_scores:
        return "folded" if folded else "plain"
    return "folded_chunked" if folded else "chunked"


def multiply_adds(
    num_latents: int, num_inputs: int, input_channels: int, *, num_heads: int, qk_channels: int, v_channels: int
) -> dict[str, int]:
    """Multiply-adds per example of the plain and the folded form, output projection not counted.

    Plain: project m inputs, then score and average. Folded: score and average m inputs at width c for every head's
    latents, and project only the latents. Chunks do not change the count.
    """
    n, m, c, widths = num_latents, num_inputs, input_channels, qk_channels + v_channels
    return {"plain": m * c * widths + n * m * widths, "folded": 2 * num_heads * n * m * c + n * c * widths}


def normalise(x: Float[Array, "... c"]) -> Float[Array, "... c"]:
    """LayerNorm without scale and bias, in float32: zero mean and unit variance over the channels."""
    x = x.astype(jnp.float32)
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred * jax.lax.rsqrt((centred**2).mean(axis=-1, keepdims=True) + LAYER_NORM_EPSILON)


def project(
    inputs: Float[Array, "b m c"], params: CrossParams, num_heads: int
) -> tuple[Float[Array, "b m h d"], Float[Array, "b m h e"]]:
    """Keys and values of the inputs, split into heads, in the kernels' precision."""
    x = normalise(inputs) * _row(params.norm_scale) + _row(params.norm_bias)
    # As matrices, whose gradients need no transposed copies.
    rows = x.reshape(-1, x.shape[-1]).astype(params.key_kernel.dtype)
    k = rows @ params.key_kernel + params.key_bias[None]
    v = rows @ params.value_kernel + params.value_bias[None]
    return tuple(y.reshape(*inputs.shape[:2], num_heads, -1) for y in (k, v))


def _chunked(q, inputs, params, mask, chunk, axis_name):
    b, n, h, d = q.shape
    queries = q * d**-0.5

    def read(inputs, mask=None):
        k, v = project(inputs, params, h)
        scores = jnp.einsum("bnhd,bmhd->bhnm", queries, k, preferred_element_type=jnp.float32)
        if mask is not None:
            scores = jnp.where(jnp.moveaxis(mask, 1, 2)[:, None], scores, MASKED)
        return scores, lambda weights: weighted_values(weights, v)

    arrays = (inputs,) if mask is None else (inputs, jnp.moveaxis(mask, 2, 1))
    width = params.value_kernel.shape[1] // h
    chunk = chunk or default_chunk(b * h * n)
    return jnp.moveaxis(running_softmax(read, arrays, (b, h, n), width, chunk, axis_name), 1, 2)


def _fold_queries(q, params):
    """Queries as wide as the inputs, with W_k and the norm's scale inside: (b, h * n, c)."""
    b, n, h, d = q.shape
    kernel = params.key_kernel.reshape(-1, h, d)
    folded = jnp.einsum("bnhd,chd->bhnc", q * d**-0.5, kernel) * params.norm_scale[None, None, None]
    return folded.reshape(b, h * n, -1).astype(kernel.dtype)


def _folded_chunked(queries, inputs, rows, chunk, axis_name):
    def read(inputs, rows=None):
        x = normalise(inputs).astype(queries.dtype)
        scores = jnp.einsum("bnc,bmc->bnm", queries, x, preferred_element_type=jnp.float32)
        if rows is not None:
            scores = jnp.where(jnp.moveaxis(rows, 1, 2), scores, MASKED)
        return scores, lambda weights: _seen(weights, x)

    arrays = (inputs,) if rows is None else (inputs, jnp.moveaxis(rows, 2, 1))
    b, num_rows, c = queries.shape
    return running_softmax(read, arrays, (b, num_rows), c, chunk or default_chunk(b * num_rows), axis_name)


def _seen(weights, x):
    """Sums of inputs in float32, the products in the inputs' precision."""
    return jnp.einsum("bnm,bmc->bnc", weights.astype(x.dtype), x, preferred_element_type=jnp.float32)


def _unfold_values(seen, params, anything):
    """From what each head's latents saw (b, h, n, c) to their values (b, n, h, e)."""
    h = seen.shape[1]
    seen = seen * params.norm_scale[None, None, None] + params.norm_bias[None, None, None]
    kernel = params.value_kernel.reshape(seen.shape[-1], h, -1)
    context = jnp.einsum("bhnc,che->bnhe", seen.astype(kernel.dtype), kernel) + params.value_bias.reshape(1, 1, h, -1)
    # Rows that sum to zero instead of one: the regrouping above does not hold for them.
    return context if anything is None else jnp.where(anything[..., None, None], context, 0.0)


def _any(mask, axis_name):
    """Whether each query may attend to anything, on whatever device: (b, n)."""
    if mask is None or axis_name is None:
        return None if mask is None else mask.any(axis=-1)
    return jax.lax.psum(mask.any(axis=-1).astype(jnp.int32), axis_name) > 0


def _rows(mask, num_heads):
    """The mask of every head's latents: (b, n, m) -> (b, h * n, m)."""
    return None if mask is None else jnp.tile(mask, (1, num_heads, 1))


def _row(vector):
    return vector[None, None]


def _check(q, inputs, params, mask, form, chunk):
    if form not in FORMS:
        raise ValueError(f"form={form!r} is unknown; choose one of {', '.join(map(repr, FORMS))}.")
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk={chunk}: a step reads at least one input. Leave it out for the default.")
    channels, qk_channels = params.key_kernel.shape
    if q.ndim != 4 or inputs.ndim != 3 or 0 in inputs.shape or len(q) != len(inputs) or inputs.shape[-1] != channels:
        raise ValueError(
            f"cross_attend wants q (b, n, h, d) and inputs (b, m, {channels}), the kernels' width, with nothing empty; "
            f"got {q.shape} and {inputs.shape}."
        )
    if q.shape[2] * q.shape[3] != qk_channels or params.value_kernel.shape[1] % q.shape[2]:
        raise ValueError(
            f"q {q.shape} has {q.shape[2]} heads of width {q.shape[3]}, but keys have {qk_channels} channels and "
            f"values {params.value_kernel.shape[1]} for all heads together. Split them into heads of equal share."
        )
    if mask is not None and mask.shape != (q.shape[0], q.shape[1], inputs.shape[1]):
        raise ValueError(
            f"mask must be (b, n, m) = {(q.shape[0], q.shape[1], inputs.shape[1])}, True where query n may attend to "
            f"input m; got {mask.shape}. A mask of the inputs alone becomes one by input_mask(mask, n)."
        )
