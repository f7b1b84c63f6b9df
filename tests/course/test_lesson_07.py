"""Lesson 07: its exercises (right answers, mistakes, the empty cell)."""

import re

import numpy as np

from perceiver_lab.course.exercises.lesson_07 import bits_per_hidden_byte, words_hidden
from tests.course.answers import Answers

MASK = 3


def hide_by_loop(ids, chosen):
    result, word, inside = [], -1, False
    for id in ids:
        white = id in (38, 16)
        word += not white and not inside
        inside = not white
        result.append(MASK if inside and word in chosen else int(id))
    return result


def hide_by_text(ids, chosen):
    text = bytes(int(id) - 6 for id in ids).decode()
    hidden = np.array(ids)
    for number, found in enumerate(re.finditer(r"\S+", text)):
        if number in chosen:
            hidden[found.start() : found.end()] = MASK
    return hidden


def hide_in_place(ids, chosen):
    ids[words_hidden(ids, chosen) == MASK] = MASK
    return ids


def hide_jax(ids, chosen):
    import jax.numpy as jnp

    ids = jnp.asarray(ids)
    inside = (ids != 38) & (ids != 16)
    begins = inside & ~jnp.concatenate([jnp.zeros(1, bool), inside[:-1]])
    word = jnp.where(inside, jnp.cumsum(begins) - 1, -1)
    return jnp.where(jnp.isin(word, jnp.asarray(chosen)), MASK, ids)


def hide_split(ids, chosen, between=(38, 16), first=0):
    """Cut at white space, as one would cut a text."""
    result, number, start = np.array(ids), first - 1, None
    for place, id in enumerate([*ids, 38]):
        if id in between:
            if start is not None and number in chosen:
                result[start:place] = MASK
            start = None
        elif start is None:
            start, number = place, number + 1
    return result


def hide_others(ids, chosen):
    words = [word for word in range(20) if word not in chosen]
    return words_hidden(ids, words)


def hide_first(ids, chosen):
    hidden = hide_split(ids, chosen)
    before = np.concatenate([[0], hidden[:-1]])
    return np.where((hidden == MASK) & (before != MASK), MASK, ids)


def hide_with_space(ids, chosen):
    hidden = hide_split(ids, chosen) == MASK
    hidden[1:] |= hidden[:-1].copy()
    return np.where(hidden, MASK, ids)


def bits_by_loop(logits, targets, hidden):
    found = []
    for window in range(len(logits)):
        for place in range(logits.shape[1]):
            if hidden[window, place]:
                chances = np.exp(logits[window, place])
                found.append(-np.log2(chances[targets[window, place]] / chances.sum()))
    return sum(found) / len(found)


def bits_weighted(logits, targets, hidden):
    import jax
    import jax.numpy as jnp

    own = jnp.take_along_axis(jax.nn.log_softmax(logits), jnp.asarray(targets)[..., None], axis=-1)[..., 0]
    return -(own * hidden).sum() / hidden.sum() / jnp.log(2.0)


def bits_of_the_library(logits, targets, hidden):
    from perceiver_lab.training import cross_entropy

    loss = cross_entropy(
        logits.reshape(-1, logits.shape[-1]).astype(np.float32), targets.reshape(-1), weights=hidden.reshape(-1) * 1.0
    )
    return loss / np.log(2)


def nats(logits, targets):
    chances = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    return -np.log(np.take_along_axis(chances, targets[..., None], axis=-1)[..., 0])


