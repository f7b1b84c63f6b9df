"""Which text may see which image: marks in the text, masks over the images (Flamingo, 2204.14198, section 3.1)."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

ATTEND = ("last", "previous")


def images_so_far(markers: Bool[Array, "b n"]) -> Int[Array, "b n"]:
    """phi of 2204.14198: how many images have been announced up to each token, by the token itself included.

    text      <image> a  cat  <image> a  dog
    markers      1    0   0      1    0   0
    phi          1    1   1      2    2   2
    """
    return jnp.cumsum(markers, axis=1, dtype=jnp.int32)


def image_mask(phi: Int[Array, "b n"], num_images: int, *, attend: str = "last") -> Bool[Array, "b n i"]:
    """True where a token may see an image.

    A token before all images sees none. (For half of the web pages in its training, the paper shows a text the image
    that comes next instead: not here.) While a text is written on with what was computed before kept, phi of a new
    token is the number of images so far.

    Args:
      phi: `images_so_far(markers)`.
      num_images: how many images there are.
      attend: "last", only the one that was announced last, as in the paper; or "previous", all up to there.

    Raises:
      ValueError: another `attend`; outside of compiled functions also text that announces more images than there are.
    """
    if attend not in ATTEND:
        raise ValueError(f"attend={attend!r} is unknown; choose one of {', '.join(map(repr, ATTEND))}.")
    known = _value(phi)
    if known is not None and known.max(initial=0) > num_images:
        raise ValueError(
            f"A text announces {known.max()} images, but {num_images} were given. Give as many images as the text has "
            "markers, or leave the surplus markers out."
        )
    number, announced = jnp.arange(1, num_images + 1)[None, None], phi[..., None]
    return number == announced if attend == "last" else number <= announced


def only_earlier(mask: Bool[Array, "b n i"], phi: Int[Array, "b n"]) -> Bool[Array, "b n i"]:
    """A mask of one's own, held to what has come already: text must not see an image that is announced later.

    Inside a compiled function, where nothing can be refused, later images are masked out.

    Args:
      mask: True where token n may see image i.
      phi: `images_so_far(markers)`.

    Raises:
      ValueError: a mask of another shape or type; outside of compiled functions, one that shows a later image.
    """
    if mask.ndim != 3 or mask.shape[:2] != phi.shape or mask.dtype != jnp.bool_:
        raise ValueError(
            f"An image mask must be a bool array (B, N, images) = {(*phi.shape, 'images')}, True where a token may see "
            f"an image; got {mask.dtype} of shape {mask.shape}."
        )
    earlier = jnp.arange(1, mask.shape[-1] + 1)[None, None] <= phi[..., None]
    shown = _value(mask & ~earlier)
    if shown is not None and shown.any():
        row, token, image = (int(place[0]) for place in np.nonzero(shown))
        raise ValueError(
            f"This image mask lets token {token} of text {row} see image {image}, which is announced only later "
            f"({int(phi[row, token])} images have come so far). A text that is read from left to right may see earlier "
            "images only: image_mask(images_so_far(markers), num_images) makes such a mask."
        )
    return mask & earlier


def spread_over_time(table: Float[Array, "t c"], num_frames: int) -> Float[Array, "n c"]:
    """More rows than the table has: linear interpolation, from its first row to its last."""
    places = jnp.linspace(0.0, table.shape[0] - 1.0, num_frames)
    below = jnp.minimum(places.astype(jnp.int32), max(table.shape[0] - 2, 0))
    share = (places - below)[:, None]
    return (1 - share) * table[below] + share * table[jnp.minimum(below + 1, table.shape[0] - 1)]


def _value(array):
    """The numbers, where they are known."""
    return None if isinstance(array, jax.core.Tracer) else np.asarray(array)
