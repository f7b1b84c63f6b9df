"""Windows of photos as a TFDS builder. Imports tensorflow_datasets, and therefore is imported inside functions only."""

import numpy as np
import tensorflow_datasets as tfds

from perceiver_lab.datasets import shipped
from perceiver_lab.datasets.cells import mean_cells
from perceiver_lab.datasets.transforms import random_crop

SEED = 20220222  # the day the Hierarchical Perceiver's paper appeared; any number would do
COUNTS = {"train": 8000, "test": 1000}
SIDE, CELL = 14, 4  # cells of a window, pixels of a cell
PHOTOS = 6  # the photos proper; the three textures after them have no structure as wide as a window


class PhotoWindows(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Windows of 56 x 56 pixels out of six real photos, shrunk to the mean colours of 14 x 14 cells.

    Training and test windows are drawn at random places of the same photos, and overlap: they are made to learn from
    what lies side by side, and not to be recognised.
    """

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        image = tfds.features.Tensor(shape=(SIDE, SIDE, 3), dtype=np.uint8, encoding="bytes")
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.__doc__,
            features=tfds.features.FeaturesDict({"image": image}),
            license="; ".join(photo.attribution for photo in shipped.PHOTO_FILES[:PHOTOS]),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        photos = shipped.photos()[:PHOTOS]
        return {part: self._generate_examples(part, photos) for part in COUNTS}

    def _generate_examples(self, part, photos):
        crop, shrink = random_crop(SIDE * CELL), mean_cells(SIDE)
        stream = list(COUNTS).index(part)
        for index in range(COUNTS[part]):
            rng = np.random.default_rng([SEED, stream, index])
            window = shrink(crop({"image": photos[rng.integers(PHOTOS)]}, rng))["image"]
            yield index, {"image": np.rint(window).astype(np.uint8)}
