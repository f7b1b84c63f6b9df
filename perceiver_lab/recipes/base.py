"""What a recipe is: everything that a result depends on, as values, and the straight line from record to metrics."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
from flax import nnx

from perceiver_lab.datasets import arrays, data_hash, pipeline, to_float
from perceiver_lab.recipes.fingerprints import describe, fingerprint
from perceiver_lab.recipes.overrides import override
from perceiver_lab.recipes.starting import Start
from perceiver_lab.training import (
    Accuracy,
    Evaluation,
    OptimizerConfig,
    answers,
    classification_loss,
    classifier_metrics,
    evaluate,
    forward,
)

MODES = ("ci", "lab", "full")


@dataclass(frozen=True, kw_only=True)
class Data:
    """Where records come from and what happens to them on the way into a batch.

    Attributes:
      name: of a data set; part of a fingerprint by its content.
      train, test: splits.
      train_transforms, test_transforms: functions (record, rng) -> record, see `datasets.transforms`.
      decode_once: keep the whole split in memory as arrays; for canvases, whose decoding would cost more than a step.
      mix: in training, a function that mixes a batch of twice the size, see `datasets.mixing`; part of a fingerprint
        only where there is one.
    """

    name: str
    train: str = "train"
    test: str = "test"
    train_transforms: tuple[Callable, ...] = (to_float,)
    test_transforms: tuple[Callable, ...] = (to_float,)
    decode_once: bool = False
    mix: Callable[[dict], dict] | None = None


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How much a mode may spend.

    Attributes:
      steps: of training.
      batch_size: in training.
      seeds: one run each.
      test_batch_size: in evaluation; it changes no result.
      train_part, test_part: parts of the splits in TFDS's notation, such as "[:200]"; "" is all.
      evaluate_every: in steps; None: only at the end.
      checkpoint_every, log_every: in steps; they change no result.
    """

    steps: int
    batch_size: int
    seeds: tuple[int, ...] = (0,)
    test_batch_size: int = 100
    train_part: str = ""
    test_part: str = ""
    evaluate_every: int | None = None
    checkpoint_every: int = 100
    log_every: int = 10

    def __post_init__(self):
        sizes = (self.steps, self.batch_size, self.test_batch_size, self.checkpoint_every, self.log_every)
        if min(sizes) < 1 or not self.seeds:
            raise ValueError(f"A budget needs steps, sizes and intervals of at least 1 and a seed, got {self}.")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One experiment.

    Attributes:
      name: how `get` finds it.
      summary: one line.
      build: (recipe, rngs) -> module, called as `model(image, *, positions, train, rngs)`.
      model: the model's configuration, a frozen dataclass.
      options: further sizes that `build` wants, such as those of the input adapter.
      data: records and transforms.
      optimizer: with its schedule.
      budgets: mode -> budget, for "ci", "lab" and "full".
      numerics: raised by hand when the maths behind this recipe changes; shipped weights then no longer fit.
      loss: (model, batch, rngs) -> (loss, metrics).
      predict: (model, batch) -> an array with one row per record, or a dict of them: what the model says.
      reads: what `predict` reads of a batch.
      measure: (model, batches of the test split) -> numbers, among them "total", how many records they are about, and
        the headline with its 95 % interval: NAME, NAME_low, NAME_high.
      headline: NAME, the number that is told and that `perceiver-lab reproduce` compares.
      start_from: shipped weights that training starts from; by default it starts from chance.

    The loss and the four after it are those of a classifier unless given: another task brings its own.
    """

    name: str
    summary: str
    build: Callable[["Recipe", nnx.Rngs], nnx.Module]
    model: Any
    options: Mapping[str, Any] = field(default_factory=dict)
    data: Data
    optimizer: OptimizerConfig
    budgets: Mapping[str, Budget]
    numerics: int
    loss: Callable = field(default_factory=classification_loss)
    predict: Callable[[nnx.Module, Mapping], Any] = forward
    reads: tuple[str, ...] = ("image", "positions")
    measure: Callable[[nnx.Module, Iterator[dict]], dict[str, float]] = classifier_metrics
    headline: str = "accuracy"
    start_from: Start | None = None

    def __post_init__(self):
        if set(self.budgets) != set(MODES):
            raise ValueError(f"{self.name} has budgets for {sorted(self.budgets)}; expected {', '.join(MODES)}.")

    def make_model(self, rngs: nnx.Rngs) -> nnx.Module:
        """The untrained model."""
        return self.build(self, rngs)

    def budget(self, mode: str) -> Budget:
        """The budget of a mode.

        Raises:
          ValueError: no such mode.
        """
        if mode not in self.budgets:
            raise ValueError(f"There is no mode {mode!r}; expected one of {', '.join(MODES)}.")
        return self.budgets[mode]

    def train_batches(self, mode: str, seed: int = 0, share: tuple[int, int] = (0, 1)) -> Iterator[dict]:
        """Endless, shuffled, resumable batches of the training split, or a share of each; see `datasets.pipeline`."""
        budget, data = self.budget(mode), self.data
        return pipeline(
            self._source(data.train + budget.train_part),
            split=data.train + budget.train_part,
            batch_size=budget.batch_size,
            seed=seed,
            transforms=data.train_transforms,
            mix=data.mix,
            share=share,
        )

    def test_batches(self, mode: str) -> Iterator[dict]:
        """The test split once, in its own order, its last batch perhaps smaller."""
        budget, data = self.budget(mode), self.data
        return pipeline(
            self._source(data.test + budget.test_part),
            split=data.test + budget.test_part,
            batch_size=budget.test_batch_size,
            transforms=data.test_transforms,
            repeat=False,
            shuffle=False,
        )

    def evaluate(self, model: nnx.Module, mode: str = "full") -> Evaluation:
        """What a classifier says about the test split, record by record.

        Raises:
          ValueError: the recipe's task is not classification.
        """
        if self.measure is not classifier_metrics:
            raise ValueError(
                f"{self.name!r} is no classifier: it is judged by its {self.headline}. Call metrics(model, mode) for "
                "its numbers, or answers(model, mode) for what the model says."
            )
        return evaluate(model, self.test_batches(mode))

    def metrics(self, model: nnx.Module, mode: str = "full") -> dict[str, float]:
        """The numbers of a model on the test split, whatever the task.

        Raises:
          ValueError: the recipe's `measure` leaves out the headline, its interval or the number of records.
        """
        numbers = self.measure(model, self.test_batches(mode))
        missing = {self.headline, f"{self.headline}_low", f"{self.headline}_high", "total"} - numbers.keys()
        if missing:
            given, lacking = (", ".join(sorted(names)) for names in (numbers, missing))
            raise ValueError(
                f"The measure of {self.name!r} gives {given}, but not {lacking}, which a recipe is told by."
            )
        return numbers

    def answers(self, model: nnx.Module, mode: str = "full") -> Iterator[tuple[dict, Any]]:
        """Each batch of the test split with what a model says about it."""
        return answers(model, self.test_batches(mode), self.predict, self.reads)

    def tell(self, metrics: Mapping[str, float]) -> str:
        """The headline in words: "test accuracy 97.3 % (289 of 297, 95 % interval 94.8-98.6 %)"."""
        if self.measure is classifier_metrics:
            return f"test accuracy {Accuracy(correct=metrics['correct'], total=metrics['total'])}"
        value, low, high = (metrics[self.headline + end] for end in ("", "_low", "_high"))
        name = self.headline.replace("_", " ")
        return f"test {name} {value:.4g} ({metrics['total']} records, 95 % interval {low:.4g}-{high:.4g})"

    def fingerprint(self, mode: str = "full") -> str:
        """Changes with configuration, data, `numerics` and the mode's budget: with all that the result depends on."""
        budget = self.budget(mode)
        trained = (budget.steps, budget.batch_size, budget.train_part, budget.test_part)
        config = {
            one.name: getattr(self, one.name)
            for one in dataclasses.fields(self)
            if one.name not in ("name", "summary", "budgets", "headline")
        }
        # A classifier's fingerprint says nothing of other tasks: it is what it was before there were any.
        for name in ("predict", "reads", "measure"):
            if config[name] == type(self).__dataclass_fields__[name].default:
                del config[name]
        if self.start_from is None:
            del config["start_from"]
        else:
            config["start_from"] = self.start_from.describe()
        config["data"] = describe(dataclasses.replace(self.data, decode_once=False))  # where records wait changes none
        if self.data.mix is None:
            del config["data"]["mix"]  # as it was before anything was mixed
        return fingerprint({**config, "trained": trained, "data_sha256": data_hash(self.data.name)})

    def override(self, settings: Mapping[str, Any]) -> "Recipe":
        """A variation, such as `override({"model.num_latents": 64, "budgets.full.steps": 1000})`.

        Raises:
          ValueError: no such setting, or a value that it cannot have.
        """
        recipe = self
        for key, value in settings.items():
            recipe = override(recipe, key, value)
        return recipe

    def num_parameters(self) -> int:
        """Counted by abstract evaluation: nothing is allocated."""
        model = nnx.eval_shape(lambda: self.make_model(nnx.Rngs(0)))
        return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))

    def _source(self, split):
        return arrays(self.data.name, split) if self.data.decode_once else self.data.name
