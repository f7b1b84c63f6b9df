"""A model that sees, for the token budget: frames to tokens, and some of the tokens to a text."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Bool, Float32, UInt8

from perceiver_lab.datasets import decode_ids, encode_text, pad_ids
from perceiver_lab.datasets.bytes import EOS, PAD
from perceiver_lab.datasets.captions_text import CHUNK
from perceiver_lab.layers import record_attention
from perceiver_lab.models import Flamingo, Resampler


class Said(NamedTuple):
    """What is said of a clip.

    Attributes:
      text: written greedily.
      probability: of the whole text, its end included.
      shares: (R,) how the text, while it was written, shared its attention among the tokens; zeros where it had none.
    """

    text: str
    probability: float
    shares: Float32[np.ndarray, " r"]


class SeeingModel:
    """One Flamingo with a resampler; its weights are those of this moment."""

    def __init__(self, model: nnx.Module):
        """Copy the weights.

        Raises:
          ValueError: another model, or one that reads frames in another way than by a resampler.
        """
        resampler = getattr(model, "resampler", None)
        if not isinstance(model, Flamingo) or not isinstance(resampler, Resampler):
            raise ValueError(
                f"The token budget shows a Flamingo with a resampler, such as the one of the recipe captions_flamingo; "
                f"got {type(model).__name__} with {type(resampler).__name__}."
            )
        self.image_id = model.image_id
        self.num_tokens, self.max_frames = resampler.config.num_latents, resampler.config.max_frames or 1
        self.grid, self.side = model.vision.grid, model.vision.shape[0]
        self._graphdef, state = nnx.split(model)
        # A copy: a training step may take the model's own buffers away.
        self._state = jax.tree.map(jnp.copy, state)

    def look(
        self, frames: UInt8[np.ndarray, "t h w c"], there: Bool[np.ndarray, " t"]
    ) -> tuple[Float32[np.ndarray, "r d"], list[Float32[np.ndarray, "r k"]]]:
        """The tokens of a clip, and of each layer what they looked at: T * S cells of frames, then R tokens.

        Args:
          frames: up to the resampler's `max_frames` of them have time embeddings of their own; those of a longer clip
            are spread over it.
          there: False for frames that are dropped: they are not read, and leave their moment empty.
        """
        count = len(frames)
        missing = max(self.max_frames - count, 0)
        padded = np.pad(frames, ((0, missing), (0, 0), (0, 0), (0, 0)))
        seen = np.pad(there, (0, missing))
        tokens, maps = _look(self._graphdef, self._state, padded[None, None], seen[None, None])
        cells = self.grid[0] * self.grid[1]
        kept = np.r_[0 : count * cells, -self.num_tokens : 0]
        return np.asarray(tokens)[0, 0], [np.asarray(one, np.float32)[0].mean(axis=0)[:, kept] for one in maps]

    def say(self, tokens: Float32[np.ndarray, "r d"], kept: Bool[np.ndarray, " r"], question: str) -> Said:
        """What the language model writes after a question when it may read some of the tokens."""
        prompt = np.concatenate([[self.image_id], encode_text(question)]).astype(np.int32)
        start = len(prompt)
        ids, log_probs, shares = _say(self._graphdef, self._state, pad_ids(prompt, CHUNK)[None], start, tokens, kept)
        ids, log_probs, shares = np.asarray(ids)[0], np.asarray(log_probs), np.asarray(shares, np.float32)
        written = (np.arange(CHUNK) >= start) & (ids != PAD)
        wrote = np.roll(written, -1)  # the place before each, at which it was chosen
        return Said(
            decode_ids(ids[written]),
            float(np.exp(log_probs[written].sum())),
            np.where(kept.any(), shares[wrote].mean(axis=0), 0.0).astype(np.float32),
        )


@functools.partial(jax.jit, static_argnums=0)
def _look(graphdef: Any, state: Any, frames: Any, there: Any) -> Any:
    model = nnx.merge(graphdef, state)
    with record_attention() as maps:
        tokens = model.see(frames.astype(jnp.float32) / 127.5 - 1, frame_mask=there, interpolate=True)
    return tokens, [one.weights for one in maps]


@functools.partial(jax.jit, static_argnums=0)
def _say(graphdef: Any, state: Any, ids: Any, start: Any, tokens: Any, kept: Any) -> Any:
    """Ids, the log-probability of each, and the mean attention of each place to every token."""
    model = nnx.merge(graphdef, state)

    def read(ids):
        mask = jnp.broadcast_to(kept, (1, ids.shape[1], len(kept)))
        # Each token as an image of its own: they can be taken away one by one.
        return model.language_model(
            ids, before=lambda block, text: model.gated(block, text, tokens[None, :, None], mask=mask)
        )

    def write(place, ids):
        said = read(ids)[0, place - 1].argmax().astype(ids.dtype)
        over = (place > start) & ((ids[0, place - 1] == EOS) | (ids[0, place - 1] == PAD))
        return ids.at[0, place].set(jnp.where(over, PAD, said))

    ids = jax.lax.fori_loop(start, ids.shape[1], write, ids)
    with record_attention() as maps:
        logits = read(ids)
    own = jnp.take_along_axis(jax.nn.log_softmax(logits)[0, :-1], ids[0, 1:, None], axis=-1)[:, 0]
    looks = [one.weights[0].mean(axis=0) for one in maps if "gated" in one.name]
    return ids, jnp.pad(own, (1, 0)), sum(looks) / len(looks)
