"""Pictures of what a Perceiver IO is asked."""

import numpy as np
import pytest

from perceiver_lab import figures


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: figures.perceiver_io_diagram(num_inputs=144, num_latents=16, num_queries=2304),
            ("16 latents read 144 inputs", "2,304 queries ask"),
        ),
        (lambda: figures.query_points(6), ("they run from -1 to 0.67",)),
    ],
)
def test_same_bytes_and_a_description(make, words):
    one, other = make(), make()
    assert one.webp() == other.webp()
    assert all(part in one.alt for part in words)


def test_one_cell_lies_in_one_place():
    with pytest.raises(ValueError, match="num_cells=1: two grids differ from two cells on"):
        figures.query_points(1)


def test_labels_have_the_colours_of_the_query_playground():
    from perceiver_lab.explorers.playground_tasks import palette

    labels = np.arange(5, dtype=np.uint8).reshape(1, 5)
    found = figures.labels_to_rgb(labels)
    assert found.shape == (1, 5, 3) and found.dtype == np.uint8
    np.testing.assert_allclose(found[0] / 255, palette(5), atol=1 / 255)


@pytest.mark.parametrize("labels", [[-1, 0], [0, 7]])
def test_labels_beyond_the_colours_are_refused(labels):
    with pytest.raises(ValueError, match=f"Labels must be 0 to 6; these go from {labels[0]} to {labels[1]}"):
        figures.labels_to_rgb(np.array(labels))
