"""The cache film shows what `held_after` says; bars of heated distributions."""

import numpy as np
import pytest

from perceiver_lab import figures
from perceiver_lab.figures.decoding import KINDS
from perceiver_lab.generation import held_after


def test_a_film_has_a_patch_for_every_entry():
    film = figures.cache_film(given=6, num_steps=7, num_latents=8, refill_to=4)
    helds = [held_after(6 + step, 6, num_latents=8, refill_to=4) for step in range(7)]
    assert [held.num_latents for held in helds] == [4, 5, 6, 7, 8, 4, 5]
    assert "steps 1, 6 are full passes that make 4 anew" in film.alt
    hatches = [patch.get_hatch() for patch in film.axes[0].patches]
    assert len(hatches) == sum(held.num_events + held.num_latents for held in helds)
    fresh = sum(held.num_events + held.num_latents if held.since == 0 else 2 for held in helds)
    assert hatches.count(KINDS["computed in this step"]["hatch"]) == fresh
    with pytest.raises(ValueError, match="up to 40 rows and 80 places, got num_steps=50"):
        figures.cache_film(num_steps=50)


def test_bars_say_what_became_of_the_likeliest():
    bars = figures.heated_bars({"as it is": np.array([0.2, 0.8]), "cooler": np.array([0.0, 1.0])}, names=["A", "B"])
    assert bars.alt == "Probabilities of 2 tokens under 2 settings; of B: as it is 80%, cooler 100%."
    with pytest.raises(ValueError, match="and 3 probabilities for each"):
        figures.heated_bars({"one": np.array([0.5, 0.5])}, names=["A", "B", "C"])
