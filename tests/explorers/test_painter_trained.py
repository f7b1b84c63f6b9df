"""What there is to find out in the mask painter is true of the weights that ship."""

import numpy as np
import pytest

from perceiver_lab import recipes
from perceiver_lab.datasets import plays
from perceiver_lab.explorers import MaskPainter
from perceiver_lab.explorers.painter_export import WORD

# Held out, as all of it: each has words that stand twice.
STRETCHES = (725, 889, 623, 1661)


@pytest.fixture(scope="module")
def painter():
    model, _ = recipes.load_shipped(recipes.get("bytes_perceiver_io"))
    stretches = plays.stretches("test")
    return MaskPainter(model, [stretches[number][:64] for number in STRETCHES])


def bits(painter, text, maskings):
    """The mean surprise over maskings, each the mean over its bytes."""
    return np.mean([found["bits"] for found in painter.filler.fill(text, maskings)])


def words(text):
    return [list(range(*word.span())) for word in WORD.finditer(text.encode()) if word.end() - word.start() > 2]


@pytest.mark.parametrize("number", range(len(STRETCHES)))
def test_a_space_surprises_less_than_a_letter_and_a_letter_far_less_than_a_word(painter, number):
    text = painter.facts["texts"][number]
    inside = bits(painter, text, [[place] for word in words(text) for place in word[1:-1]])
    spaces = bits(painter, text, [[place] for place, byte in enumerate(text.encode()) if byte == 0x20])
    whole = bits(painter, text, words(text))
    assert spaces < inside < whole - 1
    assert spaces < 1.5


@pytest.mark.parametrize("number", range(len(STRETCHES)))
def test_a_word_that_stands_twice_is_not_copied(painter, number):
    """Trained on single hidden bytes, the model does not look up a word elsewhere."""
    text = painter.facts["texts"][number]
    spelled = [text.encode()[word[0] : word[-1] + 1] for word in words(text)]
    twins = [word for word, letters in zip(words(text), spelled, strict=True) if spelled.count(letters) > 1]
    others = [word for word in words(text) if word not in twins]
    assert twins
    assert bits(painter, text, twins) > bits(painter, text, others) - 1


def test_a_smudged_sentence_heals(painter):
    """Of every seventh byte most are guessed right, whichever the first is."""
    right = [
        guess["rank"] == 1
        for text in painter.facts["texts"]
        for found in painter.filler.fill(text, [list(range(start, 64, 7)) for start in range(7)])
        for guess in found["guesses"]
    ]
    assert len(right) == 4 * 64
    assert np.mean(right) > 0.5
