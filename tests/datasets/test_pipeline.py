"""Batches: every record once an epoch, the same augmentation whatever the batch size, and resuming bit for bit."""

import importlib
import itertools
import json
import subprocess
import sys

import numpy as np
import pytest

from perceiver_lab.datasets import arrays, load, pipeline, random_crop, random_shift, sample_pixels, to_float

module = importlib.import_module("perceiver_lab.datasets.pipeline")  # the attribute of that name is the function
TEN = {"image": np.arange(10 * 36, dtype=np.uint8).reshape(10, 6, 6, 1), "label": np.arange(10)}
AUGMENT = (random_crop(4), sample_pixels(9), to_float)


def take(count, batches):
    return list(itertools.islice(batches, count))


def assert_equal(first, second):
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert one.keys() == other.keys()
        for key in one:
            assert one[key].dtype == other[key].dtype
            np.testing.assert_array_equal(one[key], other[key])


def test_batches_of_a_named_set():
    batches = pipeline("digits", split="train", batch_size=64, seed=1, transforms=(to_float,))
    batch = next(batches)
    assert batch.keys() == {"image", "label", "record"}
    assert batch["image"].shape == (64, 8, 8, 1) and batch["image"].dtype == np.float32
    assert batch["label"].shape == (64,) and batch["record"].dtype == np.int64
    whole = arrays("digits", "train")
    np.testing.assert_array_equal(batch["label"], whole["label"][batch["record"]])
    np.testing.assert_allclose(batch["image"], whole["image"][batch["record"]] / 8 - 1, atol=1e-6)


def test_every_record_once_in_each_epoch_and_orders_differ():
    stream = np.concatenate([batch["record"] for batch in take(15, pipeline(TEN, batch_size=4, seed=5))])
    epochs = stream.reshape(6, 10)
    assert (np.sort(epochs, axis=1) == np.arange(10)).all()
    assert len({tuple(epoch) for epoch in epochs.tolist()}) == 6


