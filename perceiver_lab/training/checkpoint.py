"""What a run is made of after some steps: the content of a checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from perceiver_lab.training.trees import named_leaves, with_leaves


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Everything that a run is made of after `step` steps.

    Attributes:
      step: steps done.
      params, state, opt_state: as the training step returns them.
      key: the run's random key; step i uses `fold_in(key, i)`.
      iterator: `get_state()` of the batches, or None.
      notes: further values for JSON, such as the seconds spent.
    """

    step: int
    params: Any
    state: Any
    opt_state: Any
    key: jax.Array
    iterator: dict | None = None
    notes: dict = field(default_factory=dict)

    def arrays(self) -> dict[str, jax.Array]:
        """All arrays by name: "params/...", "state/...", "opt_state/...", "key"."""
        trees = {"params": self.params, "state": self.state, "opt_state": self.opt_state}
        flat = {f"{part}/{name}": leaf for part, tree in trees.items() for name, leaf in named_leaves(tree).items()}
        return flat | {"key": jax.random.key_data(self.key)}

    def with_arrays(self, arrays: Mapping[str, Any], **changes: Any) -> "Checkpoint":
        """A checkpoint of the same structure with these arrays."""

        def fill(part):
            prefix = f"{part}/"
            own = {name.removeprefix(prefix): leaf for name, leaf in arrays.items() if name.startswith(prefix)}
            return with_leaves(getattr(self, part), own)

        key = jax.random.wrap_key_data(jnp.asarray(arrays["key"]), impl=jax.random.key_impl(self.key))
        parts = {part: fill(part) for part in ("params", "state", "opt_state")}
        return Checkpoint(**parts, key=key, **changes)
