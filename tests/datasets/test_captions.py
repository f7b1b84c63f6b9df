"""Captions: what is said is what is shown, pairs that are held out are held out, sequences are what they say."""

import collections
import itertools
import re

import numpy as np
import pytest

from perceiver_lab.datasets import captions, captions_builder, captions_text, decode_ids, pipeline, shipped
from perceiver_lab.datasets.bytes import EOS, PAD
from perceiver_lab.datasets.captions_text import (
    CHUNK,
    IMAGE,
    any_pair,
    as_prompt,
    few_shot,
    interleave,
    only_text,
    other_colours,
    turned,
)


@pytest.fixture(scope="module")
def photos():
    return shipped.photos()


@pytest.fixture(scope="module")
def records(photos):
    """The first records of each part, as the builder makes them."""
    return {
        part: [captions_builder.record(photos, shipped.mnist_digits(part), part, index) for index in range(48)]
        for part in ("train", "test")
    }


def text_of(record):
    return decode_ids(record["ids"])


def colour_at(frame, name):
    """Which pixels are of this colour, give or take the jitter and the blended edges."""
    return np.abs(frame.astype(int) - np.array(captions.COLOURS[name])).max(axis=-1) <= captions.JITTER + 10


def pairs_in(text):
    return re.findall(rf"({'|'.join(captions.COLOURS)}) ({'|'.join(captions.SHAPES)})", text)


def test_pairs_are_held_out_and_parts_of_them_are_not():
    assert len(captions.KNOWN) + len(captions.HELD_OUT) == len(captions.COLOURS) * len(captions.SHAPES) == 24
    assert not set(captions.KNOWN) & set(captions.HELD_OUT)
    for place, names in enumerate((captions.COLOURS, captions.SHAPES)):
        known = collections.Counter(pair[place] for pair in captions.KNOWN)
        assert set(known) == set(names) and min(known.values()) >= 3
        assert {pair[place] for pair in captions.HELD_OUT} == set(names)


def test_no_text_of_the_training_names_a_held_out_pair(records):
    for record in records["train"]:
        pairs = pairs_in(text_of(record) + decode_ids(record["other"]))
        assert not set(pairs) & set(captions.HELD_OUT) and not record["held_out"]
    named = [pairs_in(text_of(record)) for record in records["test"] if record["held_out"]]
    assert len(named) == 20 and all(len(one) == 1 and one[0] in captions.HELD_OUT for one in named)
    others = [pairs_in(text_of(record)) for record in records["test"] if not record["held_out"]]
    assert not set(itertools.chain(*others)) & set(captions.HELD_OUT)


def test_a_rota_of_kinds(records):
    kinds = {part: collections.Counter(record["kind"] for record in records[part]) for part in records}
    assert kinds["train"] == {"shapes": 12, "what": 12, "digit": 8, "clip": 8, "order": 8}
    assert kinds["test"] == {"shapes": 20, "order": 20, "digit": 4, "clip": 4}


def test_a_record_does_not_depend_on_the_others(photos, records):
    again = captions_builder.record(photos, shipped.mnist_digits("train"), "train", 17)
    assert all(np.array_equal(again[name], value) for name, value in records["train"][17].items())
    assert not np.array_equal(records["train"][0]["frames"], records["test"][0]["frames"])


def test_captions_of_shapes_are_true(photos):
    """As many patches of the colour as the caption says."""
    from scipy import ndimage

    counted = collections.Counter()
    for index in range(60):
        example = captions.shapes_picture(photos, captions.KNOWN, np.random.default_rng([3, index]))
        number, colour, kind = example.answer.rstrip(".").split()
        count = captions.NUMBERS.index(number) + 1
        counted[count] += 1
        assert kind.removesuffix("s") in captions.SHAPES and kind.endswith("s") == (count > 1)
        patches, found = ndimage.label(colour_at(example.frames[0], colour))
        large = sum((patches == one).sum() >= 12 for one in range(1, found + 1))
        assert large == count, (index, example.answer, large)
        assert example.frames.shape == (1, 32, 32, 3) and example.question == example.other == ""
    assert set(counted) == {1, 2, 3}


def test_captions_of_digits_are_true(photos):
    images, labels = shipped.mnist_digits("test")
    for index in range(30):
        example = captions.digit_picture(photos, images[index], int(labels[index]), np.random.default_rng([4, index]))
        _, colour, digit = example.answer.rstrip(".").split()
        assert digit == str(labels[index])
        painted = colour_at(example.frames[0], colour).sum()
        assert painted >= 0.3 * (images[index] > 200).sum()


def things(example):
    """The two things that a clip shows, from its frames: in which of them each of its colours is seen."""
    answers = [example.answer, example.other] if example.other else example.answer.split(" then ")
    return [pairs_in(answer)[0] for answer in answers]


