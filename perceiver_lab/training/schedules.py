"""Learning rates over the steps of a run: functions step -> rate, made of optax's pieces.

The three of the Perceiver IO release scale their base rate by the batch, `scaled_rate(base, batch)`; the names of the
first three functions are its `schedule_type`s.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import optax


def scaled_rate(base: float, batch_size: int) -> float:
    """`base` x batch / 256, the release's linear scaling: 5e-4 at 256 is the paper's 2e-3 at 1024."""
    return base * batch_size / 256


def constant_cosine(
    rate: float, total_steps: int, *, constant_fraction: float = 0.5, end_rate: float = 0.0
) -> optax.Schedule:
    """Constant for the first int(constant_fraction x total_steps) steps, then half a cosine down to `end_rate`.

    Perceiver IO, section A.1: flat for 55 of 110 epochs, then cosine to 0.

    Raises:
      ValueError: no steps, or a fraction outside [0, 1].
    """
    _check_steps(total_steps)
    _check_fraction("constant_fraction", constant_fraction)
    constant_steps = int(constant_fraction * total_steps)
    cosine = optax.cosine_decay_schedule(rate, max(total_steps - constant_steps, 1), alpha=_ratio(end_rate, rate))
    return optax.join_schedules([optax.constant_schedule(rate), cosine], [constant_steps])


def warmup_cosine(rate: float, total_steps: int, *, warmup_steps: int, end_rate: float = 0.0) -> optax.Schedule:
    """Linear from 0 to `rate` over `warmup_steps`, then half a cosine down to `end_rate` at `total_steps`.

    Raises:
      ValueError: the warm-up is negative or leaves no step for the rest.
    """
    _check_steps(total_steps)
    if not 0 <= warmup_steps < total_steps:
        raise ValueError(
            f"warmup_steps must be at least 0 and below total_steps = {total_steps}, got {warmup_steps}. "
            "Shorten the warm-up or train longer."
        )
    return optax.warmup_cosine_decay_schedule(0.0, rate, warmup_steps, total_steps, end_value=end_rate)


def steps(
    rate: float,
    total_steps: int,
    *,
    boundaries: Sequence[float] = (84 / 120, 102 / 120, 114 / 120),
    factor: float = 0.1,
) -> optax.Schedule:
    """Multiplied by `factor` at each of `boundaries`, which are fractions of the run.

    The defaults are the first Perceiver's: a tenth at epochs 84, 102 and 114 of 120 (section 4.1).

    Raises:
      ValueError: a boundary outside [0, 1].
    """
    _check_steps(total_steps)
    for boundary in boundaries:
        _check_fraction("each of boundaries", boundary)
    return optax.piecewise_constant_schedule(rate, {int(b * total_steps): factor for b in sorted(boundaries)})


def warmup_constant(rate: float, *, warmup_steps: int) -> optax.Schedule:
    """Linear from 0 to `rate` over `warmup_steps`, then constant."""
    if warmup_steps <= 0:
        return optax.constant_schedule(rate)
    return optax.linear_schedule(0.0, rate, warmup_steps)


def inverse_square_root(rate: float, warmup_steps: int) -> optax.Schedule:
    """rate * sqrt(w / (step + w)): T5's learning rate, here from `rate` at step 0 on (1910.10683, section 3.1.2).

    Raises:
      ValueError: w = `warmup_steps` below 1.
    """
    _check_steps(warmup_steps)
    return lambda step: rate * jnp.sqrt(warmup_steps / (jnp.maximum(step, 0) + warmup_steps))


def after_warmup(schedule: optax.Schedule, rate: float, *, warmup_steps: int) -> optax.Schedule:
    """Linear from 0 to `rate` over `warmup_steps`, then `schedule` from its own step 0 on, as Perceiver AR trains.

    A schedule of so many steps then ends as many steps late as the warm-up takes.
    """
    return optax.join_schedules([optax.linear_schedule(0.0, rate, warmup_steps), schedule], [warmup_steps])


def _ratio(end_rate, rate):
    return end_rate / rate if rate else 0.0


def _check_steps(total_steps):
    if total_steps < 1:
        raise ValueError(f"A schedule needs at least one step, got total_steps = {total_steps}.")


def _check_fraction(name, value):
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{name} must be a fraction of the run between 0 and 1, got {value}.")
