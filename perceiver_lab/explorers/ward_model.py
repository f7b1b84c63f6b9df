"""Patients of the ward, asked alike: what they say of a picture, where they look, and what an examination changes."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float

from perceiver_lab.explorers.base import quantise
from perceiver_lab.introspect import attention_maps
from perceiver_lab.models import Perceiver

HIDDEN_SHARE = 0.25  # of the picture, at its lower end


class Ward:
    """Perceivers that classify the same pictures; their weights are those of this moment."""

    def __init__(self, patients: Mapping[str, nnx.Module], images: Float[np.ndarray, "k h w c"]):
        """Copy the weights and check that the patients can be examined.

        Args:
          patients: name -> model, the sound one first.
          images: pictures as the models read them, every pixel an element.

        Raises:
          ValueError: fewer than two patients, others than Perceivers, or pictures that they do not read.
        """
        self.images = np.asarray(images, np.float32)
        self.names = [str(name) for name in patients]
        others = {type(one).__name__ for one in patients.values() if not isinstance(one, Perceiver)}
        if len(patients) < 2 or others:
            raise ValueError(
                f"A ward has a sound Perceiver and at least one that is ill; got {len(patients)} models"
                f"{', among them ' + ', '.join(sorted(others)) if others else ''}."
            )
        if self.images.ndim != 4 or 0 in self.images.shape:
            raise ValueError(f"images must be (K, H, W, C), at least one; got {self.images.shape}.")
        self.num_pixels = self.images.shape[1] * self.images.shape[2]
        self.order = np.random.default_rng(0).permutation(self.num_pixels)
        self.mask = np.arange(self.num_pixels)[None] < round((1 - HIDDEN_SHARE) * self.num_pixels)
        self.num_latents = next(iter(patients.values())).config.num_latents
        self._models = []
        for model in patients.values():
            graphdef, state = nnx.split(model)
            self._models.append((graphdef, jax.tree.map(jnp.copy, state)))
        self.see = functools.lru_cache(maxsize=256)(self._see)

    def picture(self, image: int, shuffled: bool) -> Float[np.ndarray, "1 h w c"]:
        """A batch of one; shuffled: its pixels have changed places, always in the same way."""
        one = self.images[image : image + 1]
        if not shuffled:
            return one
        return one.reshape(1, self.num_pixels, -1)[:, self.order].reshape(one.shape)

    def _see(self, patient: int, image: int, shuffled: bool, hidden: bool, off: int) -> dict[str, Any]:
        """What a patient makes of a picture.

        Args:
          patient, image: their numbers.
          shuffled: the pixels have changed places.
          hidden: a mask hides the lower quarter.
          off: the latent that is switched off, -1 for none.

        Returns:
          "logits" (K,), which may be no numbers; "maps" (N, M) of the first read; "looked" (N,): how many pixels each
          latent looks at, the exponential of the entropy of its row.
        """
        model = nnx.merge(*self._models[patient])
        latents = np.arange(self.num_latents)[None] != off
        mask = self.mask if hidden else np.ones_like(self.mask)
        x = jnp.asarray(self.picture(image, shuffled))
        # A mask that hides nothing is left out: it would be a sign of its own.
        masks = {"mask": jnp.asarray(mask)} if hidden else {}
        logits, maps = attention_maps(model, x, latent_mask=jnp.asarray(latents), **masks)
        weights = maps[0].weights[0].mean(axis=0)
        looked = np.exp(-(weights * np.log(np.maximum(weights, 1e-30))).sum(axis=-1))
        return {"logits": logits[0], "maps": weights, "looked": looked}

    def answer(self, ask: Mapping[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
        """As the front end has it.

        Returns:
          "probabilities", None where the logits are no numbers; "change", the largest change of a logit against the
          same patient before any examination, None likewise; "looked"; "on_hidden", the share of weight on what the
          mask hides. Buffers: the picture as bytes; maps as bytes, and their peaks.
        """
        patient, image = ask["patient"], ask["image"]
        found = self.see(patient, image, ask["shuffled"], ask["hidden"], ask["off"])
        before = self.see(patient, image, False, False, -1)
        logits = found["logits"].astype(np.float64)
        finite = bool(np.isfinite(logits).all())
        comparable = finite and bool(np.isfinite(before["logits"]).all())
        exponents = np.exp(logits - logits.max()) if finite else logits
        told = {
            "probabilities": [round(float(one), 5) for one in exponents / exponents.sum()] if finite else None,
            "change": float(f"{np.abs(logits - before['logits']).max():.3g}") if comparable else None,
            "looked": [round(float(one), 2) for one in found["looked"]],
            "on_hidden": round(float(found["maps"][:, ~self.mask[0]].sum(axis=-1).mean()), 5),
        }
        tiles, peaks = quantise(found["maps"])
        return told, [self._grey(image, ask["shuffled"]), tiles.tobytes(), peaks.tobytes()]

    def _grey(self, image, shuffled):
        """The picture, brightest pixel 255, one byte for each."""
        grey = self.picture(image, shuffled)[0].mean(axis=-1)
        low, high = self.images.min(), self.images.max()
        return np.rint(255 * (grey - low) / max(float(high - low), 1e-6)).astype(np.uint8).tobytes()
