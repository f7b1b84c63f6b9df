"""One training step as one compiled function: `step(params, state, opt_state, batch, key)`.

The module is taken apart once. Its structure is closed over; its arrays go in and come out, and because the three
that come out are donated, they are updated in place. This costs the host a fraction of what `nnx.jit` does, which
takes the module apart and puts it together at every call.
"""

import contextlib
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from perceiver_lab.training.forward import Batch, LossFunction, classification_loss
from perceiver_lab.training.sharding import Layout
from perceiver_lab.training.trees import named_leaves, shorten


class TrainStep:
    """A compiled training step and the way in and out of it. Made by `make_train_step`.

    ::

        step = make_train_step(model, adamw(1e-3))
        params, state, opt_state = step.init()
        params, state, opt_state, metrics = step(params, state, opt_state, batch, key)
        model = step.merge(params, state)

    Attributes:
      graphdef: the module's structure.
      optimizer: the optax transformation.
      layout: where the arrays lie, or None on one device.
    """

    def __init__(
        self,
        model: nnx.Module,
        optimizer: optax.GradientTransformation,
        loss_fn: LossFunction,
        layout: Layout | None = None,
    ):
        self.graphdef, self._params, self._state = nnx.split(model, nnx.Param, ...)
        self.optimizer = optimizer
        self._loss_fn = loss_fn
        self.layout = layout
        # The one compiled function; not a method, so that a call has nothing of ours in its way.
        self.compiled = jax.jit(self._step, donate_argnums=(0, 1, 2), **self._shardings())

    def init(self) -> tuple[Any, Any, Any]:
        """Parameters, other state (such as batch statistics) and optimiser state, from the model as it was given.

        They are copies: the step gives their memory away, and the model must keep its own.
        """
        params, state = jax.tree.map(jnp.copy, (self._params, self._state))
        return self.put(params, state, self.optimizer.init(params))

    def put(self, params: Any, state: Any, opt_state: Any) -> tuple[Any, Any, Any]:
        """The same arrays where the layout wants them."""
        if self.layout is None:
            return params, state, opt_state
        return self.layout.put((params, state, opt_state), self._shardings()["out_shardings"][:3])

    def __call__(self, params: Any, state: Any, opt_state: Any, batch: Batch, key: jax.Array):
        """One step.

        Args:
          params, state, opt_state: as returned by `init` or the last step. Their buffers are given away: use only
            what this call returns.
          batch: a dict of arrays, without "record"; with a layout, from its `put_batch`.
          key: this step's own key, for dropout.

        Returns:
          params, state, opt_state, and metrics: "loss", "grad_norm" (global, before clipping) and what the loss
          function reports, each a float32 number on the device.
        """
        with self.using_mesh():
            return self.compiled(params, state, opt_state, batch, key)

    def using_mesh(self) -> contextlib.AbstractContextManager:
        """The mesh in use, for a trace of `compiled`: from it, cross-attention knows whether inputs are sliced."""
        return contextlib.nullcontext() if self.layout is None else jax.set_mesh(self.layout.mesh)

    def merge(self, params: Any, state: Any) -> nnx.Module:
        """A module that shares these arrays. Keep it only when no further step will give them away."""
        return nnx.merge(self.graphdef, params, state)

    def _shardings(self):
        """Parameters and optimiser state split, everything else the same on all devices; the batch comes laid out."""
        if self.layout is None:
            return {}
        params, replicated = self.layout.shardings(self._params), self.layout.replicated
        state = jax.tree.map(lambda leaf: replicated, self._state)
        opt_state = self.layout.shardings(jax.eval_shape(self.optimizer.init, self._params))
        ours = (params, state, opt_state)
        return {"in_shardings": (*ours, None, replicated), "out_shardings": (*ours, replicated)}

    def _step(self, params, state, opt_state, batch, key):
        def loss_of(params):
            # New variables around the same arrays: Flax lets a trace change only what was made in it.
            model = nnx.merge(self.graphdef, params, jax.tree.map(lambda leaf: leaf, state))
            loss, metrics = self._loss_fn(model, batch, nnx.Rngs(key))
            new_state = nnx.split(model, nnx.Param, ...)[2]
            return loss, (new_state, metrics)

        (loss, (new_state, metrics)), grads = jax.value_and_grad(loss_of, has_aux=True)(params)
        _check_state(state, new_state)
        updates, opt_state = self.optimizer.update(grads, opt_state, params)
        params = optax.apply_updates(params, updates)
        metrics = {"loss": loss, "grad_norm": _norm(grads), **metrics}
        return params, new_state, opt_state, metrics


def make_train_step(
    model: nnx.Module,
    optimizer: optax.GradientTransformation,
    loss_fn: LossFunction | None = None,
    *,
    layout: Layout | None = None,
) -> TrainStep:
    """Compile a training step for a model.

    Args:
      model: any module; it is left untouched.
      optimizer: an optax transformation, such as `lamb(...)` or `adamw(...)`.
      loss_fn: (model, batch, rngs) -> (loss, dict of further numbers); by default `classification_loss()`.
      layout: how arrays are laid out on more than one device.

    Raises:
      ValueError: (from the first call) a forward pass that adds variables to the model.
    """
    return TrainStep(model, optimizer, loss_fn or classification_loss(), layout)


def _norm(tree):
    return jnp.sqrt(sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(tree)))


def _check_state(before, after):
    """A forward pass that stores something new (sow) would grow the state and compile anew at every step."""
    if jax.tree.structure(before) == jax.tree.structure(after):
        return
    names = sorted(named_leaves(after).keys() ^ named_leaves(before).keys())
    raise ValueError(
        f"The forward pass changes which variables the model has: {shorten(names)}. A training step needs the same "
        "ones before and after. Return such values from the loss function as metrics instead of storing them in the "
        "module."
    )
