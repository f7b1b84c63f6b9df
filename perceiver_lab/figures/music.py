"""Notes to be seen and to be heard, without any instrument's recordings."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from perceiver_lab.datasets.chorales import VOICES
from perceiver_lab.datasets.notes import Note
from perceiver_lab.figures.style import COLOURS, DescribedFigure, drawn, figure

RATE = 16_000  # samples per second
_OVERTONES = 6
_HATCHES = ("", "///", "...", "xxx")
_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")


def note_name(pitch: int) -> str:
    """ "C4" for middle C, MIDI 60."""
    return f"{_NAMES[pitch % 12]}{pitch // 12 - 1}"


@drawn
def piano_roll(
    notes: Sequence[Note],
    *,
    prompt: int = 0,
    steps_per_bar: int = 16,
    voices: Sequence[str] = VOICES,
    alt: str | None = None,
) -> DescribedFigure:
    """Notes as bars: time to the right, pitch upwards, a colour and a pattern for each voice.

    Args:
      notes: with times in steps.
      prompt: steps that were given, not made by a model: shaded.
      steps_per_bar: between two lines.
      voices: names of the voices.
      alt: by default, counts, the compass of each voice, and what was given.

    Raises:
      ValueError: no notes, or a voice without a name.
    """
    if not notes or max(note.voice for note in notes) >= len(voices):
        raise ValueError(
            f"{len(notes)} notes for {len(voices)} voices: give at least one note, and a name for each voice."
        )
    end = max(note.end for note in notes)
    made, axes = figure(1, 1, alt=alt or _roll_alt(notes, prompt, end / steps_per_bar, voices), size=(9.6, 3.6))
    ax = axes[0, 0]
    if prompt:
        ax.axvspan(0, prompt / steps_per_bar, color="#eeeeee", zorder=0)
        ax.axvline(prompt / steps_per_bar, color="#444444", linestyle=":", label="the model goes on")
    for voice, name in enumerate(voices):
        mine = [note for note in notes if note.voice == voice]
        ax.barh(
            [note.pitch for note in mine],
            [(note.end - note.start) / steps_per_bar - 0.015 for note in mine],
            left=[note.start / steps_per_bar for note in mine],
            height=0.85,
            color=COLOURS[voice % len(COLOURS)],
            hatch=_HATCHES[voice % len(_HATCHES)],
            edgecolor="white",
            linewidth=0.3,
            label=name,
        )
    octaves = range(min(note.pitch for note in notes) // 12 * 12, max(note.pitch for note in notes) + 12, 12)
    ax.set_yticks(list(octaves), [note_name(pitch) for pitch in octaves])
    ax.set(xlabel="bar", xlim=(0, end / steps_per_bar), xticks=range(int(end / steps_per_bar) + 1))
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=len(voices) + 1, fontsize=8)
    return made


def _roll_alt(notes, prompt, bars, voices):
    compass = []
    for voice, name in enumerate(voices):
        pitches = [note.pitch for note in notes if note.voice == voice]
        if pitches:
            compass.append(f"{name} from {note_name(min(pitches))} to {note_name(max(pitches))}")
    given = f" The first {prompt} steps were given." if prompt else ""
    return f"Piano roll of {len(notes)} notes in {bars:.3g} bars: {', '.join(compass)}.{given}"


def synthesise(notes: Sequence[Note], *, steps_per_second: int | float, rate: int = RATE) -> Float32[np.ndarray, " t"]:
    """What notes sound like, each a sum of sines: a fundamental and its overtones, which fade the faster the higher.

    Args:
      notes: with times in steps.
      steps_per_second: how fast; 6 for sixteenths at 90 quarters a minute.
      rate: samples per second of the sound.

    Returns:
      Samples in [-1, 1], up to a quarter of a second after the last note.

    Raises:
      ValueError: no notes.
    """
    if not notes:
        raise ValueError("There are no notes to play.")
    sound = np.zeros(int((max(note.end for note in notes) / steps_per_second + 0.25) * rate) + 1)
    for note in notes:
        start, end = (int(step / steps_per_second * rate) for step in (note.start, note.end))
        tone = _tone(440.0 * 2 ** ((note.pitch - 69) / 12), end - start, rate) * note.velocity / 127
        tone = tone[: len(sound) - start]
        sound[start : start + len(tone)] += tone
    return (0.9 * sound / max(np.abs(sound).max(), 1e-9)).astype(np.float32)


def _tone(frequency, length, rate):
    """One tone that starts and is damped softly; the damping takes a fifth of a second after its length."""
    tail = rate // 5
    seconds = np.arange(length + tail) / rate
    tone = np.zeros(len(seconds))
    for number in range(1, _OVERTONES + 1):
        if number * frequency < rate / 2:  # a higher one would come back as a wrong low one
            fading = np.exp(-seconds * (0.6 + 0.5 * number))
            tone += fading * np.sin(2 * np.pi * number * frequency * seconds) / number**1.5
    attack = np.minimum(seconds / 0.015, 1)
    damping = np.concatenate([np.ones(length), np.linspace(1, 0, tail) ** 2])
    return tone * attack * damping
