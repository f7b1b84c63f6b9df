"""Attention as a pure function: `attend`, and the weights it uses.

Letters: b batch, n query index, m key index, h head, d width of a head's queries and keys, e width of its values.
A mask says who *may* attend: True = may. A query that may attend to nothing gets zeros.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

MASKED = -1e30  # finite, so that a fully masked row gives numbers that can be wiped, not NaN
IMPLEMENTATIONS = ("auto", "einsum", "xla", "cudnn", "chunked")
Shaped = jax.Array | jax.ShapeDtypeStruct


def attention_weights(
    q: Float[Array, "b n h d"],
    k: Float[Array, "b m h d"],
    *,
    mask: Bool[Array, "b n m"] | None = None,
    scale: float | None = None,
    bias: Float[Array, "b h n m"] | None = None,
) -> Float[Array, "b h n m"]:
    """softmax(q k^T * scale) over the keys, in float32 (2107.14795, appendix E; the softmax of 1706.03762, eq. 1).

    Args:
      q: queries.
      k: keys.
      mask: True where query n may attend to key m.
      scale: factor on the scores; by default 1 / sqrt(d).
      bias: added to the scaled scores, such as what relative positions say; by default nothing.

    Returns:
      Weights in float32. A row sums to one, or to zero if its query may attend to nothing.
    """
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    scores = jnp.einsum("bnhd,bmhd->bhnm", q * scale, k, preferred_element_type=jnp.float32)
    scores = scores if bias is None else scores + bias
    if mask is None:
        return jax.nn.softmax(scores, axis=-1)
    allowed = mask[:, None]
    weights = jax.nn.softmax(jnp.where(allowed, scores, MASKED), axis=-1)
    return jnp.where(allowed.any(axis=-1, keepdims=True), weights, 0.0)


def attend(
    q: Float[Array, "b n h d"],
    k: Float[Array, "b m h d"],
    v: Float[Array, "b m h e"],
    *,
    mask: Bool[Array, "b n m"] | None = None,
    scale: float | None = None,
    impl: str = "auto",
) -> Float[Array, "b n h e"]:
    """Each query's average of the values, weighted by `attention_weights`.

    Args:
      q: queries.
      k: keys.
      v: values.
      mask: True where query n may attend to key m.
      scale: factor on the scores; by default 1 / sqrt(d).
      impl: "einsum", the definition; "xla", JAX's own, whose gradients take a CPU longer; "cudnn", JAX's own on an
        NVIDIA GPU (half precision); "chunked", which never holds all n x m scores; "auto" takes
        `choose_implementation`.

    Returns:
      One row of values per query; zeros for a query that may attend to nothing.

    Raises:
      ValueError: unknown `impl`, or shapes that do not fit together.
    """
    _check(q, k, v, mask, impl)
    if impl == "auto":
        impl = choose_implementation(q, k, v, platform=jax.default_backend())
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    if impl == "einsum":
        weights = attention_weights(q, k, mask=mask, scale=scale)
        return jnp.einsum("bhnm,bmhe->bnhe", weights.astype(v.dtype), v)
    if impl == "chunked":
        return _attend_chunked(q, k, v, mask, scale)
    return _attend_jax(q, k, v, mask, scale, impl)


def choose_implementation(q: Shaped, k: Shaped, v: Shaped, *, platform: str) -> str:
    """`choose_one_pass`, but "chunked" instead of "einsum" where that is faster; arguments as there.

    The wider the heads, the less of the time goes into the scores: on a CPU, beyond 64 channels, it takes 16 times as
    many of them until the loop pays (measured: benchmarks/self_attention.py). On an accelerator it only saves memory.
    """
    found = choose_one_pass(q, k, v, platform=platform)
    num_scores = q.shape[0] * q.shape[2] * q.shape[1] * k.shape[1]
    wide = platform == "cpu" and max(q.shape[-1], v.shape[-1]) > 64
    large = num_scores > loop(platform).from_scores * (16 if wide else 1)
    return "chunked" if found == "einsum" and large else found


def choose_one_pass(q: Shaped, k: Shaped, v: Shaped, *, platform: str) -> str:
    """cuDNN's fused attention where it is to be had, else "einsum", however many scores there are.

    To be had: on a GPU, in half precision, heads of a multiple of 8 and of at most 128 channels, and even lengths,
    which its backward pass wants where there is a mask. Only shapes and dtypes count: the rule can be asked anywhere.

    Args:
      q, k, v: arrays or `jax.ShapeDtypeStruct`, as in `attend`.
      platform: "cpu", "gpu" or "tpu".
    """
    half = {one.dtype for one in (q, k, v)} in ({jnp.dtype(jnp.bfloat16)}, {jnp.dtype(jnp.float16)})
    width, even = max(q.shape[-1], v.shape[-1]), q.shape[1] % 2 == 0 and k.shape[1] % 2 == 0
    if platform == "gpu" and half and even and width % 8 == 0 and width <= 128:
        return "cudnn"
    return "einsum"


def weighted_values(weights: Float[Array, "b h n m"], v: Float[Array, "b m h e"]) -> Float[Array, "b h n e"]:
    """Sums of values in float32, the products in the values' precision."""
    return jnp.einsum("bhnm,bmhe->bhne", weights.astype(v.dtype), v, preferred_element_type=jnp.float32)