@pytest.mark.parametrize("ask", [False, True])
@pytest.mark.parametrize("num_frames", [2, 4, 16])
def test_clips_show_what_they_tell_in_order(photos, ask, num_frames):
    asked = collections.Counter()
    for index in range(25):
        example = captions.clip(
            photos, captions.KNOWN, np.random.default_rng([5, index]), ask=ask, num_frames=num_frames
        )
        assert example.frames.shape == (num_frames, 32, 32, 3)
        first, second = things(example)
        if example.question == "last? ":
            first, second = second, first
        asked[example.question] += 1
        if first[0] == second[0]:
            continue  # two things of one colour: what is seen does not tell them apart here
        seen = [[colour_at(frame, colour).sum() > 20 for frame in example.frames] for colour, _ in (first, second)]
        change = seen[1].index(True)
        assert 1 <= change < num_frames
        assert seen[0][:change] == [True] * change and seen[1][change:] == [True] * (num_frames - change)
        assert not seen[1][0] and not seen[0][-1]
    assert set(asked) == ({"first? ", "last? "} if ask else {""})


def test_what_moves_moves_a_little(photos):
    example = captions.clip(photos, captions.KNOWN, np.random.default_rng([6, 0]), ask=False, num_frames=16)
    steps = np.abs(np.diff(example.frames.astype(int), axis=0)).max(axis=-1) > 30
    assert np.median(steps.mean(axis=(1, 2))) < 0.1  # between two frames, few pixels change


@pytest.mark.usefixtures("unchecked")
def test_bad_arguments(photos):
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="photos is empty"):
        captions.shapes_picture([], captions.KNOWN, rng)
    with pytest.raises(ValueError, match="num_frames=1: a clip in which one thing follows another"):
        captions.clip(photos, captions.KNOWN, rng, ask=True, num_frames=1)


def test_chunks(records):
    for record in [*records["train"], *records["test"]]:
        ids, asked = record["ids"], record["asked"]
        assert ids.shape == record["other"].shape == (CHUNK,) and ids[0] == IMAGE
        end = np.flatnonzero(ids == EOS)
        assert len(end) == 1 and (ids[end[0] + 1 :] == PAD).all()
        question = decode_ids(ids[:asked])
        assert question in {"order": ("first? ", "last? "), "what": ("what? ",)}.get(record["kind"], ("",))
        if record["kind"] == "order":
            assert decode_ids(record["other"][:asked]) == question and text_of(record) != decode_ids(record["other"])
        else:
            assert (record["other"] == PAD).all()
    longest = max(captions.COLOURS, key=len), max(captions.SHAPES, key=len)
    thing = f"a {longest[0]} {longest[1]}"
    assert len(captions_text.encode_chunk("", f"{thing} then {thing}.")) <= CHUNK
    with pytest.raises(ValueError, match="does not fit into 44"):
        captions_text.chunk_record("", "x" * CHUNK)


def test_a_prompt_asks_for_the_answer_and_its_end(records):
    record = next(record for record in records["test"] if record["kind"] == "order")
    prompt = as_prompt(record)
    said = prompt["ids"][prompt["answers"]]
    assert said[-1] == EOS and decode_ids(said) == text_of(record).split("? ")[1]
    assert decode_ids(prompt["other"][prompt["other_answers"]]) == decode_ids(record["other"]).split("? ")[1]
    assert prompt["frames"].shape == (1, 4, 32, 32, 3) and prompt["frame_mask"].tolist() == [[True] * 4]
    picture = as_prompt(records["test"][0])
    assert picture["frame_mask"].tolist() == [[True, False, False, False]]
    assert not picture["other_answers"].any()
    assert "frames" not in as_prompt(only_text(record))


def test_prompts_with_examples(records):
    examples, query = records["train"][:3], records["test"][5]
    prompt = few_shot(examples, query, 160)
    chunks = [text_of(record) for record in (*examples, query)]
    assert decode_ids(prompt["ids"]) == "".join(chunks) and (prompt["ids"] == IMAGE).sum() == 4
    assert decode_ids(prompt["ids"][prompt["answers"]]) == chunks[-1].split("? ")[-1]
    assert prompt["frames"].shape == (4, 4, 32, 32, 3)
    np.testing.assert_array_equal(prompt["frame_mask"].sum(axis=1), [r["num_frames"] for r in (*examples, query)])
    alone, as_one = few_shot([], query, CHUNK), as_prompt(query)
    assert all(np.array_equal(alone[name], as_one[name]) for name in alone)
    with pytest.raises(ValueError, match="3 examples and the query have .* there is room for 60. Take fewer"):
        few_shot(examples, query, 60)


def test_sequences_for_training(records):
    source = records["train"]
    batch = next(pipeline(source, batch_size=6, seed=1, mix=interleave(4, 128)))
    assert batch["ids"].shape == batch["answers"].shape == (3, 128) and batch["record"].shape == (3, 4)
    assert batch["frames"].shape == (3, 4, 4, 32, 32, 3)
    for row in range(3):
        chosen = [source[number] for number in batch["record"][row]]
        whole = np.concatenate([one["ids"][one["ids"] != PAD] for one in chosen])[:128]
        np.testing.assert_array_equal(batch["ids"][row][: len(whole)], whole)
        assert (batch["ids"][row][len(whole) :] == PAD).all()
        for place, one in enumerate(chosen):
            np.testing.assert_array_equal(batch["frames"][row, place], one["frames"])
            assert batch["frame_mask"][row, place].sum() == one["num_frames"]
        asked = batch["ids"][row][batch["answers"][row]]
        assert IMAGE not in asked and PAD not in asked
        answers = "".join(text_of(one).split("? ")[-1] for one in chosen)
        assert answers.startswith(decode_ids(asked))
    text = next(pipeline(source, batch_size=6, seed=1, transforms=(only_text,), mix=interleave(4, 128)))
    assert set(text) == {"ids", "answers", "record"}
    np.testing.assert_array_equal(text["ids"], batch["ids"])


