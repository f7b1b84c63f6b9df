"""The lab's own data sets as TFDS builders: array_record files, no TensorFlow, no network.

Imported inside functions only, for it imports tensorflow_datasets. The builders are not registered with TFDS: their
names belong to `perceiver_lab.datasets.load`. Example i of a set is drawn from `default_rng([SEED, stream, i])`, in
whatever order they are made. Raise a builder's VERSION whenever its records change.
"""

import io

import numpy as np
import tensorflow_datasets as tfds

from perceiver_lab.datasets import canvases, moving_shapes, scenes, shipped
from perceiver_lab.datasets.battle_builder import Battles
from perceiver_lab.datasets.captions_builder import Captions
from perceiver_lab.datasets.chorales_builder import Chorales
from perceiver_lab.datasets.clouds_builder import Clouds
from perceiver_lab.datasets.mirrored_builder import Mirrored
from perceiver_lab.datasets.one_sense_builder import OneSense
from perceiver_lab.datasets.photo_windows_builder import PhotoWindows
from perceiver_lab.datasets.photos_builder import PHOTO_LICENCES, Photos
from perceiver_lab.datasets.play_tasks_builder import PlayTasks
from perceiver_lab.datasets.plays_builder import Shakespeare
from perceiver_lab.datasets.sound_builders import MovingDigits, SpokenDigits

SEED = 20210304  # the day the Perceiver paper appeared; any number would do
_MNIST = "https://yann.lecun.com/exdb/mnist/"
_MNIST_LICENCE = "CC BY-SA 3.0 (MNIST, Y. LeCun, C. Cortes, C. Burges)"


class _Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """What all sets share: array_record files in generation order, described in this file."""

    VERSION = tfds.core.Version("1.0.0")

    def _describe(self, features, homepage, licence, label=10):
        """`label`: how many classes there are, or their names."""
        classes = {"num_classes": label} if isinstance(label, int) else {"names": label}
        features = {**features, "label": tfds.features.ClassLabel(**classes)}
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.__doc__,
            features=tfds.features.FeaturesDict(features),
            homepage=homepage,
            license=licence,
            supervised_keys=("image", "label"),
            disable_shuffling=True,
        )


class _SmallDigits(_Builder, skip_registration=True):
    """Sets whose images are stored as they are read."""

    def _generate_examples(self, images, labels):
        for index, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield index, {"image": image[..., None], "label": int(label)}


class Digits(_SmallDigits, skip_registration=True):
    """1,797 real handwritten digits of 8 x 8 pixels with ink 0..16.

    1,500 are for training and 297 for testing, drawn at random: the records lie in the order of their 13 writers, so
    that the last 297 alone would be a test on other hands than those learned from. Writers occur in both splits here.
    """

    def _info(self):
        image = tfds.features.Tensor(shape=(8, 8, 1), dtype=np.uint8, encoding="bytes")
        licence = "CC BY 4.0 (UCI optdigits, E. Alpaydin, C. Kaynak; as packed by scikit-learn)"
        return self._describe({"image": image}, "https://archive.ics.uci.edu/dataset/80", licence)

    def _split_generators(self, dl_manager):
        images, labels = shipped.small_digits()
        chosen = np.split(np.random.default_rng(0).permutation(len(labels)), [1500])
        parts = zip(("train", "test"), chosen, strict=True)
        return {part: self._generate_examples(images[rows], labels[rows]) for part, rows in parts}


class MnistSmall(_SmallDigits, skip_registration=True):
    """The first 6,000 training and the first 1,000 test digits of MNIST, 28 x 28 pixels."""

    def _info(self):
        image = tfds.features.Tensor(shape=(28, 28, 1), dtype=np.uint8, encoding="bytes")
        return self._describe({"image": image}, _MNIST, _MNIST_LICENCE)

    def _split_generators(self, dl_manager):
        return {part: self._generate_examples(*shipped.mnist_digits(part)) for part in ("train", "test")}


