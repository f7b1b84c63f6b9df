"""Flamingo (2204.14198): a frozen language model that is shown images and clips.

    frames (B, I, T, H, W, 3) --vision--> (B, I, T, S, C) --resampler--> media (B, I, R, D)
    ids (B, N), a marker for each image --language model, with gated layers before its blocks--> logits (B, N, V)

A token sees the image that was announced last before it, or none. Everything that is learnt lies in the resampler and
the gated layers; no gradient reaches the language model and the vision network, which were trained before.
"""

import jax
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from perceiver_lab.models.baselines.causal import CausalTransformer
from perceiver_lab.models.gated import GatedLayers
from perceiver_lab.ops.media import ATTEND, image_mask, images_so_far, only_earlier


class Flamingo(nnx.Module):
    """Language model, vision network, resampler and gated layers; or, without the last three, the language model."""

    def __init__(
        self,
        language_model: CausalTransformer,
        *,
        image_id: int,
        vision: nnx.Module | None = None,
        resampler: nnx.Module | None = None,
        gated: GatedLayers | None = None,
        attend: str = "last",
    ):
        """Put a model together.

        Args:
          language_model: trained before, on text alone.
          image_id: the id that marks an image in the text.
          vision: frames (B, I, T, H, W, 3) -> features (B, I, T, S, C): `adapters.FrameInput`.
          resampler: features -> (B, I, R, D): a `Resampler`, or what it is compared with.
          gated: as many blocks as the language model has.
          attend: "last", or "previous": a token sees all images so far.

        Raises:
          ValueError: some of the three parts that see, but not all; an unknown `attend`.
        """
        seeing = {"vision": vision, "resampler": resampler, "gated": gated}
        missing = [name for name, part in seeing.items() if part is None]
        if 0 < len(missing) < len(seeing):
            raise ValueError(
                f"To see, a model needs vision, resampler and gated layers; without: {', '.join(missing)}."
            )
        if attend not in ATTEND:
            raise ValueError(f"attend={attend!r} is unknown; choose one of {', '.join(map(repr, ATTEND))}.")
        self.language_model = language_model
        self.vision, self.resampler, self.gated = vision, resampler, gated
        self.image_id, self.attend = image_id, attend

    def see(
        self,
        frames: Float[Array, "b i t h w c"],
        *,
        frame_mask: Bool[Array, "b i t"] | None = None,
        interpolate: bool = False,
    ) -> Float[Array, "b i r d"]:
        """Frames -> R tokens for each image or clip.

        Args:
          frames: pixels in [-1, 1]; an image is a clip of one frame.
          frame_mask: True = there is such a frame; by default all.
          interpolate: of `Resampler`, for clips that are longer than those of the training.

        Raises:
          ValueError: a model without eyes, or what vision and resampler refuse.
        """
        if self.vision is None:
            raise ValueError("This model is a language model alone: it has no vision network. Leave the frames out.")
        return self.resampler(frozen(self.vision)(frames), mask=frame_mask, interpolate=interpolate)

    def read(
        self,
        ids: Int[Array, "b n"],
        media: Float[Array, "b i r d"] | None = None,
        *,
        mask: Bool[Array, "b n i"] | None = None,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "b n v"]:
        """Ids and what `see` made of the images -> logits for the id after each.

        Args:
          ids: text, with `image_id` where an image stands.
          media: by default none: the language model alone, which can be trained.
          mask: True where token n may see image i; by default as the markers and `attend` say.
          train, rngs: of the language model.

        Raises:
          ValueError: more markers than images, or a mask that shows a token an image that comes later.
        """
        if media is None:
            return self.language_model(ids, train=train, rngs=rngs)
        phi = images_so_far(ids == self.image_id)
        announced = image_mask(phi, media.shape[1], attend=self.attend)
        visible = announced if mask is None else only_earlier(mask, phi)

        def before(block, text):
            return self.gated(block, text, media, mask=visible)

        return frozen(self.language_model)(ids, before=before, train=train, rngs=rngs)

    def __call__(
        self,
        ids: Int[Array, "b n"],
        frames: Float[Array, "b i t h w c"] | None = None,
        *,
        frame_mask: Bool[Array, "b i t"] | None = None,
        interpolate: bool = False,
        mask: Bool[Array, "b n i"] | None = None,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "b n v"]:
        """Ids and frames -> logits for the id after each; arguments as of `see` and `read`."""
        media = None if frames is None else self.see(frames, frame_mask=frame_mask, interpolate=interpolate)
        return self.read(ids, media, mask=mask, train=train, rngs=rngs)


def frozen(module: nnx.Module) -> nnx.Module:
    """The same module, behind whose parameters gradients stop; they still pass through what it computes."""
    graphdef, state = nnx.split(module)
    return nnx.merge(graphdef, jax.tree.map(jax.lax.stop_gradient, state))