def test_what_is_too_long_is_cut_off(records):
    batch = next(pipeline(records["train"], batch_size=6, seed=1, mix=interleave(4, 40)))
    assert batch["ids"].shape == (3, 40) and (batch["ids"] != PAD).all()
    with pytest.raises(ValueError, match="10 records do not make sequences of 4 each"):
        next(pipeline(records["train"], batch_size=5, mix=interleave(4, 40)))
    with pytest.raises(ValueError, match=r"interleave\(0, 40\): expected whole numbers"):
        interleave(0, 40)


def test_what_is_asked_for_leaves_the_colour_out(records):
    asked = [record for record in records["train"] if record["kind"] == "what"]
    for record in asked:
        text = text_of(record)
        assert re.fullmatch(rf"what\? (a|two|three) ({'|'.join(captions.SHAPES)})s?\.", text), text
        assert decode_ids(record["ids"][record["asked"] :]) == text.removeprefix("what? ")
    assert {record["kind"] for record in records["train"]} == set(captions.KINDS)


def test_the_language_model_reads_of_all_pairs(records):
    rng, named = np.random.default_rng(0), set()
    for record in records["train"] * 4:
        changed = any_pair(record, rng)
        before, after = text_of(record), text_of(changed)
        assert re.sub(captions_text._PAIR, "pair", before) == re.sub(captions_text._PAIR, "pair", after)
        assert changed["ids"].shape == (CHUNK,) and changed["asked"] == record["asked"]
        named |= set(pairs_in(after))
    assert named == set(captions.KNOWN) | set(captions.HELD_OUT)


def test_half_of_the_captions_name_colours_that_are_not_there(records):
    changed = 0
    for number, record in enumerate(one for one in records["train"] if pairs_in(text_of(one)) for _ in range(6)):
        other = other_colours(record, np.random.default_rng(number))
        before, after = text_of(record), text_of(other)
        words = decode_ids(other["ids"][other["unasked"]])
        assert other["unasked"].shape == other["ids"].shape == (CHUNK,) and other["asked"] == record["asked"]
        assert np.array_equal(np.sort(other["frames"]), np.sort(record["frames"]))  # the channels of each pixel
        if before == after:
            assert not words and np.array_equal(other["frames"], record["frames"])
            continue
        changed += 1
        assert words == "".join(colour for colour, _ in pairs_in(after))  # these, and nothing else, are not asked for
        assert [shape for _, shape in pairs_in(before)] == [shape for _, shape in pairs_in(after)]
        turning = "red", "green", "blue"
        for (true, _), (said, _) in zip(pairs_in(before), pairs_in(after), strict=True):
            assert (true in turning) != (said in turning)
    assert 0.4 < changed / (number + 1) < 0.6


def test_colours_change_places_within_two_groups():
    """However the channels change places, what is red stays red, green or blue, to the nearest of the six names."""
    palette = np.array(list(captions.COLOURS.values()))
    for name, colour in captions.COLOURS.items():
        for order in itertools.permutations(range(3)):
            nearest = list(captions.COLOURS)[np.abs(palette - np.array(colour)[list(order)]).sum(axis=1).argmin()]
            assert (nearest in captions_text._ROTATING) == (name in captions_text._ROTATING), (name, order, nearest)


def test_what_is_not_asked_for_stays_to_be_read(records):
    batch = next(pipeline(records["train"], batch_size=24, seed=1, transforms=(other_colours,), mix=interleave(4, 128)))
    unasked = 0
    for ids, answers in zip(batch["ids"], batch["answers"], strict=True):
        text = "".join(map(_letter, ids.tolist()))
        for pair in captions_text._PAIR.finditer(text):
            colour, shape = (answers[pair.start(one) : pair.end(one)] for one in (1, 2))
            assert shape.all() and (colour.all() or not colour.any())
            unasked += not colour.any()
    assert unasked > 5
    assert set(batch) == {"ids", "answers", "record", "frames", "frame_mask"}


def _letter(one):
    return decode_ids([one]) or "_"


def test_frames_turn_together_and_digits_do_not(records):
    rng = np.random.default_rng(0)
    for kind in ("clip", "digit"):
        record = next(one for one in records["train"] if one["kind"] == kind)
        numbered = {**record, "kind": captions.KINDS.index(kind)}
        seen = {turned(numbered, rng)["frames"].tobytes() for _ in range(80)}
        assert len(seen) == (1 if kind == "digit" else 8)
        frames = turned(numbered, rng)["frames"]
        assert np.array_equal(np.sort(frames, axis=None), np.sort(record["frames"], axis=None))
