"""The plays as a TFDS builder. Imports tensorflow_datasets, and therefore is imported inside functions only."""

import numpy as np
import tensorflow_datasets as tfds

from perceiver_lab.datasets import plays
from perceiver_lab.datasets.bytes import encode_text, pad_ids
from perceiver_lab.datasets.events import text_events


class PlaysConfig(tfds.core.BuilderConfig):
    """Running text as ids or as events, or pieces of speeches with their speaker."""

    def __init__(self, *, name, description, kind="bytes", length=None, with_speaker=False):
        super().__init__(name=name, version=tfds.core.Version("1.0.0"), description=description)
        self.kind, self.length, self.with_speaker = kind, length, with_speaker


class Shakespeare(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Plays by William Shakespeare as ids of bytes (byte + 6, padded with 0). Of every 64 KiB, the last 8 are the test.

    "shakespeare" has running text: stretches of 128 bytes, one from every 64th byte, so that the first 64 bytes of each
    are windows that do not overlap. "shakespeare/speakers" has pieces of at most 64 bytes of what the ten say who say
    most; "label" is who. "shakespeare/long" has longer stretches: 2,048 bytes from every 1,024th for training, and for
    testing 1,024 that do not overlap. "shakespeare/events" has running text for Perceiver AR: "events" are a start
    token (2) and byte + 3 of each byte, the same stretches for training, and for testing the 8,192 of each run.
    """

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [
        PlaysConfig(
            name="default",
            description="15,234 stretches for training, 2,159 for testing",
            length=plays.STRETCH,
        ),
        PlaysConfig(
            name="speakers",
            description="3,497 pieces for training, 548 for testing",
            length=plays.PIECE,
            with_speaker=True,
        ),
        PlaysConfig(name="long", description="935 stretches for training, 136 for testing"),
        PlaysConfig(name="events", description="935 stretches for training, 17 whole runs for testing", kind="events"),
    ]
    DEFAULT_CONFIG_NAME = "default"

    def _info(self):
        config = self.builder_config
        features = {config.kind: tfds.features.Tensor(shape=(config.length,), dtype=np.int32, encoding="zlib")}
        if config.with_speaker:
            features["label"] = tfds.features.ClassLabel(names=list(plays.SPEAKERS))
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.__doc__,
            features=tfds.features.FeaturesDict(features),
            homepage="https://github.com/karpathy/char-rnn",
            license="public domain",
            supervised_keys=("bytes", "label") if config.with_speaker else None,
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        return {part: self._generate_examples(part) for part in ("train", "test")}

    def _generate_examples(self, part):
        config = self.builder_config
        if config.with_speaker:
            for index, (piece, speaker) in enumerate(plays.spoken_pieces(part)):
                yield index, {"bytes": pad_ids(encode_text(piece), config.length), "label": speaker}
        elif config.kind == "events":
            for index, stretch in enumerate(plays.long_stretches(part) if part == "train" else plays.texts(part)):
                yield index, {"events": text_events(stretch)}
        else:
            for index, stretch in enumerate(plays.stretches(part) if config.length else plays.long_stretches(part)):
                yield index, {"bytes": encode_text(stretch)}
