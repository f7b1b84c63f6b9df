"""Sounds to be heard in a notebook: players with a title each, small enough to be stored with it."""

import base64
import html
import io
import wave
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float


class Players:
    """Sounds by title, each with its player."""

    def __init__(self, sounds: Mapping[str, Float[np.ndarray, "..."]], *, rate: int):
        """Take sounds.

        Args:
          sounds: title -> samples (T,) or (T, 1) in [-1, 1]; what lies beyond is cut off.
          rate: samples per second.

        Raises:
          ValueError: no sound, or one that is empty or of another rank.
        """
        shapes = {title: np.shape(sound) or (0,) for title, sound in sounds.items()}
        if not shapes or not all(shape[0] > 0 and shape[1:] in ((), (1,)) for shape in shapes.values()):
            raise ValueError(f"Sounds to be played are (samples,) or (samples, 1), by title; got shapes {shapes}.")
        self.sounds, self.rate = dict(sounds), rate

    def _repr_html_(self) -> str:
        """One `<audio>` each, titled for the eye and for screen readers."""
        return "".join(
            f'<figure style="display:inline-block;margin:4px 12px"><figcaption>{html.escape(title)}</figcaption>'
            f'<audio controls aria-label="{html.escape(title)}" style="width:220px" src="data:audio/wav;base64,'
            f'{base64.b64encode(wav_bytes(sound, rate=self.rate)).decode()}"></audio></figure>'
            for title, sound in self.sounds.items()
        )

    def __repr__(self) -> str:
        return f"Sounds: {'; '.join(self.sounds)}."


def wav_bytes(sound: Float[np.ndarray, "..."], *, rate: int) -> bytes:
    """A WAV file of 16-bit samples: 2 bytes each and a header of 44.

    Args:
      sound: samples in [-1, 1]; louder ones are cut off.
      rate: samples per second.
    """
    samples = np.rint(np.clip(np.asarray(sound).reshape(-1), -1, 1) * 32767).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(samples.tobytes())
    return file.getvalue()
