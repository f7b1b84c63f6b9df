"""The reduced attention explorer of a saved page."""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from perceiver_lab.explorers.base import Answer, quantise

MAX_IN_PAIRS = 16  # so many latents are switched off two at a time as well: 137 predictions for each example

if TYPE_CHECKING:
    from perceiver_lab.explorers.attention import AttentionExplorer


def reduce(
    explorer: "AttentionExplorer",
    *,
    examples: Sequence[int] | None = None,
    layers: Sequence[str] | None = None,
    latents: int = 32,
    side: int = 56,
) -> tuple[dict[str, Any], list[tuple[dict[str, Any], Answer]]]:
    """State and answers.

    Args:
      explorer: what is saved.
      examples: by default the one shown and the first three others.
      layers: by default all of a small model, and the reads and the rollout of a large one.
      latents: at most so many, those with the highest peaks in the layer shown.
      side: maps with longer sides are summed over squares of cells until they fit.

    Raises:
      ValueError: an example or a layer that the explorer does not have, or less than one latent.
    """
    facts, state = dict(explorer.facts), explorer.state()
    examples = _examples(explorer, examples)
    layers = _layers(explorer, layers)
    if latents < 1 or side < 1:
        raise ValueError(f"A page needs at least one latent and maps of at least one cell; got {latents} and {side}.")
    first = examples[0] if explorer.example not in examples else explorer.example
    layer = layers[0] if explorer.layer not in layers else explorer.layer
    peaks = explorer.weights(first, layer, -1).max(axis=1)
    ids = sorted(int(i) for i in np.argsort(-peaks, kind="stable")[:latents])
    factor = _factor(facts["grid"], side)
    grid = [size // factor for size in facts["grid"]]
    most = 2 if len(ids) <= MAX_IN_PAIRS else 1
    facts.update(grid=grid, examples=examples, layers=layers, latent_ids=ids, whole=True, most_off=most)
    off = [i for i in explorer.off if i in ids][:most]
    state.update(
        facts=facts,
        example=first,
        layer=layer,
        head=-1,
        latent=explorer.latent if explorer.latent in ids else ids[0],
        pixel=[v // factor for v in explorer.pixel],
        off=off,
    )
    return state, _answers(explorer, facts, factor)


def _examples(explorer, examples):
    available = explorer.facts["examples"]
    if examples is None:
        return sorted({explorer.example, *[i for i in available if i != explorer.example][:3]})
    missing = [i for i in examples if i not in available]
    if missing or not len(examples):
        raise ValueError(f"examples={list(examples)} are not in this explorer, which has 0 to {available[-1]}.")
    return [int(i) for i in examples]


def _layers(explorer, layers):
    available = explorer.facts["layers"]
    if layers is None:
        small = explorer.facts["whole"]
        return [name for name in available if small or name.startswith(("read", "rollout"))] or available[:1]
    if not layers or set(layers) - set(available):
        raise ValueError(f"layers={list(layers)} are not all in this explorer, which has {', '.join(available)}.")
    return list(layers)


def _factor(grid, side):
    """The least number of cells, dividing both sides, whose sums make a map of at most `side`."""
    fits = (f for f in range(1, min(grid) + 1) if grid[0] % f == 0 and grid[1] % f == 0 and max(grid) // f <= side)
    return next(fits, 1)


def _answers(explorer, facts, factor):
    answers = []
    for example in facts["examples"]:
        for ask in ({"what": "picture"}, *({"what": "predict", "off": off} for off in _few(facts))):
            ask = {**ask, "example": example}
            answers.append((ask, explorer.answer(ask)))
        for layer in facts["layers"]:
            answers += _sheets(explorer, facts, factor, example, layer)
    return answers


def _few(facts):
    """All sets of latents of at most `most_off`, each in order, as the front end writes them."""
    return [
        list(off) for size in range(facts["most_off"] + 1) for off in itertools.combinations(facts["latent_ids"], size)
    ]


def _sheets(explorer, facts, factor, example, layer):
    """The mean of the heads, and each head of a read; of latent layers the mean alone, which keeps pages small."""
    maps = np.asarray(explorer._provider.maps(example, layer))
    heads = [-1, *range(len(maps))] if len(maps) > 1 and layer.startswith("read") else [-1]
    for head in heads:
        weights = explorer.weights(example, layer, head)[facts["latent_ids"]]
        tiles, peaks = quantise(_summed(weights, explorer.facts["grid"], factor))
        ask = {"what": "sheet", "example": example, "layer": layer, "head": head}
        yield ask, ({"heads": heads}, [tiles.tobytes(), peaks.tobytes()])


def _summed(weights, grid, factor):
    rows, columns = grid[0] // factor, grid[1] // factor
    blocks = weights.reshape(len(weights), rows, factor, columns, factor)
    return blocks.sum(axis=(2, 4)).reshape(len(weights), rows * columns)
