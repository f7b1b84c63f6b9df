"""AttentionExplorer: the map of every latent on the picture, who looks at a pixel, and latents to switch off."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import traitlets
from jaxtyping import Num

from perceiver_lab.explorers.base import Answer, Explorer, colour_table, front_end, png_bytes, quantise
from perceiver_lab.explorers.providers import ModelProvider, Provider
from perceiver_lab.figures import COLOURS, DescribedFigure, figure, overlay, style, to_rgb

WHOLE_LAYER = 2**16  # a layer of at most so many weights is sent at once: hovering then asks nothing


class AttentionExplorer(Explorer):
    """Attention of latents on a picture.

    The state is in traits that can be read and set: `example`, `layer`, `head` (-1: the mean of all), `latent`,
    `pixel` (row and column of the inputs' grid), `off` (numbers of the latents that are switched off), `opacity`.
    """

    title = "Attention explorer"
    _esm = front_end("attention_draw", "attention")["_esm"]
    _css = front_end("attention_draw", "attention")["_css"]
    facts = traitlets.Dict().tag(sync=True)
    example = traitlets.Int(0).tag(sync=True)
    layer = traitlets.Unicode("").tag(sync=True)
    head = traitlets.Int(-1).tag(sync=True)
    latent = traitlets.Int(0).tag(sync=True)
    pixel = traitlets.List(traitlets.Int()).tag(sync=True)
    off = traitlets.List(traitlets.Int()).tag(sync=True)
    opacity = traitlets.Float(0.65).tag(sync=True)

    def __init__(
        self,
        images: Num[np.ndarray, "b h w c"],
        provider: Provider,
        *,
        class_names: Sequence[str] | None = None,
        labels: Sequence[int] | Num[np.ndarray, " b"] | None = None,
        turn: Sequence[str] = (),
        **state,
    ):
        """Look at the first example.

        Args:
          images: (B, H, W, 1 or 3), what is shown.
          provider: maps and predictions; see `Provider`.
          class_names: by default the numbers.
          labels: the right class of each example.
          turn: two class names: with them come things to find out, the first how to turn the one into the other.
          **state: first values of the traits, such as `latent=3`.

        Raises:
          ValueError: images, labels or names that do not fit the maps or the predictions, or each other.
        """
        self._images, self._provider = np.asarray(images), provider
        if self._images.ndim != 4 or not self._images.size:
            raise ValueError(f"images must be (B, H, W, channels) with at least one; got shape {self._images.shape}.")
        state.setdefault("layer", provider.layers[0])
        maps = np.asarray(provider.maps(state.get("example", 0), state["layer"]))
        if maps.ndim != 3 or not maps.size:
            raise ValueError(f"A provider's maps must be (heads, N, M); those of {state['layer']!r} are {maps.shape}.")
        self._num_latents, self._grid = maps.shape[1], grid_of(maps.shape[2], self._images.shape[1:3])
        probabilities = provider.predict(state.get("example", 0), np.ones(self._num_latents, bool))
        names = [str(n) for n in (range(len(probabilities)) if class_names is None else class_names)]
        labels = [] if labels is None else [int(label) for label in labels]
        self._check(names, labels, turn, len(probabilities))
        state.setdefault("pixel", [self._grid[0] // 2, self._grid[1] // 2])
        super().__init__(facts=self._facts(provider, names, labels, turn), **state)
        self.answer_first(self._first_asks())

    @classmethod
    def from_model(
        cls,
        model,
        images: Num[np.ndarray, "b h w c"],
        positions: Num[np.ndarray, "b m n"] | None = None,
        *,
        inputs: Num[np.ndarray, "b ..."] | None = None,
        **options,
    ) -> "AttentionExplorer":
        """An explorer of a Perceiver.

        Args:
          model: a `Perceiver`; its weights as they are now.
          images: (B, H, W, channels), shown, and read unless `inputs` are given: uint8 is scaled as in
            `datasets.to_float`, floats are taken as they are.
          positions: for the model's call. The map's cells stay in the order of the inputs.
          inputs: what the model reads, if not the images.
          **options: as for the constructor.
        """
        images = np.asarray(images)
        if inputs is None:
            from perceiver_lab.datasets import to_float

            inputs = images
            if images.dtype == np.uint8:
                inputs = np.stack([to_float({"image": image})["image"] for image in images])
        return cls(images, ModelProvider(model, inputs, positions), **options)

    def _check(self, names, labels, turn, num_classes):
        if len(names) != num_classes:
            raise ValueError(f"There are {len(names)} class_names, but the model predicts {num_classes} classes.")
        if labels and (len(labels) != len(self._images) or not all(0 <= label < num_classes for label in labels)):
            raise ValueError(
                f"labels must be one class from 0 to {num_classes - 1} for each of the {len(self._images)} images; "
                f"got {len(labels)}: {labels[:8]}."
            )
        if len(turn) not in (0, 2) or any(name not in names for name in turn):
            raise ValueError(f"turn={tuple(turn)} must name two of the classes {', '.join(names)}, or none.")

    def _facts(self, provider, names, labels, turn):
        return {
            "shape": list(self._images.shape[1:3]),
            "grid": list(self._grid),
            "examples": list(range(len(self._images))),
            "layers": list(provider.layers),
            "latent_ids": list(range(self._num_latents)),
            "class_names": names,
            "labels": labels,
            "whole": self._num_latents * self._grid[0] * self._grid[1] <= WHOLE_LAYER,
            "most_off": 0,
            "turn": [names.index(name) for name in turn],
            "colours": colour_table(),
        }

    def _first_asks(self):
        here = {"example": self.example, "layer": self.layer, "head": self.head}
        at = self.pixel[0] * self._grid[1] + self.pixel[1]
        maps = [{"what": "tile", "latent": self.latent, **here}, {"what": "column", "pixel": at, **here}]
        asks = [{"what": "picture", "example": self.example}, {"what": "predict", "example": self.example, "off": []}]
        if self.off:
            asks.append({"what": "predict", "example": self.example, "off": self.off})
        return [*asks, *([{"what": "sheet", **here}] if self.facts["whole"] else maps)]

    @traitlets.validate("example", "layer", "head", "latent", "pixel", "off", "opacity")
    def _valid(self, proposal):
        name, value = proposal["trait"].name, proposal["value"]
        allowed = {
            "example": lambda: 0 <= value < len(self._images),
            "layer": lambda: value in self._provider.layers,
            "head": lambda: value >= -1,
            "latent": lambda: 0 <= value < self._num_latents,
            "pixel": lambda: len(value) == 2 and all(0 <= v < s for v, s in zip(value, self._grid, strict=True)),
            "off": lambda: len(set(value)) == len(value) and all(0 <= v < self._num_latents for v in value),
            "opacity": lambda: 0 <= value <= 1,
        }
        if not allowed[name]():
            raise ValueError(
                f"{name}={value!r} is not in this explorer: it has {len(self._images)} examples, the layers "
                f"{', '.join(self._provider.layers)}, latents 0 to {self._num_latents - 1}, pixels on a grid of "
                f"{self._grid[0]} x {self._grid[1]}, heads from -1 (their mean), opacity from 0 to 1."
            )
        return value

    def weights(self, example: int, layer: str, head: int) -> Num[np.ndarray, "n m"]:
        """The maps of all latents: of one head, or, with -1 and where there is no such head, the mean."""
        maps = np.asarray(self._provider.maps(example, layer))
        return maps[head] if 0 <= head < len(maps) else maps.mean(axis=0) if len(maps) > 1 else maps[0]

    def answer(self, ask: Mapping[str, Any]) -> Answer:
        """Answer the front end: picture, sheet (all maps of a layer), tile (one), column (one pixel), predict."""
        what, example = ask.get("what"), ask.get("example", 0)
        if what == "picture":
            return {}, [png_bytes(to_rgb(self._images[example]))]
        if what == "predict":
            mask = np.ones(self._num_latents, bool)
            mask[list(ask["off"])] = False
            return {"probabilities": [float(p) for p in self._provider.predict(example, mask)]}, []
        if what not in ("sheet", "tile", "column"):
            return super().answer(ask)
        maps, head = self._provider.maps(example, ask["layer"]), ask["head"]
        heads = [-1, *range(len(maps))] if len(maps) > 1 else [-1]
        if what == "column":
            column = maps[:, :, ask["pixel"]]
            return {}, [np.float32(column[head] if head >= 0 else column.mean(axis=0)).tobytes()]
        if what == "tile":
            rows = maps[:, ask["latent"]]
            tile, peak = quantise((rows[head] if head >= 0 else rows.mean(axis=0))[None])
            return {"heads": heads, "peak": float(peak[0])}, [tile.tobytes()]
        tiles, peaks = quantise(self.weights(example, ask["layer"], head))
        return {"heads": heads}, [tiles.tobytes(), peaks.tobytes()]

    def first_frame(self) -> DescribedFigure:
        """The map of the chosen latent on the picture, and the prediction."""
        names, labels = self.facts["class_names"], self.facts["labels"]
        (tile, *_), image = self.weights(self.example, self.layer, self.head)[[self.latent]], self._images[self.example]
        mask = np.ones(self._num_latents, bool)
        mask[self.off] = False
        probabilities = np.asarray(self._provider.predict(self.example, mask))
        shown = np.sort(np.argsort(-probabilities)[:10])
        best = int(probabilities.argmax())
        truth = f", label {names[labels[self.example]]}" if labels else ""
        alt = (
            f"Attention explorer, first frame: example {self.example}{truth}; the map of latent {self.latent} in "
            f"{self.layer} on the picture; predicted {names[best]} with probability {probabilities[best]:.2f}."
        )
        made, axes = figure(1, 2, alt=alt, size=(6.4, 3.1))
        with style():
            axes[0, 0].imshow(overlay(image, tile.reshape(self._grid), opacity=self.opacity))
            axes[0, 0].set(title=f"latent {self.latent}, {self.layer}", xticks=[], yticks=[])
            colours = [COLOURS[1] if k == best else COLOURS[0] for k in shown]
            axes[0, 1].barh(range(len(shown)), probabilities[shown], color=colours)
            axes[0, 1].set_yticks(range(len(shown)), [names[k] for k in shown])
            axes[0, 1].set(title="prediction", xlim=(0, 1), ylim=(len(shown) - 0.4, -0.6), xlabel="probability")
        return made

    def export(self, **reduction) -> tuple[dict[str, Any], list[tuple[dict[str, Any], Answer]]]:
        """State and answers of a saved page: a reduced set of maps, and the effect of one latent off, or of two.

        Args:
          **reduction: `examples`, `layers`, `latents`, `side`; see `attention_export.reduce`.
        """
        from perceiver_lab.explorers.attention_export import reduce

        return reduce(self, **reduction)

    def __repr__(self):
        height, width = self.facts["shape"]
        return (
            f"AttentionExplorer({len(self._images)} examples of {height} x {width}, {self._num_latents} latents, "
            f"layers: {', '.join(self._provider.layers)})"
        )


def grid_of(num_inputs: int, shape: Sequence[int]) -> tuple[int, int]:
    """Rows and columns of M inputs that lie on a picture: its pixels, or square patches of it.

    Raises:
      ValueError: M squares do not tile the picture.
    """
    height, width = shape
    for side in range(1, min(height, width) + 1):
        if height % side == 0 and width % side == 0 and (height // side) * (width // side) == num_inputs:
            return height // side, width // side
    raise ValueError(
        f"Maps over {num_inputs} inputs do not lie on pictures of {height} x {width}: that is neither their "
        f"{height * width} pixels nor a number of square patches. Show the pictures that the model reads."
    )
