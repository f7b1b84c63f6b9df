"""A Perceiver AR that writes music token by token: what its cache holds, what an edit spoils, and what comes next."""

import functools
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float32

from perceiver_lab.datasets import chorales
from perceiver_lab.generation import Held, held_after
from perceiver_lab.generation.prompts import make_plan
from perceiver_lab.layers import record_attention
from perceiver_lab.models import ARCache, PerceiverAR, empty_cache, extend
from perceiver_lab.ops import sample
from perceiver_lab.ops.sampling import channel_tokens, keep
from perceiver_lab.ops.sequences import EOS, NUM_SPECIAL_TOKENS, PAD, SOS

KEPT = 80  # caches that are kept, each of a megabyte for the shipped model
VOICES = len(chorales.VOICES)


class Writer:
    """One model that continues chorales; its weights are those of this moment.

    Attributes:
      context: tokens that it reads at most, the start token counted.
      num_latents, refill_to: N and R.
    """

    def __init__(self, model: nnx.Module, refill_to: int | None = None):
        """Copy the weights.

        Args:
          model: a Perceiver AR over the tokens of chorales.
          refill_to: latents of a full pass; by default half of the model's.

        Raises:
          ValueError: another model, or latents that it does not have.
        """
        if not isinstance(model, PerceiverAR) or model.input_adapter.vocabulary != chorales.TOKENS:
            raise ValueError(
                f"{type(model).__name__} does not write chorales: the decode stepper takes a PerceiverAR whose "
                f"vocabulary are the {chorales.TOKENS} tokens of chorales, such as that of the recipe chorales_ar."
            )
        self.context, self.num_latents = model.config.max_context, model.config.num_latents
        self.refill_to = make_plan(model, refill_to, rolling=False).refill_to
        graphdef, state = nnx.split(model)
        # A copy: a training step may take the model's own buffers away.
        self._state = jax.tree.map(jnp.copy, state)
        self._programs = _programs(graphdef, self.refill_to)
        self._kept: OrderedDict[tuple[tuple[int, ...], int], tuple[jax.Array, ARCache]] = OrderedDict()

    def checked(self, tokens: Sequence[int]) -> list[int]:
        """Tokens of a chorale behind the start token.

        Raises:
          ValueError: voices in another order, tokens that are none, or more than fit into the context.
        """
        found = np.asarray(list(tokens), np.int64)
        places = np.arange(len(found)) % VOICES
        ends = found == EOS
        first = NUM_SPECIAL_TOKENS + chorales.VALUES * places
        if ((found < first) | (found >= first + chorales.VALUES))[~ends].any() or ends[:-1].any():
            raise ValueError(
                "These are no tokens of a chorale behind the start token: the voices take turns, soprano first, with "
                f"{chorales.VALUES} tokens each, and the end comes last or not at all."
            )
        if len(found) >= self.context:
            raise ValueError(
                f"{len(found)} tokens; behind the start token there is room for {self.context - 1}, so that one more "
                "can be said. Cut the prompt."
            )
        return found.tolist()

    def held(self, num_tokens: int, given: int) -> Held:
        """What the cache holds after so many tokens, `given` of which are the prompt."""
        return held_after(num_tokens, given, num_latents=self.num_latents, refill_to=self.refill_to)

    def after(self, tokens: Sequence[int], given: int) -> tuple[Float32[np.ndarray, " v"], ARCache]:
        """What the model says after some tokens, as `generate` would find it, and the cache that it found it with.

        Args:
          tokens: behind the start token.
          given: how many of them are the prompt.

        Returns:
          Logits (V,) of the next token, and the cache of these tokens.
        """
        logits, cache = self._reach(tuple(tokens), given)
        return np.asarray(logits), cache

    def _reach(self, tokens, given):
        """From the nearest cache that is kept, or a full pass, by as many single tokens as are missing."""
        since = self.held(len(tokens), given).since

        def cut(back):
            return tokens[: len(tokens) - back], since - back

        back = next((back for back in range(since + 1) if cut(back) in self._kept), None)
        if back is None:
            back = since
            events = np.full((1, self.context), PAD, np.int32)
            events[0, : len(tokens) - back + 1] = [SOS, *tokens[: len(tokens) - back]]
            self._keep(cut(back), self._programs.full_pass(self._state, events))
        for still in range(back, 0, -1):
            _, cache = self._kept[cut(still)]
            token = np.array([[tokens[len(tokens) - still]]], np.int32)
            self._keep(cut(still - 1), self._programs.one_more(self._state, cache, token))
        self._kept.move_to_end(cut(0))
        return self._kept[cut(0)]

    def _keep(self, name, found):
        self._kept[name] = found
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    def draw(
        self,
        tokens: Sequence[int],
        given: int,
        *,
        count: int,
        temperature: int | float = 1.0,
        top_p: int | float = 1.0,
        seed: int = 0,
        may_end: bool = True,
    ) -> list[int]:
        """Up to `count` further tokens: those that `generate` would sample next with this prompt and seed.

        Args:
          tokens: behind the start token.
          given: how many of them are the prompt.
          count: at most so many; fewer where the piece ends or the context is full.
          temperature, top_p: as in `generate`.
          seed: of the draws.
          may_end: whether the end may come.
        """
        found = list(tokens)
        for _ in range(min(count, self.context - 1 - len(found))):
            if found and found[-1] == EOS:
                break
            logits, _ = self._reach(tuple(found), given)
            step, channel = max(len(found) - given, 0), len(found) % VOICES
            token = self._programs.draw(logits, channel, seed, step, float(temperature), float(top_p), may_end)
            found.append(int(token))
        return found[len(tokens) :]

    def chances(self, logits: Float32[np.ndarray, " v"], channel: int) -> Float32[np.ndarray, " k"]:
        """Log-probabilities of what may come in a voice: of the end, then of the values of the voice."""
        first = NUM_SPECIAL_TOKENS + chorales.VALUES * channel
        may = np.concatenate([logits[[EOS]], logits[first : first + chorales.VALUES]]).astype(np.float64)
        may -= may.max()
        return (may - np.log(np.exp(may).sum())).astype(np.float32)

    def looks(self, tokens: Sequence[int]) -> Float32[np.ndarray, "m m"]:
        """Where the read looks: row m is of the latent made of event m, the start token being event 0.

        Mean over the heads. A latent asks with its own input, so its weights do not depend on how many others there
        are: these are those of every step of `generate`.
        """
        events = np.full((1, self.context), PAD, np.int32)
        events[0, : len(tokens) + 1] = [SOS, *tokens]
        size = len(tokens) + 1
        return np.asarray(self._programs.looks(self._state, events))[-size:, :size]


