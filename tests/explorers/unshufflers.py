"""A small unshuffler: a run in which a sheet unfolds, and one in which nothing does."""

import numpy as np

from perceiver_lab.explorers import Unshuffler

SIDE = 5
PERMUTATION = np.random.default_rng(0).permutation(SIDE**2)
STEPS = (0, 50, 100, 400)


def make_unshuffler(**state):
    rng = np.random.default_rng(1)
    sheet = np.stack(np.divmod(PERMUTATION, SIDE), axis=-1) - (SIDE - 1) / 2
    noise = rng.normal(size=(SIDE**2, 6))
    lifted = np.pad(sheet, ((0, 0), (0, 4))) @ np.linalg.qr(rng.normal(size=(6, 6)))[0]
    photos = {step: (share * lifted + (1 - share) * noise) for step, share in zip(STEPS, (0, 0.2, 0.6, 1), strict=True)}
    heap = {step: rng.normal(size=(SIDE**2, 6)) for step in STEPS}
    ramp = np.linspace(0, 255, SIDE).astype(np.uint8)
    picture = np.stack([*np.meshgrid(ramp, ramp, indexing="ij"), np.full((SIDE, SIDE), 90, np.uint8)], axis=-1)
    pictures = np.stack([picture, picture[::-1]])
    return Unshuffler({"photos": photos, "white noise": heap}, pictures, PERMUTATION, **state)
