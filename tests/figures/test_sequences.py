"""Figures of a Perceiver AR: what they describe, and what they refuse."""

import numpy as np
import pytest

from perceiver_lab import figures

PLACES = np.arange(3, 6)
MASK = PLACES[:, None] >= np.arange(6)
STRIPE = np.eye(4)[:, ::-1] @ np.eye(4, 8)  # row r looks at place 3 - r


def test_the_diagram_says_what_the_chosen_latent_sees():
    made = figures.perceiver_ar_diagram(num_inputs=8, num_latents=3, chosen=0, num_layers=2)
    assert "of the last 3, 3 latents are made" in made.alt and "up to its own, 6 of them" in made.alt
    with pytest.raises(ValueError, match="num_latents=9, chosen=1"):
        figures.perceiver_ar_diagram(num_inputs=8, num_latents=9)


def test_masks_are_counted_and_leaks_crossed_out():
    leak = {"read": np.arange(6) == PLACES[:, None] + 1}
    made = figures.who_sees_whom({"read": MASK, "layer": np.tri(3) > 0}, places=PLACES.tolist(), marked=leak)
    assert "read: 15 of 18 cells filled, 2 crossed out; layer: 6 of 9 cells filled." in made.alt
    assert [text.get_text() for text in made.axes[1].get_xticklabels()] == ["3", "4", "5"]
    with pytest.raises(ValueError, match="one row for each of 2 places"):
        figures.who_sees_whom({"read": MASK}, places=[4, 5])


def test_shares_on_the_mirror_leave_the_end_out():
    assert figures.mirror_share(STRIPE, 4) == 1
    elsewhere = STRIPE.copy()
    elsewhere[3] = np.eye(8)[6]  # the end mirrors the start, and need not look at it
    assert figures.mirror_share(elsewhere, 4) == 1
    assert figures.mirror_share(np.full((4, 8), 1 / 8), 4) == 1 / 8
    assert "head 0: 100%" in figures.copy_maps({"head 0": STRIPE}, first=4).alt
    with pytest.raises(ValueError, match="all of one shape"):
        figures.copy_maps({"a": STRIPE, "b": STRIPE[:2]}, first=4)


def test_the_frame_shows_the_start_the_way_down_and_the_end():
    steps, losses = np.arange(10, 110, 10), np.linspace(5.0, 1.0, 10)
    maps = dict.fromkeys(range(20, 101, 20), STRIPE)
    made = figures.copy_frame(steps, losses, maps, first=4, flat=5.0, floor=1.0)
    assert [text.split(":")[0] for text in made.alt.split("step ")[1:]] == ["20", "40", "80", "100"]
    assert "Guessing costs 5.00; 1.00 cannot be learnt." in made.alt
    # Before it has fallen there is less to see.
    early = figures.copy_frame(steps[:4], np.full(4, 5.0), {20: STRIPE, 40: STRIPE}, first=4, flat=5.0, floor=1.0)
    assert early.alt.count("step ") == 2
    with pytest.raises(ValueError, match="a loss for each step and a map"):
        figures.copy_frame(steps, losses, {}, first=4, flat=5.0, floor=1.0)