class _Programs(NamedTuple):
    full_pass: object
    one_more: object
    draw: object
    looks: object


@functools.lru_cache(maxsize=8)
def _programs(graphdef, refill_to):
    """Compiled once for each structure."""

    @jax.jit
    def full_pass(state, events):
        model = nnx.merge(graphdef, state)
        logits, cache = extend(model, empty_cache(model, 1), events, num_latents=refill_to)
        return logits[0, -1], cache

    @jax.jit
    def one_more(state, cache, token):
        logits, cache = extend(nnx.merge(graphdef, state), cache, token)
        return logits[0, -1], cache

    @jax.jit
    def draw(logits, channel, seed, step, temperature, top_p, may_end):
        # The keys of the first row of `generate`.
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), 0), step)
        allowed = channel_tokens(channel, num_channels=VOICES, num_values=chorales.VALUES)
        allowed = allowed.at[jnp.array([PAD, SOS])].set(False).at[EOS].set(may_end)
        return sample(key, keep(logits, allowed), temperature=temperature, top_p=top_p)

    @jax.jit
    def looks(state, events):
        model = nnx.merge(graphdef, state)
        placement = model.place(events, num_latents=events.shape[1])
        with record_attention() as maps:
            model.read(model.embed(events, placement.positions), placement)
        return maps[0].weights[0].mean(axis=0)

    return _Programs(full_pass, one_more, draw, looks)
