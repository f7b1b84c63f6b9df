"""Records of one sense each as a TFDS builder. To be imported inside functions only, as it imports tfds."""

import numpy as np
import tensorflow_datasets as tfds

from perceiver_lab.datasets import one_sense, plays, shipped
from perceiver_lab.datasets.bytes import encode_text, pad_ids
from perceiver_lab.datasets.sound import spoken_digits

_LICENCES = (
    "CC BY-SA 3.0 (MNIST, Y. LeCun, C. Cortes, C. Burges); CC BY-SA 4.0 (Free Spoken Digit Dataset, Z. Jackson and "
    "contributors); public domain (the plays)"
)


class OneSense(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Pictures of digits, spoken digits and pieces of plays, one of them in each record and zeros for the others.

    They are those of mnist_small, spoken_digits and shakespeare/speakers. "train_image" and so on have each once;
    "train" takes turns, a text, a picture, a sound, 6,000 of each, so that the fewer ones come again. "test" has each
    once.
    """

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        tensor = tfds.features.Tensor
        features = {
            name: tensor(shape=value.shape, dtype=value.dtype, encoding="zlib")
            for name, value in one_sense.NOTHING.items()
            if name != "length"
        }
        features |= {
            "length": np.int64,
            "sense": tfds.features.ClassLabel(names=list(one_sense.SENSES)),
            "label": tfds.features.ClassLabel(num_classes=10),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.__doc__,
            features=tfds.features.FeaturesDict(features),
            license=_LICENCES,
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        splits = {}
        for part in ("train", "test"):
            splits[part] = self._generate_examples(part, one_sense.SENSES)
            splits |= {f"{part}_{sense}": self._generate_examples(part, (sense,)) for sense in one_sense.SENSES}
        return splits

    def _generate_examples(self, part, senses):
        found = [list(_RECORDS[sense](part)) for sense in senses]
        if part == "train":
            turns = [records[turn % len(records)] for turn in range(max(map(len, found))) for records in found]
        else:
            joined = [record for records in found for record in records]
            turns = [joined[number] for number in np.random.default_rng(0).permutation(len(joined))]
        for index, (sense, record) in enumerate(turns):
            yield index, {**one_sense.NOTHING, **record, "sense": sense}


def _bytes(part):
    for piece, speaker in plays.spoken_pieces(part):
        yield "bytes", {"bytes": pad_ids(encode_text(piece), plays.PIECE), "label": plays.SPEAKERS.index(speaker)}


def _images(part):
    for image, label in zip(*shipped.mnist_digits(part), strict=True):
        yield "image", {"image": image[..., None], "label": int(label)}


def _sounds(part):
    clips = spoken_digits()
    for number in clips.where(part, "take"):
        record = clips.record(int(number))
        yield "sound", {name: record[name] for name in ("sound", "length", "label")}


_RECORDS = {"bytes": _bytes, "image": _images, "sound": _sounds}
