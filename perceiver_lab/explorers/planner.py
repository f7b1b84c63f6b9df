"""BudgetPlanner: what a Perceiver and a Transformer cost for an input of a given size. Computed in the browser.

Both have the same layers (`SelfAttentionBlock`, MLPs of widening 1): the Transformer's work on the M inputs, the
Perceiver's on N latents, which read the inputs once. `perceiver_price` and `transformer_price` count the same in
Python, and tests compare them with `introspect.cost` of the library's models. Input adapters are not counted.
"""

import dataclasses

import jax
import jax.numpy as jnp
import traitlets

from perceiver_lab.explorers.base import Explorer, front_end
from perceiver_lab.figures import DescribedFigure
from perceiver_lab.figures.looking import budget_bars
from perceiver_lab.ops.attention import choose_implementation, default_chunk, loop
from perceiver_lab.ops.cross import multiply_adds

NUM_HEADS, NUM_CLASSES = 8, 1000
BANDS = 64
SAMPLE_RATE = 16_000
# Channels of an input: colours, or the sample, with 64 Fourier bands per axis and the coordinates; an embedded byte.
CHANNELS = {"image": 3 + 2 * (2 * BANDS + 1), "sound": 1 + 2 * BANDS + 1, "text": 256}
UNITS = {"image": "pixels a side", "sound": "seconds", "text": "bytes"}
RANGES = {"image": (8, 1024), "sound": (0.1, 60.0), "text": (64, 2**20)}
FLOAT = 4
PLATFORM = "cpu"  # the laptop's, wherever this runs


@dataclasses.dataclass(frozen=True, kw_only=True)
class Price:
    """What one example costs in a forward pass in float32.

    Attributes:
      parameters: numbers to learn.
      multiply_adds: of all matrix products.
      memory: bytes of the parameters, the inputs, and what the dearest attention holds at once.
    """

    parameters: int
    multiply_adds: int
    memory: int

    @property
    def flops(self) -> int:
        """Multiplication and addition counted each, as the papers do."""
        return 2 * self.multiply_adds


def num_inputs(kind: str, size: int | float) -> int:
    """M: pixels of a square image, samples of a sound at 16 kHz, bytes of a text."""
    return round({"image": size**2, "sound": SAMPLE_RATE * size, "text": size}[kind])


def transformer_price(
    inputs: int, input_channels: int, *, channels: int, num_layers: int, folded: bool = False
) -> Price:
    """Inputs (M, C) embedded at width D, L layers on all M of them, the mean, and one linear layer to 1,000 classes.

    Args:
      inputs: M.
      input_channels: C.
      channels: D.
      num_layers: L.
      folded: as the library computes on a CPU: attention in chunks where it has many scores, in less memory and with
        the same work. Otherwise as it is written, all scores at once.
    """
    m, c, d = inputs, input_channels, channels
    parameters, products = _layer(m, d)
    total = _linear(c, d) + num_layers * parameters + 2 * d + _linear(d, NUM_CLASSES)
    return Price(
        parameters=total,
        multiply_adds=m * c * d + num_layers * products + d * NUM_CLASSES,
        memory=FLOAT * (total + m * c + 2 * m * d + _held_by_layer(m, d, folded)),
    )


def perceiver_price(
    inputs: int, input_channels: int, *, num_latents: int, channels: int, num_layers: int, folded: bool = False
) -> Price:
    """N latents read inputs (M, C) once, L layers on the latents, the mean, and one linear layer to 1,000 classes.

    Args:
      inputs: M.
      input_channels: C.
      num_latents: N.
      channels: D.
      num_layers: L.
      folded: as the library computes on a CPU: the read in the order that needs fewer multiply-adds, and attention in
        chunks where it has many scores. Otherwise as it is written, all scores at once.
    """
    m, c, n, d = inputs, input_channels, num_latents, channels
    parameters, products = _layer(n, d)
    read, read_products = _read(m, c, n, d, folded)
    total = n * d + read + num_layers * parameters + _linear(d, NUM_CLASSES)
    in_chunks = folded and n * m > loop(PLATFORM).from_scores
    scores = n * (_step(m, n) if in_chunks else m)
    whole = 0 if in_chunks else m * c  # one array as large as the inputs: values, or what they are made from
    projecting = 0 if folded else 3 * m * c  # normalised inputs, keys and values
    held = max(projecting, whole + 2 * scores, _held_by_layer(n, d, folded))
    return Price(
        parameters=total,
        multiply_adds=read_products + num_layers * products + d * NUM_CLASSES,
        memory=FLOAT * (total + m * c + 2 * n * d + held),
    )


def _read(m, c, n, d, folded):
    """Parameters and multiply-adds of a cross-attention block: one head, keys and values as wide as the inputs."""
    parameters = 2 * d + 2 * c + _linear(d, c) + 2 * _linear(c, c) + _linear(c, d) + 2 * d + 2 * _linear(d, d)
    counted = multiply_adds(n, m, c, num_heads=1, qk_channels=c, v_channels=c)
    products = min(counted.values()) if folded else counted["plain"]
    return parameters, 2 * n * d * c + products + 2 * n * d * d