RIGHT = [
    ("07.1", 11),
    ("07.1", "11"),
    ("07.1", np.int64(11)),
    ("07.2", 2_752_512),
    ("07.2", "2,752,512"),
    ("07.2", 2.752512e6),
    ("07.3", 1.5),
    ("07.3", "1.5"),
    ("07.3", np.float32(1.5)),
    ("07.4", "B"),
    ("07.4", "(b)"),
    ("07.5", words_hidden),
    ("07.5", hide_by_loop),
    ("07.5", hide_by_text),
    ("07.5", hide_in_place),
    ("07.5", hide_jax),
    ("07.5", hide_split),
    ("07.6", bits_per_hidden_byte),
    ("07.6", bits_by_loop),
    ("07.6", bits_weighted),
    ("07.6", bits_of_the_library),
    ("07.6", lambda logits, targets, hidden: nats(logits, targets)[hidden].mean() / np.log(2)),
]
WRONG = [
    ("07.1", 7, "those are the characters"),
    ("07.1", 8, "the emoji takes four"),
    ("07.1", 10, "ï is not in ASCII"),
    ("07.1", 9, "four bytes in UTF-8"),
    ("07.1", 13, "nothing is added"),
    ("07.1", 17, "belong to the vocabulary"),
    ("07.1", 262, "size of the vocabulary"),
    ("07.1", 12, "too large"),
    ("07.2", 2048 * 256 + 26 * 256**2, "decoder is missing"),
    ("07.2", 2 * 2048 * 256 + 256**2, "26 self-attention layers"),
    ("07.2", 26 * 256**2, "reading and answering are missing"),
    ("07.2", 2 * 2048 * 256, "26 layers on the latents are missing"),
    ("07.2", 2048**2, "which this model has not"),
    ("07.2", 26 * 2048**2, "here the latents attend"),
    ("07.2", 28 * 2048 * 256, "a latent layer costs"),
    ("07.2", 2048 * 256, "the read alone"),
    ("07.2", "many", "expected a number"),
    ("07.3", np.log2(3), "three bytes that are equally likely"),
    ("07.3", 8, "256 bytes"),
    ("07.3", 8.0334, "262 ids"),
    ("07.3", 1.04, "in nats"),
    ("07.3", 1, "what an `e` costs"),
    ("07.3", 2, "a `t` or a space"),
    ("07.3", 1.667, "plain mean"),
    ("07.3", 2.828, "perplexity"),
    ("07.3", 3, "too large"),
    ("07.4", "A", "without knowing what is drawn"),
    ("07.4", "C", "you draw"),
    ("07.4", "d", "only h and o"),
    ("07.4", "E", "expected one of"),
    ("07.5", lambda ids, chosen: hide_split(ids, chosen, first=1), "number 0"),
    ("07.5", hide_others, "other way round"),
    ("07.5", hide_first, "only the first byte"),
    ("07.5", hide_with_space, "belongs to no word"),
    ("07.5", lambda ids, chosen: ids[hide_split(ids, chosen) != MASK], "the bytes are gone"),
    ("07.5", lambda ids, chosen: np.where(np.isin(np.arange(len(ids)), chosen), MASK, ids), "not of bytes"),
    ("07.5", lambda ids, chosen: hide_split(ids, chosen, between=(38,)), "line breaks too"),
    ("07.5", lambda ids, chosen: np.where(hide_split(ids, chosen) == MASK, 0, ids), "that is PAD"),
    ("07.5", lambda ids, chosen: np.where(hide_split(ids, chosen) == MASK, 4, ids), "that is CLS"),
    ("07.5", lambda ids, chosen: ids, "differ by"),
    ("07.5", lambda ids: ids, "raised TypeError"),
    ("07.5", "hide", "expected a function"),
    ("07.6", lambda logits, targets, hidden: nats(logits, targets)[hidden].mean(), "those are nats"),
    ("07.6", lambda logits, targets, hidden: nats(logits, targets)[hidden].sum() / np.log(2), "that is the sum"),
    ("07.6", lambda logits, targets, hidden: nats(logits, targets).mean() / np.log(2), "over all bytes"),
    ("07.6", lambda logits, targets, hidden: (hidden * nats(logits, targets)).mean() / np.log(2), "divide by all"),
    ("07.6", lambda logits, targets, hidden: nats(logits, targets)[~hidden].mean() / np.log(2), "were not hidden"),
    (
        "07.6",
        lambda logits, targets, hidden: (
            ((nats(logits, targets) * hidden).sum(axis=1) / hidden.sum(axis=1)).mean() / np.log(2)
        ),
        "windows' means",
    ),
    ("07.6", lambda logits, targets, hidden: np.exp(nats(logits, targets)[hidden].mean()), "perplexity"),
    (
        "07.6",
        lambda logits, targets, hidden: (
            -np.take_along_axis(logits, targets[..., None], -1)[..., 0][hidden].mean() / np.log(2)
        ),
        "softmax is missing",
    ),
    (
        "07.6",
        lambda logits, targets, hidden: -np.log2(np.exp(-nats(logits, targets)[hidden]).mean()),
        "logarithm at each byte first",
    ),
    ("07.6", lambda logits, targets, hidden: nats(logits, targets)[hidden] / np.log(2), "shape"),
    ("07.6", lambda *arrays: 1 / 0, "raised ZeroDivisionError"),
]


class TestAnswers(Answers):
    number = "07"
    right = RIGHT
    wrong = WRONG
