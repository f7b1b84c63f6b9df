"""Lesson 07, bytes: ids, the cost of length, bits without context, two holes, hidden words, the bits of logits."""

import numpy as np

from perceiver_lab.course.exercises import graders
from perceiver_lab.course.exercises.base import Exercise
from perceiver_lab.datasets.bytes import CLS, MASK, PAD, encode_text
from perceiver_lab.datasets.masking import WHITESPACE

_rng = np.random.default_rng(7)


def words_hidden(ids, chosen, *, mask=MASK, between=WHITESPACE):
    """A copy of ids (m,) with MASK for every byte of the chosen words, which are numbered from 0."""
    inside = ~np.isin(ids, between)
    begins = inside & ~np.concatenate([[False], inside[:-1]])
    word = np.where(inside, np.cumsum(begins) - 1, -1)
    return np.where(np.isin(word, chosen), mask, ids)


def bits_per_hidden_byte(logits, targets, hidden):
    """The mean of -log2 p(target) over the hidden bytes of all windows."""
    return _nats(logits, targets)[hidden].mean() / np.log(2)


def _nats(logits, targets):
    highest = logits.max(axis=-1, keepdims=True)
    log_probs = logits - highest - np.log(np.exp(logits - highest).sum(axis=-1, keepdims=True))
    return -np.take_along_axis(log_probs, targets[..., None], axis=-1)[..., 0]


def _counted_from_one(ids, chosen):
    return words_hidden(ids, [number - 1 for number in chosen if number])


def _others_hidden(ids, chosen):
    hidden = words_hidden(ids, chosen) == MASK
    return np.where(hidden | np.isin(ids, WHITESPACE), ids, MASK)


def _first_bytes_hidden(ids, chosen):
    hidden = words_hidden(ids, chosen) == MASK
    return np.where(hidden & ~np.concatenate([[False], hidden[:-1]]), MASK, ids)


def _space_too(ids, chosen):
    hidden = words_hidden(ids, chosen) == MASK
    return np.where(hidden | np.concatenate([[False], hidden[:-1]]), MASK, ids)


def _taken_out(ids, chosen):
    return ids[words_hidden(ids, chosen) != MASK]


def _bytes_by_number(ids, chosen):
    return np.where(np.isin(np.arange(len(ids)), chosen), MASK, ids)


def _in_nats(logits, targets, hidden):
    return _nats(logits, targets)[hidden].mean()


def _summed(logits, targets, hidden):
    return _nats(logits, targets)[hidden].sum() / np.log(2)


def _over_all_bytes(logits, targets, hidden):
    return _nats(logits, targets).mean() / np.log(2)


def _divided_by_all(logits, targets, hidden):
    return (_nats(logits, targets) * hidden).mean() / np.log(2)


def _visible_ones(logits, targets, hidden):
    return _nats(logits, targets)[~hidden].mean() / np.log(2)


def _window_by_window(logits, targets, hidden):
    nats = _nats(logits, targets)
    return np.mean([row[there].mean() for row, there in zip(nats, hidden, strict=True)]) / np.log(2)


def _perplexity(logits, targets, hidden):
    return np.exp(_in_nats(logits, targets, hidden))


def _without_softmax(logits, targets, hidden):
    return -np.take_along_axis(logits, targets[..., None], axis=-1)[..., 0][hidden].mean() / np.log(2)


def _bits_of_the_mean(logits, targets, hidden):
    return -np.log2(np.exp(-_nats(logits, targets))[hidden].mean())


def _said(windows, length):
    """Logits of 10 ids, and targets; the windows have 1, 2, 3, ... hidden bytes."""
    logits = 2 * _rng.normal(size=(windows, length, 10))
    targets = _rng.integers(0, 10, (windows, length))
    hidden = np.arange(length)[None] <= np.arange(windows)[:, None]
    return logits, targets, _rng.permuted(hidden, axis=1)


_TEXTS = (("to be, or not to be", (2, 5)), ("  O Romeo,\nRomeo! ", (1,)), ("who's there?\nNay, answer me", (0, 3)))

