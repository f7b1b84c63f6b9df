"""SenseMixer: volume and noise of video and sound, conflicts between them, and what a model makes of it all."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import traitlets
from jaxtyping import Num

from perceiver_lab.datasets.sound import RATE
from perceiver_lab.explorers.base import Answer, Explorer, front_end
from perceiver_lab.explorers.mixer_model import PEAK, SENSES, Desk, SenseModel, decibels, frame_bytes
from perceiver_lab.figures import DescribedFigure
from perceiver_lab.figures.players import wav_bytes

VOLUMES = (0, 1, 2, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100)
NOISES = (0, 5, 10, 20, 30, 40, 50, 75, 100, 150, 200, 300, 400)


class SenseMixer(Explorer):
    """Two senses of one model, mixed by hand.

    The state is in traits that can be read and set: `shown` and `said` (numbers of the examples whose video is shown
    and whose sound is heard), `video_volume`, `sound_volume` (percent; at 0 the sense is removed and its mask token
    takes its place), `video_noise`, `sound_noise` (percent; see `Desk.mixed`), and `frame`.
    """

    title = "Sense mixer"
    _esm = front_end("mixer_draw", "mixer")["_esm"]
    _css = front_end("mixer_draw", "mixer")["_css"]
    facts = traitlets.Dict().tag(sync=True)
    shown = traitlets.Int(0).tag(sync=True)
    said = traitlets.Int(0).tag(sync=True)
    video_volume = traitlets.Int(100).tag(sync=True)
    video_noise = traitlets.Int(0).tag(sync=True)
    sound_volume = traitlets.Int(100).tag(sync=True)
    sound_noise = traitlets.Int(0).tag(sync=True)
    frame = traitlets.Int(0).tag(sync=True)

    def __init__(
        self,
        model,
        examples: Mapping[str, Num[np.ndarray, "b ..."]],
        *,
        class_names: Sequence[str] | None = None,
        **state,
    ):
        """Give the model the first example, both senses at full volume.

        Args:
          model: a `PerceiverIO` that reads label, sound and video, has mask tokens for all and answers all, such as the
            one of the recipe `senses_autoencoder`; its weights as they are now.
          examples: "video" (B, T, H, W, 1) and "sound" (B, S, 1) in [-1, 1], and "label" (B,), such as a test batch of
            that recipe. Videos and sounds of different examples can be paired.
          class_names: by default the numbers of the classes.
          **state: first values of the traits, such as `said=3`.

        Raises:
          ValueError: another model; examples, names or state that do not fit.
        """
        self.desk = Desk(examples)
        self.model = SenseModel(model, self.desk)
        names = [str(name) for name in (range(self.model.num_classes) if class_names is None else class_names)]
        if len(names) != self.model.num_classes:
            raise ValueError(f"There are {len(names)} class names, and this model knows {self.model.num_classes}.")
        super().__init__(facts=self._facts(names), **state)
        self.answer_first(self.asks())

    def _facts(self, names):
        clips = self.desk.clips
        return {
            "class_names": names,
            "labels": [int(label) for label in self.desk.labels],
            "examples": list(range(len(self.desk.labels))),
            "shape": list(clips["video"].shape[1:4]),
            "samples": clips["sound"].shape[1],
            "rate": RATE,
            "volumes": list(VOLUMES),
            "noises": list(NOISES),
            "saved": False,
        }

    @traitlets.validate("shown", "said", "video_volume", "video_noise", "sound_volume", "sound_noise", "frame")
    def _valid(self, proposal):
        name, value = proposal["trait"].name, proposal["value"]
        count, frames = len(self.desk.labels), self.desk.clips["video"].shape[1]
        levels = VOLUMES if name.endswith("volume") else NOISES
        allowed = {"shown": range(count), "said": range(count), "frame": range(frames)}
        if value not in allowed.get(name, levels):
            raise ValueError(
                f"{name}={value!r} is not at this mixer: it has {count} examples of {frames} frames, the volumes "
                f"{', '.join(map(str, VOLUMES))} and the noises {', '.join(map(str, NOISES))} percent."
            )
        return value

    def channel(self, sense: str) -> list[int]:
        """The number of a sense's clip, its volume and its noise, as questions name them; if removed, no noise."""
        number = self.shown if sense == "video" else self.said
        volume, noise = getattr(self, f"{sense}_volume"), getattr(self, f"{sense}_noise")
        return [number, volume, noise if volume else 0]

    def asks(self) -> list[dict[str, Any]]:
        """What the front end asks first: the two clips as they are and as they are given, and the model's answer."""
        channels = {sense: self.channel(sense) for sense in SENSES}
        asks = [{"what": "mix", **channels}]
        for sense, channel in channels.items():
            clean = [channel[0], 100, 0]
            asks += [{"what": "clip", "sense": sense, "channel": one} for one in (channel, clean)]
        return asks

    def mix(self, video: Sequence[int] | None = None, sound: Sequence[int] | None = None) -> dict[str, Any]:
        """What the model makes of two channels.

        Args:
          video: number of the clip, volume, noise; by default as the state has it.
          sound: the same.

        Returns:
          "probabilities" (K,) of the label; "video" (T, H, W, 1) and "sound" (S,) as reconstructed; "psnr" and "snr",
          decibels of these against the clean clips, the peak of a video being 2 and the power of a sound its own. None
          where there is none: of a perfect copy, or of silence.

        Raises:
          ValueError: a clip that there is not.
        """
        channels = {"video": self.channel("video") if video is None else video}
        channels["sound"] = self.channel("sound") if sound is None else sound
        for sense, (number, *_) in channels.items():
            self._check_number(sense, number)
        clips = {sense: self.desk.mixed(sense, *channel) for sense, channel in channels.items()}
        found = self.model.answer(clips, {sense: channel[1] == 0 for sense, channel in channels.items()})
        clean = {sense: self.desk.clean(sense, channel[0]) for sense, channel in channels.items()}
        loudness = float(np.mean(clean["sound"].astype(np.float64) ** 2))
        return {
            "probabilities": found["label"],
            "video": found["video"],
            "sound": found["sound"],
            "psnr": decibels(clean["video"], found["video"], PEAK**2),
            "snr": decibels(clean["sound"], found["sound"], loudness),
        }

    def _check_number(self, sense, number):
        if sense not in SENSES or not 0 <= number < len(self.desk.labels):
            raise ValueError(
                f"There is no {sense} number {number}: this mixer has video and sound of {len(self.desk.labels)} "
                "examples, numbered from 0."
            )

    def answer(self, ask: Mapping[str, Any]) -> Answer:
        """Answer the front end: clip (what one channel gives, frames as bytes or a WAV), mix (what the model says)."""
        if ask.get("what") == "clip":
            sense, channel = ask["sense"], ask["channel"]
            self._check_number(sense, channel[0])
            clip = self.desk.mixed(sense, *channel)
            return {}, [frame_bytes(clip) if sense == "video" else wav_bytes(clip, rate=RATE)]
        if ask.get("what") == "mix":
            found = self.mix(ask["video"], ask["sound"])
            told = {"probabilities": [round(float(p), 5) for p in found["probabilities"]]}
            told |= {name: found[name] for name in ("psnr", "snr")}
            return told, [frame_bytes(found["video"]), wav_bytes(found["sound"], rate=RATE)]
        return super().answer(ask)

    def first_frame(self) -> DescribedFigure:
        """What the model is given and what it makes of it: frames, waves and the label."""
        from perceiver_lab.explorers.mixer_export import still

        return still(self)

    def export(self, **reduction) -> tuple[dict[str, Any], list[tuple[dict[str, Any], Answer]]]:
        """State and answers for a saved page: two examples and their pairs, on or off, at three levels of noise.

        Args:
          **reduction: `examples`; see `mixer_export.reduce`.
        """
        from perceiver_lab.explorers.mixer_export import reduce

        return reduce(self, **reduction)

    def __repr__(self):
        frames, height, width = self.facts["shape"]
        return (
            f"SenseMixer({len(self.desk.labels)} examples of {frames} frames of {height} x {width} and "
            f"{self.facts['samples']} samples)"
        )
