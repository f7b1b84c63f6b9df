"""The battles as a TFDS builder. Imports tensorflow_datasets, and therefore is imported inside functions only."""

import numpy as np
import tensorflow_datasets as tfds

from perceiver_lab.datasets import battle

SEED = 20210730  # the day the Perceiver IO paper appeared; any number would do
COUNTS = {"train": 8000, "test": 1000}


class Battles(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Battles of 16 to 128 units for training, of 16 to 512 for testing (synthetic), with whom ours take on.

    "units" is (M, 9), one row per unit; "target" (M,) is the row of the unit that each of ours takes on, -1 for theirs.
    """

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {
            "units": tfds.features.Tensor(shape=(None, len(battle.FEATURES)), dtype=np.float32, encoding="zlib"),
            "target": tfds.features.Tensor(shape=(None,), dtype=np.int32, encoding="zlib"),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.__doc__,
            features=tfds.features.FeaturesDict(features),
            license="Apache-2.0 (made by this library)",
            supervised_keys=("units", "target"),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        return {part: self._generate_examples(part) for part in COUNTS}

    def _generate_examples(self, part):
        from tqdm.auto import tqdm

        stream = list(COUNTS).index(part)
        for index in tqdm(range(COUNTS[part]), desc=f"preparing battles {part}, once", leave=False):
            units = battle.battle(np.random.default_rng([SEED, stream, index]), part)
            yield index, {"units": units, "target": battle.targets(units)}
