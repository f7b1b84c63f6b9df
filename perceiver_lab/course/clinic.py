"""The clinic of lesson 13: eight sick models. Each is a sound one with one small mistake, which raises no error.

`ailing(name, model)` makes a sick copy. The mistakes are real ones: each has been made by somebody, and each leaves
shapes, parameter counts and most of the code as they were. What gives them away is a tool of this course.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx

from perceiver_lab.course import sick_parts


def _without_positions(model):
    model.input_adapter = sick_parts.WithoutPositions(model.input_adapter)


def _one_hot(model, factor=64.0):
    for read in model.encoder.reads:
        read.attention.query.kernel[...] = read.attention.query.kernel[...] * factor
        read.attention.query.bias[...] = read.attention.query.bias[...] * factor


def _equal_latents(model):
    table = model.encoder.latents.table
    table[...] = jnp.broadcast_to(table[...].mean(axis=0, keepdims=True), table.shape)


def _leak(model):
    model.reader = sick_parts.LeakyRead(model.reader)


def _one_query(model):
    model.decoder = sick_parts.OneQuestion(model.decoder)


def _half(model, dtype="float16", drift=16):
    for read in model.encoder.reads:
        value, output = read.attention.value, read.attention.output
        for grown in (value.kernel, value.bias):
            grown[...] = grown[...] * 2.0**drift
        output.kernel[...] = output.kernel[...] * 2.0**-drift
    model.encoder.reads = nnx.data([sick_parts.LowRead(read, dtype) for read in model.encoder.reads])


def _inverted_mask(model):
    model.encoder.reads = nnx.data([sick_parts.InvertedRead(read) for read in model.encoder.reads])


def _octaves(model):
    sound = model.input_adapter.positions
    model.input_adapter.positions = sick_parts.Octaves(
        sound.shape, num_bands=sound.num_bands, max_resolution=sound.max_resolution
    )


@dataclass(frozen=True, kw_only=True)
class Ailment:
    """What is wrong with a model, and how one knows.

    Attributes:
      name: how it is called.
      complaint: what those say who brought the model.
      cause: the mistake.
      sign: what gives it away, and with which tool.
      cure: what is to be done.
      needs: an attribute path that a model must have to fall ill with it.
      infect: makes the mistake in a model.
    """

    name: str
    complaint: str
    cause: str
    sign: str
    cure: str
    needs: str
    infect: Callable[..., None]


AILMENTS = {
    one.name: one
    for one in (
        Ailment(
            name="positions dropped",
            complaint="It reads, it answers, and it is right far too rarely.",
            cause="The position channels are zero: features were padded to the right width instead of concatenated.",
            sign="Shuffle the pixels: the answer stays the same to the last decimals. A sound model's changes.",
            cure="Concatenate the Fourier features of each element's position.",
            needs="input_adapter.features",
            infect=_without_positions,
        ),
        Ailment(
            name="one-hot softmax",
            complaint="It is sure of what it says, often wrongly, and nothing is NaN.",
            cause="Queries are 64 times too long: scores that are not divided, or weights that started too large.",
            sign="Maps: most latents look at a single pixel. A sound read looks at several.",
            cure="Divide scores by the square root of a head's width, normalise before projecting, and start small.",
            needs="encoder.reads",
            infect=_one_hot,
        ),
        Ailment(
            name="dead latents",
            complaint="More latents do not help. It is as good with one as with sixteen.",
            cause="All rows of the latent array started from the same number. Equal rows read the same, get the same "
            "gradient and stay equal.",
            sign="Ablation: to switch off any latent, or all but one, changes nothing. All rows of a map are equal.",
            cure="Draw the latent array at random (a normal distribution with deviation 0.02, cut at two deviations).",
            needs="encoder.latents",
            infect=_equal_latents,
        ),
        Ailment(
            name="leak of the future",
            complaint="The best loss that we ever had! Only what it writes makes no sense.",
            cause="The causal mask is shifted by one: the latent at place p may read place p + 1, which it has to say.",
            sign="Before training, a gradient from an output to a later input (introspect.reach). After training, a "
            "loss below the floor, and a map that lies on the answer.",
            cure="A latent at place p reads places up to p: compare by >=, with places counted from the same zero.",
            needs="reader",
            infect=_leak,
        ),
        Ailment(
            name="shared decoder query",
            complaint="Its outputs are a reasonable average. But they are the same everywhere.",
            cause="The decoder is asked its first query O times: a slice that was meant for the batch.",
            sign="All outputs of an example are equal, and so are all rows of the decoder's map.",
            cure="One query for each output, made of its own position.",
            needs="decoder.queries",
            infect=_one_query,
        ),
        Ailment(
            name="float16 overflow",
            complaint="It was fine on the machine on which it learnt. Here it answers NaN.",
            cause="Values have grown while the output projection shrank: nothing bounds either, and only their product "
            "counts. In float16 numbers end at 65,504.",
            sign="Maps: those of the first read are finite, those of the layer behind it are not. So keys and softmax "
            "are well, and what overflows are the values.",
            cure="bfloat16, which has the range of float32; or float32 for what is summed.",
            needs="encoder.reads",
            infect=_half,
        ),
        Ailment(
            name="inverted mask",
            complaint="Whole inputs are no trouble. With padding, it talks as if it had not read a word.",
            cause="Here True means that an element may be attended to; whoever made the mask meant that it is padding.",
            sign="Maps: all weight lies on the padding. Changing what is valid changes nothing.",
            cure="mask = ~padding, and a test that padding changes no answer.",
            needs="encoder.reads",
            infect=_inverted_mask,
        ),
        Ailment(
            name="wrong band spacing",
            complaint="The weights were loaded without a word, every shape fits, and it is worse than published.",
            cause="Frequencies that double from band to band, where the paper has equal steps from 1 to Nyquist.",
            sign="Inputs: the lowest bands agree with `ops.fourier_features`, higher ones do not.",
            cure="linspace(1, resolution / 2, num_bands): 2103.03206, section 3.2.",
            needs="input_adapter.positions.num_bands",
            infect=_octaves,
        ),
    )
}


def ailing(name: str, healthy: nnx.Module, **options) -> nnx.Module:
    """A copy of a sound model, fallen ill. The model itself stays as it is.

    Args:
      name: of one of `AILMENTS`.
      healthy: a model that has the part in which the mistake is made; trained or not.
      options: how badly: `factor` of a one-hot softmax; `dtype` and `drift` of an overflow.

    Raises:
      ValueError: no such ailment, or a model that cannot have it.
    """
    if name not in AILMENTS:
        raise ValueError(f"The clinic knows no {name!r}; it knows {', '.join(map(repr, AILMENTS))}.")
    part = healthy
    for step in AILMENTS[name].needs.split("."):
        if not hasattr(part, step):
            raise ValueError(
                f"{type(healthy).__name__} cannot have {name!r}, for it has no {AILMENTS[name].needs}. Give another."
            )
        part = getattr(part, step)
    graphdef, state = nnx.split(healthy)
    sick = nnx.merge(graphdef, jax.tree.map(jnp.copy, state))
    AILMENTS[name].infect(sick, **options)
    return sick
