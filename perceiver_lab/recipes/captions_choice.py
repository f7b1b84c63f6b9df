"""The caption that a picture speaks for most, whatever is often or seldom said.

Trained on captions, a model learns from what they leave out as well: what is never said becomes unlikely, whatever the
picture shows. How much more likely a picture makes a caption than pictures in general do,

    log p(caption | picture) - log p(caption),

is their pointwise mutual information; the second term is the mean of p(caption | picture) over other pictures. What the
words alone say stands in both terms and cancels.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float, UInt8

from perceiver_lab.datasets import pad_ids
from perceiver_lab.datasets.captions import COLOURS, NUMBERS, SHAPES
from perceiver_lab.datasets.captions_text import answered, encode_chunk
from perceiver_lab.recipes.captions_measure import judge, pixels

_SHAPES = (
    f"{number} {colour} {shape}{'s' if number != NUMBERS[0] else ''}."
    for number, colour, shape in itertools.product(NUMBERS, COLOURS, SHAPES)
)
_DIGITS = (f"a {colour} {digit}." for colour, digit in itertools.product(COLOURS, range(10)))
STILL_CAPTIONS = (*_SHAPES, *_DIGITS)  # of pictures, not of clips; those of pairs that are held out among them


def caption_log_probs(model: nnx.Module, frames: UInt8[np.ndarray, "b 1 h w 3"]) -> Float[np.ndarray, "b k"]:
    """The log-probability in nats of each of `STILL_CAPTIONS` after each picture.

    Args:
      model: a Flamingo.
      frames: pictures, each a clip of one frame.
    """
    chunks = [encode_chunk("", caption) for caption in STILL_CAPTIONS]
    ids = np.stack([pad_ids(chunk, max(map(len, chunks))) for chunk in chunks])
    graphdef, state = nnx.split(model)
    return np.asarray(_log_probs(graphdef, state, ids, answered(ids, 1), frames))


def pointwise_information(
    log_probs: Float[np.ndarray, "b k"], of_others: Float[np.ndarray, "m k"]
) -> Float[np.ndarray, "b k"]:
    """How much more likely, in nats, each picture makes each caption than other pictures do on average.

    Args:
      log_probs: of captions after the pictures that are asked about.
      of_others: of the same captions after others, such as those of the training.
    """
    return log_probs - np.logaddexp.reduce(of_others, axis=0) + np.log(len(of_others))


def _log_probs_traced(graphdef, state, ids, wanted, frames):
    model = nnx.merge(graphdef, state)

    def of_one(media):
        return judge(model, ids, wanted, jnp.broadcast_to(media, (len(ids), *media.shape)))[0]

    return jax.lax.map(of_one, model.see(pixels(frames)[:, None]))


_log_probs = jax.jit(_log_probs_traced, static_argnums=0)
