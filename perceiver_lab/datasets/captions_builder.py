"""Captions as a TFDS builder. Imports tensorflow_datasets, and therefore is imported inside functions only."""

import numpy as np
import tensorflow_datasets as tfds

from perceiver_lab.datasets import captions, captions_text, shipped

SEED = 20220429  # the day the Flamingo paper appeared; any number would do
COUNTS = {"train": 8000, "test": 2400}
_MNIST_LICENCE = "CC BY-SA 3.0 (MNIST, Y. LeCun, C. Cortes, C. Burges)"
_PHOTO_LICENCES = "; ".join(photo.attribution for photo in shipped.PHOTO_FILES)

# Of twelve records in a row. The test has 1,000 pictures of pairs that training does not name, and 1,000 questions.
_ROTA = {
    "train": ("shapes",) * 3 + ("what",) * 3 + ("digit",) * 2 + ("clip",) * 2 + ("order",) * 2,
    "test": ("shapes",) * 5 + ("order",) * 5 + ("digit", "clip"),
}


class Captions(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Captioned pictures and clips of 32 x 32 pixels: synthetic shapes, colours and texts, real digits, photo textures.

    "frames" (4, 32, 32, 3), of which the first "num_frames" are there; "ids", the chunk <image> question answer <end>
    padded to 44; "asked", how many of them come before the answer; "other", the chunk with the wrong answer, for
    questions; "kind"; "held_out", whether colour and shape are never named together in training.
    """

    VERSION = tfds.core.Version("1.1.0")

    def _info(self):
        tensor, shape = tfds.features.Tensor, (captions.FRAMES, captions.SIDE, captions.SIDE, 3)
        features = {
            "frames": tensor(shape=shape, dtype=np.uint8, encoding="zlib"),
            "num_frames": np.int64,
            "ids": tensor(shape=(captions_text.CHUNK,), dtype=np.int32, encoding="zlib"),
            "other": tensor(shape=(captions_text.CHUNK,), dtype=np.int32, encoding="zlib"),
            "asked": np.int64,
            "kind": tfds.features.ClassLabel(names=list(captions.KINDS)),
            "held_out": np.bool_,
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.__doc__,
            features=tfds.features.FeaturesDict(features),
            homepage="https://scikit-image.org/docs/stable/api/skimage.data.html",
            license=f"{_MNIST_LICENCE}; {_PHOTO_LICENCES}",
            supervised_keys=("frames", "ids"),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        return {part: self._generate_examples(part) for part in COUNTS}

    def _generate_examples(self, part):
        from tqdm.auto import tqdm

        photos, digits = shipped.photos(), shipped.mnist_digits(part)
        for index in tqdm(range(COUNTS[part]), desc=f"preparing captions {part}, once", leave=False):
            yield index, record(photos, digits, part, index)


def record(photos, digits, part, index):
    """Record number `index` of a part, whatever the others are."""
    rng = np.random.default_rng([SEED, list(COUNTS).index(part), index])
    kind = _ROTA[part][index % len(_ROTA[part])]
    held_out = part == "test" and kind == "shapes"
    if kind in ("shapes", "what"):
        every = captions.KNOWN + captions.HELD_OUT
        pairs = every if kind == "what" else captions.HELD_OUT if held_out else captions.KNOWN
        example = captions.shapes_picture(photos, pairs, rng, ask=kind == "what")
    elif kind == "digit":
        number = int(rng.integers(len(digits[1])))
        example = captions.digit_picture(photos, digits[0][number], int(digits[1][number]), rng)
    else:
        example = captions.clip(photos, captions.KNOWN, rng, ask=kind == "order")
    frames = np.zeros((captions.FRAMES, captions.SIDE, captions.SIDE, 3), np.uint8)
    frames[: len(example.frames)] = example.frames
    text = captions_text.chunk_record(example.question, example.answer, example.other)
    return {"frames": frames, "num_frames": len(example.frames), "kind": kind, "held_out": held_out, **text}