def _attend_jax(q, k, v, mask, scale, impl):
    if q.shape[-1] != v.shape[-1]:  # jax.nn.dot_product_attention wants one width
        width = max(q.shape[-1], v.shape[-1])
        q, k, padded = (jnp.pad(x, [(0, 0)] * 3 + [(0, width - x.shape[-1])]) for x in (q, k, v))
        return _attend_jax(q, k, padded, mask, scale, impl)[..., : v.shape[-1]]
    allowed = None if mask is None else mask[:, None]
    out = jax.nn.dot_product_attention(q, k, v, mask=allowed, scale=scale, implementation=impl)
    return out if mask is None else jnp.where(mask.any(axis=-1)[..., None, None], out, 0.0)


def _attend_chunked(q, k, v, mask, scale):
    b, n, h, _ = q.shape
    queries = q * scale

    def read(k, v, mask):
        scores = jnp.einsum("bnhd,bmhd->bhnm", queries, k, preferred_element_type=jnp.float32)
        if mask is not None:
            scores = jnp.where(mask[:, None], scores, MASKED)
        return scores, lambda weights: weighted_values(weights, v)

    chunk = default_chunk(b * h * n)
    keyed = (k, v) if mask is None else (k, v, jnp.moveaxis(mask, 2, 1))

    def read_chunk(k, v, mask=None):
        return read(k, v, None if mask is None else jnp.moveaxis(mask, 1, 2))

    out = running_softmax(read_chunk, keyed, (b, h, n), v.shape[-1], chunk)
    return jnp.moveaxis(out, 1, 2).astype(v.dtype)


class Loop(NamedTuple):
    """When a loop over chunks of inputs pays, and how much each step takes on."""

    from_scores: int  # of the whole call; up to there, one pass is faster
    step_scores: int
    longest_chunk: int


def loop(platform: str | None = None) -> Loop:
    """The sizes for a platform, by default the one where JAX runs.

    On a CPU a step's scores should stay in the cache (measured: benchmarks/attention.py). An accelerator is fast when
    it has much to do at once: there the loop only saves memory.
    """
    on_cpu = (platform or jax.default_backend()) == "cpu"
    return Loop(2**20, 2**18, 2**12) if on_cpu else Loop(2**28, 2**26, 2**20)