def test_one_epoch_ends_with_what_is_left():
    batches = list(pipeline(TEN, batch_size=4, repeat=False, shuffle=False))
    assert [batch["record"].tolist() for batch in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    np.testing.assert_array_equal(np.concatenate([batch["image"] for batch in batches]), TEN["image"])


@pytest.mark.parametrize("count", [1, 3, 10])
def test_batches_of_one_go_on_for_ever(count):
    few = {name: values[:count] for name, values in TEN.items()}
    batches = take(3 * count, pipeline(few, batch_size=1))
    assert sorted(int(batch["label"][0]) for batch in batches) == sorted([*range(count)] * 3)


def test_order_and_augmentation_follow_the_seed():
    runs = [take(3, pipeline(TEN, batch_size=5, seed=seed, transforms=AUGMENT)) for seed in (0, 0, 1)]
    assert_equal(runs[0], runs[1])
    assert any((a["record"] != b["record"]).any() for a, b in zip(runs[0], runs[2], strict=True))


def test_augmentation_belongs_to_seed_epoch_and_record_only():
    def images(**options):
        found = {}
        batches = take(30 // options["batch_size"], pipeline(TEN, seed=3, transforms=AUGMENT, **options))
        for place, batch in enumerate(batches):
            for row, number in enumerate(batch["record"]):
                epoch = (place * options["batch_size"] + row) // 10
                found[epoch, int(number)] = batch["image"][row].tobytes()
        return found

    by_fives, by_sixes, in_order = images(batch_size=5), images(batch_size=6), images(batch_size=5, shuffle=False)
    assert by_fives == by_sixes == in_order
    assert len(by_fives) == 30 and len({by_fives[epoch, 4] for epoch in range(3)}) == 3


@pytest.mark.parametrize("memory", [2**40, 0], ids=["in memory", "read by a thread"])
@pytest.mark.parametrize("done", [0, 1, 7, 40])
def test_state_resumes_exactly(memory, done, monkeypatch):
    monkeypatch.setattr(module, "MEMORY_BYTES", memory)

    def stream():
        source = load("digits", "test[:50]")
        return pipeline(source, batch_size=8, seed=11, transforms=(to_float, random_shift(10), sample_pixels(20)))

    batches = stream()
    take(done, batches)
    state = json.loads(json.dumps(batches.get_state()))
    assert len(json.dumps(state)) < 200
    expected = take(12, batches)

    fresh = stream()
    fresh.set_state(state)
    assert_equal(take(12, fresh), expected)
    batches.set_state(state)  # and back in the same iterator
    assert_equal(take(12, batches), expected)


def test_streamed_and_remembered_records_make_the_same_batches(monkeypatch):
    def run(source):
        return take(4, pipeline(source, batch_size=16, seed=2, transforms=(random_shift(36), to_float)))

    expected = run(load("mnist_small", "test"))
    assert_equal(run(arrays("mnist_small", "test")), expected)
    assert_equal(run(list(load("mnist_small", "test"))), expected)
    monkeypatch.setattr(module, "MEMORY_BYTES", 0)
    assert_equal(run(load("mnist_small", "test")), expected)


def test_transforms_cannot_write_into_the_set():
    def spoil(record, rng):
        record["label"] = record["label"] + 100
        record["more"] = np.float32(rng.random())
        return record

    records = [{"label": 1}, {"label": 2}]
    batch = next(pipeline(records, batch_size=2, shuffle=False, transforms=(spoil,)))
    assert batch["label"].tolist() == [101, 102] and batch["more"].dtype == np.float32
    assert records == [{"label": 1}, {"label": 2}]


def test_records_that_do_not_stack_are_named():
    with pytest.raises(
        ValueError, match=r"Records \[0, 1, 2\] cannot be stacked into a batch: their 'image' have shapes"
    ):
        next(pipeline("photos", split="train", batch_size=3, shuffle=False))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0; expected a whole number of records"),
        ({"batch_size": 2.0}, "batch_size is 2.0"),
        ({"seed": -1}, "seed is -1; expected a whole number from 0"),
        ({"seed": 2**32}, "seed is 4294967296"),
        ({"transforms": to_float}, r"expected a tuple of functions \(record, rng\) -> record"),
        ({"transforms": (to_float, 224)}, "expected a tuple of functions"),
        ({"source": 5}, "source is a int; expected the name of a data set"),
        ({"source": []}, "The source has no records"),
        ({"source": {"image": np.zeros((0, 2))}}, "The source has no records"),
        ({"source": {}}, "needs one row per record"),
        ({"source": {"image": np.zeros(3), "label": np.zeros(4)}}, "the lengths are {'image': 3, 'label': 4}"),
        ({"source": {"image": np.float32(1)}}, "the lengths are {'image': None}"),
        ({"source": "digits"}, r"pipeline\('digits', ...\) needs to know what to read: give split='train'"),
    ],
)
def test_bad_arguments(options, message):
    options = {"source": TEN, "batch_size": 2} | options
    with pytest.raises(ValueError, match=message):
        pipeline(options.pop("source"), **options)


def test_importing_the_room_imports_nothing_heavy():
    heavy = "'grain', 'tensorflow_datasets', 'tensorflow', 'PIL', 'sklearn', 'skimage'"
    code = f"import sys, perceiver_lab.datasets; print([name for name in ({heavy}) if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_shares_of_a_batch_make_up_the_batch():
    def batches(share):
        return take(7, pipeline(TEN, batch_size=6, seed=1, transforms=AUGMENT, share=share))

    shares = zip(*(batches((number, 3)) for number in range(3)), strict=True)
    together = [{key: np.concatenate([one[key] for one in parts]) for key in parts[0]} for parts in shares]
    assert_equal(together, batches((0, 1)))


def test_shares_of_a_mixed_batch_hold_the_same_pairs():
    """Each share is mixed by itself: of its rows, the first half of the one kind, the second half of the other."""

    def in_quarters(batch):
        up, under, over, below = np.split(batch["record"], 4)
        return {"record": np.stack([np.concatenate([up, over]), np.concatenate([under, below])], axis=1)}

    def batches(share):
        return [one["record"] for one in take(5, pipeline(TEN, batch_size=8, mix=in_quarters, share=share))]

    for whole, *parts in zip(batches((0, 1)), batches((0, 2)), batches((1, 2)), strict=True):
        up, over = (np.concatenate([np.split(part, 2)[kind] for part in parts]) for kind in range(2))
        np.testing.assert_array_equal(np.concatenate([up, over]), whole)


@pytest.mark.parametrize(("share", "mix"), [((0, 4), None), ((2, 2), None), ((-1, 2), None), ((0, 2), dict)])
def test_a_share_that_is_none(share, mix):
    with pytest.raises(ValueError, match="a count that divides the batch"):
        pipeline(TEN, batch_size=6, mix=mix, share=share)
