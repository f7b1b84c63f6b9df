"""The point clouds as a TFDS builder. Imports tensorflow_datasets, and therefore is imported inside functions only."""

import numpy as np
import tensorflow_datasets as tfds

from perceiver_lab.datasets import clouds

SEED = 20210304  # the day the Perceiver paper appeared; any number would do
COUNTS = {"train": 2000, "test": 1000}


class Clouds(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """1,024 points on the surface of one of ten shapes, turned, stretched and jittered (synthetic)."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {
            "points": tfds.features.Tensor(shape=(clouds.POINTS, 3), dtype=np.float32, encoding="zlib"),
            "label": tfds.features.ClassLabel(names=list(clouds.SHAPES)),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.__doc__,
            features=tfds.features.FeaturesDict(features),
            license="Apache-2.0 (made by this library)",
            supervised_keys=("points", "label"),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        return {part: self._generate_examples(part) for part in COUNTS}

    def _generate_examples(self, part):
        from tqdm.auto import tqdm

        stream = list(COUNTS).index(part)
        for index in tqdm(range(COUNTS[part]), desc=f"preparing clouds {part}, once", leave=False):
            rng = np.random.default_rng([SEED, stream, index])
            label = int(rng.integers(len(clouds.SHAPES)))
            yield index, {"points": clouds.cloud(label, rng), "label": label}
