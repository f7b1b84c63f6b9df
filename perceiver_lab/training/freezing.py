"""Training a part of a model: an optimiser that leaves the rest as it is."""

from dataclasses import dataclass

import jax
import optax

from perceiver_lab.training.optimizers import OptimizerConfig
from perceiver_lab.training.trees import leaf_name


@dataclass(frozen=True, kw_only=True)
class FrozenConfig(OptimizerConfig):
    """An optimiser that does not touch some parts of the model: no step, no decay, no moments kept for them.

    Attributes:
      frozen: dotted names of modules, such as "language_model". All of their parameters stay as they are.
    """

    frozen: tuple[str, ...]

    def make(self, total_steps: int) -> optax.GradientTransformation:
        """The optimiser for a run of this many steps.

        Raises:
          ValueError: (from its `init`) a name that no parameter lies in, or nothing that is left to train.
        """
        trained = super().make(total_steps)
        return optax.multi_transform({"trained": trained, "frozen": optax.set_to_zero()}, self._labels)

    def _labels(self, params):
        met = set()

        def label(path, _):
            name = leaf_name(path)
            inside = [part for part in self.frozen if name == part or name.startswith(f"{part}.")]
            met.update(inside or [None])
            return "frozen" if inside else "trained"

        labels = jax.tree_util.tree_map_with_path(label, params)
        unmet = [part for part in self.frozen if part not in met]
        if unmet or None not in met:
            found = f"no parameters lie in {', '.join(unmet)}" if unmet else "that is the whole model"
            raise ValueError(f"frozen={self.frozen}: {found}. Name modules of the model, such as 'language_model'.")
        return labels
