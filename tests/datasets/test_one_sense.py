"""Records of one sense each: what is there is what the sets have, what is not there is zeros."""

import numpy as np
import pytest

from perceiver_lab.datasets import load, plays, shipped
from perceiver_lab.datasets.one_sense import ASKED, NOTHING, SENSES, TASKS, only_of
from perceiver_lab.datasets.sound import center_sound, spoken_digits


def test_every_sense_is_asked_one_of_ten():
    assert set(ASKED) == set(SENSES) and set(ASKED.values()) == set(TASKS)
    assert all(len(answers) == 10 for answers in TASKS.values())


def test_only_one_sense_is_changed():
    def louder(record, rng):
        return {**record, "sound": record["sound"] + 1}

    change = only_of("sound", (louder, louder))
    other = {**NOTHING, "sense": SENSES.index("image"), "label": 3}
    assert set(change(other, None)) == set(other) - {"length"} and not change(other, None)["sound"].any()
    own = {**NOTHING, "sense": SENSES.index("sound"), "label": 3}
    np.testing.assert_array_equal(change(own, None)["sound"], np.full((8000, 1), 2))
    moved = only_of("sound", (center_sound,))({**own, "length": 10}, None)
    assert set(moved) == set(change(other, None))  # so that they can stand in one batch
    with pytest.raises(ValueError, match="only_of\\('smell', ...\\): the senses are bytes, image, sound"):
        only_of("smell", ())
    with pytest.raises(ValueError, match="was given a record with sound; it wants 'sense' too"):
        change({"sound": 0}, None)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_records(prepared):
    train, test = (load("one_sense", part, data_dir=prepared) for part in ("train", "test"))
    counts = {"bytes": 548, "image": 1000, "sound": 100}
    assert len(train) == 18_000 and len(test) == sum(counts.values())
    for sense, count in counts.items():
        assert len(load("one_sense", f"test_{sense}", data_dir=prepared)) == count
    for index in range(0, 60, 7):
        record = train[index]
        assert SENSES[record["sense"]] == SENSES[index % 3]
        assert all(record[name].any() == (name == SENSES[record["sense"]]) for name in SENSES)
    assert len(load("one_sense", "train_sound", data_dir=prepared)) == 400
    np.testing.assert_array_equal(train[2]["sound"], train[2 + 3 * 400]["sound"])  # the fewer ones come again
    images, labels = shipped.mnist_digits("train")
    np.testing.assert_array_equal(train[1 + 3 * 77]["image"][..., 0], images[77])
    assert train[1 + 3 * 77]["label"] == labels[77]
    heard = load("one_sense", "train_sound", data_dir=prepared)[0]
    clips = spoken_digits()
    first = clips.record(int(clips.where("train", "take")[0]))
    assert (heard["length"], heard["label"]) == (first["length"], first["label"])
    text = load("one_sense", "train_bytes", data_dir=prepared)[5]
    assert plays.SPEAKERS[text["label"]] == plays.spoken_pieces("train")[5][1]
    senses = np.array([test[index]["sense"] for index in range(100)])
    assert set(senses) == {0, 1, 2} and (np.diff(senses) != 0).mean() > 0.3