def default_chunk(num_rows: int, platform: str | None = None) -> int:
    """How many inputs to read at once, for so many rows of scores, the batch's examples counted each; as in `loop`.

    A power of two, which divides the usual lengths, and at least 256, so that a step is worth its overhead.
    """
    sizes = loop(platform)
    chunk = max(sizes.step_scores // num_rows, 256)
    return min(2 ** (chunk.bit_length() - 1), sizes.longest_chunk)


def running_softmax(read, arrays, rows: tuple[int, ...], width: int, chunk: int, axis_name: str | None = None):
    """Softmax-weighted sums over inputs that are read chunk by chunk: exact, in memory that does not grow with m.

    The sums are kept relative to the largest score so far and faded whenever a larger one comes (1805.02867).

    Args:
      read: chunks of `arrays` -> (scores (*rows, chunk) float32, weights -> weighted sum (*rows, width)).
      arrays: each (b, m, ...); m is cut into chunks.
      rows: shape of the scores without their last axis.
      width: channels of the weighted sum.
      chunk: inputs per step at most; the steps share them evenly.
      axis_name: of the mapped axis over whose devices the inputs are dealt out; each walks over its own.

    Returns:
      (*rows, width) float32; zeros where every score is `MASKED`.
    """
    num_inputs = arrays[0].shape[1]
    num_chunks = -(-num_inputs // chunk)
    chunk = -(-num_inputs // num_chunks)

    @functools.partial(jax.checkpoint, prevent_cse=False)
    def step(carry, number):
        total, peak, mass = carry
        # The last chunk is moved back to end with the inputs (no padded copy of them); what it overlaps is masked.
        start = jnp.minimum(number * chunk, num_inputs - chunk)
        fresh = start + jnp.arange(chunk) >= number * chunk
        scores, weigh = read(*(jax.lax.dynamic_slice_in_dim(x, start, chunk, axis=1) for x in arrays))
        if num_inputs % chunk:
            scores = jnp.where(jax.lax.broadcast_in_dim(fresh, scores.shape, (scores.ndim - 1,)), scores, MASKED)
        new_peak = jax.lax.stop_gradient(jnp.maximum(peak, scores.max(axis=-1, keepdims=True)))
        weights, fade = jnp.exp(scores - new_peak), jnp.exp(peak - new_peak)
        return (total * fade + weigh(weights), new_peak, mass * fade + weights.sum(axis=-1, keepdims=True)), None

    start = (jnp.zeros((*rows, width)), jnp.full((*rows, 1), MASKED), jnp.zeros((*rows, 1)))
    (total, peak, mass), _ = jax.lax.scan(step, start, jnp.arange(num_chunks))
    if axis_name is not None:
        own, peak = peak, jax.lax.pmax(jax.lax.stop_gradient(peak), axis_name)
        total, mass = jax.lax.psum((total * jnp.exp(own - peak), mass * jnp.exp(own - peak)), axis_name)
    return jnp.where(peak > MASKED, total / mass, 0.0)


def _check(q, k, v, mask, impl):
    if impl not in IMPLEMENTATIONS:
        raise ValueError(f"impl={impl!r} is unknown; choose one of {', '.join(map(repr, IMPLEMENTATIONS))}.")
    if q.ndim != 4 or k.ndim != 4 or v.ndim != 4:
        raise ValueError(
            f"attend wants q (b, n, h, d), k (b, m, h, d) and v (b, m, h, e); got shapes {q.shape}, {k.shape} and "
            f"{v.shape}. Split the channels into heads first: x.reshape(b, length, heads, -1)."
        )
    if q.shape[0] != k.shape[0] or q.shape[2:] != k.shape[2:] or k.shape[:3] != v.shape[:3]:
        raise ValueError(
            f"q {q.shape}, k {k.shape} and v {v.shape} do not fit together: batch and heads must be equal in all "
            "three, the width in q and k, the length in k and v."
        )
    if k.shape[1] == 0:
        raise ValueError("There is nothing to attend to: k and v have length 0. Give at least one input.")
    if mask is not None and mask.shape != (q.shape[0], q.shape[1], k.shape[1]):
        raise ValueError(
            f"mask must be (b, n, m) = {(q.shape[0], q.shape[1], k.shape[1])}, True where query n may attend to key m; "
            f"got {mask.shape}."
        )
