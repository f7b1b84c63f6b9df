"""Sound and several senses as pictures: what is heard, how it becomes one array, what comes back out of it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Num

from perceiver_lab.figures.diagrams import BLUE, GREEN, HATCHES, ORANGE, PINK, arrow, box
from perceiver_lab.figures.style import COLOURS, SEQUENTIAL, DescribedFigure, bare, drawn, figure
from perceiver_lab.ops import mel as pitch

LIGHT_BLUE = COLOURS[4]
MODALITIES = (GREEN, ORANGE, LIGHT_BLUE, COLOURS[5])
PITCHES = (250.0, 500.0, 1000.0, 2000.0, 3000.0)  # Hz, marked beside a spectrogram


class Rows(NamedTuple):
    """A modality in the input array: its number of rows, and what their channels hold."""

    count: int
    values: int
    positions: int
    padding: int


@drawn
def senses_diagram(
    modalities: Mapping[str, tuple[int, int]], *, num_latents: int = 48, num_layers: int = 2
) -> DescribedFigure:
    """A multimodal auto-encoder (2107.14795, figure 2 and section 4.3): one array in, one array of queries.

    Args:
      modalities: name -> how many rows are read of it, how many are asked for; up to four, in the array's order.
      num_latents: N.
      num_layers: self-attention layers on the latents.

    Raises:
      ValueError: no modality, or more than there are colours for.
    """
    if not 1 <= len(modalities) <= len(MODALITIES):
        raise ValueError(f"The diagram shows one to {len(MODALITIES)} modalities; got {len(modalities)}.")
    told = "; ".join(f"{name}: {read:,} read, {asked:,} asked for" for name, (read, asked) in modalities.items())
    alt = (
        f"An auto-encoder of several senses. Their rows stand one after the other in one input array, which "
        f"{num_latents} latents read once by cross-attention. After {num_layers} self-attention layers, queries of all "
        f"modalities ask the latents in the decoder, and each gets its output. Rows ({told})."
    )
    made, axes = figure(1, 1, alt=alt, size=(9.8, 3.9))
    ax = axes[0, 0]
    bare(ax)
    _bar(ax, 0.2, 3.6, {name: read for name, (read, _) in modalities.items()}, "one input array")
    _bar(ax, 6.1, 3.6, {name: asked for name, (_, asked) in modalities.items()}, "queries")
    box(ax, -0.9, 0.35, 1.2, 0.9, BLUE, f"latents\n{num_latents} × D")
    box(ax, 0.9, 0.3, 1.15, 1.0, PINK, "encoder:\ncross-\nattention")
    box(ax, 2.75, 0.3, 1.1, 1.0, BLUE, f"{num_layers} ×\nself-att.")
    box(ax, 4.85, 0.35, 1.2, 0.9, BLUE, f"latents\n{num_latents} × D")
    box(ax, 7.3, 0.3, 1.15, 1.0, PINK, "decoder:\ncross-\nattention")
    arrow(ax, (1.47, 2.6), (1.47, 1.3), "keys, values")
    arrow(ax, (7.87, 2.6), (7.87, 1.3), "who asks")
    for start, end in ((0.3, 0.9), (2.05, 2.75), (3.85, 4.85), (6.05, 7.3), (8.45, 9.3)):
        arrow(ax, (start, 0.8), (end, 0.8))
    height = 1.5 / len(modalities)
    for number, name in enumerate(modalities):
        box(ax, 9.3, 1.6 - height * (number + 1), 1.7, height - 0.1, MODALITIES[number], name)
    ax.text(10.15, 1.68, "one output each", fontsize=9.5, ha="center", va="bottom")
    ax.set_xlim(-1.1, 11.3)
    ax.set_ylim(-0.1, 3.65)
    return made


def _bar(ax, x, width, counts, title):
    """Boxes side by side, wider for more rows but none too narrow for its name."""
    shares = np.sqrt(np.array(list(counts.values()), float))
    shares = 0.6 / len(counts) + 0.4 * shares / shares.sum()
    ax.text(x + width / 2, 3.4, title, fontsize=9.5, ha="center", va="bottom")
    for number, ((name, count), share) in enumerate(zip(counts.items(), shares, strict=True)):
        box(ax, x, 2.6, share * width - 0.06, 0.75, MODALITIES[number], f"{name}\n{count:,}".replace(",", "\u2009"))
        x += share * width


@drawn
def input_array(modalities: Mapping[str, Rows | tuple[int, int, int, int]]) -> DescribedFigure:
    """The rows of each modality, by what their channels hold: values, positions, learned padding.

    Args:
      modalities: name -> `Rows`; all of the same width in all. Heights grow with the square root of the rows.

    Raises:
      ValueError: no modality, or different widths.
    """
    modalities = {name: Rows(*rows) for name, rows in modalities.items()}
    widths = {sum(rows[1:]) for rows in modalities.values()}
    if len(widths) != 1:
        raise ValueError(f"One array has one width; these modalities have {sorted(widths)}.")
    width, kinds = widths.pop(), {"values": BLUE, "positions": ORANGE, "padding": GREEN}
    told = [
        f"{name}: {rows.count:,} row{'s' * (rows.count > 1)} of "
        + ", ".join(f"{getattr(rows, kind)} {kind}" for kind in kinds)
        for name, rows in modalities.items()
    ]
    alt = f"The input array, {width} channels wide, modality under modality. {'; '.join(told)}."
    made, axes = figure(1, 1, alt=alt, size=(8.6, 3.2))
    ax, top = axes[0, 0], 0.0
    ticks, names = [], []
    for name, rows in modalities.items():
        height, start = 8 + np.sqrt(rows.count) * 2.2, 0
        for kind, colour in kinds.items():
            channels = getattr(rows, kind)
            ax.barh(
                top + height / 2, channels, height - 2, left=start, color=colour + "33", edgecolor=colour,
                hatch=HATCHES[colour], linewidth=1.4, label=kind,
            )  # fmt: skip
            if channels > 5:
                patch = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
                ax.text(start + channels / 2, top + height / 2, channels, ha="center", va="center", bbox=patch)
            start += channels
        ticks.append(top + height / 2)
        names.append(f"{name}\n{rows.count:,} row{'s' * (rows.count > 1)}")
        top += height
    ax.set_yticks(ticks, names)
    ax.set(xlim=(0, width), ylim=(top, 0), xlabel=f"channels, {width} in every row")
    known = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))  # each kind once
    ax.legend(known.values(), known.keys(), loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize=9)
    return made


@drawn
def sound_pictures(
    sounds: Mapping[str, Float[np.ndarray, "t 1"]], mels: Sequence[Num[np.ndarray, "m k"]], *, rate: int
) -> DescribedFigure:
    """Sounds side by side: the waveform of each, and under it its log-mel spectrogram over the same time.

    Args:
      sounds: title -> samples in [-1, 1].
      mels: of each, M stretches in K bands of mel from 0 to rate / 2.
      rate: samples per second.

    Raises:
      ValueError: no sound, or not one spectrogram each.
    """
    if not sounds or len(mels) != len(sounds):
        raise ValueError(f"Give at least one sound and a spectrogram each; got {len(sounds)} and {len(mels)}.")
    told = [
        f"{title}: loudest after {np.abs(sound).argmax() / rate:.2f} s, loudest band around "
        f"{_band_hz(int(np.asarray(mel).max(axis=0).argmax()), np.shape(mel)[1], rate):.0f} Hz"
        for (title, sound), mel in zip(sounds.items(), mels, strict=True)
    ]
    alt = f"Waveforms, and under them mel spectrograms over the same time. {'; '.join(told)}."
    made, axes = figure(2, len(sounds), alt=alt, size=(min(9.8, 4.9 * len(sounds)), 3.9), sharex="col")
    for column, ((title, sound), mel) in enumerate(zip(sounds.items(), mels, strict=True)):
        _waveform(axes[0, column], sound, rate)
        _spectrogram(axes[1, column], mel, len(sound) / rate, rate)
        axes[0, column].set_title(title)
        axes[1, column].set_xlabel("seconds")
    axes[0, 0].set_ylabel("sample")
    axes[1, 0].set_ylabel("pitch (Hz)")
    return made


def _waveform(ax, sound, rate):
    samples = np.asarray(sound).reshape(-1)
    ax.plot(np.arange(len(samples)) / rate, samples, color=BLUE, linewidth=0.5)
    ax.set(xlim=(0, len(samples) / rate), ylim=(-1.05, 1.05), yticks=(-1, 0, 1))


def _spectrogram(ax, mel, seconds, rate):
    mel = np.asarray(mel)
    bands = mel.shape[1]
    ax.imshow(
        mel.T, origin="lower", aspect="auto", cmap=SEQUENTIAL, extent=(0, seconds, -0.5, bands - 0.5), rasterized=True
    )
    marked = [hertz for hertz in PITCHES if hertz < rate / 2]
    ax.set_yticks([pitch(hertz) / pitch(rate / 2) * (bands + 1) - 1 for hertz in marked], map("{:.0f}".format, marked))


def _band_hz(band, bands, rate):
    """The frequency on which a band peaks."""
    return 700 * (10 ** (pitch(rate / 2) * (band + 1) / (bands + 1) / 2595) - 1)


@drawn
def attention_on_sound(
    sound: Float[np.ndarray, "t 1"],
    mel: Num[np.ndarray, "m k"],
    *,
    on_waveform: Num[np.ndarray, "n l"],
    on_mel: Num[np.ndarray, "n m"],
    rate: int,
) -> DescribedFigure:
    """Where latents look in a sound, under what they read: stretches of the waveform, columns of the spectrogram.

    Args:
      sound: samples in [-1, 1].
      mel: its M stretches in K bands.
      on_waveform: weights of some latents over L stretches of samples, each row in a scale of its own.
      on_mel: the same over the spectrogram's stretches.
      rate: samples per second.
    """
    seconds = len(sound) / rate
    told = [
        f"{name}: the latents shown peak after {', '.join(f'{time:.2f}' for time in _peaks(weights, seconds))} s"
        for name, weights in (("waveform", on_waveform), ("spectrogram", on_mel))
    ]
    alt = f"A sound, its waveform and its spectrogram; below, where {len(on_waveform)} latents look. {'; '.join(told)}."
    made, axes = figure(2, 2, alt=alt, size=(9.8, 4.4), sharex="col")
    _waveform(axes[0, 0], sound, rate)
    _spectrogram(axes[0, 1], mel, seconds, rate)
    for column, weights in enumerate((on_waveform, on_mel)):
        shares = np.asarray(weights) / np.maximum(np.max(weights, axis=1, keepdims=True), 1e-12)
        image = axes[1, column].imshow(
            shares, aspect="auto", cmap=SEQUENTIAL, vmin=0, vmax=1, extent=(0, seconds, len(shares) - 0.5, -0.5)
        )
        axes[1, column].set(xlabel="seconds", yticks=range(len(shares)))
    axes[0, 0].set_title("reads the waveform")
    axes[0, 1].set_title("reads the spectrogram")
    axes[0, 1].set_ylabel("pitch (Hz)")
    axes[1, 0].set_ylabel(f"{len(on_mel)} latents, by place")
    made.colorbar(image, ax=axes[1, 1], label="share of its largest")
    return made


def _peaks(weights, seconds):
    return (np.asarray(weights).argmax(axis=1) + 0.5) * seconds / np.shape(weights)[1]


@drawn
def videos_and_sounds(
    rows: Mapping[str, tuple[np.ndarray | None, np.ndarray | None]], *, rate: int, alt: str | None = None
) -> DescribedFigure:
    """Videos frame by frame, and beside each the waveform that goes with it.

    Args:
      rows: title -> video (frames, height, width, 1) and sound (samples,) or (samples, 1), both in [-1, 1]; None where
        there is none. Without any sound there is no column for it.
      rate: samples per second.
      alt: by default, the titles and what there is none of.

    Raises:
      ValueError: no rows.
    """
    if not rows:
        raise ValueError("There is nothing to show: give a dict of title -> (video, sound).")
    heard = any(sound is not None for _, sound in rows.values())
    names = ("video", "sound") if heard else ("video",)
    told = [
        title + "".join(f" (no {name})" for name, part in zip(names, row, strict=False) if part is None)
        for title, row in rows.items()
    ]
    alt = alt or f"Videos frame by frame{', with their waveforms' * heard}: {'; '.join(told)}."
    widths, height = (2.6, 1)[: len(names)], 1.12 * len(rows)
    made, axes = figure(len(rows), len(names), alt=alt, size=(2.72 * sum(widths), height), width_ratios=widths)
    for parts, (title, (video, sound)) in zip(axes, rows.items(), strict=True):
        for ax in parts:
            bare(ax)
        parts[0].set_title(title, fontsize=9, fontweight="normal")
        if video is None:
            parts[0].text(0.5, 0.5, "none", ha="center", va="center", transform=parts[0].transAxes)
        else:
            parts[0].imshow(_strip(np.asarray(video)), cmap="gray", vmin=-1, vmax=1)
        if heard and sound is None:
            parts[1].text(0.5, 0.5, "none", ha="center", va="center", transform=parts[1].transAxes)
        elif heard:
            _waveform(parts[1], sound, rate)
            parts[1].set(yticks=[])
    return made


def _strip(video):
    """Frames side by side, white between."""
    frames = np.pad(np.clip(video[..., 0], -1, 1), ((0, 0), (0, 0), (0, 2)), constant_values=1)
    return np.concatenate(list(frames), axis=1)[:, :-2]
