"""Perceiver AR in parts: rotary and absolute positions, losses, schedules, sampling, the shift of a sequence."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from perceiver_lab.ops import (
    filter_logits,
    fourier_features,
    grid_coordinates,
    inputs_and_targets,
    rotary_frequencies,
    rotate,
    rotation,
    sinusoidal_positions,
)
from perceiver_lab.ops.sampling import channel_tokens
from perceiver_lab.training import schedules, token_losses
from tests.parity.vectors import Options, Unsupported, Vectors


def outputs(vectors: Vectors) -> dict[str, np.ndarray]:
    """Everything that can be computed for a file `unit_KIND*.npz`, under the file's own keys."""
    for kind, run in _KINDS.items():
        if vectors.path.stem.startswith(f"unit_{kind}"):
            return {f"output/{name}": value for name, value in run(vectors).items()}
    raise Unsupported(f"{vectors.name}: nothing here computes this unit; what is computed: {sorted(_KINDS)}.")


def schedule(name: str, rate: float, warmup_steps: int, total_steps: int, **options) -> optax.Schedule:
    """The reference's schedules: a linear warm-up, after which the named one begins at its own step 0."""
    named = {
        "constant": lambda: optax.constant_schedule(rate),
        "cosine": lambda: optax.cosine_decay_schedule(rate, total_steps),
        "steps": lambda: schedules.steps(rate, total_steps, **{"boundaries": (0.5, 0.8, 0.95), **options}),
        "t5": lambda: schedules.inverse_square_root(rate, warmup_steps),
    }
    if name not in named:
        raise Unsupported(f"schedule={name!r} cannot be built; what can: {sorted(named)}.")
    return schedules.after_warmup(named[name](), rate, warmup_steps=warmup_steps)


def _each(vectors: Vectors):
    for number, config in enumerate(vectors.config):
        yield number, Options(config, f"{vectors.name}, case {number}")


def _rope(vectors):
    found = {}
    for number, options in _each(vectors):
        x, positions = vectors.inputs[f"x{number}"], vectors.inputs[f"pos{number}"]
        assert x.shape[2:] == (options.take("heads"), options.take("head_dim"))
        wavelength, fraction = options.take("max_wavelength"), options.take("fraction_to_rotate")
        frequencies = rotary_frequencies(x.shape[-1], fraction=fraction, max_wavelength=wavelength)
        # Every head is turned alike: the reference's option to leave some of them alone is not in our models.
        num_heads = int(options.take("fraction_heads_to_rotate") * x.shape[2])
        x = np.asarray(x)
        turn = jax.jit(lambda x, positions, frequencies=frequencies: rotate(x, rotation(positions, frequencies)))
        turned = turn(x[:, :, :num_heads], positions)
        found[f"y{number}"] = np.concatenate([turned, x[:, :, num_heads:]], axis=2)
        found[f"inv_freq{number}"] = frequencies
        options.done()
    return found


def _posenc(vectors):
    """The configuration is empty: names and shapes say what is wanted."""
    Options(vectors.config, vectors.name).done()
    found = {}
    for key, expected in vectors.expected.items():
        name, (size, channels) = key.removeprefix("output/"), expected.shape
        if name.startswith("sinusoidal"):
            found[name] = sinusoidal_positions(jnp.arange(size), channels)
        elif name.startswith("fourier"):
            options = {"num_bands": channels // 2, "max_resolution": (size,), "include_positions": False}
            found[name] = fourier_features(grid_coordinates((size,)), **options)
        elif name.startswith("linear"):  # the reference's own aid for debugging: each row holds its number
            found[name] = np.broadcast_to(np.arange(size)[:, None], expected.shape)
    return found


def _losses(vectors):
    given, found = vectors.inputs, {}
    for number, options in _each(vectors):
        settings = {name: options.take(name) for name in ("label_smoothing", "z_loss")}
        assert float(given["weights"].sum()) == options.take("weight_sum")
        options.done()

        def losses(logits, settings=settings):
            return token_losses(logits, given["targets"], weights=given["weights"], **settings)

        def gradient(logits, losses=losses):
            return jax.grad(lambda logits: losses(logits)[0].sum())(logits)

        found[f"loss{number}"], found[f"zloss{number}"] = jax.jit(losses)(given["logits"])
        found[f"grad_sum{number}"] = jax.jit(gradient)(given["logits"])
    return found


def _schedules(vectors):
    options, steps = Options(vectors.config, vectors.name), vectors.inputs["steps"]
    rate, warmup, total = (options.take(name) for name in ("base_lr", "warmup_steps", "training_steps"))
    options.expect("warmup_initial_lr", 0.0)
    options.expect("cosine_end_value", 0.0)
    drops = {"boundaries": options.take("step_boundaries"), "factor": options.take("step_rate")}
    options.done()
    names = [key.removeprefix("output/") for key in vectors.expected]
    found: dict[str, Callable] = {
        name: schedule(name, rate, warmup, total, **(drops if name == "steps" else {})) for name in names
    }
    return {name: jax.jit(jax.vmap(one))(steps) for name, one in found.items()}


def _sampling(vectors):
    found = {}
    for number, options in _each(vectors):
        settings = {name: options.take(name) for name in ("top_p", "temperature")}
        found[f"processed{number}"] = filter_logits(vectors.inputs["logits"], **settings)
        options.done()
    for key, expected in vectors.expected.items():
        name = key.removeprefix("output/")
        if name.startswith("image_allowed_i"):
            channel = (int(name.removeprefix("image_allowed_i")) - 1) % 3
            found[name] = np.broadcast_to(channel_tokens(channel), expected.shape)
    return found


def _shift(vectors):
    Options(vectors.config, vectors.name).done()
    inputs, targets = inputs_and_targets(vectors.inputs["events"])
    return {"inputs": inputs, "targets": targets}


_KINDS = {
    "losses": _losses,
    "posenc": _posenc,
    "rope": _rope,
    "sampling": _sampling,
    "schedules": _schedules,
    "shift": _shift,
}