EXERCISES = (
    Exercise(
        id="07.1",
        title="Count the ids",
        question="The tokeniser of this lesson encodes the text `naïve 😀`. How many ids come out?",
        minutes=2,
        difficulty=1,
        grade=graders.number(
            11,
            mistakes=[
                (7, "those are the characters; UTF-8 writes some of them in several bytes"),
                (8, "ï takes two bytes, but the emoji takes four, not one and not two"),
                (10, "the emoji takes four bytes, and ï is not in ASCII either: it takes two"),
                (9, "the emoji takes four bytes in UTF-8, ï two, the space one"),
                (13, "no BOS and no EOS, no CLS and no SEP: nothing is added to a text"),
                (17, "the six special ids belong to the vocabulary, not to every text"),
                (262, "that is the size of the vocabulary, not the length of this text"),
            ],
        ),
        because="n, a, v, e and the space take a byte each, ï two and the emoji four.",
        hints=(
            "One id per byte of UTF-8, and nothing else.",
            "What is in ASCII takes one byte. Letters with marks take two, most emoji four.",
            'len("naïve 😀".encode("utf-8")) counts them.',
        ),
        solution='answer = len("naïve 😀".encode("utf-8"))',
    ),
    Exercise(
        id="07.2",
        title="What 2,048 bytes cost",
        question="A Perceiver IO reads 2,048 bytes with 256 latents, works on them in 26 self-attention layers, and "
        "asks for all 2,048 bytes. How many scores (query against key) does one head compute in all?",
        minutes=3,
        difficulty=1,
        grade=graders.number(
            2 * 2048 * 256 + 26 * 256**2,
            mistakes=[
                (2048 * 256 + 26 * 256**2, "the decoder is missing: 2,048 queries look at 256 latents"),
                (2 * 2048 * 256 + 256**2, "there are 26 self-attention layers on the latents, not one"),
                (26 * 256**2, "those are the latents among themselves; reading and answering are missing"),
                (2 * 2048 * 256, "that is reading and answering; the 26 layers on the latents are missing"),
                (2048**2, "that is one layer of self-attention on the bytes, which this model has not"),
                (26 * 2048**2, "that is a Transformer of 26 layers on the bytes; here the latents attend"),
                (28 * 2048 * 256, "only the read and the decoder touch the bytes; a latent layer costs 256 * 256"),
                (2048 * 256, "that is the read alone"),
            ],
        ),
        because="A single layer of self-attention on the bytes would cost 4,194,304, more than all of this.",
        hints=(
            "Three kinds of attention: the read, the layers on the latents, the decoder. Count each.",
            "M * N for the read, N * N for each latent layer, O * N for the decoder.",
            "2048 * 256 + 26 * 256 * 256 + 2048 * 256.",
        ),
        solution="answer = 2048 * 256 + 26 * 256 * 256 + 2048 * 256",
    ),
    Exercise(
        id="07.3",
        title="Bits without context",
        question="In a text, half of the bytes are `e`, a quarter are `t` and a quarter are spaces. A model knows "
        "this, and nothing about what stands beside what. How many bits does it need per hidden byte, on average?",
        minutes=4,
        difficulty=2,
        grade=graders.number(
            1.5,
            rel=2e-3,
            mistakes=[
                (float(np.log2(3)), "that is for three bytes that are equally likely; these are not"),
                (8.0, "that is for 256 bytes that are equally likely; only three occur here"),
                (float(np.log2(262)), "that is for 262 ids that are equally likely; only three occur here"),
                (1.5 * float(np.log(2)), "that is in nats, with the natural logarithm; bits have log2"),
                (1.0, "1 bit is what an `e` costs; the other half of the bytes cost 2 each"),
                (2.0, "2 bits are what a `t` or a space costs; half of the bytes are an `e`, for 1"),
                (5 / 3, "weigh each byte by how often it occurs: the plain mean of 1, 2 and 2 does not"),
                (2**1.5, "that is the perplexity, 2 to the power of the bits"),
            ],
        ),
        because="1/2 * 1 + 1/4 * 2 + 1/4 * 2: the entropy, which is where a model without context stays.",
        hints=(
            "A byte that was given the probability p costs -log2(p) bits.",
            "An `e` costs 1 bit, a `t` 2, a space 2. How often does each cost fall due?",
            "0.5 * 1 + 0.25 * 2 + 0.25 * 2.",
        ),
        solution="answer = 0.5 * 1 + 0.25 * 2 + 0.25 * 2",
    ),
    Exercise(
        id="07.4",
        title="Two holes side by side",
        question="Two bytes in a row are hidden. Only `he` or `oo` can stand there, both equally likely. A model of "
        "this lesson, trained to perfection, gives its probabilities for each of the two places, and at each place you "
        "draw a byte from them. What can come out?\n\n"
        "- **A** `he` or `oo`\n"
        "- **B** `he`, `ho`, `oe` or `oo`\n"
        "- **C** always the same one of the two\n"
        "- **D** any two bytes",
        minutes=4,
        difficulty=2,
        grade=graders.choice(
            "B",
            {
                "A": "each place is answered without knowing what is drawn at the other",
                "C": "both have the same chance at each place, and you draw",
                "D": "at the first place only h and o have a chance, at the second only e and o",
            },
        ),
        because="Queries do not see each other. Lesson 09 has the other way: one byte after the other.",
        hints=(
            "What does the model say about the first place alone? And about the second alone?",
            "Half h, half o at the first; half e, half o at the second.",
            "Two coins, thrown one after the other, without looking at the first.",
        ),
        solution='answer = "B"',
    ),
    Exercise(
        id="07.5",
        title="Hide whole words",
        question="Write `hide_words(ids, chosen)`. `ids` is a row of ids, byte + 6, and words are what stands "
        "between white space: spaces (38) and line breaks (16). Return a copy in which every byte of the chosen words, "
        "numbered from 0, is MASK (3).",
        minutes=8,
        difficulty=3,
        grade=graders.function(
            words_hidden,
            [(encode_text(text), chosen) for text, chosen in _TEXTS],
            mistakes=[
                (_counted_from_one, "the right number of words, but the first word has the number 0"),
                (_others_hidden, "the other way round: the chosen words are hidden, the others stay"),
                (_first_bytes_hidden, "only the first byte of each word is hidden: hide all of it"),
                (_space_too, "the white space after a word belongs to no word and stays"),
                (_taken_out, "the bytes are gone: put MASK in their place, so that the length stays"),
                (_bytes_by_number, "`chosen` are numbers of words, not of bytes"),
                (
                    lambda ids, chosen: words_hidden(ids, chosen, between=WHITESPACE[:1]),
                    "words end at line breaks too, not only at spaces",
                ),
                (lambda ids, chosen: words_hidden(ids, chosen, mask=PAD), "that is PAD; MASK has the id 3"),
                (lambda ids, chosen: words_hidden(ids, chosen, mask=CLS), "that is CLS; MASK has the id 3"),
            ],
        ),
        because="That is how the paper hides text; a byte inside of a word is easy to guess from the rest of it.",
        hints=(
            "First find out for each byte which word it belongs to, and -1 for white space.",
            "A word begins where a byte is no white space and the one before it is, or where the text begins. "
            "np.cumsum over these beginnings numbers the words from 1.",
            "np.where(np.isin(word, chosen), 3, ids) does the rest.",
        ),
        solution="import numpy as np\n\n\n"
        "def hide_words(ids, chosen):\n"
        "    inside = (ids != 38) & (ids != 16)\n"
        "    before = np.concatenate([[False], inside[:-1]])\n"
        "    word = np.where(inside, np.cumsum(inside & ~before) - 1, -1)\n"
        "    return np.where(np.isin(word, chosen), 3, ids)\n\n\n"
        "answer = hide_words",
    ),
    Exercise(
        id="07.6",
        title="The number of this lesson",
        question="Write `hidden_bits(logits, targets, hidden)`: bits per hidden byte. `logits` are (b, m, v), one row "
        "of v for each of m bytes in b windows; `targets` (b, m) are the ids that really stand there; `hidden` (b, m) "
        "is True where a byte was hidden. Average over all hidden bytes of all windows.",
        minutes=8,
        difficulty=3,
        grade=graders.function(
            bits_per_hidden_byte,
            [_said(3, 6), _said(4, 5), _said(2, 7)],
            mistakes=[
                (_in_nats, "those are nats: divide by log(2)"),
                (_summed, "that is the sum: divide by the number of hidden bytes"),
                (_over_all_bytes, "you average over all bytes; only the hidden ones count"),
                (_divided_by_all, "you divide by all bytes: divide by the number of hidden ones"),
                (_visible_ones, "those are the bytes that were not hidden"),
                (_window_by_window, "that is the mean of the windows' means: each hidden byte counts once"),
                (_perplexity, "that is the perplexity; take its log2"),
                (_without_softmax, "logits are no logarithms of probabilities yet: the softmax is missing"),
                (_bits_of_the_mean, "take the logarithm at each byte first, and the mean after it"),
            ],
        ),
        because="It is the number by which models and counts are compared here.",
        hints=(
            "jax.nn.log_softmax(logits) gives the logarithms of the probabilities.",
            "np.take_along_axis(log_probs, targets[..., None], axis=-1)[..., 0] picks those of the true bytes.",
            "-picked[hidden].mean() is in nats; divide by np.log(2).",
        ),
        solution="import jax\nimport numpy as np\n\n\n"
        "def hidden_bits(logits, targets, hidden):\n"
        "    log_probs = np.asarray(jax.nn.log_softmax(logits))\n"
        "    picked = np.take_along_axis(log_probs, np.asarray(targets)[..., None], axis=-1)[..., 0]\n"
        "    return -picked[np.asarray(hidden)].mean() / np.log(2)\n\n\n"
        "answer = hidden_bits",
    ),
)
