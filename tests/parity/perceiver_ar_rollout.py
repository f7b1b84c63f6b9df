"""Perceiver AR's cached rollouts: greedy with resets, uncached, and a cache that rolls without resets."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from perceiver_lab.convert import load_haiku
from perceiver_lab.models import empty_cache, extend
from perceiver_lab.ops import rotary_frequencies, rotate, rotation
from perceiver_lab.ops.sequences import NOWHERE
from tests.parity.vectors import Options, Vectors


class Rollout:
    """A file's model, compiled, and its buffers."""

    def __init__(self, model, places, start, num_latents, context):
        self.model, self.places, self.start = model, places, start
        self.num_latents, self.context = num_latents, context
        self.graphdef, self.state = nnx.split(model)

    @functools.partial(jax.jit, static_argnums=(0, 4))
    def _extend(self, state, cache, given, num_latents):
        tokens, positions = given
        logits, cache = extend(
            nnx.merge(self.graphdef, state), cache, tokens, positions=positions, num_latents=num_latents
        )
        return logits[:, -1], cache

    @functools.partial(jax.jit, static_argnums=(0, 3))
    def _whole(self, state, given, num_latents):
        tokens, positions = given
        return nnx.merge(self.graphdef, state)(tokens, positions=positions, num_latents=num_latents)[:, -1]

    def extend(self, cache, events, start, stop, num_latents=1):
        """Events start..stop - 1 into the cache."""
        given = events[:, start:stop], self.places[:, start:stop]
        return self._extend(self.state, cache, given, num_latents)

    def uncached(self, events, stop, num_latents):
        """What follows the events before `stop`, in one call."""
        context = self.model.config.max_context
        return self._whole(self.state, (_before(events, stop)[:, :context], self.places[:, :context]), num_latents)

    def each(self, events, indices, counts):
        """What follows at these places, with so many latents each."""
        pairs = zip(indices, counts, strict=True)
        return np.stack([self.uncached(events, index, count) for index, count in pairs], axis=1)

    def greedy(self, prompt, indices, num_latents):
        """Events without a cache."""
        for index in indices:
            prompt = _with_next(prompt, index, self.uncached(prompt, index, num_latents))
        return prompt

    def cached(self, prompt):
        """The published sampler at temperature 0: (events, logits, latents in use, whether reset, final cache)."""
        events, steps = prompt, []
        for index in range(self.start, events.shape[1]):
            reset = bool(steps) and int(cache.num_latents[0]) == self.num_latents
            if not steps:
                logits, cache = self.extend(self.empty(), events, 0, index)
            elif reset:
                logits, cache = self.extend(
                    self.empty(), _before(events, index), 0, self.context, self.num_latents // 2
                )
            else:
                logits, cache = self.extend(cache, events, index - 1, index)
            steps.append((logits, int(cache.num_latents[0]), reset))
            events = _with_next(events, index, logits)
        return events, *(np.stack(column) for column in zip(*steps, strict=True)), cache

    def rolling(self, events, context):
        """Logits with a cache of this size that never starts anew."""
        cache = self.empty(context)
        logits, cache = self.extend(cache, events, 0, self.start)
        found = [logits]
        for index in range(self.start + 1, events.shape[1]):
            logits, cache = self.extend(cache, events, index - 1, index)
            found.append(logits)
        return found

    def empty(self, context=None):
        batch, context = len(self.places), self.context if context is None else context
        return empty_cache(self.model, batch, max_context=context, num_latents=self.num_latents)

    @functools.partial(jax.jit, static_argnums=(0, 3, 4))
    def in_time(self, keys, memory, num_heads, width):
        """Filled slots and keys of one layer as the reference has them: oldest first, aligned right, not yet turned."""
        order = jnp.argsort(jnp.where(keys == NOWHERE, -1, keys), axis=1, stable=True)
        keys = jnp.take_along_axis(keys, order, axis=1)
        memory = jnp.take_along_axis(memory, order[..., None, None], axis=1)
        if fraction := self.model.config.rotary_fraction:
            wavelength = self.model.config.wavelength
            frequencies = rotary_frequencies(width // num_heads, fraction=fraction, max_wavelength=wavelength)
            places = jnp.take_along_axis(jnp.asarray(self.places[..., 0]), jnp.where(keys == NOWHERE, 0, keys), axis=1)
            memory = rotate(memory, rotation(-places, frequencies))
        return (keys != NOWHERE).astype(jnp.float32), memory


def _before(events, stop):
    return np.where(np.arange(events.shape[1])[None] < stop, events, 0)


def _with_next(events, index, logits):
    """With the most probable event at this place."""
    events = events.copy()
    events[:, index] = logits.argmax(axis=-1)
    return events


def outputs(vectors: Vectors, options: Options, build) -> dict[str, np.ndarray]:
    """Everything that can be computed for this file, under the file's own keys."""
    model = build(options.inside("model"))
    options.expect("memory_type", "fixed_size_kv")
    options.expect("temperature", 0.0)
    start = options.take("start_step")
    sizes = options.take("z_index_dim_memory"), options.take("max_context_length_memory")
    options.done()
    load_haiku(model, vectors.params)
    # NumPy's, because JAX would compile a program for every slice.
    places, prompt = (np.asarray(vectors.inputs[name]) for name in ("event_idxs", "prompt_events"))
    rollout = Rollout(model, places, start, *sizes)
    events, logits, used, resets, cache = rollout.cached(prompt)
    indices = range(start, prompt.shape[1])
    config = model.config
    cross_mask, cross_keys = rollout.in_time(
        cache.input_key, cache.read.k, config.num_cross_heads, model.input_adapter.num_channels
    )
    self_mask, self_keys = rollout.in_time(
        cache.latent_key, cache.layers.k[0], config.num_self_heads, config.latent_channels
    )
    found = {
        "events": lambda: events,
        "logits_cached": lambda: np.moveaxis(logits, 0, 1),
        "latents_used": lambda: used,
        "is_reset_step": lambda: resets,
        "logits_uncached_same_latents": lambda: rollout.each(events, indices, used.tolist()),
        "logits_uncached_full_window": lambda: rollout.each(events, indices, [sizes[0]] * len(indices)),
        "events_uncached_greedy": lambda: rollout.greedy(prompt, indices, sizes[0]),
        "final_memory_cross_mask": lambda: cross_mask,
        "final_memory_self0_mask": lambda: self_mask,
        "final_memory_cross_k": lambda: cross_keys,
        "final_memory_self0_k": lambda: self_keys,
    }
    for key in vectors.expected:
        if match := re.fullmatch(r"output/(logits_rolling_cache_ctx(\d+))", key):
            rolling = functools.partial(rollout.rolling, events, int(match[2]))
            found[match[1]] = lambda rolling=rolling: np.stack(rolling(), axis=1)
    return {f"output/{name}": make() for name, make in found.items() if f"output/{name}" in vectors.expected}
