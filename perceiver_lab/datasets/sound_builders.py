"""The sets with sound as TFDS builders. Imports tensorflow_datasets: to be imported inside functions only."""

import numpy as np
import tensorflow_datasets as tfds

from perceiver_lab.datasets import moving_digits, shipped
from perceiver_lab.datasets.sound import NUM_SAMPLES, SPEAKERS, spoken_digits

SEED = 20210730  # the day the Perceiver IO paper appeared; any number would do
_HOMEPAGE = "https://github.com/Jakobovski/free-spoken-digit-dataset"
_LICENCE = "CC BY-SA 4.0 (Free Spoken Digit Dataset, Z. Jackson and contributors)"
_MNIST_LICENCE = "CC BY-SA 3.0 (MNIST, Y. LeCun, C. Cortes, C. Burges)"


class _SoundBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """What sets with sound share: a second of it, who says which digit in which take."""

    VERSION = tfds.core.Version("1.0.0")

    def _describe(self, licence, **features):
        tensor = tfds.features.Tensor(shape=(NUM_SAMPLES, 1), dtype=np.float32, encoding="zlib")
        features = {
            "sound": tensor,
            "length": np.int64,
            "label": tfds.features.ClassLabel(num_classes=10),
            "speaker": tfds.features.ClassLabel(names=list(SPEAKERS)),
            "take": np.int64,
            **features,
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.__doc__,
            features=tfds.features.FeaturesDict(features),
            homepage=_HOMEPAGE,
            license=licence,
            supervised_keys=("sound", "label"),
            disable_shuffling=True,
        )


class SpokenConfig(tfds.core.BuilderConfig):
    """What the test has that training has not."""

    def __init__(self, *, name, description, held_out):
        super().__init__(name=name, version=tfds.core.Version("1.0.0"), description=description)
        self.held_out = held_out


class SpokenDigits(_SoundBuilder, skip_registration=True):
    """500 real recordings of the words zero to nine by five speakers, one second each at 8,000 samples a second.

    "sound" stands at the beginning of its second, "length" says how many samples it has. Records lie in random order.
    """

    BUILDER_CONFIGS = [
        SpokenConfig(name="default", description="takes 2-9 for training, 0 and 1 for testing", held_out="take"),
        SpokenConfig(name="speaker", description="four speakers for training, one for testing", held_out="speaker"),
    ]
    DEFAULT_CONFIG_NAME = "default"

    def _info(self):
        return self._describe(_LICENCE)

    def _split_generators(self, dl_manager):
        return {part: self._generate_examples(part) for part in ("train", "test")}

    def _generate_examples(self, part):
        clips = spoken_digits()
        numbers = clips.where(part, self.builder_config.held_out)
        for index, number in enumerate(np.random.default_rng(0).permutation(numbers)):
            yield index, clips.record(int(number))


class MovingDigits(_SoundBuilder, skip_registration=True):
    """A real handwritten digit drifts through eight frames of 32 x 32 while a real voice says it (paired by us).

    6,000 for training, 1,000 for testing with digits and takes that are not in training, and as many again in
    "test_speaker", said by a speaker who is not in training either. "video" is (8, 32, 32, 1), ink 255; the rest is
    that of spoken_digits. Each digit of mnist_small occurs once, the far fewer clips many times: 320 in training, 80
    in the test, 100 of the fifth speaker.
    """

    def _info(self):
        shape = (moving_digits.FRAMES, moving_digits.SIDE, moving_digits.SIDE, 1)
        video = tfds.features.Tensor(shape=shape, dtype=np.uint8, encoding="zlib")
        return self._describe(f"{_MNIST_LICENCE}; {_LICENCE}", video=video)

    def _split_generators(self, dl_manager):
        return {part: self._generate_examples(part) for part in moving_digits.PARTS}

    def _generate_examples(self, part):
        from tqdm.auto import tqdm

        clips = spoken_digits()
        numbers, stream = moving_digits.clips_of(clips, part), moving_digits.PARTS.index(part)
        images, labels = shipped.mnist_digits("train" if part == "train" else "test")
        for index in tqdm(range(len(images)), desc=f"preparing moving_digits {part}, once", leave=False):
            rng = np.random.default_rng([SEED, stream, index])
            number = moving_digits.choose_clip(clips, numbers, int(labels[index]), rng)
            yield index, {**clips.record(number), "video": moving_digits.moving_digit(images[index], rng)}
