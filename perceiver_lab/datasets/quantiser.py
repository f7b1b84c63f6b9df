"""A small residual quantiser of sound: in the place of SoundStream, whose tokens Perceiver AR reads in 2202.07765.

A frame of samples is replaced by the nearest of 256 sounds, what is left over by the nearest of 256 others, and so on:
each stage says more of the same frame. SoundStream does so with learned features of the frame; here it is the samples
themselves, at 16 kbit per second where mu-law takes 64.

    frame (16,) = codebook 1 [c1] + codebook 2 [c2] + codebook 3 [c3] + codebook 4 [c4] + what is not said
"""

import functools
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int, Int32

from perceiver_lab.datasets.pictures import heard
from perceiver_lab.datasets.shipped import read_shipped
from perceiver_lab.ops.sequences import NUM_SPECIAL_TOKENS, SOS

Record = dict[str, Any]
Transform = Callable[[Record, np.random.Generator], Record]

FILE = "spoken_codebooks.npz"


@dataclass(frozen=True, kw_only=True)
class ResidualQuantiser:
    """Codebooks, coarse to fine.

    Attributes:
      codebooks: (S, K, D), S stages of K codes for frames of D samples.
    """

    codebooks: Float[np.ndarray, "s k d"]

    @property
    def frame(self) -> int:
        """D, samples of a frame."""
        return self.codebooks.shape[2]

    @property
    def vocabulary(self) -> int:
        """Tokens: each stage has codes of its own, and there are the special ones."""
        return NUM_SPECIAL_TOKENS + self.codebooks.shape[0] * self.codebooks.shape[1]

    def encode(self, samples: Float[np.ndarray, " t"]) -> Int32[np.ndarray, "f s"]:
        """The codes of each frame; samples of a last one that is not whole are left out.

        Raises:
          ValueError: less than a frame.
        """
        count = len(samples) // self.frame
        if not count:
            raise ValueError(f"{len(samples)} samples are less than a frame, {self.frame}.")
        rest = samples[: count * self.frame].reshape(count, self.frame).astype(np.float32)
        codes = np.zeros((count, len(self.codebooks)), np.int32)
        for stage, book in enumerate(self.codebooks):
            distance = (book**2).sum(axis=1) - 2 * rest @ book.T  # without |rest|^2, which all codes share
            codes[:, stage] = distance.argmin(axis=1)
            rest = rest - book[codes[:, stage]]
        return codes

    def decode(self, codes: Int[np.ndarray, "f s"]) -> Float32[np.ndarray, " t"]:
        """The samples of codes; with fewer stages than there are, a coarser sound.

        Raises:
          ValueError: more stages, or numbers that are no code.
        """
        stages, size = self.codebooks.shape[:2]
        if codes.shape[1] > stages or codes.min(initial=0) < 0 or codes.max(initial=0) >= size:
            raise ValueError(
                f"Codes {codes.shape} from {codes.min(initial=0)} to {codes.max(initial=0)}; expected at most {stages} "
                f"stages, with numbers from 0 to {size - 1}."
            )
        parts = [book[codes[:, stage]] for stage, book in enumerate(self.codebooks[: codes.shape[1]])]
        return np.sum(parts, axis=0, dtype=np.float32).reshape(-1)


def fit_quantiser(
    clips: Sequence[Float[np.ndarray, "_"]], *, stages: int = 4, codes: int = 256, frame: int = 16, seed: int = 0
) -> ResidualQuantiser:
    """Codebooks by k-means (scikit-learn's), each on what those before it left over.

    Args:
      clips: samples in [-1, 1], each as loud as the others.
      stages, codes, frame: S, K and D.
      seed: of the first stage; the others' follow.

    Raises:
      ValueError: fewer frames than codes.
    """
    from sklearn.cluster import MiniBatchKMeans

    rest = np.concatenate([clip[: len(clip) // frame * frame].reshape(-1, frame) for clip in clips]).astype(np.float32)
    if len(rest) < codes:
        raise ValueError(f"{len(rest)} frames are too few for {codes} codes.")
    books = []
    for stage in range(stages):
        means = MiniBatchKMeans(codes, batch_size=4096, n_init=1, max_iter=30, random_state=seed + stage).fit(rest)
        books.append(means.cluster_centers_.astype(np.float16).astype(np.float32))  # as they ship
        rest = rest - books[-1][means.predict(rest)]
    return ResidualQuantiser(codebooks=np.stack(books))


@functools.cache
def spoken_quantiser() -> ResidualQuantiser:
    """The one that ships, fitted to the spoken digits for training.

    Raises:
      FileNotFoundError: the file is missing; ValueError: it is not the one that shipped.
    """
    with np.load(io.BytesIO(read_shipped(FILE))) as file:
        return ResidualQuantiser(codebooks=file["codebooks"].astype(np.float32))


def signal_to_noise(samples: Float[np.ndarray, " t"], again: Float[np.ndarray, " u"]) -> float:
    """10 log10 of the power of a sound over that of what differs, in dB, as far as both go."""
    length = min(len(samples), len(again))
    samples, again = samples[:length].astype(np.float64), again[:length]
    return float(10 * np.log10((samples**2).sum() / ((samples - again) ** 2).sum()))


def code_events(length: int | None = None) -> Transform:
    """A transform: the recorded part of "sound" becomes "events", the start token and for each frame a token per stage.

    token = 3 + 256 * stage + code

    Args:
      length: to which events are padded on the right; by default they are not.

    Raises:
      ValueError: from the transform, a clip that is longer.
    """

    def encode(record, rng=None):
        quantiser = spoken_quantiser()
        samples = np.asarray(record["sound"])[: int(record["length"]), 0]
        codes = quantiser.encode(samples / max(np.abs(samples).max(), 1e-6))
        stage = NUM_SPECIAL_TOKENS + quantiser.codebooks.shape[1] * np.arange(codes.shape[1])
        events = np.append(np.int32(SOS), (codes + stage).reshape(-1).astype(np.int32))
        return heard(record, events, length)

    return encode


def events_codes(events: Int[np.ndarray, " m"]) -> Int32[np.ndarray, "f 4"]:
    """The codes of events, the start token and a last frame that is not whole left out; for `ResidualQuantiser.decode`.

    Raises:
      ValueError: tokens out of turn: a stage's code where another stage's should stand.
    """
    quantiser = spoken_quantiser()
    stages, size = quantiser.codebooks.shape[:2]
    said = np.asarray(events)
    said = said[said >= NUM_SPECIAL_TOKENS] - NUM_SPECIAL_TOKENS
    codes = said[: len(said) // stages * stages].reshape(-1, stages) - size * np.arange(stages)
    if codes.min(initial=0) < 0 or codes.max(initial=0) >= size:
        raise ValueError("These events are no sound: a token stands where a code of another stage should.")
    return codes.astype(np.int32)