class LargeDigits(_Builder, skip_registration=True):
    """Real MNIST digits drawn about 168 pixels large near the centre of 240 x 240 photo canvases (composed by us).

    Every digit of mnist_small once: 6,000 for training, 1,000 for testing. Crop 224 x 224: at random for training,
    from the centre for testing. Training and test digits differ; the photos behind them are the same nine.
    """

    def _info(self):
        image = tfds.features.Image(shape=(240, 240, 3), encoding_format="jpeg")
        return self._describe({"image": image}, _MNIST, f"{_MNIST_LICENCE}; {PHOTO_LICENCES}")

    def _split_generators(self, dl_manager):
        return {part: self._generate_examples(part) for part in ("train", "test")}

    def _generate_examples(self, part):
        photos = shipped.photos()
        images, labels = shipped.mnist_digits(part)
        for index in _progress(len(images), f"preparing large_digits {part}, once"):
            canvas = canvases.large_digit(images[index], photos, _rng(part, index))
            yield index, {"image": _jpeg(canvas), "label": int(labels[index])}


class ClutterConfig(tfds.core.BuilderConfig):
    """How many cluttered digits are made: every count shares the same first examples."""

    def __init__(self, *, name, description, num_test):
        super().__init__(name=name, version=tfds.core.Version("1.0.0"), description=description)
        self.counts = {"train": 2000, "test": num_test}


class ClutteredDigits(_Builder, skip_registration=True):
    """Real MNIST digits at random places and scales on 224 x 224 photo canvases, with masks (composed by us)."""

    BUILDER_CONFIGS = [
        ClutterConfig(name="default", description="2,000 training and 400 test canvases", num_test=400),
        ClutterConfig(name="test_1000", description="2,000 training and 1,000 test canvases", num_test=1000),
    ]
    DEFAULT_CONFIG_NAME = "default"

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=(224, 224, 3), encoding_format="jpeg"),
            "mask": tfds.features.Tensor(shape=(224, 224, 1), dtype=np.uint8, encoding="zlib"),
        }
        return self._describe(features, _MNIST, f"{_MNIST_LICENCE}; {PHOTO_LICENCES}")

    def _split_generators(self, dl_manager):
        return {part: self._generate_examples(part, count) for part, count in self.builder_config.counts.items()}

    def _generate_examples(self, part, count):
        photos = shipped.photos()
        images, labels = shipped.mnist_digits(part)
        for index in _progress(count, f"preparing cluttered_digits {part}, once"):
            canvas, mask = canvases.cluttered_digit(images[index], photos, _rng(part, index))
            yield index, {"image": _jpeg(canvas), "mask": mask[..., None], "label": int(labels[index])}


class SceneConfig(tfds.core.BuilderConfig):
    """How large scenes are drawn, and which of them: scene i of a split is the same scene at either size."""

    def __init__(self, *, name, description, side, counts):
        super().__init__(name=name, version=tfds.core.Version("1.0.0"), description=description)
        self.side, self.counts = side, counts


