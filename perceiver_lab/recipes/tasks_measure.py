"""What models of several questions are trained by and worth, and what counting is worth beside them."""

from collections.abc import Iterable, Mapping

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from perceiver_lab.datasets import arrays, speaker_guesses
from perceiver_lab.datasets.play_tasks import TASKS
from perceiver_lab.ops.attention import MASKED
from perceiver_lab.recipes.base import Recipe
from perceiver_lab.training import Accuracy, accuracy, answers, cross_entropy
from perceiver_lab.training.metrics import Z_95

READS = ("bytes", "task")
NAMES = tuple(TASKS)


def predict(
    model: nnx.Module, batch: Mapping[str, Array], *, train: bool = False, rngs: nnx.Rngs | None = None
) -> dict[str, Float[Array, "b _"]]:
    """The logits of all the model's tasks; those of the record's own are meant where the task is told by a token."""
    return model(batch["bytes"], _number(model.tasks, batch["task"]), train=train, rngs=rngs)


def task_loss(model: nnx.Module, batch: Mapping[str, Array], rngs: nnx.Rngs):
    """Cross-entropy in nats of the question that each record is about, every record alike."""
    logits = own_logits(predict(model, batch, train=True, rngs=rngs), _number(model.tasks, batch["task"]))
    return cross_entropy(logits, batch["label"]), {"accuracy": accuracy(logits, batch["label"])}


def own_logits(logits: Mapping[str, Float[Array, "b _"]], number: Int[Array, " b"]) -> Float[Array, "b k"]:
    """Of each record, the logits of its own task; K is that of the task with most answers, the rest is impossible.

    Args:
      logits: by task.
      number: which of these, in their order, a record is about.
    """
    most = max(part.shape[1] for part in logits.values())
    padded = [jnp.pad(part, ((0, 0), (0, most - part.shape[1])), constant_values=MASKED) for part in logits.values()]
    return jnp.take_along_axis(jnp.stack(padded, axis=1), number[:, None, None], axis=1)[:, 0]


def measure(model: nnx.Module, batches: Iterable[Mapping]) -> dict[str, float]:
    """All questions that the test has.

    Returns:
      "NAME_accuracy" of each task with its 95 % interval, and "NAME_total", its records; "accuracy", the mean over the
      tasks, as the average of GLUE is, with its interval; "loss" in nats, the mean over records; "total", records.
    """
    right, losses = {name: [] for name in model.tasks}, []
    for batch, said in answers(model, batches, predict, READS):
        for name in model.tasks:
            asked = batch["task"] == NAMES.index(name)
            logits, label = said[name][asked].astype(np.float64), batch["label"][asked]
            right[name].append(logits.argmax(axis=-1) == label)
            losses.append(np.logaddexp.reduce(logits, axis=-1) - logits[np.arange(len(label)), label])
    counted = {name: np.concatenate(parts) for name, parts in right.items()}
    counted = {name: part for name, part in counted.items() if len(part)}
    numbers = average({name: Accuracy(correct=int(p.sum()), total=len(p)) for name, p in counted.items()})
    return {**numbers, "loss": float(np.concatenate(losses).mean()), "total": sum(map(len, counted.values()))}


def average(by_task: Mapping[str, Accuracy]) -> dict[str, float]:
    """The accuracies of several tasks and their mean, as `measure` gives them.

    The interval of a single task is Wilson's; that of the mean of several adds up their variances.
    """
    numbers = {}
    for name, one in by_task.items():
        low, high = one.interval
        numbers |= {f"{name}_accuracy": one.value, f"{name}_accuracy_low": low, f"{name}_accuracy_high": high}
        numbers[f"{name}_total"] = one.total
    if len(by_task) == 1:
        (one,) = by_task.values()
        value, (low, high) = one.value, one.interval
    else:
        value = float(np.mean([one.value for one in by_task.values()]))
        spread = sum(one.value * (1 - one.value) / one.total for one in by_task.values()) ** 0.5 / len(by_task)
        low, high = value - Z_95 * spread, value + Z_95 * spread
    return {"accuracy": value, "accuracy_low": low, "accuracy_high": high, **numbers}


def baselines(recipe: Recipe) -> dict[str, dict[str, float]]:
    """What takes no model: the most frequent answer of training, and naive Bayes on three bytes in a row, as `measure`.

    Returns:
      "majority" and "naive Bayes", each with the numbers of `average`.
    """
    train, test = arrays(recipe.data.name, recipe.data.train), arrays(recipe.data.name, recipe.data.test)
    found = {"majority": {}, "naive Bayes": {}}
    for name in recipe.options["tasks"]:
        seen, asked = (part["task"] == NAMES.index(name) for part in (train, test))
        truth, most = test["label"][asked], np.bincount(train["label"][seen]).argmax()
        bayes = speaker_guesses(
            train["bytes"][seen], train["label"][seen], test["bytes"][asked], num_classes=len(TASKS[name])
        )
        for kind, guess in (("majority", np.full(len(truth), most)), ("naive Bayes", bayes)):
            found[kind][name] = Accuracy(correct=int((guess == truth).sum()), total=len(truth))
    return {kind: average(by_task) for kind, by_task in found.items()}


def _number(tasks: tuple[str, ...], task: Int[Array, " b"]) -> Int[Array, " b"]:
    """The number of each record's task among those of a model; 0 where it has only one."""
    return jnp.asarray([tasks.index(name) if name in tasks else 0 for name in NAMES])[task]
