"""Mixup and CutMix: what is drawn, what is mixed, and that labels say how much of each there is."""

import numpy as np
import pytest

from perceiver_lab.datasets import pipeline
from perceiver_lab.datasets.mixing import box_share, cutmix, draw_mix, mix_labels, mix_pairs, mixup

HEIGHT, WIDTH, CLASSES = 12, 10, 7


def rng(seed=0):
    return np.random.default_rng(seed)


def records(count, seed=0):
    images = rng(seed).normal(size=(count, HEIGHT, WIDTH, 3)).astype(np.float32)
    return [
        {"image": images[i], "label": int(rng([seed, i]).integers(CLASSES)), "record": np.int64(10 + i)}
        for i in range(count)
    ]


def batch(count, seed=0):
    drawn = [draw_mix(0.2)(record, rng([seed, 1, i])) for i, record in enumerate(records(count, seed))]
    return {key: np.stack([record[key] for record in drawn]) for key in drawn[0]}


def drawn_many(height, width, count=4000, alpha=0.2):
    image, draw = np.zeros((height, width, 3), np.float32), draw_mix(alpha)
    drawn = [draw({"image": image}, rng(seed)) for seed in range(count)]
    return np.array([one["mix_share"] for one in drawn]), np.array([one["mix_box"] for one in drawn])


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_shares_are_beta_distributed(alpha):
    """Mean 1/2, variance 1 / (4 (2 alpha + 1))."""
    shares, _ = drawn_many(8, 8, alpha=alpha)
    assert shares.dtype == np.float32 and shares.min() >= 0 and shares.max() <= 1
    assert abs(shares.mean() - 0.5) < 0.04
    assert abs(shares.var() - 1 / (4 * (2 * alpha + 1))) < 0.01


def test_boxes():
    """Where nothing is cut off, both sides are the same part of the picture's; the middle is any pixel."""
    height, width = 224, 112
    _, boxes = drawn_many(height, width)
    top, left, bottom, right = boxes.T
    assert boxes.dtype == np.int32
    assert (0 <= top).all() and (top <= bottom).all() and (bottom <= height).all()
    assert (0 <= left).all() and (left <= right).all() and (right <= width).all()
    whole = (top > 0) & (left > 0) & (bottom < height) & (right < width)
    tall, wide = (bottom - top)[whole], (right - left)[whole]
    assert whole.sum() > 500 and (tall % 2 == 0).all() and (wide % 2 == 0).all()
    assert (abs(tall - 2 * wide) <= 4).all()  # each rounded down to an even number
    # A side is sqrt(1 - u) of the picture's, so that its square, the box's part of it, is uniform before cutting.
    above = (top > 0) & (bottom < height)
    middles = ((top + bottom) / 2)[above]
    assert middles.min() < 30 and middles.max() > 195 and abs(middles.mean() - height / 2) < 5


def test_sides_before_cutting_are_roots_of_uniform_numbers():
    """With the middle in the middle nothing is cut off."""

    class Central(np.random.Generator):
        def integers(self, extent):
            return extent // 2

    generator, draw, image = Central(np.random.PCG64(0)), draw_mix(0.2), np.zeros((1000, 1000, 3), np.float32)
    boxes = np.array([draw({"image": image}, generator)["mix_box"] for _ in range(4000)])
    parts = box_share(boxes, 1000, 1000)
    np.testing.assert_allclose(np.quantile(parts, [0.1, 0.25, 0.5, 0.75, 0.9]), [0.1, 0.25, 0.5, 0.75, 0.9], atol=0.03)


def test_mixup_by_its_formula():
    first, second = (rng(seed).normal(size=(3, 4, 5, 2)).astype(np.float32) for seed in (0, 1))
    share = np.array([0, 0.3, 1], np.float32)
    mixed = mixup(first, second, share)
    assert mixed.dtype == np.float32
    np.testing.assert_allclose(
        mixed, [s * a + (1 - s) * b for a, b, s in zip(first, second, share, strict=True)], rtol=1e-6
    )
    np.testing.assert_array_equal(mixed[0], second[0])
    np.testing.assert_array_equal(mixed[2], first[2])


def test_cutmix_by_its_mask():
    first, second = (rng(seed).normal(size=(3, 6, 5, 2)).astype(np.float32) for seed in (0, 1))
    boxes = np.array([[1, 2, 4, 5], [0, 0, 6, 5], [3, 3, 3, 4]], np.int32)
    kept = second.copy()
    mixed = cutmix(first, second, boxes)
    mask = np.zeros((3, 6, 5, 1), np.float32)
    mask[0, 1:4, 2:5] = 1
    mask[1] = 1
    np.testing.assert_array_equal(mixed, mask * first + (1 - mask) * second)
    np.testing.assert_allclose(box_share(boxes, 6, 5), mask.mean(axis=(1, 2, 3)), rtol=1e-6)
    np.testing.assert_array_equal(second, kept)