def _layer(n, d):
    """Parameters and multiply-adds of a self-attention block on n rows: projections, scores and sum, MLP."""
    return 4 * d + 6 * _linear(d, d), 6 * n * d * d + 2 * n * n * d


def _held_by_layer(n, d, folded):
    """Scores and weights that self-attention among n rows holds at once."""
    heads = jax.ShapeDtypeStruct((1, n, NUM_HEADS, d // NUM_HEADS), jnp.float32)
    in_chunks = folded and choose_implementation(heads, heads, heads, platform=PLATFORM) == "chunked"
    return 2 * NUM_HEADS * n * (_step(n, NUM_HEADS * n) if in_chunks else n)


def _step(inputs, rows):
    """Inputs of one step, where steps share them evenly."""
    return -(-inputs // -(-inputs // default_chunk(rows, PLATFORM)))


def _linear(rows, columns):
    return rows * columns + columns


class BudgetPlanner(Explorer):
    """Sliders for an input and two models; traits `kind`, `image`, `sound`, `text`, `num_latents`, `num_layers`, ...

    `image`, `sound` and `text` are the sizes of the three kinds of input; `kind` says which one counts.
    """

    title = "Budget planner"
    _esm = front_end("planner_cost", "planner")["_esm"]
    _css = front_end("planner_cost", "planner")["_css"]
    kind = traitlets.Enum(tuple(CHANNELS), "image").tag(sync=True)
    image = traitlets.Int(64).tag(sync=True)
    sound = traitlets.Float(1.0).tag(sync=True)
    text = traitlets.Int(2048).tag(sync=True)
    num_latents = traitlets.Int(256).tag(sync=True)
    channels = traitlets.Int(512).tag(sync=True)
    num_layers = traitlets.Int(6).tag(sync=True)
    folded = traitlets.Bool(False).tag(sync=True)
    memory = traitlets.Int(16).tag(sync=True)
    speed = traitlets.Int(50).tag(sync=True)

    def __init__(self, **state):
        """Start with these traits.

        Args:
          **state: `kind` ("image", "sound", "text"), the size of each kind (`image` pixels a side, `sound` seconds,
            `text` bytes), `num_latents`, `channels` (a multiple of 8, the heads), `num_layers`, `folded`, and of the
            laptop its `memory` in GiB and its `speed` in billion FLOPs a second.

        Raises:
          ValueError: a size out of range, or an unknown one.
        """
        unknown = set(state) - {name for name in self.class_own_traits(sync=True) if not name.startswith("_")}
        if unknown:
            known = sorted(name for name in self.class_own_traits(sync=True) if not name.startswith("_"))
            raise ValueError(f"BudgetPlanner has no {', '.join(sorted(unknown))}; it has {', '.join(known)}.")
        super().__init__(**state)

    @traitlets.validate("image", "sound", "text")
    def _valid_size(self, proposal):
        name, value = proposal["trait"].name, proposal["value"]
        least, most = RANGES[name]
        if not least <= value <= most:
            raise ValueError(f"{name}={value} is out of range: it may be {least:g} to {most:g} {UNITS[name]} here.")
        return value

    @traitlets.validate("num_latents", "channels", "num_layers", "memory", "speed")
    def _valid(self, proposal):
        name, value = proposal["trait"].name, proposal["value"]
        most = {"num_layers": 48, "channels": 4096, "num_latents": 4096}.get(name, 100_000)
        if not 1 <= value <= most:
            raise ValueError(f"{name}={value} is out of range: it may be 1 to {most:,} here.")
        if name == "channels" and value % NUM_HEADS:
            raise ValueError(f"channels={value} is no multiple of {NUM_HEADS}, the number of heads.")
        return value

    def prices(self) -> dict[str, Price]:
        """What the two models cost at the present sizes."""
        inputs, widths = num_inputs(self.kind, getattr(self, self.kind)), CHANNELS[self.kind]
        sizes = {"channels": self.channels, "num_layers": self.num_layers}
        return {
            "Perceiver": perceiver_price(inputs, widths, num_latents=self.num_latents, folded=self.folded, **sizes),
            "Transformer": transformer_price(inputs, widths, folded=self.folded, **sizes),
        }

    def first_frame(self) -> DescribedFigure:
        """FLOPs, memory and parameters of both at the present sizes."""
        prices = {name: dataclasses.asdict(price) | {"flops": price.flops} for name, price in self.prices().items()}
        return budget_bars(prices, num_inputs(self.kind, getattr(self, self.kind)), memory=self.memory * 2**30)

    def __repr__(self):
        return (
            f"BudgetPlanner({self.kind} of {getattr(self, self.kind):g} {UNITS[self.kind]}, "
            f"num_latents={self.num_latents}, channels={self.channels}, num_layers={self.num_layers})"
        )
