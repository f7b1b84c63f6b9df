"""WardRound: go from one patient to the next, examine, and compare with the sound one."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import traitlets
from flax import nnx
from jaxtyping import Float, Int

from perceiver_lab.explorers.base import Answer, Explorer, colour_table, front_end
from perceiver_lab.explorers.ward_model import Ward
from perceiver_lab.figures import DescribedFigure, map_grid


class WardRound(Explorer):
    """Models that read the same pictures, one of them sound; three examinations for all.

    The state is in traits that can be read and set: `patient` and `image` (their numbers), `latent` (whose map is
    shown, -1 for the mean), and the examinations `shuffled` (all pixels change places), `hidden` (a mask hides the
    lower quarter) and `off` (the latent that is switched off, -1 for none).
    """

    title = "Ward round"
    _esm = front_end("ward")["_esm"]
    _css = front_end("ward")["_css"]
    facts = traitlets.Dict().tag(sync=True)
    patient = traitlets.Int(0).tag(sync=True)
    image = traitlets.Int(0).tag(sync=True)
    latent = traitlets.Int(-1).tag(sync=True)
    shuffled = traitlets.Bool(False).tag(sync=True)
    hidden = traitlets.Bool(False).tag(sync=True)
    off = traitlets.Int(-1).tag(sync=True)

    def __init__(
        self,
        patients: Mapping[str, nnx.Module],
        images: Float[np.ndarray, "k h w c"],
        labels: Sequence[int] | Int[np.ndarray, " k"],
        *,
        class_names: Sequence[str] | None = None,
        **state,
    ):
        """Look at the first patient and the first picture.

        Args:
          patients: name -> Perceiver, the sound one first; their weights as they are now.
          images: pictures as the models read them, every pixel an element.
          labels: what they show.
          class_names: by default the numbers of the classes.
          **state: first values of the traits, such as `patient=2`.

        Raises:
          ValueError: patients, pictures, labels or state that do not fit.
        """
        self.ward = Ward(patients, images)
        count = len(self.ward.see(0, 0, False, False, -1)["logits"])
        names = [str(name) for name in (range(count) if class_names is None else class_names)]
        if len(names) != count or len(labels) != len(images):
            raise ValueError(
                f"{len(images)} pictures want as many labels, and {count} classes as many names; got {len(labels)} and "
                f"{len(names)}."
            )
        facts = {
            "patients": self.ward.names,
            "labels": [int(label) for label in labels],
            "class_names": names,
            "latents": self.ward.num_latents,
            "shape": list(self.ward.images.shape[1:3]),
            "visible": int(self.ward.mask.sum()),
            "colours": colour_table(),
        }
        super().__init__(facts=facts, **state)
        self.answer_first([self.ask(), self.ask(patient=0)])

    @traitlets.validate("patient", "image", "latent", "off")
    def _valid(self, proposal):
        name, value = proposal["trait"].name, proposal["value"]
        least, most = {
            "patient": (0, len(self.ward.names) - 1),
            "image": (0, len(self.ward.images) - 1),
            "latent": (-1, self.ward.num_latents - 1),
            "off": (-1, self.ward.num_latents - 1),
        }[name]
        if not least <= value <= most:
            raise ValueError(f"{name}={value} is out of range: it may be {least} to {most} here.")
        return value

    def ask(self, patient: int | None = None) -> dict[str, Any]:
        """The question that the front end puts now; by default about the present patient."""
        state = {name: getattr(self, name) for name in ("image", "shuffled", "hidden", "off")}
        return {"what": "see", "patient": self.patient if patient is None else patient, **state}

    def answer(self, ask: Mapping[str, Any]) -> Answer:
        """Answer the front end: what a patient makes of a picture under these examinations."""
        if ask.get("what") == "see":
            return self.ward.answer(ask)
        return super().answer(ask)

    def export(self, *, images: int = 2) -> tuple[dict[str, Any], list[tuple[dict[str, Any], Answer]]]:
        """State and answers for a saved page.

        Args:
          images: how many of the pictures the page has: each with every examination by itself, and with none.

        Raises:
          ValueError: fewer than one, or more than there are.
        """
        if not 1 <= images <= len(self.ward.images):
            raise ValueError(f"images={images}: this ward has 1 to {len(self.ward.images)} pictures.")
        plain = {"shuffled": False, "hidden": False, "off": -1}
        ways = [plain, {**plain, "shuffled": True}, {**plain, "hidden": True}]
        ways += [{**plain, "off": latent} for latent in range(self.ward.num_latents)]
        asks = [
            {"what": "see", "patient": patient, "image": image, **way}
            for patient in range(len(self.ward.names))
            for image in range(images)
            for way in ways
        ]
        facts = {**self.facts, "labels": self.facts["labels"][:images], "single": True}
        state = {**self.state(), "facts": facts, "image": min(self.image, images - 1), **plain}
        return state, [(ask, self.answer(ask)) for ask in asks]

    def first_frame(self) -> DescribedFigure:
        """The mean map of every patient on the present picture, before any examination."""
        height, width = self.facts["shape"]
        seen = [self.ward.see(number, self.image, False, False, -1) for number in range(len(self.ward.names))]
        said = [
            self.facts["class_names"][one["logits"].argmax()] if np.isfinite(one["logits"]).all() else "no number"
            for one in seen
        ]
        titles = [f"{name}: {answer}" for name, answer in zip(self.ward.names, said, strict=True)]
        label = self.facts["class_names"][self.facts["labels"][self.image]]
        return map_grid(
            np.stack([one["maps"].mean(axis=0).reshape(height, width) for one in seen]),
            titles=titles,
            columns=7,
            alt=f"Ward round, first frame: where each patient looks in a picture of {label}, and what it says: "
            f"{'; '.join(titles)}.",
        )

    def __repr__(self):
        return f"WardRound({len(self.ward.names)} patients, {len(self.ward.images)} pictures, patient={self.patient})"
