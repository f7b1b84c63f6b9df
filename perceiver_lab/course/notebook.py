"""What the first cell of every lesson does once the library is found, and the predictions that a lesson asks for."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from perceiver_lab.course.modes import MODES, mode


def setup() -> None:
    """Decide and print the mode, set the figures' format, and let TQDM_DISABLE act. Installs nothing."""
    current = mode()
    others = " or ".join(name for name in MODES if name != current)
    print(f"mode {current}: {MODES[current]}. Set LAB_MODE to {others} before the kernel starts for another.")
    _use_png()
    _quiet_bars()


def _quiet_bars():
    """Obey TQDM_DISABLE, which tqdm's bar for notebooks ignores: a stored lesson then has no dead bars at 0 %."""
    if os.environ.get("TQDM_DISABLE", "") in ("", "0"):
        return
    import tqdm
    import tqdm.auto

    tqdm.auto.tqdm = tqdm.tqdm  # the one for terminals, which does obey


def _use_png():
    """Figures as PNG at screen size: a lesson with its outputs stays below 300 KB."""
    try:
        from IPython import get_ipython
    except ImportError:
        return
    if get_ipython() is None:
        return
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    set_matplotlib_formats("png")


_predictions: dict[str, str] = {}


def predict(lesson: str, options: Sequence[str] | Mapping[str, str], choice: Any = ...) -> None:
    """Commit yourself before you run the experiment; `reveal` comes back to it.

    predict("01", ["it grows", "it stays", "it shrinks"], choice=...)

    Args:
      lesson: number of the lesson; a second prediction in it is "01b".
      options: texts, lettered A, B, C, ..., or letter -> text.
      choice: a letter. Left as it is, nothing is committed; something else is said to be none of them.
    """
    options = _lettered(options)
    letters = _join(options)
    chosen = "" if choice is None or choice is ... else str(choice).strip().strip("().").upper()
    if not chosen:
        print(
            f"Prediction {lesson}: none yet. Put {letters}, in quotes, in place of the dots; being wrong costs nothing."
        )
    elif chosen not in options:
        print(f"Prediction {lesson}: {choice!r} is none of {letters}.")
    else:
        _predictions[lesson] = chosen
        print(f"Prediction {lesson}: {chosen}, {options[chosen]}. Noted: you will meet it again.")


def reveal(lesson: str, answer: str, because: str) -> None:
    """Hold the prediction against what came out.

    Args:
      lesson: as given to `predict`.
      answer: the letter that turned out right.
      because: the reason, one sentence.
    """
    guess = _predictions.get(lesson)
    if guess is None:
        print(f"Prediction {lesson}: you made none. It is {answer}: {because}")
    elif guess == answer:
        print(f"Prediction {lesson}: you said {guess}, and {answer} it is: {because}")
    else:
        print(f"Prediction {lesson}: you said {guess}, but it is {answer}: {because}")


def _lettered(options):
    if isinstance(options, Mapping):
        return {str(letter).upper(): text for letter, text in options.items()}
    return {chr(ord("A") + number): text for number, text in enumerate(options)}


def _join(letters):
    *first, last = letters
    return f"{', '.join(first)} or {last}" if first else last
