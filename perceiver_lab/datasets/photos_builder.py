"""The photos as a TFDS builder. Imports tensorflow_datasets, and therefore is imported inside functions only."""

import numpy as np
import tensorflow_datasets as tfds

from perceiver_lab.datasets import shipped

PHOTO_LICENCES = "; ".join(photo.attribution for photo in shipped.PHOTO_FILES)


class Photos(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Nine photos and textures of 300 to 640 pixels a side, for fitting pictures and for texture."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.__doc__,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Tensor(shape=(None, None, 3), dtype=np.uint8, encoding="bytes"),
                    "name": tfds.features.Text(),
                    "attribution": tfds.features.Text(),
                }
            ),
            homepage="https://scikit-image.org/docs/stable/api/skimage.data.html",
            license=PHOTO_LICENCES,
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for index, (photo, pixels) in enumerate(zip(shipped.PHOTO_FILES, shipped.photos(), strict=True)):
            yield index, {"image": pixels, "name": photo.name, "attribution": photo.attribution}
