"""ContextRuler: choose a place in a sequence, and see what its latent may see, what it looks at and what it says."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import traitlets
from jaxtyping import Float32, Int

from perceiver_lab.explorers import ruler_model
from perceiver_lab.explorers.base import Answer, Explorer, colour_table, front_end
from perceiver_lab.explorers.ruler_model import PlaceReader, middle_of, perceiver_ar_flops, transformer_flops
from perceiver_lab.figures import COLOURS, DescribedFigure, figure, style

CONTEXTS = (64, 131_072)
LATENTS = (1, 4096)


class ContextRuler(Explorer):
    """A sequence as a ruler, and what a Perceiver AR makes of it at each place.

    The state is in traits that can be read and set: `sequence`, `place` (of the latent; what comes after it is
    foretold), `head` (-1 for the mean), `num_latents`; and, for the cost of other sizes, `context` M and `latents` N.
    """

    title = "Context ruler"
    _esm = front_end("ruler_draw", "ruler")["_esm"]
    _css = front_end("ruler_draw", "ruler")["_css"]
    facts = traitlets.Dict().tag(sync=True)
    sequence = traitlets.Int(0).tag(sync=True)
    place = traitlets.Int(0).tag(sync=True)
    head = traitlets.Int(-1).tag(sync=True)
    num_latents = traitlets.Int(1).tag(sync=True)
    context = traitlets.Int(1024).tag(sync=True)
    latents = traitlets.Int(1024).tag(sync=True)

    def __init__(
        self,
        model,
        sequences: Int[np.ndarray, "k m"] | Sequence[Sequence[int]],
        *,
        choices: Sequence[int] | None = None,
        **state,
    ):
        """Read the first sequence at every place.

        Args:
          model: a Perceiver AR; its weights as they are now.
          sequences: to choose from, tokens, the start token first.
          choices: numbers of latents to choose from; by default one, and as many as the model was made for.
          **state: first values of the traits.

        Raises:
          ValueError: a model or sequences that do not fit, or a state out of range.
        """
        choices = choices or sorted({1, getattr(getattr(model, "config", None), "num_latents", 1)})
        self._reader = PlaceReader(model, sequences, choices)
        tokens = self._reader.tokens
        state = {"num_latents": choices[-1], "place": 3 * tokens.shape[1] // 4, **state}
        facts = {
            "count": len(tokens),
            "size": tokens.shape[1] - 1,
            "middles": [middle_of(one) for one in tokens],
            "heads": self._reader.num_heads,
            "choices": list(choices),
            "channels": ruler_model.CHANNELS,
            "layers": ruler_model.LAYERS,
            "vocabulary": ruler_model.VOCABULARY,
            "colours": colour_table(),
        }
        super().__init__(facts=facts, **state)
        self.answer_first([{"what": "read", "sequence": self.sequence}])

    @traitlets.validate("sequence", "place", "head", "num_latents", "context", "latents")
    def _valid(self, proposal):
        name, value = proposal["trait"].name, proposal["value"]
        ranges = {
            "sequence": (0, len(self._reader.tokens) - 1),
            "place": (0, self._reader.tokens.shape[1] - 2),
            "head": (-1, self._reader.num_heads - 1),
            "context": CONTEXTS,
            "latents": LATENTS,
        }
        if name == "num_latents":
            if value not in self._reader.latents:
                raise ValueError(f"num_latents={value} is not one of the choices, {self._reader.latents}.")
            return value
        least, most = ranges[name]
        if not least <= value <= most:
            raise ValueError(f"{name}={value} is out of range: it may be {least:,} to {most:,} here.")
        return value

    def weights(self) -> Float32[np.ndarray, " m"]:
        """How much the latent of the present place takes from each place."""
        _, maps = self._reader.look(self.sequence)
        return maps.mean(axis=0)[self.place] if self.head < 0 else maps[self.head, self.place]

    def flops(self) -> dict[str, int]:
        """Of one pass at the present sizes; a Perceiver AR has at most as many latents as inputs."""
        latents = min(self.latents, self.context)
        return {
            "Perceiver AR": perceiver_ar_flops(self.context, latents),
            "Transformer": transformer_flops(self.context),
        }

    def answer(self, ask: Mapping[str, Any]) -> Answer:
        """Answer the front end: a sequence, read at every place."""
        if ask.get("what") == "read":
            return self._reader.answer(ask["sequence"])
        return super().answer(ask)

    def export(self) -> tuple[dict[str, Any], list[tuple[dict[str, Any], Answer]]]:
        """State and answers for a saved page: all sequences."""
        asks = [{"what": "read", "sequence": number} for number in range(len(self._reader.tokens))]
        return self.state(), [(ask, self.answer(ask)) for ask in asks]

    def first_frame(self) -> DescribedFigure:
        """The ruler: weights as bars over the places, the latents marked, the future hatched."""
        told, _ = self._reader.look(self.sequence)
        weights, said = self.weights(), told["said"][str(self.num_latents)][self.place]
        most, size = int(weights.argmax()), len(weights)
        guess, sure = said["top"][0]
        alt = (
            f"Context ruler, first frame: the latent at place {self.place} of {size} may see places 0 to {self.place}. "
            f"It looks most at place {most}, with {weights[most]:.0%} of its weight, and says that token {guess} comes "
            f"next, with a probability of {sure:.0%}; what comes has {said['truth']:.0%}."
        )
        made, axes = figure(1, 1, alt=alt, size=(9.8, 2.3))
        with style():
            ax = axes[0, 0]
            ax.bar(range(size), weights, width=0.8, color=COLOURS[0])
            ax.axvspan(self.place + 0.5, size - 0.5, facecolor="#eeeeee", hatch="///", edgecolor="#bbbbbb", lw=0)
            first = max(self.place + 1 - self.num_latents, 0)
            ax.plot([first - 0.5, self.place + 0.5], [-0.06, -0.06], color=COLOURS[1], linewidth=4, clip_on=False)
            ax.tick_params(axis="x", pad=9)  # below the line under the latents
            ax.set(
                xlim=(-0.5, size - 0.5), ylim=(0, 1), ylabel="weight",
                xlabel=f"place; the {self.place + 1 - first} latents underlined, what is still to come hatched",
            )  # fmt: skip
        return made

    def __repr__(self):
        count, size = self._reader.tokens.shape
        return f"ContextRuler({count} sequences of {size} tokens, place={self.place}, num_latents={self.num_latents})"
