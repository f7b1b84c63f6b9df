"""The sense mixer without Python behind it: the still picture of a notebook, and a saved page."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from perceiver_lab.explorers.base import Answer
from perceiver_lab.explorers.mixer_model import SENSES
from perceiver_lab.figures import COLOURS, DescribedFigure, figure, style

if TYPE_CHECKING:
    from perceiver_lab.explorers.mixer import SenseMixer

# Of a saved page: off or on, and noise.
VOLUMES, NOISES = (0, 100), (0, 100, 400)


def still(mixer: "SenseMixer") -> DescribedFigure:
    """Frames and waves, given and reconstructed, and the label's probabilities."""
    channels = {sense: mixer.channel(sense) for sense in SENSES}
    found, names, labels = mixer.mix(), mixer.facts["class_names"], mixer.facts["labels"]
    given = {sense: mixer.desk.mixed(sense, *channel) for sense, channel in channels.items()}
    best = int(found["probabilities"].argmax())
    told = [_channel_text(sense, channel, names[labels[channel[0]]]) for sense, channel in channels.items()]
    alt = (
        f"Sense mixer, first frame: {' and '.join(told)}. The model says {names[best]} with probability "
        f"{found['probabilities'][best]:.2f}; its frames are {_level(found['psnr'])} from the clean ones (PSNR), its "
        f"sound {_level(found['snr'])} (SNR)."
    )
    made, axes = figure(1, 3, alt=alt, size=(9.6, 2.7), width_ratios=(1.7, 1.2, 0.8))
    frames, waves, bars = axes[0]
    with style():
        strips = [np.concatenate(list(video[..., 0]), axis=1) for video in (given["video"], found["video"])]
        height = len(strips[0])
        frames.imshow(np.concatenate(strips), cmap="gray", vmin=-1, vmax=1)
        frames.set(title="video: given, made", xticks=[], yticks=[])
        frames.axhline(height - 0.5, color=COLOURS[1], linewidth=1)
        seconds = np.arange(given["sound"].size) / mixer.facts["rate"]
        for row, sound in enumerate((given["sound"], found["sound"])):
            waves.plot(seconds, np.clip(sound.reshape(-1), -1, 1) - 2.2 * row, color=COLOURS[row], linewidth=0.5)
        waves.set_yticks([0, -2.2], ["given", "made"])
        waves.set(title="sound", xlabel="seconds", ylim=(-3.4, 1.2))
        colours = [COLOURS[1] if k == best else COLOURS[0] for k in range(len(names))]
        bars.barh(range(len(names)), found["probabilities"], color=colours)
        bars.set_yticks(range(len(names)), names)
        bars.set(title="label", xlim=(0, 1), ylim=(len(names) - 0.4, -0.6), xlabel="probability")
    return made


def _channel_text(sense, channel, name):
    _, volume, noise = channel
    if not volume:
        return f"no {sense}"
    return f"the {sense} of a {name} at volume {volume} % with noise {noise} %"


def _level(value):
    return "without measure" if value is None else f"{value:.1f} dB"


def reduce(
    mixer: "SenseMixer", *, examples: Sequence[int] | None = None
) -> tuple[dict[str, Any], list[tuple[dict[str, Any], Answer]]]:
    """State and answers: every pair of a few examples, each sense on or off, at three levels of noise.

    Args:
      mixer: what is saved.
      examples: by default the one shown and the one said; where they are of one class, the first of another.

    Raises:
      ValueError: an example that there is not, or none.
    """
    available = mixer.facts["examples"]
    examples = _two(mixer) if examples is None else [int(i) for i in examples]
    if not examples or not set(examples) <= set(available):
        raise ValueError(f"examples={list(examples)} are not at this mixer, which has 0 to {available[-1]}.")
    facts = {**mixer.facts, "examples": sorted(set(examples)), "saved": True}
    facts |= {"volumes": list(VOLUMES), "noises": list(NOISES)}
    state = mixer.state() | {"facts": facts}
    for name in ("shown", "said"):
        state[name] = state[name] if state[name] in examples else facts["examples"][0]
    for sense in SENSES:
        state[f"{sense}_volume"] = 100 if state[f"{sense}_volume"] else 0
        state[f"{sense}_noise"] = min(NOISES, key=lambda level, now=state[f"{sense}_noise"]: abs(level - now))
    levels = [(0, 0), *((100, noise) for noise in NOISES)]
    channels = [[number, *level] for number in facts["examples"] for level in levels]
    asks = [{"what": "clip", "sense": sense, "channel": channel} for sense in SENSES for channel in channels]
    asks += [{"what": "mix", "video": video, "sound": sound} for video in channels for sound in channels]
    return state, [(ask, mixer.answer(ask)) for ask in asks]


def _two(mixer):
    labels = mixer.facts["labels"]
    others = [i for i, label in enumerate(labels) if label != labels[mixer.shown]]
    second = mixer.said if labels[mixer.said] != labels[mixer.shown] else next(iter(others), mixer.shown)
    return list(dict.fromkeys((mixer.shown, second)))
