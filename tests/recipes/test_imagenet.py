"""The published ImageNet recipes: their figures, and real photos through the whole chain into one abstract step."""

import functools
import io

import jax
import numpy as np
import pytest
import tensorflow_datasets as tfds
from flax import nnx
from PIL import Image

from perceiver_lab import recipes
from perceiver_lab.datasets import shipped
from perceiver_lab.training import make_train_step

PARAMETERS = {
    "imagenet_fourier_io": 48_440_627,
    "imagenet_learned_io": 62_255_848,
    "imagenet_conv_io": 48_646_522,
}


@functools.cache
def abstract(name):
    return nnx.eval_shape(lambda: recipes.get(name).make_model(nnx.Rngs(0)))


@pytest.fixture(scope="module")
def photos_as_imagenet(tmp_path_factory):
    """A folder in which nine photos stand for ImageNet: its place, its format, its features, JPEG of any size."""
    folder = tmp_path_factory.mktemp("imagenet")
    real = tfds.builder("imagenet2012:5.1.0", data_dir=folder, file_format="array_record", try_gcs=False)

    class StandIn(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = real.version

        def _info(self):
            return tfds.core.DatasetInfo(builder=self, features=real.info.features, disable_shuffling=True)

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples(), "validation": self._generate_examples()}

        def _generate_examples(self):
            for index, photo in enumerate(shipped.photos()):
                file = io.BytesIO()
                Image.fromarray(photo).save(file, format="JPEG")
                yield index, {"image": file.getvalue(), "label": 111 * index, "file_name": f"n_{index}.JPEG"}

    StandIn.name = "imagenet2012"
    StandIn(data_dir=folder, file_format="array_record").download_and_prepare()
    return folder


@pytest.fixture
def use_photos(photos_as_imagenet, monkeypatch):
    monkeypatch.setenv("PERCEIVER_LAB_DATA_DIR", str(photos_as_imagenet))


@pytest.mark.parametrize("name", PARAMETERS)
def test_figures_of_the_paper(name):
    """Section A.1 and Table 7 of 2107.14795."""
    recipe = recipes.get(name)
    assert recipe.num_parameters() == PARAMETERS[name]
    budget = recipe.budget("full")
    assert budget.batch_size == 1024 and budget.train_part == budget.test_part == ""
    assert budget.steps == 137_625
    epoch = 1_281_167 / 1024
    rate = recipe.optimizer.make_schedule(budget.steps)
    assert recipe.optimizer.name == "lamb" and recipe.optimizer.weight_decay == 0.1 and recipe.optimizer.clip == 10
    for step in (0, round(54 * epoch), round(55 * epoch) - 1):
        assert rate(step) == pytest.approx(2e-3)
    assert rate(round(82.5 * epoch)) == pytest.approx(1e-3, rel=1e-3)
    assert rate(budget.steps) == pytest.approx(0, abs=1e-9)
    assert (recipe.data.name, recipe.data.train, recipe.data.test) == ("imagenet2012:5.1.0", "train", "validation")


def test_only_the_model_differs():
    first, *others = (recipes.get(name) for name in PARAMETERS)
    for other in others:
        assert (other.budgets, other.optimizer, other.numerics) == (first.budgets, first.optimizer, first.numerics)
        assert recipes.base.describe(other.data) == recipes.base.describe(first.data)
        assert recipes.base.describe(other.loss) == recipes.base.describe(first.loss)
    assert len({recipes.get(name).fingerprint("full") for name in PARAMETERS}) == 3


@pytest.mark.usefixtures("use_photos")
def test_training_batches_of_real_photos():
    recipe = recipes.get("imagenet_fourier_io")
    batches = recipe.train_batches("ci", seed=1)
    batch, other = next(batches), next(batches)
    assert batch.keys() == {"image", "label", "record"}
    assert batch["image"].shape == (2, 224, 224, 3) and batch["image"].dtype == np.float32
    assert np.isfinite(batch["image"]).all() and 0.3 < batch["image"].std() < 3 and abs(batch["image"].mean()) < 2
    assert batch["label"].shape == (2, 1000) and batch["label"].dtype == np.float32
    np.testing.assert_allclose(batch["label"].sum(axis=1), 1, rtol=1e-5)
    for label, numbers in zip(batch["label"], batch["record"], strict=True):
        assert set(np.flatnonzero(label)) <= set(111 * numbers)
    assert (batch["image"] != other["image"]).any()
    np.testing.assert_array_equal(batch["image"], next(recipe.train_batches("ci", seed=1))["image"])


@pytest.mark.usefixtures("use_photos")
def test_test_batches_are_the_middle_of_each_photo():
    batches = list(recipes.get("imagenet_fourier_io").test_batches("ci"))
    assert [batch["record"].tolist() for batch in batches] == [[0, 1], [2, 3]]
    assert batches[0]["label"].tolist() == [0, 111]
    image, photo = batches[0]["image"][0], shipped.photos()[0].astype(np.float32)
    assert image.shape == (224, 224, 3) and image.dtype == np.float32
    height, width = photo.shape[:2]
    side = int(224 / 256 * min(height, width))
    top, left = (height - side + 1) // 2, (width - side + 1) // 2
    middle = photo[top : top + side, left : left + side].mean(axis=(0, 1))
    levels = image * 255 * [0.229, 0.224, 0.225] + 255 * np.array([0.485, 0.456, 0.406])
    np.testing.assert_allclose(levels.mean(axis=(0, 1)), middle, atol=2)


@pytest.mark.usefixtures("use_photos")
@pytest.mark.parametrize("name", PARAMETERS)
def test_a_step_at_the_true_shape(name):
    """Loss, gradients and LAMB on a batch of mixed photos, by abstract evaluation: nothing is computed."""
    recipe = recipes.get(name)
    batch = {key: value for key, value in next(recipe.train_batches("ci")).items() if key != "record"}
    optimizer = recipe.optimizer.make(recipe.budget("full").steps)
    step = make_train_step(abstract(name), optimizer, recipe.loss)
    _, params, state = nnx.split(abstract(name), nnx.Param, ...)
    opt_state = jax.eval_shape(optimizer.init, params)
    after = jax.eval_shape(step.compiled, params, state, opt_state, batch, jax.random.key(0))
    for before, found in zip((params, state, opt_state), after[:3], strict=True):
        assert jax.tree.structure(before) == jax.tree.structure(found)
        shapes = [[(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(tree)] for tree in (before, found)]
        assert shapes[0] == shapes[1]
    assert {key: value.shape for key, value in after[3].items()} == {"loss": (), "grad_norm": (), "accuracy": ()}
