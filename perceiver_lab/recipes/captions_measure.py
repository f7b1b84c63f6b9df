"""What a model that is shown pictures is trained by and worth: does it say what it sees, or only what is often said?"""

from collections.abc import Iterable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from perceiver_lab.datasets.bytes import EOS, PAD
from perceiver_lab.datasets.captions import KINDS
from perceiver_lab.recipes.masked_bytes_measure import ratio
from perceiver_lab.training import Accuracy, answers, cross_entropy

READS = ("ids", "answers", "other", "other_answers", "frames", "frame_mask")


def pixels(frames: Array) -> Float[Array, "*b h w c"]:
    """uint8 -> [-1, 1]."""
    return frames.astype(jnp.float32) / 127.5 - 1


def captions_loss(model: nnx.Module, batch: Mapping[str, Array], rngs: nnx.Rngs):
    """The mean cross-entropy in nats of the answers' ids, and bits; without frames, of the language model alone."""
    media = _look(model, batch)
    logits = model.read(batch["ids"][:, :-1], media, train=True, rngs=rngs)
    targets, wanted = batch["ids"][:, 1:].reshape(-1), batch["answers"][:, 1:].reshape(-1)
    loss = cross_entropy(logits.reshape(-1, logits.shape[-1]), targets, weights=wanted.astype(jnp.float32))
    right = (logits.argmax(axis=-1).reshape(-1) == targets) & wanted
    return loss, {"bits": loss / jnp.log(2.0), "accuracy": right.sum() / wanted.sum()}


def predict(model: nnx.Module, batch: Mapping[str, Array]) -> dict[str, Array]:
    """How likely the model finds each answer, and whether it would give it.

    Returns:
      "log_prob" (B,) in nats; "exact" (B,): 1 where each id of the answer, its end included, is the likeliest after
      those before it. That is so just where writing on greedily from the prompt gives the answer. "other_log_prob" (B,)
      of the wrong answer, 0 where there is none.
    """
    media = _look(model, batch)
    log_prob, exact = judge(model, batch["ids"], batch["answers"], media)
    other, _ = judge(model, batch["other"], batch["other_answers"], media)
    return {"log_prob": log_prob, "exact": exact, "other_log_prob": other}


def predict_text(model: nnx.Module, batch: Mapping[str, Array]) -> dict[str, Array]:
    """The same of the language model alone, which sees nothing."""
    return predict(model, {name: value for name, value in batch.items() if name not in ("frames", "frame_mask")})


