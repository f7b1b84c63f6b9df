"""The papers' optimiser (LAMB) and AdamW for small models, as chains of optax's pieces.

Both skip biases and the parameters of norms when they decay weights; latents and learned positions are decayed, as in
the release. `params` may be any tree: of `nnx.split`, of Haiku, of plain dictionaries.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from perceiver_lab.training import schedules
from perceiver_lab.training.trees import leaf_name

Decays = Callable[[str], bool]


def decays(name: str) -> bool:
    """Whether weight decay applies to the parameter of this dotted name: not to biases, nor inside norms."""
    *modules, last = name.split(".")
    is_bias_or_scale = last in ("bias", "scale") or last.endswith(("_bias", "_scale"))
    return not is_bias_or_scale and not any("norm" in module.lower() for module in modules)


def decay_mask(params: Any, rule: Decays = decays) -> Any:
    """The tree of booleans that optax asks for: True where `rule(name)` says that the weight decays."""
    return jax.tree_util.tree_map_with_path(lambda path, _: rule(leaf_name(path)), params)


def lamb(
    learning_rate: optax.ScalarOrSchedule,
    *,
    weight_decay: float = 0.1,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-6,
    clip: float | None = 10.0,
    rule: Decays = decays,
) -> optax.GradientTransformation:
    """LAMB as in the release: clip the global norm, Adam, decay, trust ratio per tensor, rate.

    With u the bias-corrected Adam step plus weight_decay x p, a tensor p moves by -rate x (|p| / |u|) x u; the ratio
    is 1 where either norm is zero and has no upper bound. It applies to every tensor, biases included.

    Args:
      learning_rate: a number or a schedule.
      weight_decay: added before the trust ratio, hence scaled by it.
      b1, b2, eps: of Adam's moments.
      clip: largest global norm of the gradients; None clips nothing.
      rule: name -> whether the parameter decays.
    """
    return optax.chain(
        _clip(clip),
        optax.scale_by_adam(b1=b1, b2=b2, eps=eps),
        _decay(weight_decay, rule),
        optax.scale_by_trust_ratio(),
        optax.scale_by_learning_rate(learning_rate),
    )


def adamw(
    learning_rate: optax.ScalarOrSchedule,
    *,
    weight_decay: float = 0.0,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    clip: float | None = 1.0,
    rule: Decays = decays,
) -> optax.GradientTransformation:
    """Adam with decoupled weight decay after clipping the global norm. Arguments as in `lamb`.

    `weight_decay=0.1, clip=10.0` is the Adam option of the release.
    """
    return optax.chain(
        _clip(clip),
        optax.scale_by_adam(b1=b1, b2=b2, eps=eps),
        _decay(weight_decay, rule),
        optax.scale_by_learning_rate(learning_rate),
    )


_OPTIMIZERS = {"adamw": adamw, "lamb": lamb}
_SCHEDULES = ("constant", "constant_cosine", "warmup_cosine", "steps")


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """An optimiser and its schedule as plain values, for recipes.

    Attributes:
      name: "adamw" or "lamb".
      learning_rate: the largest rate.
      schedule: "constant" (after the warm-up), "constant_cosine", "warmup_cosine" or "steps".
      warmup_steps: of "constant" and "warmup_cosine"; cut to half of a shorter run.
      constant_fraction: of "constant_cosine".
      weight_decay, clip: see `lamb`; clip None clips nothing.
    """

    name: str = "adamw"
    learning_rate: float = 1e-3
    schedule: str = "constant"
    warmup_steps: int = 0
    constant_fraction: float = 0.5
    weight_decay: float = 0.0
    clip: float | None = 1.0

    def __post_init__(self):
        if self.name not in _OPTIMIZERS:
            raise ValueError(f"There is no optimiser {self.name!r}; expected one of {', '.join(_OPTIMIZERS)}.")
        if self.schedule not in _SCHEDULES:
            raise ValueError(f"There is no schedule {self.schedule!r}; expected one of {', '.join(_SCHEDULES)}.")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be above 0, got {self.learning_rate}; AdamW often takes 1e-3.")
        if self.warmup_steps < 0 or self.weight_decay < 0 or (self.clip is not None and not self.clip > 0):
            raise ValueError(
                "warmup_steps and weight_decay must be at least 0 and clip above 0 or None, got "
                f"{dataclasses.asdict(self)}."
            )

    def make_schedule(self, total_steps: int) -> optax.Schedule:
        """The learning rate of a run of this many steps."""
        warmup = min(self.warmup_steps, total_steps // 2)
        if self.schedule == "constant":
            return schedules.warmup_constant(self.learning_rate, warmup_steps=warmup)
        if self.schedule == "warmup_cosine":
            return schedules.warmup_cosine(self.learning_rate, total_steps, warmup_steps=warmup)
        if self.schedule == "steps":
            return schedules.steps(self.learning_rate, total_steps)
        return schedules.constant_cosine(self.learning_rate, total_steps, constant_fraction=self.constant_fraction)

    def make(self, total_steps: int) -> optax.GradientTransformation:
        """The optimiser for a run of this many steps."""
        return _OPTIMIZERS[self.name](self.make_schedule(total_steps), weight_decay=self.weight_decay, clip=self.clip)


def release_decays(name: str) -> bool:
    """The release's own rule, on Haiku's names: not `b`, and nothing in layer or batch norms.

    `embedding_decoder/bias` is not called `b`, so it decays there.
    """
    *modules, last = re.split(r"[./]", name)
    return last != "b" and not any("layer_norm" in module or "batchnorm" in module for module in modules)


def replay_release(config: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Recompute the reference file `optimizer.npz` from its configuration, parameters and gradients.

    Args:
      config: the file's `config`.
      arrays: its `param/*` and `input/*`.

    Returns:
      Every `output/*` of the file under the same key.

    Raises:
      ValueError: a configuration that does not say how long the run is.
    """
    numbers = re.search(r"batch (\d+), (\d+) steps per epoch, (\d+) steps\)", config["what"])
    if numbers is None:
        raise ValueError(f"config['what'] should name batch, steps per epoch and steps, got {config['what']!r}.")
    batch, epoch, total = (int(number) for number in numbers.groups())
    rate = schedules.scaled_rate(config["base_lr"], batch)
    warmup = config["warmup_epochs_for_cosine"] * epoch
    by_name = {
        "constant_cosine": schedules.constant_cosine(rate, total),
        "cosine": schedules.warmup_cosine(rate, total, warmup_steps=warmup),
        "steps": schedules.steps(rate, total, boundaries=config["boundaries"]),
    }
    steps = jnp.asarray(arrays["input/steps"])
    outputs = {f"output/lr_{name}": np.asarray(jax.vmap(schedule)(steps)) for name, schedule in by_name.items()}
    common = {"b1": config["b1"], "b2": config["b2"], "clip": config["clip_global_norm"]}
    eps, decay = config["eps"], config["weight_decay"]
    chains = {
        "lamb": lamb(rate, weight_decay=decay, eps=eps["lamb"], rule=release_decays, **common),
        "lamb_no_position_decay": lamb(
            rate,
            weight_decay=decay,
            eps=eps["lamb"],
            rule=lambda name: release_decays(name) and not name.endswith("pos_embs"),
            **common,
        ),
        "adam": adamw(rate, weight_decay=decay, eps=eps["adam"], rule=release_decays, **common),
    }
    for name, chain in chains.items():
        outputs |= _walk(name, chain, arrays)
    return outputs


def _walk(name, chain, arrays):
    """The parameters after each of the file's gradients."""
    params = {key.removeprefix("param/"): jnp.asarray(v) for key, v in arrays.items() if key.startswith("param/")}
    state, outputs = jax.jit(chain.init)(params), {}

    @jax.jit
    def step(grads, state, params):
        updates, state = chain.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    for index in range(len({key.split("/")[1] for key in arrays if key.startswith("input/grad")})):
        grads = {key: jnp.asarray(arrays[f"input/grad{index}/{key}"]) for key in params}
        params, state = step(grads, state, params)
        outputs |= {f"output/{name}/after{index}/{key}": np.asarray(value) for key, value in params.items()}
    return outputs


def _clip(norm):
    return optax.identity() if norm is None else optax.clip_by_global_norm(norm)


def _decay(weight_decay, rule):
    if not weight_decay:
        return optax.identity()
    return optax.add_decayed_weights(weight_decay, mask=lambda params: decay_mask(params, rule))
