"""Lesson 07: what its text claims of the shipped weights and of the plays."""

import functools
import re

import jax
import numpy as np
import pytest

from perceiver_lab import recipes
from perceiver_lab.datasets import NeighbourCounts, arrays, decode_ids, encode_text, mask_spans, plays
from perceiver_lab.explorers import MaskPainter
from perceiver_lab.introspect import attention_maps
from perceiver_lab.recipes.masked_bytes_measure import READS, count_baselines, measure_masked, predict
from perceiver_lab.recipes.speakers import baselines
from perceiver_lab.training import answers


@functools.cache
def shipped(name):
    """A model and what is known about it."""
    return recipes.load_shipped(recipes.get(name))


@pytest.fixture(scope="module")
def masked():
    """The windows that the lesson hides bytes of."""
    windows = arrays("shakespeare", "test[:500]")["bytes"][:, :64]
    rows = [mask_spans(0.15)({"bytes": row}, np.random.default_rng(number)) for number, row in enumerate(windows)]
    return {name: np.stack([one[name] for one in rows]) for name in rows[0]}


@pytest.fixture(scope="module")
def counts():
    return NeighbourCounts(plays.texts("train"))


@pytest.fixture(scope="module")
def model():
    return shipped("bytes_perceiver_io")[0]


def bits(model, ids, masked):
    return measure_masked(model, [{**masked, "bytes": ids}])["bits_per_masked_byte"]


def surprise(model, masked):
    """Bits of every hidden byte."""
    [(_, logits)] = answers(model, [masked], predict, READS)
    log_probs = np.asarray(jax.jit(jax.nn.log_softmax)(logits)) / np.log(2)
    return -np.take_along_axis(log_probs, masked["targets"][..., None], axis=-1)[..., 0][masked["hidden"]]


def with_typos(ids, share):
    """A share of the lower-case letters is another one."""
    rng = np.random.default_rng(7)
    first, last = encode_text("az")
    wrong = (ids >= first) & (ids <= last) & (rng.random(ids.shape) < share)
    return np.where(wrong, rng.integers(first, last + 1, ids.shape, dtype=np.int32), ids)


@pytest.fixture(scope="module")
def typed(masked):
    """(name of a model, share) -> its bits where such a share of the letters is wrong; measured once."""
    return functools.cache(lambda name, share: bits(shipped(name)[0], with_typos(masked["bytes"], share), masked))


def curve(about):
    """Bits in training, by step."""
    return {one["step"]: one["bits"] for one in about["history"] if "bits" in one}


def two_on_either_side(counts, ids, masked):
    seen = np.where(masked["hidden"], masked["targets"], ids)
    return counts.bits(seen, masked["hidden"], ~masked["hidden"], left=2, right=2)


def test_words_are_missing_in_a_list_of_words_and_typos_break_it():
    texts = {part: "\n".join(run.decode() for run in plays.texts(part)) for part in ("train", "test")}
    tokens = {part: re.findall(r"[A-Za-z']+|[^A-Za-z'\s]", text) for part, text in texts.items()}
    known = set(tokens["train"])
    rng = np.random.default_rng(0)

    def typo(word):
        place = rng.integers(len(word))
        return word[:place] + rng.choice(list("abcdefghijklmnopqrstuvwxyz")) + word[place + 1 :]

    typed = [typo(token) if len(token) >= 4 else token for token in tokens["test"]]
    assert np.mean([token not in known for token in tokens["test"]]) == pytest.approx(0.035, abs=5e-4)
    assert np.mean([token not in known for token in typed]) == pytest.approx(0.44, abs=0.01)


def test_on_the_plateau_the_order_of_the_bytes_does_not_matter(masked, model):
    rng = np.random.default_rng(7)
    mixed = masked["bytes"].copy()
    for row, hidden in zip(mixed, masked["hidden"], strict=True):
        row[~hidden] = rng.permutation(row[~hidden])
    frequencies = count_baselines(recipes.get("bytes_plateau"))["unigram"]["seen"]
    creeping, about = shipped("bytes_plateau")
    as_it_is, shuffled = (bits(creeping, ids, masked) for ids in (masked["bytes"], mixed))
    assert frequencies - 0.6 < as_it_is < frequencies - 0.4
    assert 0.4 < shuffled - as_it_is < 1
    assert bits(model, mixed, masked) > 2 * frequencies
    slow = curve(about)
    assert all(abs(slow[step] - frequencies) < 0.12 for step in range(400, 921, 20))
    fast = curve(shipped("bytes_perceiver_io")[1])
    assert all(-0.05 < fast[step] - frequencies < 0.25 for step in (400, 480, 560, 640, 720))
    assert fast[960] < frequencies - 0.7 and fast[2000] == pytest.approx(2.6, abs=0.05)