def judge(
    model: nnx.Module, ids: Int[Array, "b n"], wanted: Bool[Array, "b n"], media: Float[Array, "b i r d"] | None
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """The log-probability in nats of the ids that are wanted, and 1 where all of them are the likeliest."""
    logits = model.read(ids[:, :-1], media)
    targets, wanted = ids[:, 1:], wanted[:, 1:]
    own = jnp.take_along_axis(jax.nn.log_softmax(logits), targets[..., None], axis=-1)[..., 0]
    right = (logits.argmax(axis=-1) == targets) | ~wanted
    return jnp.where(wanted, own, 0.0).sum(axis=1), right.all(axis=1).astype(jnp.float32)


def measure_text(model: nnx.Module, batches: Iterable[Mapping]) -> dict[str, float]:
    """The language model on what it was trained for.

    Returns:
      "bits_per_byte" of answers of kinds that occur in training, with its 95 % interval; "held_out_bits_per_byte", of
      captions with pairs that do not; "exact_match" of these; "loss" in nats; "total", answers of the first.
    """
    rows = _rows(answers(model, batches, predict_text, READS))
    bits, held_out = -rows["log_prob"] / np.log(2), rows["held_out"]
    value, half = ratio(bits[~held_out], rows["length"][~held_out])
    other = bits[held_out].sum() / rows["length"][held_out].sum()
    return {
        "bits_per_byte": value,
        "bits_per_byte_low": value - half,
        "bits_per_byte_high": value + half,
        "held_out_bits_per_byte": float(other),
        "exact_match": float(rows["exact"][held_out].mean()),
        "loss": value * float(np.log(2)),
        "total": int((~held_out).sum()),
    }


def measure_captions(model: nnx.Module, batches: Iterable[Mapping]) -> dict[str, float]:
    """Does the model say what it sees?

    Returns:
      "exact_match": of pictures with a colour and a shape that never met in training, the share whose caption is given
      to the last byte; "shuffled_exact_match", the same when each is asked with a picture of another caption;
      "text_exact_match", when the language model is asked alone. "order_accuracy": of questions what came first or
      last, how often the right one of the two things is the likelier answer; chance is 0.5. "digit_exact_match" and
      "clip_exact_match" of captions. All but the last two with 95 % intervals. "loss" in nats per id of an answer, of
      all records; "total", pictures of the first.
    """
    batches = list(batches)
    rows = _rows(answers(model, batches, predict, READS))
    held_out, kind = rows["held_out"], rows["kind"]
    shown = _join([{name: batch[name] for name in READS} | _about(batch) for batch in batches])
    unseen = {name: value[held_out] for name, value in shown.items()}
    shuffled = unseen | {name: unseen[name][others(unseen["ids"])] for name in ("frames", "frame_mask")}
    size = len(batches[0]["ids"])
    numbers = _counted("exact_match", rows["exact"][held_out])
    numbers |= _counted("shuffled_exact_match", _rows(answers(model, _cut(shuffled, size), predict, READS))["exact"])
    numbers |= _counted("text_exact_match", _rows(answers(model, _cut(unseen, size), predict_text, READS))["exact"])
    order = kind == KINDS.index("order")
    numbers |= _counted("order_accuracy", (rows["log_prob"] > rows["other_log_prob"])[order])
    for name in ("digit", "clip"):
        numbers[f"{name}_exact_match"] = float(rows["exact"][kind == KINDS.index(name)].mean())
    loss = -rows["log_prob"].sum() / rows["length"].sum()
    return {**numbers, "loss": float(loss), "total": int(held_out.sum())}


def others(ids: Int[np.ndarray, "n m"]) -> Int[np.ndarray, " n"]:
    """For each text the number of one that says something else, each used once.

    Raises:
      ValueError: more than half of the texts are the same.
    """
    _, text, counts = np.unique(ids, axis=0, return_inverse=True, return_counts=True)
    if 2 * counts.max() > len(ids):
        raise ValueError(
            f"{counts.max()} of {len(ids)} texts are the same: not every picture can be exchanged for one with another "
            "caption. Measure on more records."
        )
    order = np.argsort(text.reshape(-1), kind="stable")  # equal texts side by side, and then all moved past them
    partners = np.empty(len(ids), np.int64)
    partners[order] = np.roll(order, -int(counts.max()))
    return partners


def write_on(
    model: nnx.Module,
    ids: Int[np.ndarray, "b n"],
    starts: Int[np.ndarray, " b"],
    frames: np.ndarray | None = None,
    frame_mask: Bool[np.ndarray, "b i t"] | None = None,
    *,
    interpolate: bool = False,
) -> Int[np.ndarray, "b n"]:
    """Write on greedily after the prompts, until the end of a chunk or of the row.

    Args:
      model: a Flamingo.
      ids: prompts; what stands from the place in `starts` on is not read.
      starts: where each prompt ends.
      frames: (B, I, T, 32, 32, 3) uint8; without them the language model writes alone.
      frame_mask: True = there is such a frame.
      interpolate: for clips that are longer than in training.

    Returns:
      The prompts with what was written, its end included, and padding after it.
    """
    graphdef, state = nnx.split(model)
    ids = np.where(np.arange(ids.shape[1]) < starts[:, None], ids, PAD).astype(np.int32)
    media = None if frames is None else _see(graphdef, interpolate, state, frames, frame_mask)
    done = np.zeros(len(ids), bool)
    for place in range(int(starts.min()), ids.shape[1]):
        said = np.asarray(_next(graphdef, state, ids, media, place - 1))
        writes = (place >= starts) & ~done
        ids[writes, place] = said[writes]
        done |= writes & (said == EOS)
        if done.all():
            break
    return ids


def _look(model, batch):
    if "frames" not in batch:
        return None
    return model.see(pixels(batch["frames"]), frame_mask=batch["frame_mask"])


def _rows(answered):
    """What was said about all records, beside what they are."""
    parts = [
        {**said, "length": batch["answers"].sum(axis=1).astype(np.float64)} | _about(batch) for batch, said in answered
    ]
    return _join(parts)


def _about(batch):
    return {name: batch[name] for name in ("kind", "held_out")}


def _join(parts):
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _cut(whole, size):
    for start in range(0, len(whole["ids"]), size):
        yield {name: value[start : start + size] for name, value in whole.items()}


def _counted(name, right):
    counted = Accuracy(correct=int(right.sum()), total=len(right))
    low, high = counted.interval
    return {name: counted.value, f"{name}_low": low, f"{name}_high": high}


def _see_traced(graphdef, interpolate, state, frames, frame_mask):
    return nnx.merge(graphdef, state).see(pixels(frames), frame_mask=frame_mask, interpolate=interpolate)


def _next_traced(graphdef, state, ids, media, place):
    logits = nnx.merge(graphdef, state).read(ids, media)
    return jnp.take(logits, place, axis=1).argmax(axis=-1)


_see = jax.jit(_see_traced, static_argnums=(0, 1))
_next = jax.jit(_next_traced, static_argnums=0)
