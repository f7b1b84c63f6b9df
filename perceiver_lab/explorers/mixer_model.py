"""Video and sound at a mixing desk, and a model of several senses that is given what comes out of it."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float, Float32, Num

SENSES = ("video", "sound")
LOWEST = {"video": -1.0, "sound": 0.0}  # paper, silence: what a volume of 0 would leave
PEAK = 2.0  # from paper to ink


class Desk:
    """The clips of both senses, and what volume and noise make of them."""

    def __init__(self, examples: Mapping[str, Num[np.ndarray, "b ..."]]):
        """Check and keep them.

        Args:
          examples: "video" (B, T, H, W, 1) and "sound" (B, S, 1) in [-1, 1], as the model reads them; "label" (B,).

        Raises:
          ValueError: something is missing, has another shape or another range, or there is no example.
        """
        missing = {*SENSES, "label"} - set(examples)
        if missing:
            raise ValueError(
                f"The examples have no {', '.join(sorted(missing))}: the sense mixer takes a batch with 'video', "
                f"'sound' and 'label'; got {sorted(examples)}."
            )
        self.clips = {name: np.asarray(examples[name]) for name in SENSES}
        self.labels = np.asarray(examples["label"])
        shapes = {name: clip.shape for name, clip in self.clips.items()}
        good = {"video": (5, 1), "sound": (3, 1)}
        fits = all((len(shape), shape[-1]) == good[name] for name, shape in shapes.items())
        if not fits or {len(clip) for clip in self.clips.values()} != {len(self.labels)} or not len(self.labels):
            raise ValueError(
                f"The examples have shapes {shapes} and {len(self.labels)} labels; expected video (B, T, H, W, 1) and "
                "sound (B, S, 1) with one label each, at least one."
            )
        for name, clip in self.clips.items():
            if clip.dtype.kind != "f" or not np.abs(clip).max() <= 1:
                raise ValueError(
                    f"The examples' {name} is {clip.dtype} from {clip.min()} to {clip.max()}; expected floats in "
                    "[-1, 1], as the model reads them. A batch of the recipe has them so; scale_video scales uint8."
                )

    def clean(self, sense: str, number: int) -> Float32[np.ndarray, "..."]:
        """A clip as it was recorded, or drawn."""
        return self.clips[sense][number].astype(np.float32)

    def mixed(self, sense: str, number: int, volume: int, noise: int) -> Float32[np.ndarray, "..."]:
        """A clip at some volume with some noise.

        Args:
          sense: "video" or "sound".
          number: of the clip.
          volume: in percent: how far the ink stands out of the paper, or the voice out of silence.
          noise: in percent. At 100 the noise of a sound is as strong as the voice (root of the mean square), and that
            of a video has a standard deviation of half the way from paper to ink. It is the same at every level, only
            stronger, and does not fall with the volume.

        Returns:
          The clip, cut off at -1 and 1: what is seen and heard is what the model reads.
        """
        clip, low = self.clean(sense, number), np.float32(LOWEST[sense])
        rng = np.random.default_rng([SENSES.index(sense), number])
        hiss = rng.standard_normal(clip.shape, np.float32) * np.float32(noise / 100 * _strength(sense, clip))
        return np.clip(low + np.float32(volume / 100) * (clip - low) + hiss, -1, 1)


class SenseModel:
    """One model of video, sound and label; its weights are those of this moment."""

    def __init__(self, model: nnx.Module, desk: Desk):
        """Copy the weights and answer once, to see that all fits.

        Args:
          model: a `PerceiverIO` with mask tokens for "label", "sound" and "video", which asks for all three.
          desk: the clips that it will be given.

        Raises:
          ValueError: another model, or labels that it has no class for.
        """
        wanted = {*SENSES, "label"}
        tokens = set(getattr(getattr(model, "input_adapter", None), "mask_tokens", {}))
        groups = set(getattr(getattr(getattr(model, "decoder", None), "queries", None), "groups", {}))
        if tokens != wanted or groups != wanted:
            raise ValueError(
                f"{type(model).__name__} has mask tokens for {sorted(tokens)} and queries for {sorted(groups)}: the "
                "sense mixer takes a model that reads, hides and answers label, sound and video, such as the one of "
                "the recipe senses_autoencoder."
            )
        graphdef, state = nnx.split(model)
        # A copy: a training step may take the model's own buffers away.
        self._state = jax.tree.map(jnp.copy, state)
        self._answer = _program(graphdef)
        self.num_classes = len(self.answer({name: desk.clean(name, 0) for name in SENSES}, {})["label"])
        if not 0 <= desk.labels.min() <= desk.labels.max() < self.num_classes:
            raise ValueError(
                f"The labels go from {desk.labels.min()} to {desk.labels.max()}, and this model knows the classes 0 to "
                f"{self.num_classes - 1}."
            )

    def answer(
        self, clips: Mapping[str, Float[np.ndarray, "..."]], removed: Mapping[str, bool]
    ) -> dict[str, Float32[np.ndarray, "..."]]:
        """All that the model says of two clips; what is removed stands behind its mask token, and so does the label.

        Returns:
          "label", probabilities (K,); "video" (T, H, W, 1) and "sound" (S,), as reconstructed.
        """
        hidden = {name: np.array([removed.get(name, False)]) for name in SENSES}
        found = self._answer(self._state, {name: clips[name][None] for name in SENSES}, hidden)
        return {name: np.asarray(part, np.float32)[0] for name, part in found.items()}


def decibels(clean: Float[np.ndarray, "..."], made: Float[np.ndarray, "..."], power: float) -> float | None:
    """How far `made` lies below `power`, 10 log10(power / mean squared error); None of a perfect copy or of nothing."""
    error = float(np.mean((clean.reshape(-1).astype(np.float64) - made.reshape(-1)) ** 2))
    return round(10 * float(np.log10(power / error)), 2) if error > 0 and power > 0 else None


def frame_bytes(video: Float[np.ndarray, "t h w 1"]) -> bytes:
    """Frames in [-1, 1] as one byte for each pixel, frame by frame and row by row."""
    return np.rint((np.clip(video, -1, 1) + 1) * 127.5).astype(np.uint8).tobytes()


def _strength(sense: str, clip: np.ndarray) -> float:
    if sense == "video":
        return PEAK / 2
    voice = clip[clip != 0]
    return float(np.sqrt(np.mean(voice**2))) if voice.size else 0.0


@functools.lru_cache(maxsize=16)
def _program(graphdef) -> Any:
    """Reading and answering, compiled once: what is removed is told by flags."""

    @jax.jit
    def answer(state, clips, hidden):
        model = nnx.merge(graphdef, state)
        latents = model.encode(model.input_adapter(clips, hidden=hidden))
        said = model.decode(latents)
        return {**said, "label": jax.nn.softmax(said["label"].astype(jnp.float32), axis=-1)}

    return answer