def test_counts_draw_where_their_context_is_whole_and_lose_where_it_has_holes(masked, counts, model):
    by_counts = two_on_either_side(counts, masked["bytes"], masked)
    by_model = surprise(model, masked)
    together = -np.log2((2**-by_counts + 2**-by_model) / 2)
    beyond = np.pad(~masked["hidden"], ((0, 0), (2, 2)))
    visible = sum(beyond[:, start : start + 64].astype(int) for start in (0, 1, 3, 4))[masked["hidden"]]
    whole = visible == 4
    assert whole.mean() == pytest.approx(0.5, abs=0.02)
    assert abs(by_counts[whole].mean() - by_model[whole].mean()) < 0.05
    assert together[whole].mean() < min(by_counts[whole].mean(), by_model[whole].mean()) - 0.1
    for some in (visible == 3, visible < 3):
        assert by_model[some].mean() < by_counts[some].mean() - 0.3
        assert by_model[some].mean() < together[some].mean()


def test_counts_that_are_told_win_and_counts_that_see_lose():
    metrics = shipped("bytes_perceiver_io")[1]["metrics"]
    two = count_baselines(recipes.get("bytes_perceiver_io"))["two on either side"]
    assert two["told"] < metrics["bits_per_masked_byte_low"] - 0.3
    assert two["seen"] > metrics["bits_per_masked_byte_high"] + 0.1


def test_the_lead_over_counts_grows_with_typos(masked, counts, typed):
    lead, left = [], []
    for share in (0, 0.05, 0.1, 0.2, 0.3):
        ids = with_typos(masked["bytes"], share)
        left.append(typed("bytes_perceiver_io", share))
        lead.append(two_on_either_side(counts, ids, masked).mean() - left[-1])
    assert lead == sorted(lead)
    frequencies = counts.bits(masked["targets"], masked["hidden"], ~masked["hidden"], left=0, right=0).mean()
    assert (left[-1] - left[0]) / (frequencies - left[0]) > 0.5


def test_whole_words_are_hard():
    about = shipped("bytes_words")[1]["metrics"]
    recipe = recipes.get("bytes_words")
    counted = count_baselines(recipe)
    before = recipe.metrics(shipped("bytes_perceiver_io")[0], "full")["bits_per_masked_byte"]
    assert counted["unigram"]["seen"] == pytest.approx(5.15, abs=0.005)
    assert counted["two on either side"]["seen"] == pytest.approx(4.54, abs=0.005)
    assert before < counted["two on either side"]["seen"] - 0.3
    assert about["bits_per_masked_byte_high"] < before - 0.45
    assert about["bits_per_masked_byte"] == pytest.approx(3.57, abs=0.02)


def test_latents_go_by_place_and_queries_ask_where_it_was_read(masked, model):
    ids = masked["bytes"][:50]
    maps = dict(attention_maps(model, ids)[1])
    read = maps["read 0"]  # (window, head, latent, byte)
    rows = read.transpose(1, 2, 0, 3).reshape(4, 32, -1)
    by_place = read.mean(axis=0)
    there = by_place.var(axis=-1) / rows.var(axis=-1) > 0.5
    assert there.sum() >= 100
    assert len(set(by_place.argmax(axis=-1)[there].tolist())) >= 58
    assert np.median(by_place.max(axis=-1)[there]) > 0.4
    asked = maps["decode"].mean(axis=(0, 1))
    assert np.corrcoef(by_place.mean(axis=0).T.ravel(), asked.ravel())[0, 1] > 0.9


def test_who_speaks_is_guessed_best_by_counting_and_better_after_reading():
    metrics, curves = {}, {}
    for name in ("speaker_pretrained", "speaker_scratch"):
        about = recipes.shipped_story(recipes.get(name))
        metrics[name], curves[name] = about["metrics"], about["history"]
    assert metrics["speaker_pretrained"]["accuracy_low"] > metrics["speaker_scratch"]["accuracy_high"]
    bayes = baselines(recipes.get("speaker_scratch"))["naive Bayes"]
    assert bayes.value > metrics["speaker_pretrained"]["accuracy_high"]
    last = {
        name: np.mean([one["accuracy"] for one in curve if "accuracy" in one][-3:]) for name, curve in curves.items()
    }
    assert last["speaker_pretrained"] > 0.99 and 0.75 < last["speaker_scratch"] < 0.85
    for curve in curves.values():
        losses = [one["test_loss"] for one in curve if "test_loss" in one]
        assert np.argmin(losses) < len(losses) / 4 and losses[-1] > 1.3 * min(losses)


@pytest.fixture(scope="module")
def painter(model, counts):
    line = arrays("shakespeare", "test[725:726]")["bytes"][0, :64]
    return MaskPainter(model, [decode_ids(line)], counts=counts)


def test_spaces_are_free_and_a_word_is_not_its_letters(painter):
    text = painter.text
    ask = lambda places: painter.fill(text, places)["bits"]  # noqa: E731
    words = [range(*found.span()) for found in re.finditer(r"[A-Za-z]{3,}", text)]
    spaces = [ask([place]) for place, sign in enumerate(text) if sign == " "]
    letters = [np.mean([ask([place]) for place in word]) for word in words]
    assert np.median(spaces) < 0.1
    assert np.median(spaces) < np.mean(letters) < np.mean([ask(list(word)) for word in words]) - 1


