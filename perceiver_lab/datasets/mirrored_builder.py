"""The copy task as a TFDS builder. Imports tensorflow_datasets, and therefore is imported inside functions only."""

import numpy as np
import tensorflow_datasets as tfds

from perceiver_lab.datasets.events import MIRRORED, mirrored

SEED = 20220215  # the day the Perceiver AR paper appeared; any number would do
COUNTS = {"train": 8000, "test": 1000}


class Mirrored(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Random symbols and their mirror image, 64 events in all (synthetic): the copy task of 2202.07765, small.

    "events" (64,) are the start token 2, 31 random symbols from 3 to 258, the same backwards, and the end token 1.
    """

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        events = tfds.features.Tensor(shape=(MIRRORED,), dtype=np.int32, encoding="zlib")
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.__doc__,
            features=tfds.features.FeaturesDict({"events": events}),
            license="Apache-2.0 (made by this library)",
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        return {part: self._generate_examples(part) for part in COUNTS}

    def _generate_examples(self, part):
        stream = list(COUNTS).index(part)
        for index in range(COUNTS[part]):
            yield index, {"events": mirrored(MIRRORED, np.random.default_rng([SEED, stream, index]))}
