"""A Hierarchical Perceiver at work: pixels, senses and points find their groups, and each task is measured rightly."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab import recipes
from perceiver_lab.datasets import clouds
from perceiver_lab.models import HiPConfig
from perceiver_lab.recipes import hip_clouds, hip_scenes, hip_senses
from perceiver_lab.recipes import hip_scenes_measure as measure
from perceiver_lab.training import make_train_step

NAMES = ("hip_scenes", "unet_scenes", "hip_pets", "hip_senses", "hip_clouds")
RNG = np.random.default_rng


ONE_LEVEL = HiPConfig(
    num_groups=(1,),
    num_self_attends_per_block=(1,),
    num_latents=(16,),
    latent_channels=(16,),
    num_self_heads=2,
    self_widening_factor=1,
    embedding_channels=16,
)


def scenes_source(count=20):
    """Pictures with a bright square, of class 2."""
    image, kinds = RNG(0).integers(0, 60, (count, 48, 48, 3), np.uint8), np.zeros((count, 48, 48), np.uint8)
    for index in range(count):
        part = slice(5 + index, 25 + index)
        image[index, part, part], kinds[index, part, part] = (200, 90, 10), 2
    return {"image": image, "kinds": kinds, "label": np.ones(count, np.int64)}


def test_a_group_is_a_square_of_the_picture(monkeypatch):
    """What the first block reads in a group comes from one square of 12 x 12, and comes back to it."""
    model = dataclasses.replace(recipes.get("hip_scenes"), model=ONE_LEVEL).make_model(nnx.Rngs(0))
    rows = {}
    monkeypatch.setattr(
        type(model.hip), "__call__", lambda self, x, **_: rows.update(x) or {"image": x["image"][..., :4]}
    )
    image = np.arange(48 * 48, dtype=np.float32).reshape(1, 48, 48, 1)
    places = model(jnp.asarray(np.concatenate([image] * 3, axis=-1)))
    groups = np.asarray(rows["image"]).reshape(16, 36, 12)
    for number, group in enumerate(groups):
        row, column = np.divmod(np.unique(group).astype(int), 48)
        assert (row // 12 == number // 4).all() and (column // 12 == number % 4).all() and len(row) == 144
    assert places.shape == (1, 48, 48, 1)
    # Of an element's 12 numbers the first four went back: the colours of its first pixel and one of its second.
    np.testing.assert_array_equal(np.asarray(places)[0, ::2, ::2, 0], image[0, ::2, ::2, 0])


def test_steps_make_the_loss_smaller_and_masks_are_counted(monkeypatch):
    """By a model of one level, which compiles fast; the recipe's own has three."""
    monkeypatch.setattr(recipes.Recipe, "_source", lambda self, split: scenes_source())
    recipe = dataclasses.replace(recipes.get("hip_scenes"), model=ONE_LEVEL).override({"optimizer.warmup_steps": 1})
    batch = {name: jnp.asarray(value) for name, value in next(recipe.train_batches("ci")).items() if name != "record"}
    step = make_train_step(recipe.make_model(nnx.Rngs(0)), recipe.optimizer.make(60), recipe.loss)
    state, losses = step.init(), []
    for _ in range(20):
        *state, metrics = step(*state, batch, jax.random.key(0))
        losses.append(float(metrics["loss"]))
    assert losses[0] == pytest.approx(np.log(5), abs=1e-4) and losses[-1] < 0.8 * losses[0]
    numbers = recipe.metrics(step.merge(*state[:2]), "ci")
    assert numbers["total"] == 20 and 0 <= numbers["mask_iou"] <= 1
    assert recipe.tell(numbers).startswith("test mask iou ")