def test_a_name_does_not_become_cheaper_when_it_stands_there_a_second_time(painter):
    text = painter.text
    first, second = (list(range(*found.span())) for found in re.finditer("Richard", text))
    for one, other in ((first, second), (second, first)):
        alone = painter.fill(text, one)["bits"]
        both = [guess["bits"] for guess in painter.fill(text, one + other)["guesses"]]
        both = both[: len(one)] if one < other else both[len(one) :]
        assert alone > np.mean(both) - 0.5


def test_the_transformer_is_ahead_and_left_its_plateau_sooner(masked, counts):
    about, ours = (shipped(name)[1] for name in ("bytes_transformer", "bytes_perceiver_io"))
    assert about["metrics"]["bits_per_masked_byte_high"] < ours["metrics"]["bits_per_masked_byte_low"]
    assert about["parameters"] < ours["parameters"] and about["steps"] == ours["steps"]
    half = [one["test_bits_per_masked_byte"] for one in about["history"] if "test_loss" in one and one["step"] == 8000]
    assert half[0] < ours["metrics"]["bits_per_masked_byte"]
    frequencies = counts.bits(masked["targets"], masked["hidden"], ~masked["hidden"], left=0, right=0).mean()
    stuck = [value for step, value in curve(about).items() if 300 <= step <= 500]
    assert stuck and all(abs(value - frequencies) < 0.15 for value in stuck)
    assert all(value < frequencies - 0.3 for step, value in curve(about).items() if step >= 600)


def test_longer_windows_want_more_latents_and_their_plateaus_last_longer(counts):
    kinds = ("bytes_transformer", "bytes_perceiver_io", "bytes_few_latents")

    def story(kind, length):
        return recipes.shipped_story(recipes.get(f"{kind}_{length}"))

    def reached(kind, length):
        return [one["bits_per_masked_byte"] for one in story(kind, length)["seeds"].values()]

    transformer, ours, few = (np.mean(reached(kind, 256)) for kind in kinds)
    assert [round(mean, 1) for mean in (transformer, ours, few)] == [1.8, 2.4, 3.4]
    assert 0.5 < ours - transformer < 0.65
    frequencies = count_baselines(recipes.get("bytes_transformer_1024"))["unigram"]["seen"]
    for kind in kinds:
        assert all(4.65 < value < 4.8 and frequencies - 0.1 < value for value in reached(kind, 1024))
    ends = {}
    for kind in kinds[:2]:
        along = curve(story(kind, 256))
        smooth = np.convolve(list(along.values()), np.ones(3) / 3, "valid")
        ends[kind] = list(along)[2:][int(np.argmax(smooth < 4.6))]
    assert 1300 <= ends["bytes_transformer"] <= 1800 < 1900 <= ends["bytes_perceiver_io"] <= 2400


def test_with_many_typos_the_transformer_falls_behind(masked, counts, typed):
    shares = (0, 0.1, 0.2, 0.3)
    left = [typed("bytes_transformer", share) for share in shares]
    ahead = [typed("bytes_perceiver_io", share) - one for share, one in zip(shares, left, strict=True)]
    assert ahead[0] > 0.15 and ahead[1] > 0 and ahead[2] < -0.05 and ahead[3] < -0.2
    frequencies = counts.bits(masked["targets"], masked["hidden"], ~masked["hidden"], left=0, right=0).mean()
    assert (frequencies - left[-1]) / (frequencies - left[0]) < 0.5


def test_four_questions_by_tokens_by_queries_and_one_by_one():
    """Means over three seeds: tokens and queries alike, one at a time a point ahead, a shared token a little behind."""
    asked = ("speaker", "kind", "verse", "continues")

    def rates(name, task):
        return [one[f"{task}_accuracy"] for one in recipes.shipped_story(recipes.get(name))["seeds"].values()]

    alone = np.mean([rates(f"tasks_only_{task}", task) for task in asked], axis=0)
    tokens, queries, shared = (
        np.mean([rates(f"tasks_{way}", task) for task in asked], axis=0) for way in ("tokens", "queries", "shared")
    )
    assert len(alone) == len(tokens) == len(queries) == len(shared) == 3
    assert abs(tokens.mean() - queries.mean()) < min(np.ptp(tokens), np.ptp(queries))
    for together in (tokens, queries):
        assert 0.005 < alone.mean() - together.mean() < 0.015
        assert 0 < together.mean() - shared.mean() < 0.01
    continues = {way: np.mean(rates(f"tasks_{way}", "continues")) for way in ("tokens", "shared", "queries")}
    others = min(continues["queries"], np.mean(rates("tasks_only_continues", "continues")))
    assert 0.6 < min(continues.values()) and max(continues["tokens"], continues["shared"]) < others
