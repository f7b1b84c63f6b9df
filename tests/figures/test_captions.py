"""A Flamingo as a picture, clips with texts, where tokens look, and who sees which image."""

import numpy as np
import pytest

from perceiver_lab import figures


def test_a_flamingo_is_told():
    made = figures.flamingo_diagram(num_frames=8, num_cells=100, num_latents=64, num_blocks=2)
    assert "8 frames pass through the vision network; each gives 100 cells" in made.alt
    assert "makes 64 tokens" in made.alt and "2 frozen blocks" in made.alt
    texts = [text.get_text() for text in made.axes[0].texts]
    assert texts.count("frozen\nblock") == texts.count("gated\nlayer") == 2 and "64 latents" in texts
    with pytest.raises(ValueError, match="at least one frame, cell, latent and block; got 0, 16, 8 and 3"):
        figures.flamingo_diagram(num_frames=0)


def clip(count, level=0):
    return np.full((count, 4, 4, 3), level, np.uint8)


def test_clips_with_marks():
    made = figures.captioned_clips({"a red star.": clip(1), "a 7.\n(true: a 1.)": clip(3, 200)}, right=[True, False])
    assert "2 pictures and clips with texts: ✓ a red star.; ✗ a 7. (true: a 1.)" in made.alt
    one, other = made.axes
    assert one.get_title(loc="left").startswith("✓ ") and other.get_title(loc="left").startswith("✗ ")
    assert one.images[0].get_array().shape == (4, 4, 3) and other.images[0].get_array().shape == (4, 3 * 4 + 2 * 2, 3)
    assert one.get_xlim() == other.get_xlim()
    with pytest.raises(ValueError, match="a mark for each or none; got 1"):
        figures.captioned_clips({"a": clip(1)}, right=[True, False])


def test_shares_of_frames_and_of_the_tokens():
    weights = np.zeros((2, 3, 4))
    weights[0, 1, 2], weights[1, 2] = 0.75, 0.25
    made = figures.token_maps(clip(3, 100), weights, (2, 2))
    assert "token 0: frame 1 (75%), token 1: frame 2 (100%)" in made.alt
    picture, matrix = made.axes
    np.testing.assert_allclose(matrix.images[0].get_array(), [[0, 0.75, 0, 0.25], [0, 0, 1, 0]])
    drawn = np.asarray(picture.images[0].get_array())
    assert drawn.shape == (8, 12, 3) and (drawn[:4, :4] == 100).all()
    assert not (drawn[2:4, 4:6] == 100).all()  # the cell in the second row of the second frame
    with pytest.raises(ValueError, match="not for 3 frames of 2 x 2 cells"):
        figures.token_maps(clip(3), weights[:, :2], (2, 2))


def test_a_mask_over_images():
    mask = np.array([[False, False], [True, False], [True, False], [False, True]])
    made = figures.media_mask(list("a▣b▣"), {"last": mask, "all": mask})
    assert "last: image 0 is seen by 2, image 1 is seen by 1" in made.alt
    np.testing.assert_allclose(made.axes[0].images[0].get_array(), np.where(mask.T, 0.25, 1))
    assert [tick.get_text() for tick in made.axes[1].get_xticklabels()] == list("a▣b▣")
    with pytest.raises(ValueError, match="The text has 3 bytes, but masks have"):
        figures.media_mask(list("abc"), {"last": mask})