def test_judged_by_hand():
    truth = np.zeros((2, 4, 4), np.uint8)
    truth[:, :2, :2], truth[1, 2, 2] = 1, 2
    found = truth.copy()
    found[0, 0, 0], found[1, 3, 3] = 2, 1  # a wrong kind in the mask; a pixel outside it
    numbers = measure.judge_kinds(found, truth)
    assert numbers["mask_iou"] == pytest.approx((1 + 5 / 6) / 2)
    assert numbers["kind_iou"] == pytest.approx((7 / 9 + 1 / 2) / 2)
    assert numbers["pixel_accuracy"] == pytest.approx(30 / 32) and numbers["background"] == pytest.approx(23 / 32)
    with pytest.raises(ValueError, match="besides background"):
        measure.judge_kinds(found, np.zeros_like(truth))


def test_a_colour_alone_finds_a_shape_on_plain_ground():
    made = scenes_source(4)
    threshold = measure.best_threshold(made["image"], made["kinds"])
    found = measure.colour_masks(made["image"], threshold)
    np.testing.assert_array_equal(found, made["kinds"] > 0)


def test_a_photo_with_a_mask_as_it_comes_from_tfds(monkeypatch):
    """Records of the form of oxford_iiit_pet pass the real pipeline."""
    mask = np.full((150, 200, 1), 2, np.uint8)
    mask[40:110, 60:140], mask[50:100, 70:130] = 3, 1
    photo = np.where(mask == 1, 220, 30).astype(np.uint8).repeat(3, axis=-1)
    record = {"image": photo, "segmentation_mask": mask, "label": 3, "species": 0, "file_name": b"a.jpg"}
    monkeypatch.setattr(recipes.Recipe, "_source", lambda self, split: [record] * 8)
    recipe = recipes.get("hip_pets")
    batch = next(recipe.train_batches("ci"))
    assert batch["image"].shape == (4, 96, 96, 3) and batch["kinds"].shape == (4, 96, 96)
    assert set(np.unique(batch["kinds"])) == {0, 1, 2}
    bright = batch["image"][..., 0] > 0.5
    assert (batch["kinds"][bright] != 0).mean() > 0.97 and bright.mean() == pytest.approx((50 * 60) / 150**2, abs=0.02)
    model = nnx.eval_shape(lambda: recipe.make_model(nnx.Rngs(0)))
    said = nnx.eval_shape(recipe.predict, model, {"image": jnp.asarray(batch["image"])})
    assert said.shape == (4, 96, 96, 3)
    with pytest.raises(ValueError, match="levels 1"):
        recipe.data.test_transforms[0]({**record, "segmentation_mask": mask * 50})


def senses_source(count=16):
    rng = RNG(1)
    return {
        "video": rng.integers(0, 256, (count, 8, 32, 32, 1), np.uint8),
        "sound": rng.normal(0, 0.1, (count, 8000, 1)).astype(np.float32),
        "length": np.full(count, 8000),
        "label": np.arange(count) % 10,
        "speaker": np.zeros(count, np.int64),
        "take": np.arange(count),
    }


class Echo(nnx.Module):
    """Gives back what it is shown, and says "three" wherever there is sound to be heard, else "five"."""

    def __call__(self, x, **options):
        label = jnp.where(jnp.any(x["sound"] != 0, axis=(1, 2))[:, None], jax.nn.one_hot(3, 10), jax.nn.one_hot(5, 10))
        return x | {"label": 50 * label[:, None]}


def test_senses_are_cut_into_rows_and_what_is_hidden_counts(monkeypatch):
    monkeypatch.setattr(recipes.Recipe, "_source", lambda self, split: senses_source())
    recipe = recipes.get("hip_senses")
    batch = next(recipe.train_batches("ci"))
    given = {name: jnp.asarray(batch[name]) for name in ("video", "sound", "label")}
    x = hip_senses.elements(given)
    assert {name: rows.shape[1:] for name, rows in x.items()} == {
        "sound": (100, 32),
        "video": (64, 128),
        "label": (1, 10),
    }
    # The first of the second quarter: the top right one, in all frames.
    np.testing.assert_array_equal(x["video"][0, 16].reshape(8, 4, 4), batch["video"][0, :, :4, 16:20, 0])
    gone = {"hidden_sound": jnp.asarray([True] * 4), "hidden_video": jnp.asarray([False] * 4)}
    _, parts = hip_senses.loss(Echo(), given | gone, nnx.Rngs(mask=0))
    # All of the sound is hidden, and an echo says zero there; of the video a quarter.
    assert float(parts["sound_hidden"]) == pytest.approx(float((x["sound"] ** 2).mean()), rel=1e-4)
    assert float(parts["video_all"]) == pytest.approx(float((x["video"] ** 2).mean()) / 4, rel=0.1)
    assert float(parts["accuracy"]) == np.mean(batch["label"] == 5)  # the label itself is hidden always
    numbers = recipe.metrics(Echo(), "ci")
    assert numbers["total"] == 16 and numbers["sound_total"] == 16
    assert numbers["accuracy"] == numbers["sound_accuracy"] == 2 / 16  # 3 and 13
    assert numbers["video_accuracy"] == 2 / 16 and numbers["video_error"] == pytest.approx(1, abs=0.05)


