"""Trained models for the lessons: taken from what ships, or trained while one watches."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from perceiver_lab.course.live import LiveCurve
from perceiver_lab.course.modes import mode as current_mode

if TYPE_CHECKING:
    from flax import nnx

    from perceiver_lab.recipes import Recipe
    from perceiver_lab.training import History


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A trained model and how it came about. Unpacks: `model, metrics, history = trained(name)`.

    Attributes:
      model: the module.
      metrics: on the test split; a classifier's are accuracy, accuracy_low, accuracy_high (95 %), correct, total, loss.
      history: the curve; `history.curve("loss")` gives steps and values.
      shipped: whether the weights came with the library.
      about: all that is known: steps, minutes, device, seeds, fingerprint...
    """

    model: "nnx.Module"
    metrics: dict[str, float]
    history: "History"
    shipped: bool
    about: dict[str, Any]

    def __iter__(self) -> Iterator[Any]:
        return iter((self.model, self.metrics, self.history))


def trained(
    recipe: "str | Recipe",
    *,
    mode: str | None = None,
    seed: int | None = None,
    retrain: bool = False,
    live: bool = True,
    progress: bool = True,
) -> Trained:
    """A recipe's model, trained.

    The shipped weights where they fit the recipe as it stands; they come from a "full" run, whatever the mode.
    Otherwise it is trained here, with a progress bar, in the mode's budget, and kept in the cache: interrupted, it goes
    on where it was; asked for again, it is there at once.

    Args:
      recipe: its name, or a variation made with `override`.
      mode: of a training here; by default the lesson's.
      seed: of a training here; by default the recipe's first.
      retrain: train here even though weights ship.
      live: draw the loss while training in a notebook.
      progress: show a progress bar.

    Raises:
      ValueError: no such recipe or mode. WeightsError: shipped files are corrupt. OSError: the cache is not writable.
      FolderInUseError: another notebook is training the same.
    """
    from perceiver_lab import recipes

    recipe = recipes.get(recipe) if isinstance(recipe, str) else recipe
    mode = mode or current_mode()
    found = None if retrain else recipes.load_shipped(recipe)
    if found is not None:
        return _shipped(recipe, *found)
    print(f"{recipe.name}: training in mode {mode} ({recipe.budget(mode).steps} steps{_expected(recipe, mode)}).")
    if live:
        with LiveCurve() as curve:
            run = _run(recipe, mode, seed, progress, (curve,))
            curve(run.history)  # a run that was finished earlier reports nothing on the way
    else:
        run = _run(recipe, mode, seed, progress, ())
    _tell(recipe, f"trained in {run.about['minutes']:g} minutes", run.metrics)
    return Trained(model=run.model, metrics=run.metrics, history=run.history, shipped=False, about=run.about)


def _expected(recipe, mode):
    """How long such a training took when what ships was made, which is all that was measured."""
    from perceiver_lab.recipes import shipped_story, time_told

    about = shipped_story(recipe) if mode == "full" else None
    return "" if about is None else f"; the one that ships took {time_told(about)}"


def _shipped(recipe, model, about):
    from perceiver_lab.recipes import time_told
    from perceiver_lab.training import History

    _tell(recipe, f"shipped weights ({about['steps']} steps, {time_told(about)})", about["metrics"])
    history = History(records=about["history"])
    return Trained(model=model, metrics=about["metrics"], history=history, shipped=True, about=about)


def _run(recipe, mode, seed, progress, callbacks):
    """Run in the cache; what lies there and cannot be used makes room, a damaged checkpoint for an older one."""
    from perceiver_lab.recipes import run, run_folder
    from perceiver_lab.training import CheckpointError, DamagedCheckpointError, FolderInUseError, WeightsError

    options = {"seed": seed, "progress": progress, "callbacks": callbacks}
    try:
        return run(recipe, mode, **options)
    except FolderInUseError:  # by another notebook, whose work is not ours to clear away
        raise
    except DamagedCheckpointError as error:
        print(f"A checkpoint is damaged and deleted; an older one serves, or the training starts again. ({error})")
        shutil.rmtree(error.path)
        return _run(recipe, mode, seed, progress, callbacks)
    except (CheckpointError, WeightsError) as error:
        folder = run_folder(recipe, mode, recipe.budget(mode).seeds[0] if seed is None else seed)
        print(f"What was kept of an earlier training cannot be used, so it starts again. ({error})")
        shutil.rmtree(folder)
        return run(recipe, mode, **options)


def _tell(recipe, how, metrics):
    print(f"{recipe.name}: {how}; {recipe.tell(metrics)}.")
