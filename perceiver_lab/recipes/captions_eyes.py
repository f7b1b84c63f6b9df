"""Eyes for the small Flamingo: a vision network that learns to name what is in single pictures, before it is frozen.

    batch    {"frame": (B, 32, 32, 3), "labels": (B, 4)}: count, colour, shape and digit, -1 where the text does not say
    logits   (B, 23): three counts, six colours, four shapes, ten digits

The paper's vision network was trained before on pairs of pictures and texts, by contrast, and then frozen (2204.14198,
section 3.1.1). Here it is trained by names, which needs fewer pictures. Pairs that are held out keep their rule: of
their pictures, the texts name count and shape, and never the colour.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from perceiver_lab.adapters import FrameInput
from perceiver_lab.datasets import decode_ids
from perceiver_lab.datasets.captions import COLOURS, KINDS, NUMBERS, SHAPES
from perceiver_lab.layers.linear import linear
from perceiver_lab.recipes.captions_measure import pixels
from perceiver_lab.training import Accuracy, answers

NAMES = {"count": NUMBERS, "colour": tuple(COLOURS), "shape": SHAPES, "digit": tuple("0123456789")}
READS = ("frame",)
_STARTS = np.cumsum([0, *map(len, NAMES.values())])
_WORD = re.compile(r"[a-z]+|\d")


class Eyes(nnx.Module):
    """A vision network with names for what it sees, and the language model that it will be joined to, untouched."""

    def __init__(self, language_model: nnx.Module, vision: FrameInput, *, rngs: nnx.Rngs):
        """`vision` is what learns."""
        self.language_model, self.vision = language_model, vision
        self.names = linear(vision.num_channels, int(_STARTS[-1]), use_bias=True, rngs=rngs)

    def __call__(self, frames: Float[Array, "b h w c"]) -> Float[Array, "b k"]:
        """Logits of all names, from the largest value of each feature over the cells."""
        return self.names(self.vision(frames).max(axis=1))


def as_named(record: Mapping[str, Any], rng: np.random.Generator | None = None) -> dict[str, Any]:
    """The first frame, and what the text says of it; nothing is said of clips, in which things follow each other."""
    words = _WORD.findall(decode_ids(record["ids"])) if record["kind"] not in _CLIPS else []
    words = [word.removesuffix("s") for word in words]
    found = [[known.index(word) for word in words if word in known] for known in NAMES.values()]
    labels = np.array([one[0] if one else -1 for one in found], np.int32)
    if labels[list(NAMES).index("digit")] >= 0:
        labels[0] = -1  # "a red 7" counts nothing
    return {"frame": record["frames"][0], "labels": labels, "held_out": record["held_out"]}


def as_taught(record: Mapping[str, Any], rng: np.random.Generator | None = None) -> dict[str, Any]:
    """The same for training, without the shapes of captions: among captions, some colours never meet some shapes.

    Eyes that were taught these would learn it, and see no red squares. Shapes are taught where all pairs occur.
    """
    named = as_named(record)
    if record["kind"] == KINDS.index("shapes"):
        named["labels"][list(NAMES).index("shape")] = -1
    return named


def eyes_loss(model: nnx.Module, batch: Mapping[str, Array], rngs: nnx.Rngs) -> tuple[Array, dict[str, Array]]:
    """The mean cross-entropy in nats of all that is named."""
    logits = model(pixels(batch["frame"]))
    total, named = 0.0, 0.0
    for number, part in enumerate(_parts(logits).values()):
        label = batch["labels"][:, number]
        said = (label >= 0).astype(jnp.float32)
        own = jnp.take_along_axis(jax.nn.log_softmax(part), jnp.maximum(label, 0)[:, None], axis=-1)[:, 0]
        total, named = total - (own * said).sum(), named + said.sum()
    return total / jnp.maximum(named, 1.0), {}


def name(model: nnx.Module, batch: Mapping[str, Array]) -> dict[str, Array]:
    """The likeliest count, colour, shape and digit of each frame, (B,) each."""
    return {what: part.argmax(axis=-1) for what, part in _parts(model(pixels(batch["frame"]))).items()}


def measure_eyes(model: nnx.Module, batches: Iterable[Mapping]) -> dict[str, float]:
    """How often the eyes are right.

    Returns:
      "shape_accuracy" of pictures of pairs that are held out, with its 95 % interval; "count_accuracy" and
      "colour_accuracy" of the same; "digit_accuracy" of digits; "total", pictures of the first.
    """
    right, numbers = {what: [] for what in NAMES}, {}
    for batch, said in answers(model, batches, name, READS):
        for column, what in enumerate(NAMES):
            label = batch["labels"][:, column]
            chosen = (label >= 0) & (batch["held_out"] | (what == "digit"))
            right[what].append((said[what] == label)[chosen])
    counted = {what: np.concatenate(parts) for what, parts in right.items()}
    shape = Accuracy(correct=int(counted["shape"].sum()), total=len(counted["shape"]))
    low, high = shape.interval
    numbers = {f"{what}_accuracy": float(one.mean()) for what, one in counted.items()}
    return numbers | {"shape_accuracy_low": low, "shape_accuracy_high": high, "total": shape.total}


_CLIPS = [KINDS.index(kind) for kind in ("clip", "order")]


def _parts(logits):
    return {what: logits[:, start:end] for what, start, end in zip(NAMES, _STARTS[:-1], _STARTS[1:], strict=True)}