def test_labels_are_read_and_asked_for():
    recipe = recipes.get("hip_senses")
    model = nnx.eval_shape(lambda: recipe.make_model(nnx.Rngs(0)))
    batch = {"video": jnp.zeros((2, 8, 32, 32, 1)), "sound": jnp.zeros((2, 8000, 1)), "label": jnp.zeros(2, int)}
    said = nnx.eval_shape(recipe.predict, model, batch)
    assert {name: rows.shape for name, rows in said.items()} == {
        **dict.fromkeys(("both", "sound", "video"), (2, 10)),
        **{f"{sense}_{part}": (2,) for sense in ("sound", "video") for part in ("error", "square")},
    }


def test_each_quarter_of_the_frame_has_a_group_of_its_own():
    model = nnx.eval_shape(lambda: recipes.get("hip_senses").make_model(nnx.Rngs(0)))
    assert {cut.name: cut.num_groups for cut in model.grouping.cuts} == {"sound": 6, "video": 4}
    assert {cut.final_padding for cut in model.grouping.cuts if cut.name == "video"} == {0}


def test_the_order_of_a_cloud_plays_no_part(monkeypatch):
    found = [{"points": clouds.cloud(label, RNG(label)), "label": label} for label in range(4)] * 4
    monkeypatch.setattr(recipes.Recipe, "_source", lambda self, split: found)
    recipe = recipes.get("hip_clouds")
    batch, tested = next(recipe.train_batches("ci")), next(recipe.test_batches("ci"))
    assert batch["points"].shape == (4, 1024, 3) and np.abs(batch["points"]).max() <= 1
    mixed = {**found[0], "points": found[0]["points"][RNG(0).permutation(1024)]}
    again = recipe.data.test_transforms[0](mixed)["points"]
    assert (again == tested["points"][0]).all(axis=1).mean() > 0.9  # but for points in one cell
    steps = [np.linalg.norm(np.diff(one, axis=0), axis=1).mean() for one in (found[0]["points"], tested["points"][0])]
    assert steps[1] < steps[0] / 4
    model = nnx.eval_shape(lambda: recipe.make_model(nnx.Rngs(0)))
    batch = {name: jnp.asarray(batch[name]) for name in ("points", "label")}
    assert nnx.eval_shape(hip_clouds.predict, model, batch).shape == (4, 10)
    loss, parts = nnx.eval_shape(lambda model: hip_clouds.loss(model, batch, nnx.Rngs(mask=0)), model)
    assert loss.shape == () and {"points_hidden", "label_hidden", "accuracy"} <= parts.keys()


@pytest.mark.parametrize("name", NAMES)
def test_weights_stay_small(name):
    assert recipes.get(name).num_parameters() * 2 < {"hip_senses": 1.5}.get(name, 1) * 2**20


def test_the_two_that_cut_shapes_out_differ_in_model_and_steps_only():
    one, other = recipes.get("hip_scenes"), recipes.get("unet_scenes")
    for field in ("data", "optimizer", "loss", "measure", "headline", "reads"):
        assert getattr(one, field) == getattr(other, field), field
    assert hip_scenes.GROUPS**2 == one.model.num_groups[0]