class Scenes(_Builder, skip_registration=True):
    """One to three coloured shapes (synthetic) on a plain background or a photo's texture, with what is where.

    "label" is the kind of the largest shape, "count" how many there are, "kinds" what is at each pixel (0 = background,
    else 1 + kind), "textured" whether the background is a photo.
    """

    BUILDER_CONFIGS = [
        SceneConfig(
            name="default",
            description="8,000 training and 1,000 test scenes of 48 x 48 pixels",
            side=scenes.SIDE,
            counts={"train": 8000, "test": 1000},
        ),
        SceneConfig(
            name="fine",
            description="the test scenes at 192 x 192 pixels",
            side=scenes.SIDE * scenes.FINE,
            counts={"test": 1000},
        ),
    ]
    DEFAULT_CONFIG_NAME = "default"

    def _info(self):
        side = self.builder_config.side
        features = {
            "image": tfds.features.Tensor(shape=(side, side, 3), dtype=np.uint8, encoding="zlib"),
            "kinds": tfds.features.Tensor(shape=(side, side), dtype=np.uint8, encoding="zlib"),
            "count": np.int64,
            "textured": np.bool_,
        }
        homepage = "https://scikit-image.org/docs/stable/api/skimage.data.html"
        return self._describe(features, homepage, PHOTO_LICENCES, label=list(scenes.KINDS))

    def _split_generators(self, dl_manager):
        return {part: self._generate_examples(part, count) for part, count in self.builder_config.counts.items()}

    def _generate_examples(self, part, count):
        photos = shipped.photos()
        for index in _progress(count, f"preparing scenes {part}, once"):
            scene = scenes.describe(photos, _rng(part, index))
            image, kinds = scenes.draw(scene)
            if self.builder_config.side == scenes.SIDE:
                image, kinds = scenes.shrink(image, kinds)
            record = {"image": image, "kinds": kinds, "count": len(scene.shapes), "textured": scene.textured}
            yield index, {**record, "label": scene.shapes[0].kind}


class MovingShapes(_Builder, skip_registration=True):
    """Pairs of frames of 48 x 64 pixels with their true optical flow: synthetic motion, textures from real photos.

    One or two shapes move over a moving background. Training and test textures come from different parts of the photos.
    Frame 1 at p shows what frame 2 shows at p + flow[p], but where "occluded" is 1. "flow" is (right, down) in pixels,
    float16: rounded by at most 0.004 of a pixel. "layers" is what frame 1 shows: 0 background, 1 and 2 the shapes.
    """

    def _info(self):
        tensor, extent = tfds.features.Tensor, (moving_shapes.HEIGHT, moving_shapes.WIDTH)
        features = {
            "frames": tensor(shape=(2, *extent, 3), dtype=np.uint8, encoding="bytes"),
            "flow": tensor(shape=(*extent, 2), dtype=np.float16, encoding="bytes"),
            "layers": tensor(shape=extent, dtype=np.uint8, encoding="zlib"),
            "occluded": tensor(shape=extent, dtype=np.uint8, encoding="zlib"),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.__doc__,
            features=tfds.features.FeaturesDict(features),
            homepage="https://scikit-image.org/docs/stable/api/skimage.data.html",
            license=PHOTO_LICENCES,
            supervised_keys=("frames", "flow"),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        return {part: self._generate_examples(part, count) for part, count in (("train", 4000), ("test", 1000))}

    def _generate_examples(self, part, count):
        photos = shipped.photos()
        for index in _progress(count, f"preparing moving_shapes {part}, once"):
            pair = moving_shapes.moving_pair(photos, part, _rng(part, index))
            record = {"frames": pair.frames, "layers": pair.layers, "occluded": pair.occluded}
            yield index, {**record, "flow": pair.flow.astype(np.float16)}


BUILDERS = {
    "digits": Digits,
    "mnist_small": MnistSmall,
    "large_digits": LargeDigits,
    "cluttered_digits": ClutteredDigits,
    "photos": Photos,
    "scenes": Scenes,
    "moving_shapes": MovingShapes,
    "shakespeare": Shakespeare,
    "spoken_digits": SpokenDigits,
    "moving_digits": MovingDigits,
    "battles": Battles,
    "captions": Captions,
    "play_tasks": PlayTasks,
    "one_sense": OneSense,
    "mirrored": Mirrored,
    "photo_windows": PhotoWindows,
    "chorales": Chorales,
    "clouds": Clouds,
}


def _rng(part, index):
    return np.random.default_rng([SEED, {"train": 0, "test": 1}[part], index])


def _progress(count, description):
    from tqdm.auto import tqdm

    return tqdm(range(count), desc=description, leave=False)


def _jpeg(pixels):
    """JPEG at quality 92: 13 KB and 0.5 ms to read, against 173 KB raw and 69 KB and 2 ms as PNG."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="JPEG", quality=92)
    return file.getvalue()
