"""The chorales as a TFDS builder. Imports tensorflow_datasets, and therefore is imported inside functions only."""

import numpy as np
import tensorflow_datasets as tfds

from perceiver_lab.datasets import chorales


class Chorales(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Chorales in four parts by Johann Sebastian Bach, on a grid of sixteenths, read from the installed music21.

    "grid" (T, 4) is the MIDI pitch of soprano, alto, tenor and bass, plus 128 where it begins, 0 for silence. No tune
    is in two of the splits "train", "validation" and "test".
    """

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {
            "grid": tfds.features.Tensor(shape=(None, len(chorales.VOICES)), dtype=np.uint8, encoding="zlib"),
            "name": tfds.features.Text(),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.__doc__,
            features=tfds.features.FeaturesDict(features),
            homepage="https://www.music21.org",
            license="music in the public domain; encodings by M. Greentree, in music21 by permission and not for "
            "commercial use: pass on neither the scores nor these grids",
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        return {part: self._generate_examples(part) for part in chorales.PARTS}

    def _generate_examples(self, part):
        for index, name in enumerate(chorales.split()[part]):
            yield index, {"grid": chorales.grids()[name], "name": name}
