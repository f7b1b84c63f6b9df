"""Sampling from a Perceiver AR token by token (2202.07765, section 3 and appendix E.3).

A full pass reads all tokens so far and fills the cache with R latents. Each further token is one latent more: it reads
the cache, and the cache keeps it. When the cache holds N latents, the next full pass starts again with R:

    latents in use, N = 8, R = 4:   4 5 6 7 8  4 5 6 7 8  4 ...

This is exact: every step says what one call of the model on all tokens, with as many latents, would say. What changes
is that number, between R and N; with R = N each step is a full pass, as in training, and as slow.

A *rolling* cache makes no further full pass: the oldest latent gives way. It is not exact. A latent that stays was made
when older latents were still there, and still carries what it had read from them; those had read from older ones yet.
In training, no latent ever has such a past, so the predictions drift from those of any full pass. The keys and values
of the inputs do not have this fault: an input is read as it is, whatever came before it.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Int

from perceiver_lab.generation.prompts import Plan, make_plan, prepare
from perceiver_lab.models import ARCache, PerceiverAR, empty_cache, extend
from perceiver_lab.ops import sample
from perceiver_lab.ops.sampling import check_sampling, keep
from perceiver_lab.ops.sequences import EOS, PAD


class Generation(NamedTuple):
    """What was sampled: new tokens, the prompt not repeated, padded with 0 after the end; and how many of each row."""

    tokens: Int[np.ndarray, "b n"]
    lengths: Int[np.ndarray, " b"]


class _State(NamedTuple):
    """Between two tokens. `events` begin with the start token; `step` counts what was sampled."""

    events: Int[Array, "b m"]
    lengths: Int[Array, " b"]
    done: Bool[Array, " b"]
    cache: ARCache
    step: Int[Array, ""]


def generate(
    model: PerceiverAR,
    prompts: Sequence[Sequence[int]],
    *,
    num_tokens: int,
    temperature: int | float = 1.0,
    top_k: int | None = None,
    top_p: int | float | None = None,
    min_p: int | float | None = None,
    stop_tokens: Sequence[int] = (EOS,),
    forbidden_tokens: Sequence[int] = (),
    positions: Int[np.ndarray, "m p"] | None = None,
    refill_to: int | None = None,
    rolling: bool = False,
    num_channels: int = 1,
    seed: int = 0,
) -> Generation:
    """Continue prompts. Compiled once for a model and a batch size, whatever the lengths, settings' values and seed.

    A row is sampled as it would be alone: its tokens depend on its prompt, its number in the batch and the seed.

    Args:
      model: with positions from the data.
      prompts: token numbers of each row, without the start token, which is put first here; a row may be empty, and
        rows may differ in length.
      num_tokens: at most so many new tokens; prompt and new tokens together fit into the context.
      temperature, top_k, top_p, min_p: see `ops.filter_logits`; temperature 0 always takes the likeliest token.
      stop_tokens: a row ends with the first of these that comes.
      forbidden_tokens: never sampled, beside padding and the start token, which never are.
      positions: the place of every token of the context on each axis, for models with several axes; by default
        1, 2, 3, ...
      refill_to: R, latents of a full pass; by default half of the model's, rounded down, and the number of them for no
        cache at all.
      rolling: make a full pass for the prompt only. Not exact, see above.
      num_channels: how many, where channels take turns and each has values of its own in the vocabulary: the colours of
        a picture in the release, the voices of a chorale. Only values of the channel whose turn it is are sampled.
      seed: of the draws.

    Raises:
      ValueError: prompts, numbers or settings that mean nothing; more tokens than the context has room for.
    """
    run = _prepared(
        model, prompts, num_tokens, temperature, top_k, top_p, min_p, stop_tokens, forbidden_tokens, positions,
        refill_to, rolling, num_channels, seed,
    )  # fmt: skip
    state = _to_the_end(*run.fixed, run.state, run.given, num_tokens)
    starts = np.asarray(run.state.lengths)
    lengths = np.asarray(state.lengths) - starts
    places = starts[:, None] + np.arange(num_tokens)[None]
    tokens = np.take_along_axis(np.asarray(state.events), places, axis=1)
    return Generation(np.where(np.arange(num_tokens)[None] < lengths[:, None], tokens, PAD), lengths)


def stream(
    model: PerceiverAR,
    prompts: Sequence[Sequence[int]],
    *,
    num_tokens: int,
    temperature: int | float = 1.0,
    top_k: int | None = None,
    top_p: int | float | None = None,
    min_p: int | float | None = None,
    stop_tokens: Sequence[int] = (EOS,),
    forbidden_tokens: Sequence[int] = (),
    positions: Int[np.ndarray, "m p"] | None = None,
    refill_to: int | None = None,
    rolling: bool = False,
    num_channels: int = 1,
    seed: int = 0,
) -> Iterator[Int[np.ndarray, " b"]]:
    """The tokens of `generate` as they come: one (B,) per step, 0 where a row has ended, until all have.

    Arguments and errors as there; what is wrong is said at once, not at the first token.
    """
    run = _prepared(
        model, prompts, num_tokens, temperature, top_k, top_p, min_p, stop_tokens, forbidden_tokens, positions,
        refill_to, rolling, num_channels, seed,
    )  # fmt: skip

    def tokens():
        state = run.state
        for _ in range(num_tokens):
            state, token = _one_step(*run.fixed, state, run.given)
            yield np.asarray(token)
            if np.asarray(state.done).all():
                return

    return tokens()


class _Run(NamedTuple):
    fixed: tuple[Any, Any, Plan]
    state: _State
    given: dict[str, Any]


def _prepared(
    model, prompts, num_tokens, temperature, top_k, top_p, min_p, stop_tokens, forbidden_tokens, positions, refill_to,
    rolling, num_channels, seed,
):  # fmt: skip
    check_sampling(temperature, top_k, top_p, min_p)
    plan = make_plan(model, refill_to, rolling)
    prepared = prepare(model, prompts, num_tokens, stop_tokens, forbidden_tokens, positions, num_channels)
    batch = len(prepared.lengths)
    key = jax.random.key(seed)
    given = {
        "keys": jax.vmap(lambda row: jax.random.fold_in(key, row))(jnp.arange(batch)),
        "allowed": prepared.allowed,
        "stops": prepared.stops,
        "positions": prepared.positions,
        "settings": {
            name: None if value is None else jnp.asarray(value, jnp.float32)
            for name, value in (("temperature", temperature), ("top_k", top_k), ("top_p", top_p), ("min_p", min_p))
        },
    }
    state = _State(
        jnp.asarray(prepared.events),
        jnp.asarray(prepared.lengths),
        jnp.zeros(batch, bool),
        empty_cache(model, batch),
        jnp.zeros((), jnp.int32),
    )
    graphdef, arrays = nnx.split(model)
    return _Run((graphdef, arrays, plan), state, given)


@functools.partial(jax.jit, static_argnums=(0, 2))
def _one_step(graphdef, arrays, plan, state, given):
    return _advance(nnx.merge(graphdef, arrays), plan, state, given)


@functools.partial(jax.jit, static_argnums=(0, 2))
def _to_the_end(graphdef, arrays, plan, state, given, num_tokens):
    model = nnx.merge(graphdef, arrays)

    def goes_on(state):
        return (state.step < num_tokens) & ~state.done.all()

    return jax.lax.while_loop(goes_on, lambda state: _advance(model, plan, state, given)[0], state)


def _advance(model, plan, state, given):
    """One token more for every row that has not ended: (state, tokens)."""
    logits, cache = _predict(model, plan, state, given["positions"])
    keys = jax.vmap(jax.random.fold_in, in_axes=(0, None))(given["keys"], state.step)
    allowed = given["allowed"]
    logits = keep(logits, allowed[(state.lengths - 1) % len(allowed)])
    drawn = jax.vmap(lambda key, row: sample(key, row, **given["settings"]))(keys, logits)
    token = jnp.where(state.done, PAD, drawn)
    rows = jnp.arange(len(token))
    # An ended row writes nothing, not even its padding: it may have filled its last place.
    place = jnp.where(state.done, state.events.shape[1], state.lengths)
    return (
        _State(
            state.events.at[rows, place].set(token, mode="drop"),
            state.lengths + ~state.done,
            state.done | given["stops"][token],
            cache,
            state.step + 1,
        ),
        token,
    )


def _predict(model, plan, state, positions):
    """Logits for the next token of every row: from a full pass where one is due, else from the cache."""
    batch, context = len(state.lengths), model.config.max_context

    def full_pass(_):
        tokens = state.events[:, :context]
        places = jnp.broadcast_to(positions[None], (batch, *positions.shape))
        places = jnp.where((tokens != PAD)[..., None], places, 0)
        logits, cache = extend(model, empty_cache(model, batch), tokens, positions=places, num_latents=plan.refill_to)
        return logits[:, -1], cache

    def from_cache(cache):
        last = state.lengths - 1
        token = jnp.take_along_axis(state.events, last[:, None], axis=1)
        token = jnp.where(state.done[:, None], PAD, token)
        logits, cache = extend(model, cache, token, positions=positions[last][:, None])
        return logits[:, -1], cache

    is_due = state.step == 0 if plan.period is None else state.step % plan.period == 0
    return jax.lax.cond(is_due, full_pass, from_cache, state.cache)
