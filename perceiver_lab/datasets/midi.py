"""Notes from and to MIDI files, by the package mido (extra "music"), which is imported inside functions only."""

import io
import os
from collections.abc import Iterable
from pathlib import Path

from perceiver_lab.datasets.notes import STEPS_PER_SECOND, Note

_DRUMS = 9  # the channel that people count as the tenth
_PEDAL = 64  # the controller of the sustain pedal, down from half of its way
_TICKS = 24  # of a MIDI file in one step: some programs want more than a few in a beat


def read_midi(path: str | os.PathLike, *, steps_per_second: int = STEPS_PER_SECOND) -> list[Note]:
    """The notes of a file, by their beginnings.

    While the sustain pedal is down, notes sound on after their keys are let go: until it comes up, or the key is struck
    again. Drums (channel 10) are left out.

    Args:
      path: of a file of notes with their times, .mid or .midi.
      steps_per_second: to which times are rounded; a note lasts one step at least.

    Raises:
      ModuleNotFoundError: mido is not installed.
      FileNotFoundError: there is no such file.
      ValueError: no MIDI file, or a damaged one.
    """
    mido = _import_mido()
    content = Path(path).read_bytes()
    try:  # from memory: a file makes room for the four billion bytes that a damaged header may promise
        messages = list(mido.MidiFile(file=io.BytesIO(content)))
    except Exception as error:  # mido's errors have no base of their own, and many come from deep inside
        raise ValueError(f"{path} cannot be read as a MIDI file ({error}). Fetch it again.") from error
    keys, now = _Keys(), 0.0
    for message in messages:
        now += message.time
        step = round(now * steps_per_second)
        if message.is_meta or getattr(message, "channel", _DRUMS) == _DRUMS:
            continue
        if message.type == "note_on" and message.velocity:
            keys.strike(step, message.channel, message.note, message.velocity)
        elif message.type in ("note_on", "note_off"):
            keys.let_go(step, message.channel, message.note)
        elif message.type == "control_change" and message.control == _PEDAL:
            keys.pedal(step, message.channel, message.value >= 64)
    keys.stop(round(now * steps_per_second))
    return sorted(keys.notes)


def write_midi(
    path: str | os.PathLike, notes: Iterable[Note], *, steps_per_beat: int, beats_per_minute: int | float
) -> None:
    """Write notes into a file that any music program plays, each voice on a channel of its own.

    Args:
      path: of the file, .mid.
      notes: with times in steps.
      steps_per_beat: 4 for the sixteenths of chorales; 50 at 120 beats a minute for the 10 ms of performances.
      beats_per_minute: how fast.

    Raises:
      ModuleNotFoundError: mido is not installed.
      ValueError: no notes, or a voice that has no channel.
    """
    mido = _import_mido()
    notes = list(notes)
    if not notes or not all(0 <= note.voice < _DRUMS for note in notes):
        raise ValueError(f"{len(notes)} notes; expected at least one, and voices from 0 to 8, each with its channel.")
    moments = sorted(
        [(note.end, 0, note) for note in notes] + [(note.start, 1, note) for note in notes], key=lambda one: one[:2]
    )
    track, now = mido.MidiTrack(), 0
    track.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(beats_per_minute)))
    for step, begins, note in moments:
        kind, velocity = ("note_on", note.velocity) if begins else ("note_off", 0)
        time = (step - now) * _TICKS
        track.append(mido.Message(kind, note=note.pitch, velocity=velocity, channel=note.voice, time=time))
        now = step
    file = mido.MidiFile(ticks_per_beat=steps_per_beat * _TICKS)
    file.tracks.append(track)
    file.save(path)


class _Keys:
    """Which keys are down, or held by the pedal, on each channel."""

    def __init__(self):
        self.notes, self.sounding, self.held, self.pedals = [], {}, set(), set()

    def strike(self, step, channel, pitch, velocity):
        self.end(step, channel, pitch)
        self.sounding[channel, pitch] = (step, velocity)

    def let_go(self, step, channel, pitch):
        if channel in self.pedals:
            self.held.add((channel, pitch))
        else:
            self.end(step, channel, pitch)

    def pedal(self, step, channel, is_down):
        if is_down:
            self.pedals.add(channel)
            return
        self.pedals.discard(channel)
        for key in [key for key in self.held if key[0] == channel]:
            self.end(step, *key)

    def stop(self, step):
        for key in list(self.sounding):
            self.end(step, *key)

    def end(self, step, channel, pitch):
        self.held.discard((channel, pitch))
        if (channel, pitch) in self.sounding:
            start, velocity = self.sounding.pop((channel, pitch))
            self.notes.append(Note(start, max(step, start + 1), pitch, velocity, channel))


def _import_mido():
    try:
        import mido
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "MIDI files are read and written by the package mido, which is not installed. Install what the lab needs: "
            "`make setup`, or `pip install mido`."
        ) from error
    return mido
