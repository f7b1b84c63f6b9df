"""Pictures of text."""

import numpy as np
import pytest

from perceiver_lab import figures
from perceiver_lab.datasets import encode_text, hide_ids, pad_ids
from perceiver_lab.figures.text import byte_sign

IDS = np.stack([encode_text("to be or"), hide_ids(encode_text("not\nto b"), [1, 4])])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: figures.masked_bytes_diagram(), "20 bytes of which 4 are hidden"),
        (lambda: figures.masked_bytes_diagram("abc", hidden=[1], num_latents=8), "'a_c'"),
        (lambda: figures.text_cells(IDS), "row 0: to be or; row 1: n_t / _o b."),
        (
            lambda: figures.text_cells(
                IDS, values=np.linspace(0, 3, 16).reshape(2, 8), marked=IDS == 3, titles=["a", "b"], label="bits"
            ),
            "a: to be or; b: n_t / _o b.",
        ),
        (lambda: figures.latents_on_text(np.eye(3, 8) * 0.5, IDS[1]), "3 latents on 8 bytes"),
        (lambda: figures.latents_on_text(np.eye(3, 8), IDS[1], names=["a", "b", "c"], label="w"), "row 0 on byte 0"),
        (lambda: figures.bits_bars({"counts": 3.5, "model": (2.25, 2.0, 2.5)}), "counts 3.50; model 2.25 (2.00 to"),
    ],
)
def test_same_bytes_and_a_description(make, words):
    assert make().webp() == make().webp()
    assert words in make().alt


def test_what_is_written_for_an_id():
    assert [byte_sign(id) for id in encode_text("a \n\té")] == ["a", " ", "↵", "⇥", "C3", "A9"]
    assert [byte_sign(id) for id in range(6)] == [""] * 6


def test_a_hole_padding_and_a_missing_value_look_unlike_a_byte():
    padded = pad_ids(encode_text("ab"), 3)[None]
    plain = figures.text_cells(padded, alt="two bytes and padding").webp()
    assert figures.text_cells(hide_ids(padded[0], [0])[None], alt="two bytes and padding").webp() != plain
    values = np.array([[0.0, np.nan, 1.0]])
    [ax] = [axes for axes in figures.text_cells(padded, values=values).axes if axes.images]
    assert (ax.images[0].get_array()[0, 1] == 1).all() and not (ax.images[0].get_array()[0, 0] == 1).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: figures.text_cells(IDS[:0]), r"Text must be ids \(n, m\), with a title for each row or none; got \(0"),
        (lambda: figures.text_cells(IDS, titles=["one"]), r"got \(2, 8\), 1\."),
        (lambda: figures.text_cells(IDS, values=np.zeros((2, 7))), r"values \(2, 7\) and ids \(2, 8\) differ"),
        (lambda: figures.text_cells(IDS, marked=np.zeros((1, 8), bool)), r"marked \(1, 8\) and ids"),
        (lambda: figures.latents_on_text(np.eye(3), IDS[0]), r"must fit; got \(3, 3\) and \(8,\)"),
        (lambda: figures.latents_on_text(np.eye(3, 8), IDS[0], names=["one"]), "3 rows and 1 names"),
        (lambda: figures.bits_bars({}), "no bits to show"),
    ],
)
def test_what_cannot_be_drawn_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
