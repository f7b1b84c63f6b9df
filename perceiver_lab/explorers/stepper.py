"""DecodeStepper: a chorale is continued token by token; go back, change a note, and see what the cache must redo."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import traitlets
from jaxtyping import UInt8

from perceiver_lab.datasets import chorales
from perceiver_lab.datasets.notes import Note, grid_notes
from perceiver_lab.explorers.base import Answer, Explorer, front_end, quantise
from perceiver_lab.explorers.stepper_model import VOICES, Writer
from perceiver_lab.figures import DescribedFigure, piano_roll
from perceiver_lab.generation import Held
from perceiver_lab.ops.sampling import check_sampling
from perceiver_lab.ops.sequences import EOS, NUM_SPECIAL_TOKENS

BEATS_PER_MINUTE = 90
CODE = 192  # tokens are sent as text, a character each: this much later in Unicode


class DecodeStepper(Explorer):
    """A piano roll of what was given and what a model went on with, over a cache that shows what it holds.

    The state is in traits that can be read and set: `prompt` (number), `tokens` (behind the start token, those given
    first), `temperature`, `top_p`, `seed`, and `place` (number of the token that is looked at; `len(tokens)` is the one
    that comes next).
    """

    title = "Decode stepper"
    _esm = front_end("stepper_sound", "stepper_draw", "stepper")["_esm"]
    _css = front_end("stepper_sound", "stepper_draw", "stepper")["_css"]
    facts = traitlets.Dict().tag(sync=True)
    prompt = traitlets.Int(0).tag(sync=True)
    tokens = traitlets.List(traitlets.Int()).tag(sync=True)
    temperature = traitlets.Float(1.0).tag(sync=True)
    top_p = traitlets.Float(1.0).tag(sync=True)
    seed = traitlets.Int(0).tag(sync=True)
    place = traitlets.Int(0).tag(sync=True)

    def __init__(
        self,
        model,
        prompts: Mapping[str, UInt8[np.ndarray, "t 4"] | Sequence[int]],
        *,
        refill_to: int | None = None,
        **state,
    ):
        """Read the first prompt.

        Args:
          model: a Perceiver AR over the tokens of chorales; its weights as they are now.
          prompts: by name, each a grid (see `datasets.chorales`), or tokens behind the start token.
          refill_to: latents of a full pass, as in `generation.generate`.
          **state: first values of the traits.

        Raises:
          ValueError: a model that does not write chorales, no prompts or such that are too long, or a state that
            cannot be.
        """
        self.writer = Writer(model, refill_to)
        given = {str(name): self.writer.checked(_tokens(one)) for name, one in prompts.items()}
        if not given or min(map(len, given.values())) < VOICES:
            raise ValueError("Give at least one prompt, of at least one sixteenth of all four voices.")
        self._given = list(given.values())
        first = min(max(state.get("prompt", 0), 0), len(given) - 1)  # another number is refused below, as any trait
        state = {"tokens": list(self._given[first]), **state}
        state.setdefault("place", len(_without_end(state["tokens"])))
        super().__init__(facts=self._facts(list(given)), **state)
        self.answer_first([self._ask_next(self.tokens, self.prompt, self.place), self._ask_looks(self.tokens)])

    def _facts(self, names):
        return {
            "prompts": [{"name": name, "tokens": one} for name, one in zip(names, self._given, strict=True)],
            "voices": list(chorales.VOICES),
            "values": chorales.VALUES,
            "lowest": chorales.LOWEST,
            "per_bar": chorales.PER_BAR,
            "per_minute": BEATS_PER_MINUTE * chorales.PER_QUARTER,
            "context": self.writer.context,
            "latents": self.writer.num_latents,
            "refill_to": self.writer.refill_to,
            "takes": [],
        }

    @traitlets.validate("prompt", "tokens", "temperature", "top_p", "place")
    def _valid(self, proposal):
        name, value = proposal["trait"].name, proposal["value"]
        if name == "tokens":
            return self.writer.checked(value)
        if name in ("temperature", "top_p"):
            check_sampling(**{"temperature": 1.0, name: value})
            return value
        most = len(self._given) - 1 if name == "prompt" else len(_without_end(self.tokens))
        if not 0 <= value <= most:
            raise ValueError(f"{name}={value} is out of range: it may be 0 to {most} here.")
        return value

    @property
    def given(self) -> int:
        """How many tokens the prompt has."""
        return len(self._given[self.prompt])

    def held(self) -> Held:
        """What the cache holds when it says what comes next."""
        return self.writer.held(len(_without_end(self.tokens)), self.given)

    def step(self, count: int = 1) -> list[int]:
        """Sample so many tokens more, or fewer where the piece ends, and look at what comes next."""
        settings = {"temperature": self.temperature, "top_p": self.top_p, "seed": self.seed}
        new = self.writer.draw(self.tokens, self.given, count=count, **settings)
        self.tokens = [*self.tokens, *new]
        self.place = len(_without_end(self.tokens))
        return new

    def back(self, count: int = 1) -> None:
        """Take back so many of the tokens that were sampled."""
        tokens = self.tokens[: max(len(self.tokens) - count, self.given)]
        self.place = min(self.place, len(tokens))
        self.tokens = tokens
        self.place = len(tokens)

    def edit(self, place: int, semitones: int) -> tuple[int, int]:
        """Move the tone that begins at a place, and say what the cache must compute anew.

        Args:
          place: number of a token with which a tone begins.
          semitones: upwards.

        Returns:
          Entries of inputs, and of latents in each layer.

        Raises:
          ValueError: no tone begins there, or the new one has no token.
        """
        tokens = list(self.tokens)
        value = (tokens[place] - NUM_SPECIAL_TOKENS) % chorales.VALUES if 0 <= place < len(tokens) else 0
        moved = value + semitones
        if value < chorales.FIRST_PITCH or not chorales.FIRST_PITCH <= moved < chorales.VALUES:
            raise ValueError(
                f"At place {place} no tone begins that can be moved by {semitones} semitones. Choose the token with "
                f"which a tone begins, and stay within MIDI {chorales.LOWEST} to {chorales.HIGHEST}."
            )
        tokens[place] += semitones
        self.tokens = tokens
        return self.held().to_redo(place + 1)

    def notes(self) -> list[Note]:
        """The notes of all whole sixteenths, in sixteenths: to be written by `datasets.midi.write_midi`."""
        return grid_notes(chorales.events_grid(self.tokens))

    def answer(self, ask: Mapping[str, Any]) -> Answer:
        """Answer the front end: what may come next, what is drawn, and where each sixteenth looks."""
        what = ask.get("what")
        if what not in ("next", "draw", "looks"):
            return super().answer(ask)
        tokens = self.writer.checked(_read(ask["text"]))
        if what == "looks":
            return {}, _looks_by_sixteenth(self.writer.looks(tokens))
        given = len(self._given[ask["prompt"]])
        if what == "draw":
            settings = {name: ask[name] for name in ("count", "temperature", "top_p", "seed")}
            return {"tokens": self.writer.draw(tokens, given, **settings)}, []
        return self._next(tokens, given)

    def _next(self, tokens, given):
        """What the cache holds; log-probabilities of what may come, and where the latent that says it looks."""
        logits, _ = self.writer.after(tokens, given)
        chances = self.writer.chances(logits, len(tokens) % VOICES)
        tiles, peaks = quantise(self.writer.looks(tokens)[-1:])
        buffers = [chances.tobytes(), tiles.tobytes(), peaks.tobytes()]
        return {"held": list(self.writer.held(len(tokens), given))}, buffers

    def _ask_next(self, tokens, prompt, place):
        return {"what": "next", "prompt": prompt, "text": _text(tokens[:place])}

    def _ask_looks(self, tokens):
        music = _without_end(tokens)
        return {"what": "looks", "text": _text(music[: len(music) // VOICES * VOICES])}

    def export(
        self,
        *,
        temperatures: Sequence[float] = (0.0, 1.0, 1.6),
        given_bars: int = 4,
        bars: int = 2,
        steps: int = 32,
    ) -> tuple[dict[str, Any], list[tuple[dict[str, Any], Answer]]]:
        """State and answers for a saved page: what the model wrote behind the prompt, and how it goes on from there.

        The prompt itself is not on the page: the scores of the chorales may not be passed on.

        Args:
          temperatures: one continuation for each; top-p and seed are the present ones.
          given_bars: of the model's own music, which is the prompt of the page.
          bars: length of each continuation, as far as the context reaches.
          steps: how many of its tokens can be stepped through, with all that may come next.

        Raises:
          ValueError: no temperature, or one below 0.
        """
        if not temperatures:
            raise ValueError("A saved page needs at least one temperature, such as temperatures=(1.0,).")
        given, takes, asks = self._own_music(given_bars), [], {}

        def will_ask(tokens, place):
            next_one, looks = self._ask_next(tokens, 0, place), self._ask_looks(tokens)
            asks.update({("next", next_one["text"]): next_one, ("looks", looks["text"]): looks})

        will_ask(given, len(given))
        for temperature in temperatures:
            check_sampling(temperature)
            settings = {"temperature": float(temperature), "top_p": self.top_p, "seed": self.seed}
            new = self.writer.draw(given, len(given), count=bars * chorales.PER_BAR * VOICES, **settings)
            takes.append({**settings, "tokens": [*given, *new]})
            last = len(_without_end(takes[-1]["tokens"]))
            for place in range(len(given), min(len(given) + steps, last) + 1):
                will_ask(takes[-1]["tokens"], place)
        prompts = [{"name": f"the model, after {self.facts['prompts'][self.prompt]['name']}", "tokens": given}]
        state = {"prompt": 0, "tokens": given, "place": len(given), "temperature": takes[0]["temperature"]}
        facts = {**self.facts, "prompts": prompts, "takes": takes}
        return {**self.state(), **state, "facts": facts}, [(ask, self._saved(ask, len(given))) for ask in asks.values()]

    def _own_music(self, bars):
        """Tokens of what the model wrote behind the prompt, as a piece of its own."""
        prompt = self._given[self.prompt]
        new = self.writer.draw(
            prompt, len(prompt), count=bars * chorales.PER_BAR * VOICES, top_p=self.top_p, seed=self.seed, may_end=False
        )
        grid = chorales.events_grid([*prompt, *new])[len(prompt) // VOICES :].copy()
        grid[0, grid[0] > 0] |= chorales.ONSET  # what sounds on from the prompt begins here
        return _tokens(grid)

    def _saved(self, ask, given):
        tokens = _read(ask["text"])
        return self._next(tokens, given) if ask["what"] == "next" else self.answer(ask)

    def first_frame(self) -> DescribedFigure:
        """The piano roll."""
        held, new = self.held(), len(self.tokens) - self.given
        alt = (
            f"Decode stepper, first frame: a piano roll of {len(self.tokens) // VOICES} sixteenths in four voices, "
            f"{self.given // VOICES} of them given; {max(new, 0)} tokens were sampled at temperature "
            f"{self.temperature:g}. The cache holds {held.num_events} inputs and {held.num_latents} latents of at most "
            f"{self.writer.num_latents}."
        )
        return piano_roll(self.notes(), prompt=self.given // VOICES, steps_per_bar=chorales.PER_BAR, alt=alt)

    def __repr__(self):
        return (
            f"DecodeStepper({len(self._given)} prompts, {self.writer.num_latents} latents, R={self.writer.refill_to})"
        )


def _tokens(prompt) -> list[int]:
    """Of a grid, those behind the start token, without an end; tokens as they are."""
    return (chorales.grid_events(prompt)[1:-1] if np.ndim(prompt) == 2 else np.asarray(prompt, np.int64)).tolist()


def _text(tokens: Sequence[int]) -> str:
    return "".join(chr(CODE + token) for token in tokens)


def _read(text: str) -> list[int]:
    return [ord(letter) - CODE for letter in text]


def _without_end(tokens: Sequence[int]) -> Sequence[int]:
    return tokens[:-1] if len(tokens) and tokens[-1] == EOS else tokens


def _looks_by_sixteenth(weights):
    """Rows of the four latents that say a sixteenth, averaged: bytes (t, 1 + 4 t) and peaks (t,)."""
    count = (len(weights) - 1) // VOICES
    rows = weights[: VOICES * count].reshape(count, VOICES, -1).mean(axis=1)
    tiles, peaks = quantise(rows)
    return [tiles.tobytes(), peaks.tobytes()]