def test_labels_are_distributions():
    labels = mix_labels(np.array([2, 0, 3]), np.array([1, 0, 2]), np.array([0.25, 0.6, 1.0], np.float32), 4)
    np.testing.assert_allclose(labels, [[0, 0.75, 0.25, 0], [1, 0, 0, 0], [0, 0, 0, 1]], rtol=1e-6)
    assert labels.dtype == np.float32


def test_a_batch_is_half_mixup_and_half_cutmix():
    given = batch(12)
    mixed = mix_pairs(CLASSES)(given)
    assert mixed.keys() == {"image", "label", "record"}
    assert mixed["image"].shape == (6, HEIGHT, WIDTH, 3) and mixed["image"].dtype == np.float32
    assert mixed["label"].shape == (6, CLASSES) and mixed["label"].dtype == np.float32
    for row, (one, other) in enumerate([(0, 3), (1, 4), (2, 5), (6, 9), (7, 10), (8, 11)]):
        a, b = given["image"][one], given["image"][other]
        if row < 3:
            share = given["mix_share"][one]
            expected = share * a + (1 - share) * b
        else:
            top, left, bottom, right = given["mix_box"][one]
            mask = np.zeros((HEIGHT, WIDTH, 1), np.float32)
            mask[top:bottom, left:right] = 1
            share, expected = mask.mean(), mask * a + (1 - mask) * b
        np.testing.assert_allclose(mixed["image"][row], expected, atol=1e-6)
        label = share * np.eye(CLASSES)[given["label"][one]] + (1 - share) * np.eye(CLASSES)[given["label"][other]]
        np.testing.assert_allclose(mixed["label"][row], label, atol=1e-6)
        assert mixed["record"][row].tolist() == [10 + one, 10 + other]
    np.testing.assert_allclose(mixed["label"].sum(axis=1), 1, rtol=1e-6)
    without = mix_pairs(CLASSES)({key: value for key, value in given.items() if key != "record"})
    assert without.keys() == {"image", "label"}


def stream(**options):
    columns = {"image": rng().normal(size=(10, HEIGHT, WIDTH, 3)).astype(np.float32), "label": np.arange(10) % CLASSES}
    return pipeline(columns, batch_size=4, seed=1, transforms=(draw_mix(0.2),), mix=mix_pairs(CLASSES), **options)


def test_in_a_pipeline():
    """A batch takes twice its size of records, each once per epoch, and resumes exactly."""
    batches = stream()
    first = [next(batches) for _ in range(5)]
    assert {batch["image"].shape for batch in first} == {(4, HEIGHT, WIDTH, 3)}
    assert {batch["label"].shape for batch in first} == {(4, CLASSES)}
    numbers = np.concatenate([batch["record"].reshape(-1) for batch in first])
    assert np.bincount(numbers).tolist() == [4] * 10
    state = batches.get_state()
    expected = next(batches)
    fresh = stream()
    fresh.set_state(state)
    for key, value in next(fresh).items():
        np.testing.assert_array_equal(value, expected[key])


def test_a_pipeline_that_cannot_mix():
    with pytest.raises(ValueError, match="with repeat=False: expected a function batch -> batch, such as mix_pairs"):
        stream(repeat=False)
    with pytest.raises(ValueError, match="mix=1000 with repeat=True: expected a function"):
        pipeline(batch(4), batch_size=4, mix=1000)


def test_nothing_is_written_to_and_chance_is_in_the_records():
    record = records(1)[0]
    record["image"].flags.writeable = False
    first, again, other = (draw_mix(0.2)(record, rng(seed)) for seed in (5, 5, 6))
    assert first["image"] is record["image"] and record.keys() == {"image", "label", "record"}
    assert first["mix_share"] == again["mix_share"] != other["mix_share"]
    np.testing.assert_array_equal(first["mix_box"], again["mix_box"])
    given = batch(8)
    for value in given.values():
        value.flags.writeable = False
    one, two = mix_pairs(CLASSES)(given), mix_pairs(CLASSES)(given)
    for key in one:
        np.testing.assert_array_equal(one[key], two[key])


def test_what_cannot_be_mixed():
    for wrong in (0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="draw_mix.*expected a number above 0; the release's is 0.2"):
            draw_mix(wrong)
    with pytest.raises(ValueError, match=r"draw_mix was given an image of shape \(5, 3\); expected height x width"):
        draw_mix(0.2)({"image": np.zeros((5, 3))}, rng())
    given, mix = batch(8), mix_pairs(CLASSES)
    with pytest.raises(ValueError, match="a batch without mix_box, mix_share. Put draw_mix"):
        mix({key: given[key] for key in ("image", "label")})
    with pytest.raises(ValueError, match="of 6 records it cannot. Take an even batch_size"):
        mix({key: value[:6] for key, value in given.items()})
    with pytest.raises(ValueError, match="mixes float images, and these are uint8. Put normalise before"):
        mix(given | {"image": given["image"].astype(np.uint8)})
    for wrong in (given["label"] - 7, given["label"] + 7, given["label"].astype(np.float32), np.eye(8)[given["label"]]):
        with pytest.raises(
            ValueError, match=r"mix_pairs\(7\) was given labels .* expected one whole number from 0 to 6"
        ):
            mix(given | {"label": wrong})
