"""Where the attention explorer gets its maps and predictions: from a Perceiver, or from arrays."""

import functools
from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Num

from perceiver_lab.introspect import FirstRead, attention_maps, rollout

KEPT_EXAMPLES = 2
# Weights of a composed layer kept per head up to this many numbers (256 MiB); beyond it, the heads' mean.
MAX_WEIGHTS_PER_HEAD = 2**26


@runtime_checkable
@runtime_checkable  # the checks of types in tests ask for it
class Provider(Protocol):
    """What the attention explorer needs of a model."""

    layers: list[str]

    def maps(self, example: int, layer: str) -> Float[np.ndarray, "h n m"]:
        """The weights of one layer on one example's inputs."""

    def predict(self, example: int, latent_mask: Bool[np.ndarray, " n"]) -> Float[np.ndarray, " k"]:
        """Class probabilities with some latents off."""


class ArrayProvider:
    """Maps that are already there."""

    def __init__(
        self,
        maps: Mapping[str, Float[np.ndarray, "b h n m"]],
        predict: Callable,
    ):
        """Wrap them.

        Args:
          maps: layer -> weights of all examples.
          predict: (example, latent_mask) -> probabilities.
        """
        self.layers = list(maps)
        self._maps = dict(maps)
        self.predict = predict

    def maps(self, example: int, layer: str) -> Float[np.ndarray, "h n m"]:
        """The weights of one layer on one example."""
        return self._maps[layer][example]


class ModelProvider:
    """A Perceiver's maps and predictions, as its weights are now: later training does not reach them.

    The layers are, in order, the reads; the latent layers *through* the read before them (what the latents that are
    attended to have read: their maps lie on the input as well); and the rollout, which follows all layers.
    """

    def __init__(
        self,
        model: nnx.Module,
        inputs: Num[Array, "b ..."] | Num[np.ndarray, "b ..."],
        positions: Float[Array, "b m n"] | Float[np.ndarray, "b m n"] | None = None,
    ):
        """Look at the first example to learn the layers.

        Args:
          model: a `Perceiver`.
          inputs: what the model takes, one row per example.
          positions: as for the model's call.

        Raises:
          ValueError: not a Perceiver, or no example.
        """
        if not hasattr(model, "encoder") or not hasattr(model, "decode"):
            raise ValueError(
                f"{type(model).__name__} has no latents to look at: from_model takes a Perceiver. For another model, "
                "write a provider with `layers`, `maps` and `predict`."
            )
        if not len(inputs):
            raise ValueError("There is no example to explore: images are empty. Give at least one.")
        graphdef, state = nnx.split(model)
        # A copy: a training step may take the model's own buffers away.
        self._model = nnx.merge(graphdef, jax.tree.map(jnp.copy, state))
        self._inputs = jnp.asarray(inputs)
        self._positions = None if positions is None else jnp.asarray(positions)
        self._seen = functools.lru_cache(KEPT_EXAMPLES)(self._look)
        self._composed = functools.lru_cache(2)(self._compose)
        self._read = functools.lru_cache(KEPT_EXAMPLES)(self._read_once)
        self.layers = self._layers()

    def maps(self, example: int, layer: str) -> Float[np.ndarray, "h n m"]:
        """The weights of one layer on one example; rows sum to one."""
        if layer.startswith("read"):
            return dict(self._seen(example))[layer][0]
        return self._composed(example, layer)

    def predict(self, example: int, latent_mask: Bool[np.ndarray, " n"]) -> Float[np.ndarray, " k"]:
        """Class probabilities with some latents off; the first read is not repeated."""
        logits = self._read(example)(np.asarray(latent_mask)[None])[0].astype(np.float64)
        exponentials = np.exp(logits - logits.max())
        return exponentials / exponentials.sum()

    def _one(self, example):
        positions = None if self._positions is None else self._positions[example : example + 1]
        return self._inputs[example : example + 1], positions

    def _look(self, example):
        inputs, positions = self._one(example)
        return attention_maps(self._model, inputs, positions=positions)[1]

    def _read_once(self, example):
        inputs, positions = self._one(example)
        return FirstRead(self._model, inputs, positions=positions)

    def _layers(self):
        names, read = [], None
        maps = self._seen(0)
        for name, _ in maps:
            read = name if name.startswith("read") else read
            if name.startswith(("read", "block")):
                names.append(name if name == read else f"{name} through {read}")
        reads = [name for name in names if name.startswith("read")]
        return [*reads, *(name for name in names if name not in reads), "rollout"]

    def _compose(self, example, layer):
        maps = self._seen(example)
        if layer == "rollout":
            # Without the decoder of a Perceiver IO: rows are latents here.
            return np.asarray(rollout([entry for entry in maps if entry.name.startswith(("read", "block"))]))
        name, _, read = layer.partition(" through ")
        weights, read_weights = dict(maps)[name][0], dict(maps)[read][0].mean(axis=0)
        if weights.shape[0] * read_weights.size > MAX_WEIGHTS_PER_HEAD:
            weights = weights.mean(axis=0, keepdims=True)
        return np.matmul(weights, read_weights[None])
